/* Numbers that are stored in a smaller type than the one they are of: MATLAB's doubles that are small integers. */
#ifndef CORE_DECODE_WIDENED_H
#define CORE_DECODE_WIDENED_H

#include "core/decode/decoder.h"

/* What a tensor's storage has for parameters. Integers of up to 32 bits, or F32 as F64: every value is exact. */
struct widened {
    enum dtype stored;
    const uint64_t *steps; /* where elements lie, in elements */
    bool is_swapped;
};
extern const struct decoder decoder_widened;

/* Whether every value of stored is one of dtype. */
bool widened_is_exact(enum dtype stored, enum dtype dtype);

#endif
