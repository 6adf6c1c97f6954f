/* Compiled once an instruction set, as a whole, so that the compiler may use all of it; KERNEL_ISA names the table.
 * The order of additions is the lanes', never the vectors'.
 *
 * A block lies in the first cache, so that it is gone through more than once: for what is exact in any order (extremes,
 * counts) in vectors of the stored format, then for the sums in doubles, of a pair one part of the lanes after the
 * other. No loop keeps more running values than there are registers. The loops of sums ask for the next block, which
 * they have time to wait for; past the end of a tensor, nothing comes of it. */
#include "core/scan/vectors.h"

#include <math.h>

/* Extremes and counts of one side: of 16-bit floats, floats or doubles, a whole vector of each. */
struct side_i16 {
    i16v min, max, zeros;
};
struct side_f32 {
    f32v min, max;
    i32v zeros;
};
struct side_f64 {
    f64v min, max;
    i64v zeros;
};

/* Bits of 16-bit floats as integers of the same order (−0 before 0), and back. */
INLINE i16v order_i16(i16v bits)
{
    return bits ^ ((bits >> 15) & INT16_MAX);
}

INLINE i16v side_i16_step(struct side_i16 *s, i16v bits)
{
    i16v is_zero = (i16v)((bits & INT16_MAX) == 0), ordered = order_i16(bits);

    s->min = i16v_min(ordered, s->min);
    s->max = i16v_max(ordered, s->max);
    s->zeros -= is_zero;
    return is_zero;
}

INLINE i32v side_f32_step(struct side_f32 *s, f32v x)
{
    i32v is_zero = (i32v)(x == 0.0f);

    s->min = f32v_min(x, s->min);
    s->max = f32v_max(x, s->max);
    s->zeros -= is_zero;
    return is_zero;
}

INLINE i64v side_f64_step(struct side_f64 *s, f64v x)
{
    i64v is_zero = (i64v)(x == 0.0);

    s->min = f64v_min(x, s->min);
    s->max = f64v_max(x, s->max);
    s->zeros -= is_zero;
    return is_zero;
}

INLINE void side_one(struct block_side *ret, double x)
{
    if (x < ret->min)
        ret->min = x;
    if (x > ret->max)
        ret->max = x;
    ret->zeros += x == 0;
}

INLINE struct side_i16 side_i16_begin(enum block_format format)
{
    const int16_t infinity = format == BLOCK_BF16 ? 0x7f80 : 0x7c00;

    return (struct side_i16){.min = (i16v){0} + infinity, .max = (i16v){0} + (int16_t)~infinity};
}

INLINE struct side_f32 side_f32_begin(void)
{
    return (struct side_f32){.min = (f32v){0} + INFINITY, .max = (f32v){0} - INFINITY};
}

INLINE struct side_f64 side_f64_begin(void)
{
    return (struct side_f64){.min = (f64v){0} + (double)INFINITY, .max = (f64v){0} - (double)INFINITY};
}

INLINE void side_i16_end(const struct side_i16 *s, enum block_format format, struct block_side *ret)
{
    int16_t min = s->min[0], max = s->max[0];

    for (int i = 1; i < I16_WIDTH; i++) {
        min = s->min[i] < min ? s->min[i] : min;
        max = s->max[i] > max ? s->max[i] : max;
    }
    min = (int16_t)(min ^ ((min >> 15) & INT16_MAX));
    max = (int16_t)(max ^ ((max >> 15) & INT16_MAX));
    ret->min = load_one(format, (const uint8_t *)&min);
    ret->max = load_one(format, (const uint8_t *)&max);
    ret->zeros = i16_lanes_add(s->zeros);
}

INLINE void side_f32_end(const struct side_f32 *s, struct block_side *ret)
{
    float min = s->min[0], max = s->max[0];

    for (int i = 1; i < F32_WIDTH; i++) {
        min = s->min[i] < min ? s->min[i] : min;
        max = s->max[i] > max ? s->max[i] : max;
    }
    ret->min = (double)min;
    ret->max = (double)max;
    ret->zeros = i32_lanes_add(s->zeros);
}

INLINE void side_f64_end(const struct side_f64 *s, struct block_side *ret)
{
    ret->min = s->min[0];
    ret->max = s->max[0];
    for (int i = 1; i < F64_WIDTH; i++) {
        ret->min = s->min[i] < ret->min ? s->min[i] : ret->min;
        ret->max = s->max[i] > ret->max ? s->max[i] : ret->max;
    }
    ret->zeros = i64_lanes_add(s->zeros);
}

