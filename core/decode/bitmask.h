/* Sparse weights: the values that are there, and a bit an element that says whether it has one. */
#ifndef CORE_DECODE_BITMASK_H
#define CORE_DECODE_BITMASK_H

#include "core/decode/decoder.h"

enum { BITMASK_COLUMNS_MAX = 1 << 22 };

/* What a tensor's storage has for parameters, a matrix of F32. Parts are a mask, U8 of ⌈columns / 8⌉ a row, the first
 * column lowest; the values, of any row those of its bits in order; then where in them each row begins (I64), or, where
 * of each row half is there, nothing; then scales, as many as rows or one. */
struct bitmask {
    uint64_t rows, columns;
    bool is_half, has_scales;
};
extern const struct decoder decoder_bitmask;

#endif
