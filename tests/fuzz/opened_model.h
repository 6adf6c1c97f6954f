/* What every format's target does with a file: what is accepted must hold together, and every tensor that can be
 * decoded is, first and last element apart too. */
#ifndef TESTS_FUZZ_OPENED_MODEL_H
#define TESTS_FUZZ_OPENED_MODEL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/format/format.h"

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

static void check_tensor(const struct model *model, const struct tensor *tensor)
{
    enum { MOST = 4096 };
    static uint8_t out[MOST * 16];
    const struct model_file *file = &model->files[tensor->extent.source];
    uint64_t elements = 1;
    int rc;

    for (uint32_t d = 0; d < tensor->shape.rank; d++)
        elements *= tensor->shape.dims[d];
    MUST(elements == tensor->shape.elements);
    MUST(tensor->extent.bytes == 0 || (tensor->extent.bytes <= file->source->size &&
                                       tensor->extent.offset <= file->source->size - tensor->extent.bytes));
    if (!tensor_is_decodable(tensor) || elements == 0)
        return;
    rc = decoder_read(model, tensor, 0, elements < MOST ? (size_t)elements : MOST, out, NULL);
    MUST(rc == 0 || file->is_member); /* what is deflated may turn out to be damaged */
    rc = decoder_read(model, tensor, elements - 1, 1, out, NULL);
    MUST(rc == 0 || file->is_member);
}

static void check_file(const uint8_t *data, size_t size)
{
    const struct opener opener = {.limits = &limits_default};
    struct source *source;
    struct model *model;
    struct error err = {0};
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

#endif
