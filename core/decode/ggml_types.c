/* The table of ggml's types. Numbers that are missing here were taken back (4, 5, 31 to 33, 36 to 38) or belong to
 * forks: of neither is a size known. */
#include "core/decode/ggml.h"

#define NAMED(text)                                                                                                    \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
#define PLAIN(text, type, bytes)                                                                                       \
    {                                                                                                                  \
        .name = (text), .dtype = (type), .block = 1, .block_bytes = (bytes)                                            \
    }
#define BLOCKS(text, elements, bytes, how, turned)                                                                     \
    {                                                                                                                  \
        .name = (text), .dtype = DTYPE_F32, .block = (elements), .block_bytes = (bytes),                               \
        .storage = {.decoder = &(how), .stored_as = NAMED(text)}, .swapped = {                                         \
            .decoder = &(turned),                                                                                      \
            .stored_as = NAMED(text)                                                                                   \
        }                                                                                                              \
    }

static const struct ggml_type types[] = {
    [0] = PLAIN("F32", DTYPE_F32, 4),
    [1] = PLAIN("F16", DTYPE_F16, 2),
    [2] = BLOCKS("Q4_0", 32, 18, ggml_q4_0, ggml_q4_0_swapped),
    [3] = BLOCKS("Q4_1", 32, 20, ggml_q4_1, ggml_q4_1_swapped),
    [6] = BLOCKS("Q5_0", 32, 22, ggml_q5_0, ggml_q5_0_swapped),
    [7] = BLOCKS("Q5_1", 32, 24, ggml_q5_1, ggml_q5_1_swapped),
    [8] = BLOCKS("Q8_0", 32, 34, ggml_q8_0, ggml_q8_0_swapped),
    [9] = BLOCKS("Q8_1", 32, 36, ggml_q8_1, ggml_q8_1_swapped),
    [10] = BLOCKS("Q2_K", 256, 84, ggml_q2_k, ggml_q2_k_swapped),
    [11] = BLOCKS("Q3_K", 256, 110, ggml_q3_k, ggml_q3_k_swapped),
    [12] = BLOCKS("Q4_K", 256, 144, ggml_q4_k, ggml_q4_k_swapped),
    [13] = BLOCKS("Q5_K", 256, 176, ggml_q5_k, ggml_q5_k_swapped),
    [14] = BLOCKS("Q6_K", 256, 210, ggml_q6_k, ggml_q6_k_swapped),
    [15] = BLOCKS("Q8_K", 256, 292, ggml_q8_k, ggml_q8_k_swapped),
    [16] = {.name = "IQ2_XXS",
            .dtype = DTYPE_F32,
            .block = 256,
            .block_bytes = 66,
            .storage = {.decoder = &ggml_iq2_xxs, .stored_as = NAMED("IQ2_XXS")},
            .swapped = {.stored_as = NAMED("IQ2_XXS"),
                        .reason = "ggml writes and reads big-endian blocks of this type in two ways"}},
    [17] = BLOCKS("IQ2_XS", 256, 74, ggml_iq2_xs, ggml_iq2_xs_swapped),
    [18] = BLOCKS("IQ3_XXS", 256, 98, ggml_iq3_xxs, ggml_iq3_xxs_swapped),
    [19] = BLOCKS("IQ1_S", 256, 50, ggml_iq1_s, ggml_iq1_s_swapped),
    [20] = BLOCKS("IQ4_NL", 32, 18, ggml_iq4_nl, ggml_iq4_nl_swapped),
    [21] = BLOCKS("IQ3_S", 256, 110, ggml_iq3_s, ggml_iq3_s_swapped),
    [22] = BLOCKS("IQ2_S", 256, 82, ggml_iq2_s, ggml_iq2_s_swapped),
    [23] = BLOCKS("IQ4_XS", 256, 136, ggml_iq4_xs, ggml_iq4_xs_swapped),
    [24] = PLAIN("I8", DTYPE_I8, 1),
    [25] = PLAIN("I16", DTYPE_I16, 2),
    [26] = PLAIN("I32", DTYPE_I32, 4),
    [27] = PLAIN("I64", DTYPE_I64, 8),
    [28] = PLAIN("F64", DTYPE_F64, 8),
    [29] = BLOCKS("IQ1_M", 256, 56, ggml_iq1_m, ggml_iq1_m_swapped),
    [30] = PLAIN("BF16", DTYPE_BF16, 2),
    [34] = BLOCKS("TQ1_0", 256, 54, ggml_tq1_0, ggml_tq1_0_swapped),
    [35] = BLOCKS("TQ2_0", 256, 66, ggml_tq2_0, ggml_tq2_0_swapped),
    [39] = BLOCKS("MXFP4", 32, 17, ggml_mxfp4, ggml_mxfp4), /* bytes only */
    [40] = BLOCKS("NVFP4", 64, 36, ggml_nvfp4, ggml_nvfp4), /* bytes only */
    [41] = BLOCKS("Q1_0", 128, 18, ggml_q1_0, ggml_q1_0_swapped),
    [42] = BLOCKS("Q2_0", 64, 18, ggml_q2_0, ggml_q2_0_swapped),
};

const struct ggml_type *ggml_type_of(uint32_t number)
{
    if (number >= sizeof(types) / sizeof(types[0]) || !types[number].name)
        return NULL;
    return &types[number];
}
