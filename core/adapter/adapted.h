/* Tensors that an adapter holds itself: whole, or rows of them; and what any tensor was before an adapter came. */
#ifndef CORE_ADAPTER_ADAPTED_H
#define CORE_ADAPTER_ADAPTED_H

#include "core/decode/decoder.h"

struct adapted_row {
    uint64_t row, from; /* of the tensor, and of the adapter's */
};

struct adapted {
    const struct tensor *base;      /* as it was, of the same shape */
    const struct tensor *by;        /* the adapter's, of that shape or with a row for each of rows */
    const struct adapted_row *rows; /* in ascending order; decoder_adapted has none */
    size_t row_count;
};

extern const struct decoder decoder_adapted, decoder_adapted_rows;

/* What the tensor was before all adapters, NULL of one that none changed; looked at as it is or through one view. */
const struct tensor *adapted_base(const struct tensor *tensor);

/* How many changes lie on a tensor, one on the other: each is read by the one before it. */
size_t adapted_layers(const struct tensor *tensor);

/* Elements [first, first + count) of a tensor of floating point as doubles. */
int adapted_read_f64(const struct model *model, const struct tensor *tensor, uint64_t first, uint64_t count,
                     double *out, struct error *err);

#endif
