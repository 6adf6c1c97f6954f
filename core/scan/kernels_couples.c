/* What lies between two of several models, and the turns of three: fewer sums than a pair's, for there are many
 * couples. Compiled once an instruction set, like kernels.c; F64 goes the long way. */
#include "core/scan/vectors.h"

INLINE void between_block(enum block_format format, const uint8_t *a, const uint8_t *b, size_t elements,
                          struct block_between *ret)
{
    const size_t bytes = element_bytes(format);
    f64v delta[F64_PARTS], delta_squares[F64_PARTS], ab[F64_PARTS];
    double delta_lane[LANES], squares_lane[LANES], ab_lane[LANES];
    i32v changed[F32_PARTS];
    uint32_t changed_rest = 0;
    size_t i;

    for (int p = 0; p < F64_PARTS; p++)
        delta[p] = delta_squares[p] = ab[p] = (f64v){0};
    for (int p = 0; p < F32_PARTS; p++)
        changed[p] = (i32v){0};
    for (i = 0; i + STEP <= elements; i += STEP) {
        for (int p = 0; p < F32_PARTS; p++) {
            const size_t at = (i + (size_t)(p * F32_WIDTH)) * bytes;
            const f32v va = load_f32v(format, a + at), vb = load_f32v(format, b + at);

            changed[p] -= (i32v)(va != vb);
            for (int q = 0; q < F64_PER_F32; q++) {
                const f64v wa = widen(va, q), wb = widen(vb, q), d = wb - wa;
                const int part = (p * F64_PER_F32 + q) % F64_PARTS;

                delta[part] += d;
                delta_squares[part] += d * d;
                ab[part] += wa * wb;
            }
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
        changed_rest += va != vb;
    }
    ret->delta = lanes_add(delta_lane);
    ret->delta_squares = lanes_add(squares_lane);
    ret->ab = lanes_add(ab_lane);
    ret->changed = i32_lanes_add(changed) + changed_rest;
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
    for (i = 0; i + STEP <= elements; i += STEP) {
        for (int p = 0; p < F32_PARTS; p++) {
            const size_t at = (i + (size_t)(p * F32_WIDTH)) * bytes;
            const f32v va = load_f32v(format, a + at), vm = load_f32v(format, between + at),
                       vb = load_f32v(format, b + at);

            for (int q = 0; q < F64_PER_F32; q++) {
                const f64v wm = widen(vm, q);

                turn[(p * F64_PER_F32 + q) % F64_PARTS] += (wm - widen(va, q)) * (widen(vb, q) - wm);
            }
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
