/* The settings of webhooks and the URLs of callers: whatever the text, it is refused or its host is one that may be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/webhooks/allowance.h"
#include "server/webhooks/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    const char *settings[] = {text};
    struct webhook_secret secret;
    struct allowance allowance, none;
    bool is_listed;

    if (!text)
        return 0;
    if (webhook_secret_parse(text, &secret, NULL) == 0 &&
        (secret.count < WEBHOOK_SECRET_MIN || secret.count > WEBHOOK_SECRET_MAX))
        abort();
    if (allowance_init(&none, NULL, 0, NULL))
        abort();
    if (allowance_has_literal(&none, text, &is_listed) && is_listed)
        abort();
    if (allowance_init(&allowance, settings, 1, NULL) == 0) {
        if (allowance.network_count > 1 || (strchr(text, '/') && allowance.network_count == 0))
            abort();
        (void)allowance_has_literal(&allowance, text, &is_listed);
        allowance_done(&allowance);
    }
    allowance_done(&none);
    free(text);
    return 0;
}
