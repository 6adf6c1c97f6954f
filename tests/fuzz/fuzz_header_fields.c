/* Header fields that are lists or have a form of their own: Accept, Accept-Encoding, Prefer, traceparent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/exchange.h"
#include "api/prefer.h"
#include "api/routes.h"
#include "api/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const media_types[] = {"application/json", "text/plain", "text/markdown"};
    char *text = malloc(size + 1), traceparent[TRACEPARENT_BYTES], id[REQUEST_ID_BYTES];
    int chosen;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    chosen = accept_choose(text, media_types, 3);
    if (chosen < -1 || chosen > 2 || prefer_wait(text) > WAIT_SECONDS_MAX)
        abort();
    /* Who likes gzip well enough for what is not worth it likes it for the rest. */
    if (encoding_choose(text, false) == ENCODING_GZIP && encoding_choose(text, true) != ENCODING_GZIP)
        abort();
    if (trace_continue(text, traceparent) != (strlen(traceparent) == TRACEPARENT_BYTES - 1))
        abort();
    request_id_choose(text, id);
    if (!id[0] || strpbrk(id, "\r\n \"\\"))
        abort();
    free(text);
    return 0;
}
