/* adapter_config.json: a scale is a number or a reason, whatever the patterns say. */
#include <stdint.h>
#include <stdlib.h>

#include "core/adapter/adapter_work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct adapter_config *config;
    struct error err = {0};
    const struct name module = name_of("model.embed_tokens");
    char path[ADAPTER_NAME_BYTES];
    uint64_t row;
    double scale;
    int rc = adapter_config_read((const char *)data, size, &config, &err);

    MUST(rc == 0 || (err.code == rc && err.text[0]));
    if (rc)
        return 0;
    rc = adapter_config_scale(config, name_of("model.layers.0.self_attn.q_proj"), 8, &scale, &err);
    MUST(rc == 0 ? scale - scale == 0 : err.code == rc && err.text[0]);
    err = (struct error){0};
    rc = adapter_config_check(config, &err);
    MUST(rc == 0 || (err.code == rc && err.text[0]));
    adapter_config_saves(config, module);
    for (size_t i = 0; i < adapter_config_tokens(config, module, path) && i < 64; i++)
        adapter_config_token(config, path, i, &row);
    adapter_config_free(config);
    return 0;
}
