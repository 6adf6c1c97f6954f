/* Elements whose sign is turned round when they are read: torch's lazy views, conjugated (the imaginary half) or
 * negated (all of it). */
#ifndef CORE_DECODE_NEGATED_H
#define CORE_DECODE_NEGATED_H

#include "core/decode/decoder.h"

struct negated {
    struct tensor of; /* as it is stored, floats of 16 bits on or complex numbers, at the extent of the tensor itself */
    bool is_conjugated, is_negative;
};

extern const struct decoder decoder_negated;

#endif
