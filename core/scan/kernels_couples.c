/* What lies between two of several models, and the turns of three: fewer sums than a pair's, for there are many
 * couples. Compiled once an instruction set, like kernels.c; F64 goes the long way. */
#include "core/scan/vectors.h"

INLINE uint32_t count_changed(enum block_format format, const uint8_t *a, const uint8_t *b, size_t elements)
{
    const size_t bytes = element_bytes(format);
    i32v changed = {0};
    uint32_t rest = 0;
    size_t i;

    for (i = 0; i + F32_WIDTH <= elements; i += F32_WIDTH)
        changed -= (i32v)(load_f32v(format, a + i * bytes) != load_f32v(format, b + i * bytes));
    for (; i < elements; i++)
        rest += load_one(format, a + i * bytes) != load_one(format, b + i * bytes);
    return i32_lanes_add(changed) + rest;
}

INLINE void between_block(enum block_format format, const uint8_t *a, const uint8_t *b, size_t elements,
                          struct block_between *ret)
{
    const size_t bytes = element_bytes(format);
    f64v delta[F64_PARTS], delta_squares[F64_PARTS], ab[F64_PARTS];
    double delta_lane[LANES], squares_lane[LANES], ab_lane[LANES];
    size_t i;

    for (int p = 0; p < F64_PARTS; p++)
        delta[p] = delta_squares[p] = ab[p] = (f64v){0};
    for (i = 0; i + LANES <= elements; i += LANES) {
        for (int p = 0; p < F64_PARTS; p++) {
            const size_t at = (i + (size_t)p * F64_WIDTH) * bytes;
            const f64v va = load_wide(format, a + at), vb = load_wide(format, b + at), d = vb - va;

            delta[p] += d;
            delta_squares[p] += d * d;
            ab[p] = add_product(format, ab[p], va, vb);
        }
    }
    memcpy(delta_lane, delta, sizeof(delta_lane));
    memcpy(squares_lane, delta_squares, sizeof(squares_lane));
    memcpy(ab_lane, ab, sizeof(ab_lane));
    for (; i < elements; i++) {
        const double va = load_one(format, a + i * bytes), vb = load_one(format, b + i * bytes), d = vb - va;

        delta_lane[i % LANES] += d;
        squares_lane[i % LANES] += d * d;
        ab_lane[i % LANES] += va * vb;
    }
    ret->delta = lanes_add(delta_lane);
    ret->delta_squares = lanes_add(squares_lane);
    ret->ab = lanes_add(ab_lane);
    ret->changed = count_changed(format, a, b, elements);
}

INLINE double turn_block(enum block_format format, const uint8_t *a, const uint8_t *between, const uint8_t *b,
                         size_t elements)
{
    const size_t bytes = element_bytes(format);
    f64v turn[F64_PARTS];
    double lane[LANES];
    size_t i;

    for (int p = 0; p < F64_PARTS; p++)
        turn[p] = (f64v){0};
    for (i = 0; i + LANES <= elements; i += LANES) {
        for (int p = 0; p < F64_PARTS; p++) {
            const size_t at = (i + (size_t)p * F64_WIDTH) * bytes;
            const f64v vm = load_wide(format, between + at);

            turn[p] += (vm - load_wide(format, a + at)) * (load_wide(format, b + at) - vm);
        }
    }
    memcpy(lane, turn, sizeof(lane));
    for (; i < elements; i++) {
        const double vm = load_one(format, between + i * bytes);

        lane[i % LANES] += (vm - load_one(format, a + i * bytes)) * (load_one(format, b + i * bytes) - vm);
    }
    return lanes_add(lane);
}

#define COUPLES(name, format)                                                                                          \
    static void between_##name(const void *a, const void *b, size_t elements, struct block_between *ret)               \
    {                                                                                                                  \
        between_block(format, a, b, elements, ret);                                                                    \
    }                                                                                                                  \
    static double turn_##name(const void *a, const void *between, const void *b, size_t elements)                      \
    {                                                                                                                  \
        return turn_block(format, a, between, b, elements);                                                            \
    }

COUPLES(bf16, BLOCK_BF16)
COUPLES(f16, BLOCK_F16)
COUPLES(f32, BLOCK_F32)

const struct couple_kernels ISA_NAME(couple_kernels) = {
    .between = {[BLOCK_BF16] = between_bf16, [BLOCK_F16] = between_f16, [BLOCK_F32] = between_f32},
    .turn = {[BLOCK_BF16] = turn_bf16, [BLOCK_F16] = turn_f16, [BLOCK_F32] = turn_f32},
};