INLINE void side_exact(enum block_format format, const uint8_t *x, size_t elements, struct block_side *ret)
{
    const size_t bytes = element_bytes(format);
    size_t i = 0;

    if (format == BLOCK_F64) {
        struct side_f64 side = side_f64_begin();

        for (; i + F64_WIDTH <= elements; i += F64_WIDTH)
            side_f64_step(&side, load_f64v(x + i * bytes));
        side_f64_end(&side, ret);
    } else if (format == BLOCK_F32) {
        struct side_f32 side = side_f32_begin();

        for (; i + F32_WIDTH <= elements; i += F32_WIDTH)
            side_f32_step(&side, load_f32v(format, x + i * bytes));
        side_f32_end(&side, ret);
    } else {
        struct side_i16 side = side_i16_begin(format);

        for (; i + I16_WIDTH <= elements; i += I16_WIDTH)
            side_i16_step(&side, load_i16v(x + i * bytes));
        side_i16_end(&side, format, ret);
    }
    for (; i < elements; i++)
        side_one(ret, load_one(format, x + i * bytes));
}

/* Both sides, and how many differ. A zero equals a zero of the other sign, and has no sign to flip. */
INLINE void pair_exact(enum block_format format, const uint8_t *a, const uint8_t *b, size_t elements,
                       struct block_pair *ret)
{
    const size_t bytes = element_bytes(format);
    size_t i = 0;

    if (format == BLOCK_F64) {
        struct side_f64 side_a = side_f64_begin(), side_b = side_a;
        i64v changed = {0}, flips = {0};

        for (; i + F64_WIDTH <= elements; i += F64_WIDTH) {
            f64v va = load_f64v(a + i * bytes), vb = load_f64v(b + i * bytes);
            i64v zero_a = side_f64_step(&side_a, va), zero_b = side_f64_step(&side_b, vb);

            changed -= (i64v)(va != vb);
            flips -= (i64v)(((i64v)va ^ (i64v)vb) < 0) & ~(zero_a | zero_b);
        }
        side_f64_end(&side_a, &ret->a);
        side_f64_end(&side_b, &ret->b);
        ret->changed = i64_lanes_add(changed);
        ret->sign_flips = i64_lanes_add(flips);
    } else if (format == BLOCK_F32) {
        struct side_f32 side_a = side_f32_begin(), side_b = side_a;
        i32v changed = {0}, flips = {0};

        for (; i + F32_WIDTH <= elements; i += F32_WIDTH) {
            f32v va = load_f32v(format, a + i * bytes), vb = load_f32v(format, b + i * bytes);
            i32v zero_a = side_f32_step(&side_a, va), zero_b = side_f32_step(&side_b, vb);

            changed -= (i32v)(va != vb);
            flips -= (((i32v)va ^ (i32v)vb) >> 31) & ~(zero_a | zero_b);
        }
        side_f32_end(&side_a, &ret->a);
        side_f32_end(&side_b, &ret->b);
        ret->changed = i32_lanes_add(changed);
        ret->sign_flips = i32_lanes_add(flips);
    } else {
        struct side_i16 side_a = side_i16_begin(format), side_b = side_a;
        i16v equal = {0}, flips = {0};

        for (; i + I16_WIDTH <= elements; i += I16_WIDTH) {
            i16v va = load_i16v(a + i * bytes), vb = load_i16v(b + i * bytes);
            i16v zero_a = side_i16_step(&side_a, va), zero_b = side_i16_step(&side_b, vb);

            equal -= (i16v)(va == vb) | (zero_a & zero_b);
            flips -= ((va ^ vb) >> 15) & ~(zero_a | zero_b);
        }
        side_i16_end(&side_a, format, &ret->a);
        side_i16_end(&side_b, format, &ret->b);
        ret->changed = (uint32_t)i - i16_lanes_add(equal);
        ret->sign_flips = i16_lanes_add(flips);
    }
    for (; i < elements; i++) {
        double va = load_one(format, a + i * bytes), vb = load_one(format, b + i * bytes);

        side_one(&ret->a, va);
        side_one(&ret->b, vb);
        ret->changed += va != vb;
        ret->sign_flips += (va < 0 && vb > 0) || (va > 0 && vb < 0);
    }
}

/* Sums in lanes: of one side, and of the differences. */
struct side_lanes {
    double shifted[LANES], shifted_squares[LANES], squares[LANES];
};
struct delta_lanes {
    double delta[LANES], delta_abs[LANES], delta_squares[LANES], ab[LANES], max_abs[LANES];
    int64_t beyond[LANES];
};

/* One part of the lanes. */
struct side_part {
    f64v shifted, shifted_squares, squares;
};
struct delta_part {
    f64v delta, delta_abs, delta_squares, ab, max_abs;
    i64v beyond;
};

