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
#define BLOCKS(text, elements, bytes, how)                                                                             \
    {                                                                                                                  \
        .name = (text), .dtype = DTYPE_F32, .block = (elements), .block_bytes = (bytes),                               \
        .storage = {.decoder = &(how), .stored_as = NAMED(text)}, .swapped = {                                         \
            .stored_as = NAMED(text),                                                                                  \
            .reason = "blocks of this type are not known in big-endian order"                                          \
        }                                                                                                              \
    }
#define SWAPPED(text, elements, bytes, how, turned)                                                                    \
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
    [2] = SWAPPED("Q4_0", 32, 18, ggml_q4_0, ggml_q4_0_swapped),
    [3] = BLOCKS("Q4_1", 32, 20, ggml_q4_1),
    [6] = BLOCKS("Q5_0", 32, 22, ggml_q5_0),
    [7] = BLOCKS("Q5_1", 32, 24, ggml_q5_1),
    [8] = SWAPPED("Q8_0", 32, 34, ggml_q8_0, ggml_q8_0_swapped),
    [9] = BLOCKS("Q8_1", 32, 36, ggml_q8_1),
    [10] = BLOCKS("Q2_K", 256, 84, ggml_q2_k),
    [11] = BLOCKS("Q3_K", 256, 110, ggml_q3_k),
    [12] = SWAPPED("Q4_K", 256, 144, ggml_q4_k, ggml_q4_k_swapped),
    [13] = BLOCKS("Q5_K", 256, 176, ggml_q5_k),
    [14] = SWAPPED("Q6_K", 256, 210, ggml_q6_k, ggml_q6_k_swapped),
    [15] = BLOCKS("Q8_K", 256, 292, ggml_q8_k),
    [16] = BLOCKS("IQ2_XXS", 256, 66, ggml_iq2_xxs),
    [17] = BLOCKS("IQ2_XS", 256, 74, ggml_iq2_xs),
    [18] = BLOCKS("IQ3_XXS", 256, 98, ggml_iq3_xxs),
    [19] = BLOCKS("IQ1_S", 256, 50, ggml_iq1_s),
    [20] = BLOCKS("IQ4_NL", 32, 18, ggml_iq4_nl),
    [21] = BLOCKS("IQ3_S", 256, 110, ggml_iq3_s),
    [22] = BLOCKS("IQ2_S", 256, 82, ggml_iq2_s),
    [23] = BLOCKS("IQ4_XS", 256, 136, ggml_iq4_xs),
    [24] = PLAIN("I8", DTYPE_I8, 1),
    [25] = PLAIN("I16", DTYPE_I16, 2),
    [26] = PLAIN("I32", DTYPE_I32, 4),
    [27] = PLAIN("I64", DTYPE_I64, 8),
    [28] = PLAIN("F64", DTYPE_F64, 8),
    [29] = BLOCKS("IQ1_M", 256, 56, ggml_iq1_m),
    [30] = PLAIN("BF16", DTYPE_BF16, 2),
    [34] = BLOCKS("TQ1_0", 256, 54, ggml_tq1_0),
    [35] = BLOCKS("TQ2_0", 256, 66, ggml_tq2_0),
    [39] = SWAPPED("MXFP4", 32, 17, ggml_mxfp4, ggml_mxfp4), /* bytes only */
    [40] = SWAPPED("NVFP4", 64, 36, ggml_nvfp4, ggml_nvfp4), /* bytes only */
    [41] = BLOCKS("Q1_0", 128, 18, ggml_q1_0),
    [42] = BLOCKS("Q2_0", 64, 18, ggml_q2_0),
};

const struct ggml_type *ggml_type_of(uint32_t number)
{
    if (number >= sizeof(types) / sizeof(types[0]) || !types[number].name)
        return NULL;
    return &types[number];
}
