/* An API keys file: whatever is accepted has names, digests and scopes that are what they should be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_list list = {0};
    struct error err = {0};
    int rc = key_list_parse((const char *)data, size, &list, &err);

    MUST(rc == 0 ? list.count > 0 : !list.items && err.code == rc && err.text[0]);
    for (size_t i = 0; i < list.count; i++) {
        const struct caller *caller = &list.items[i].caller;

        MUST(key_name_is_good(caller->name, strlen(caller->name)));
        MUST(caller->scopes && caller->scopes < 8);
        MUST(caller->queued_max < 1000000000);
    }
    key_list_done(&list);
    return 0;
}
