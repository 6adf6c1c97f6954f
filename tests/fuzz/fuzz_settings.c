/* A --config file: what is accepted prints as a file that is accepted and prints the same again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

static int read_settings(const void *data, size_t size, struct config *ret, struct error *err)
{
    int fd = memfd_create("settings", MFD_CLOEXEC);
    char flag[64];
    char *arguments[] = {(char *)"serve", flag, NULL}, *none[] = {NULL};
    enum config_wish wish = CONFIG_RUN;
    int rc;

    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(flag, sizeof(flag), "--config=/proc/self/fd/%d", fd);
    rc = config_read(2, arguments, none, NULL, NULL, ret, &wish, err);
    close(fd);
    return rc;
}

static char *print(const struct config *config, size_t *ret_bytes)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, ret_bytes);

    MUST(file);
    config_print(config, file);
    fclose(file);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config first, second;
    struct error err = {0};
    size_t bytes, again_bytes;
    char *text, *again;
    int rc = read_settings(data, size, &first, &err);

    if (rc) {
        MUST(err.code == rc && err.text[0]);
        return 0;
    }
    text = print(&first, &bytes);
    if (!memchr(data, '\0', size)) { /* a text's NUL ends it */
        MUST(read_settings(text, bytes, &second, &err) == 0);
        again = print(&second, &again_bytes);
        for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) /* of "# from …" lines there may be more now */
            MUST(first.source[i] == CONFIG_FROM_DEFAULT || second.source[i] == CONFIG_FROM_FILE);
        MUST(second.workers == first.workers && second.retention_ms == first.retention_ms);
        MUST(second.quota_bytes == first.quota_bytes && second.no_auth == first.no_auth);
        MUST(strcmp(second.listen, first.listen) == 0 && second.models_roots.count == first.models_roots.count);
        free(again);
        config_done(&second);
    }
    free(text);
    config_done(&first);
    return 0;
}