/* With a shift of 0 the shifted sums are the plain ones. */
INLINE void side_step(enum block_format format, struct side_part *s, f64v x, f64v k, int has_shift)
{
    if (has_shift) {
        f64v shifted = x - k;

        s->shifted += shifted;
        s->shifted_squares += shifted * shifted;
    } else {
        s->shifted += x;
    }
    s->squares = add_product(format, s->squares, x, x);
}

INLINE void delta_step(enum block_format format, struct delta_part *d, f64v a, f64v b, double epsilon, int has_epsilon)
{
    f64v delta = b - a, delta_abs = (f64v)((i64v)delta & INT64_MAX);

    d->delta += delta;
    d->delta_abs += delta_abs;
    d->delta_squares += delta * delta;
    d->ab = add_product(format, d->ab, a, b);
    d->max_abs = f64v_max(delta_abs, d->max_abs);
    if (has_epsilon)
        d->beyond -= (i64v)(delta_abs > epsilon);
}

INLINE void side_spill(const struct side_part *s, int part, int has_shift, struct side_lanes *lanes)
{
    memcpy(lanes->shifted + part * F64_WIDTH, &s->shifted, sizeof(f64v));
    memcpy(lanes->shifted_squares + part * F64_WIDTH, has_shift ? &s->shifted_squares : &s->squares, sizeof(f64v));
    memcpy(lanes->squares + part * F64_WIDTH, &s->squares, sizeof(f64v));
}

INLINE void delta_spill(const struct delta_part *d, int part, struct delta_lanes *lanes)
{
    memcpy(lanes->delta + part * F64_WIDTH, &d->delta, sizeof(f64v));
    memcpy(lanes->delta_abs + part * F64_WIDTH, &d->delta_abs, sizeof(f64v));
    memcpy(lanes->delta_squares + part * F64_WIDTH, &d->delta_squares, sizeof(f64v));
    memcpy(lanes->ab + part * F64_WIDTH, &d->ab, sizeof(f64v));
    memcpy(lanes->max_abs + part * F64_WIDTH, &d->max_abs, sizeof(f64v));
    memcpy(lanes->beyond + part * F64_WIDTH, &d->beyond, sizeof(i64v));
}

INLINE void side_lane_step(struct side_lanes *s, size_t lane, double x, double k)
{
    double shifted = x - k;

    s->shifted[lane] += shifted;
    s->shifted_squares[lane] += shifted * shifted;
    s->squares[lane] += x * x;
}

INLINE void delta_lane_step(struct delta_lanes *d, size_t lane, double a, double b, double epsilon)
{
    double delta = b - a, delta_abs = fabs(delta);

    d->delta[lane] += delta;
    d->delta_abs[lane] += delta_abs;
    d->delta_squares[lane] += delta * delta;
    d->ab[lane] += a * b;
    if (delta_abs > d->max_abs[lane])
        d->max_abs[lane] = delta_abs;
    d->beyond[lane] += delta_abs > epsilon;
}

INLINE void side_settle(const struct side_lanes *lanes, struct block_side *ret)
{
    ret->shifted = lanes_add(lanes->shifted);
    ret->shifted_squares = lanes_add(lanes->shifted_squares);
    ret->squares = lanes_add(lanes->squares);
}

INLINE void side_sums(enum block_format format, const uint8_t *x, size_t elements, double k, int has_shift,
                      struct block_side *ret)
{
    const size_t bytes = element_bytes(format);
    const f64v shift = (f64v){0} + k;
    struct side_part parts[F64_PARTS];
    struct side_lanes lanes;
    size_t i;

    memset(parts, 0, sizeof(parts));
    for (i = 0; i + LANES <= elements; i += LANES) {
        __builtin_prefetch(x + (i + elements) * bytes);
        for (int p = 0; p < F64_PARTS; p++)
            side_step(format, &parts[p], load_wide(format, x + (i + (size_t)p * F64_WIDTH) * bytes), shift, has_shift);
    }
    for (int p = 0; p < F64_PARTS; p++)
        side_spill(&parts[p], p, has_shift, &lanes);
    for (; i < elements; i++)
        side_lane_step(&lanes, i % LANES, load_one(format, x + i * bytes), k);
    side_settle(&lanes, ret);
}

