/* Conditions and ranges: three lines, which are Range, If-Range and If-None-Match, on a file of 1,000 bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/conditional.h"

enum { FILE_BYTES = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"Range", "If-Range", "If-None-Match"};
    char *text = malloc(size + 1), *rest = text, *line;
    struct field fields[3];
    struct request request = {.method = METHOD_GET, .headers = fields};
    struct response response;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    while (request.header_count < 3 && (line = strsep(&rest, "\n"))) {
        fields[request.header_count].name = names[request.header_count];
        fields[request.header_count].value = line;
        request.header_count++;
    }
    response_init(&response);
    response.status = 200;
    response.kind = BODY_BLOB;
    response.blob.data = calloc(1, FILE_BYTES);
    response.blob.bytes = response.length = FILE_BYTES;
    response_header(&response, "ETag", "\"etag\"");
    conditional_apply(&request, &response);
    if (response.status == 200 && response.length != FILE_BYTES)
        abort();
    if (response.status == 206 && (response.length == 0 || response.offset + response.length > FILE_BYTES))
        abort();
    if (response.status != 200 && response.status != 206 && response.status != 304 && response.status != 416)
        abort();
    response_done(&response);
    free(text);
    return 0;
}
