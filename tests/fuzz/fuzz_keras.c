/* The config of a Keras archive: its layers, and the names that they give to variables. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/keras_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"layers/dense/vars/0",
                                        "layers/batch_normalization/vars/3",
                                        "layers/sequential/layers/dense_1/vars/1",
                                        "layers/lstm/cell/vars/2",
                                        "optimizer/vars/0",
                                        "layers/",
                                        "vars/0",
                                        ""};
    struct arena arena = {.limit = 1 << 24};
    char *text = malloc(size + 1);
    const struct keras_layer *model;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    model = keras_read_config(text, size, &arena);
    for (size_t i = 0; model && i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct name name = keras_rename(model, name_of(paths[i]), &arena);

        if (name.text && name.bytes == 0)
            abort();
        for (uint32_t b = 0; name.text && b < name.bytes; b++)
            if (name.text[b] == '\0' && !memchr(data, '\\', size)) /* only an escape gives one */
                abort();
    }
    arena_done(&arena);
    free(text);
    return 0;
}
