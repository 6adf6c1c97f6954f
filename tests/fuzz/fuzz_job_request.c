/* A job request of any bytes is either refused with a fault, or has one canonical text that is read back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct job_request *request = NULL, *again = NULL;
    struct request_faults faults;
    struct error err;
    char *text, *second;

    if (job_request_parse((const char *)data, size, &request, &faults, &err)) {
        if (faults.count == 0 || faults.count > REQUEST_FAULTS_MAX || request)
            abort();
        for (size_t i = 0; i < faults.count; i++)
            if (!faults.items[i].detail[0] ||
                memchr(faults.items[i].pointer, 0, sizeof(faults.items[i].pointer)) == NULL)
                abort();
        return 0;
    }
    text = job_request_text(request);
    if (!text || job_request_parse(text, strlen(text), &again, &faults, &err))
        abort();
    second = job_request_text(again);
    if (!second || strcmp(text, second) != 0)
        abort();
    free(text);
    free(second);
    job_request_free(request);
    job_request_free(again);
    return 0;
}
