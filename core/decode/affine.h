/* Integer codes with a scale and a zero point for the tensor, or for each index of one dimension. */
#ifndef CORE_DECODE_AFFINE_H
#define CORE_DECODE_AFFINE_H

#include "core/decode/decoder.h"

/* What a tensor's storage has for parameters: value = (code − zero) · scale, in F32 as PyTorch computes it. */
struct affine {
    enum dtype codes;
    uint8_t bits; /* of a code, where several lie in a byte, the first in the lowest bits; contiguous; 0: none do */
    const uint64_t *steps; /* where codes lie, unless is_contiguous */
    bool is_contiguous, is_swapped;
    uint32_t axis;
    uint64_t channels;
    double *scales, *zeros; /* [channels] */
};
extern const struct decoder decoder_affine;

/* All values of a small tensor of real type. */
int affine_read_values(const struct model *model, const struct tensor *tensor, size_t count, double *out,
                       struct error *err);

#endif
