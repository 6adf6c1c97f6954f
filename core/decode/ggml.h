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

extern const struct decoder ggml_q4_0, ggml_q4_1, ggml_q5_0, ggml_q5_1, ggml_q8_0, ggml_q8_1, ggml_q1_0, ggml_q2_0,
    ggml_iq4_nl, ggml_iq4_xs, ggml_q2_k, ggml_q3_k, ggml_q4_k, ggml_q5_k, ggml_q6_k, ggml_q8_k, ggml_tq1_0, ggml_tq2_0,
    ggml_iq2_xs, ggml_iq2_s, ggml_iq3_xxs, ggml_iq3_s, ggml_iq1_s, ggml_iq1_m;
extern const struct decoder ggml_mxfp4, ggml_nvfp4, ggml_iq2_xxs;
/* Blocks of big-endian files: their words are turned round. */
extern const struct decoder ggml_q4_0_swapped, ggml_q4_1_swapped, ggml_q5_0_swapped, ggml_q5_1_swapped,
    ggml_q8_0_swapped, ggml_q8_1_swapped, ggml_q1_0_swapped, ggml_q2_0_swapped, ggml_iq4_nl_swapped,
    ggml_iq4_xs_swapped, ggml_q2_k_swapped, ggml_q3_k_swapped, ggml_q4_k_swapped, ggml_q5_k_swapped, ggml_q6_k_swapped,
    ggml_q8_k_swapped, ggml_tq1_0_swapped, ggml_tq2_0_swapped, ggml_iq2_xs_swapped, ggml_iq2_s_swapped,
    ggml_iq3_xxs_swapped, ggml_iq3_s_swapped, ggml_iq1_s_swapped, ggml_iq1_m_swapped;

/* NVFP4 whose values are multiplied by what a partner tensor holds: by one number, or by one for each run of elements.
 */
struct nvfp4_scales {
    uint64_t each; /* elements of a run */
    float scale[];
};
extern const struct decoder ggml_nvfp4_scaled, ggml_nvfp4_stacked;

#endif