INLINE void pair_sums(enum block_format format, const uint8_t *a, const uint8_t *b, size_t elements, double ka,
                      double kb, int has_shift, double epsilon, int has_epsilon, struct block_pair *ret)
{
    const size_t bytes = element_bytes(format);
    const f64v shift_a = (f64v){0} + ka, shift_b = (f64v){0} + kb;
    struct side_lanes lanes_a, lanes_b;
    struct delta_lanes lanes;
    size_t i = 0;

    for (int p = 0; p < F64_PARTS; p++) {
        const size_t first = (size_t)p * F64_WIDTH;
        struct side_part side_a, side_b;
        struct delta_part delta;

        memset(&side_a, 0, sizeof(side_a));
        memset(&side_b, 0, sizeof(side_b));
        memset(&delta, 0, sizeof(delta));
        for (i = 0; i + LANES <= elements; i += LANES) {
            f64v va = load_wide(format, a + (i + first) * bytes), vb = load_wide(format, b + (i + first) * bytes);

            if (p == 0)
                __builtin_prefetch(a + (i + elements) * bytes);
            if (p == F64_PARTS - 1)
                __builtin_prefetch(b + (i + elements) * bytes);
            side_step(format, &side_a, va, shift_a, has_shift);
            side_step(format, &side_b, vb, shift_b, has_shift);
            delta_step(format, &delta, va, vb, epsilon, has_epsilon);
        }
        side_spill(&side_a, p, has_shift, &lanes_a);
        side_spill(&side_b, p, has_shift, &lanes_b);
        delta_spill(&delta, p, &lanes);
    }
    for (; i < elements; i++) {
        double va = load_one(format, a + i * bytes), vb = load_one(format, b + i * bytes);

        side_lane_step(&lanes_a, i % LANES, va, ka);
        side_lane_step(&lanes_b, i % LANES, vb, kb);
        delta_lane_step(&lanes, i % LANES, va, vb, epsilon);
    }
    side_settle(&lanes_a, &ret->a);
    side_settle(&lanes_b, &ret->b);
    ret->delta = lanes_add(lanes.delta);
    ret->delta_abs = lanes_add(lanes.delta_abs);
    ret->delta_squares = lanes_add(lanes.delta_squares);
    ret->ab = lanes_add(lanes.ab);
    ret->max_abs = 0;
    ret->beyond_epsilon = has_epsilon ? 0 : ret->changed; /* |Δ| > 0 where a ≠ b: differences do not underflow */
    for (int lane = 0; lane < LANES; lane++) {
        if (lanes.max_abs[lane] > ret->max_abs)
            ret->max_abs = lanes.max_abs[lane];
        if (has_epsilon)
            ret->beyond_epsilon += (uint32_t)lanes.beyond[lane];
    }
}

#define KERNELS(name, format)                                                                                          \
    static void side_##name(const void *x, size_t elements, double k, struct block_side *ret)                          \
    {                                                                                                                  \
        side_exact(format, x, elements, ret);                                                                          \
        if (k != 0)                                                                                                    \
            side_sums(format, x, elements, k, 1, ret);                                                                 \
        else                                                                                                           \
            side_sums(format, x, elements, 0, 0, ret);                                                                 \
    }                                                                                                                  \
    static void pair_##name(const void *a, const void *b, size_t elements, double ka, double kb, double epsilon,       \
                            struct block_pair *ret)                                                                    \
    {                                                                                                                  \
        pair_exact(format, a, b, elements, ret);                                                                       \
        if (epsilon > 0)                                                                                               \
            pair_sums(format, a, b, elements, ka, kb, 1, epsilon, 1, ret);                                             \
        else if (ka != 0 || kb != 0)                                                                                   \
            pair_sums(format, a, b, elements, ka, kb, 1, 0, 0, ret);                                                   \
        else                                                                                                           \
            pair_sums(format, a, b, elements, 0, 0, 0, 0, 0, ret);                                                     \
    }

KERNELS(bf16, BLOCK_BF16)
KERNELS(f16, BLOCK_F16)
KERNELS(f32, BLOCK_F32)
KERNELS(f64, BLOCK_F64)

#if defined(__AVX512F__)
#define THIS_ISA ISA_AVX512
#elif defined(__AVX2__)
#define THIS_ISA ISA_AVX2
#else
#define THIS_ISA ISA_SCALAR
#endif

const struct kernels ISA_NAME(kernels) = {
    .isa = THIS_ISA,
    .widen = &ISA_NAME(widen_kernels),
    .couples = &ISA_NAME(couple_kernels),
    .counts = &ISA_NAME(count_kernels),
    .squares = &ISA_NAME(square_kernels),
    .side = {[BLOCK_BF16] = side_bf16, [BLOCK_F16] = side_f16, [BLOCK_F32] = side_f32, [BLOCK_F64] = side_f64},
    .pair = {[BLOCK_BF16] = pair_bf16, [BLOCK_F16] = pair_f16, [BLOCK_F32] = pair_f32, [BLOCK_F64] = pair_f64},
};
