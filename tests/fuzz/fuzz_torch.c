/* A file of PyTorch's: the first byte chooses. 0: a pickle alone; 1: a legacy container, the magic number put in front;
 * else: a whole file. What is accepted must hold together, and what can be decoded is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/format/format.h"
#include "core/format/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

static void check_pickle(const uint8_t *data, size_t size)
{
    struct arena arena = {.limit = 64 << 20};
    struct pickle pickle;
    struct error err = {0};
    int rc = pickle_read(data, size, &arena, &pickle, &err);

    MUST(rc == 0 ? pickle.root && pickle.bytes <= size : err.code == rc && err.text[0]);
    arena_done(&arena);
}

static void check_tensor(const struct model *model, const struct tensor *tensor)
{
    enum { MOST = 4096 };
    static uint8_t out[MOST * 8];
    uint64_t elements = 1;
    int rc;

    for (uint32_t d = 0; d < tensor->shape.rank; d++)
        elements *= tensor->shape.dims[d];
    MUST(elements == tensor->shape.elements);
    if (!tensor_is_decodable(tensor) || elements == 0)
        return;
    rc = decoder_read(model, tensor, 0, elements < MOST ? (size_t)elements : MOST, out, NULL);
    MUST(rc == 0 || model->files[tensor->extent.source].is_member); /* what is deflated may be damaged */
    rc = decoder_read(model, tensor, elements - 1, 1, out, NULL);
    MUST(rc == 0 || model->files[tensor->extent.source].is_member);
}

static void check_file(const uint8_t *data, size_t size)
{
    const struct opener opener = {.limits = &limits_default};
    struct error err = {0};
    struct source *source;
    struct model *model;
    int rc;

    MUST(memory_open(data, size, "fuzz", &source, NULL) == 0);
    rc = model_open_source(&opener, source, &model, &err);
    MUST(rc == 0 || (err.code == rc && err.text[0]));
    if (rc) {
        source_close(source);
        return;
    }
    for (size_t i = 0; i < model->tensor_count; i++)
        check_tensor(model, &model->tensors[i]);
    model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
    uint8_t *file;

    if (size < 2)
        return 0;
    if (data[0] == 0) {
        check_pickle(data + 1, size - 1);
        return 0;
    }
    if (data[0] != 1) {
        check_file(data + 1, size - 1);
        return 0;
    }
    file = malloc(sizeof(magic) + size - 1);
    MUST(file);
    memcpy(file, magic, sizeof(magic));
    memcpy(file + sizeof(magic), data + 1, size - 1);
    check_file(file, sizeof(magic) + size - 1);
    free(file);
    return 0;
}
