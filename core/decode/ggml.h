/* The element types of ggml, as GGUF files number them. (github.com/ggml-org/ggml: ggml.h, ggml-common.h.) */
#ifndef CORE_DECODE_GGML_H
#define CORE_DECODE_GGML_H

#include "core/decode/decoder.h"

struct ggml_type {
    const char *name; /* "Q4_K" */
    enum dtype dtype; /* what its values are read as */
    uint32_t block;   /* elements that are stored together */
    uint32_t block_bytes;
    struct storage storage; /* decoder NULL: plain elements of dtype */
    struct storage swapped; /* where the file is big-endian; decoder NULL: not known how */
};

/* The type of that number, or NULL where ggml has none. */
const struct ggml_type *ggml_type_of(uint32_t number);

extern const struct decoder ggml_q4_0, ggml_q4_1, ggml_q5_0, ggml_q5_1, ggml_q8_0, ggml_q8_1, ggml_q1_0, ggml_q2_0;
extern const struct decoder ggml_mxfp4, ggml_nvfp4, ggml_iq4_nl, ggml_iq4_xs;
extern const struct decoder ggml_q2_k, ggml_q3_k, ggml_q4_k, ggml_q5_k, ggml_q6_k, ggml_q8_k, ggml_tq1_0, ggml_tq2_0;
extern const struct decoder ggml_iq2_xxs, ggml_iq2_xs, ggml_iq2_s, ggml_iq3_xxs, ggml_iq3_s, ggml_iq1_s, ggml_iq1_m;
/* Blocks of big-endian files: their scales are turned round. */
extern const struct decoder ggml_q4_0_swapped, ggml_q8_0_swapped, ggml_q4_k_swapped, ggml_q6_k_swapped;

#endif
