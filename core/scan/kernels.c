/* Compiled once an instruction set, as a whole, so that the compiler may use all of it; KERNEL_ISA names the table.
 * The order of additions is the lanes', never the vectors'. */
#include "core/scan/vectors.h"

#include <math.h>

/* The sums of one side, in lanes. */
struct side_lanes {
    f64v shifted[F64_PARTS], shifted_squares[F64_PARTS], squares[F64_PARTS];
};

/* Its extremes and counts, which are exact and so in any lanes: of floats, or of doubles. */
struct side_f32 {
    f32v min[F32_PARTS], max[F32_PARTS];
    i32v zeros[F32_PARTS];
};
struct side_f64 {
    f64v min[F64_PARTS], max[F64_PARTS];
    i64v zeros[F64_PARTS];
};

struct delta_lanes {
    f64v delta[F64_PARTS], delta_abs[F64_PARTS], delta_squares[F64_PARTS], ab[F64_PARTS], max_abs[F64_PARTS];
    i64v beyond[F64_PARTS];
};

/* The same lanes one by one, for the elements that do not fill a step, and for the tree. */
struct side_tail {
    double shifted[LANES], shifted_squares[LANES], squares[LANES];
    double min, max;
    uint32_t zeros;
};
struct delta_tail {
    double delta[LANES], delta_abs[LANES], delta_squares[LANES], ab[LANES];
    double max_abs;
    uint32_t changed, sign_flips, beyond;
};

INLINE void side_lanes_init(struct side_lanes *s)
{
    for (int p = 0; p < F64_PARTS; p++)
        s->shifted[p] = s->shifted_squares[p] = s->squares[p] = (f64v){0};
}

INLINE void side_f32_init(struct side_f32 *s)
{
    for (int p = 0; p < F32_PARTS; p++) {
        s->min[p] = (f32v){0} + INFINITY;
        s->max[p] = (f32v){0} - INFINITY;
        s->zeros[p] = (i32v){0};
    }
}

INLINE void side_f64_init(struct side_f64 *s)
{
    for (int p = 0; p < F64_PARTS; p++) {
        s->min[p] = (f64v){0} + (double)INFINITY;
        s->max[p] = (f64v){0} - (double)INFINITY;
        s->zeros[p] = (i64v){0};
    }
}

INLINE void delta_lanes_init(struct delta_lanes *d)
{
    for (int p = 0; p < F64_PARTS; p++) {
        d->delta[p] = d->delta_abs[p] = d->delta_squares[p] = d->ab[p] = d->max_abs[p] = (f64v){0};
        d->beyond[p] = (i64v){0};
    }
}

INLINE void side_step(struct side_lanes *s, int p, f64v x, f64v k)
{
    f64v shifted = x - k;

    s->shifted[p] += shifted;
    s->shifted_squares[p] += shifted * shifted;
    s->squares[p] += x * x;
}

INLINE i32v side_f32_step(struct side_f32 *s, int p, f32v x)
{
    i32v is_zero = (i32v)(x == 0.0f);

    s->min[p] = f32v_min(x, s->min[p]);
    s->max[p] = f32v_max(x, s->max[p]);
    s->zeros[p] -= is_zero;
    return is_zero;
}

INLINE i64v side_f64_step(struct side_f64 *s, int p, f64v x)
{
    i64v is_zero = (i64v)(x == 0.0);

    s->min[p] = f64v_min(x, s->min[p]);
    s->max[p] = f64v_max(x, s->max[p]);
    s->zeros[p] -= is_zero;
    return is_zero;
}

INLINE void delta_step(struct delta_lanes *d, int p, f64v a, f64v b, double epsilon, int has_epsilon)
{
    f64v delta = b - a, delta_abs = (f64v)((i64v)delta & INT64_MAX);

    d->delta[p] += delta;
    d->delta_abs[p] += delta_abs;
    d->delta_squares[p] += delta * delta;
    d->ab[p] += a * b;
    d->max_abs[p] = f64v_max(delta_abs, d->max_abs[p]);
    if (has_epsilon)
        d->beyond[p] -= (i64v)(delta_abs > epsilon);
}

INLINE void side_spill(const struct side_lanes *s, struct side_tail *tail)
{
    memcpy(tail->shifted, s->shifted, sizeof(tail->shifted));
    memcpy(tail->shifted_squares, s->shifted_squares, sizeof(tail->shifted_squares));
    memcpy(tail->squares, s->squares, sizeof(tail->squares));
    tail->min = (double)INFINITY;
    tail->max = (double)-INFINITY;
    tail->zeros = 0;
}

INLINE void side_f32_spill(const struct side_f32 *s, struct side_tail *tail)
{
    float min[STEP], max[STEP];

    memcpy(min, s->min, sizeof(min));
    memcpy(max, s->max, sizeof(max));
    for (int i = 0; i < STEP; i++) {
        if ((double)min[i] < tail->min)
            tail->min = (double)min[i];
        if ((double)max[i] > tail->max)
            tail->max = (double)max[i];
    }
    tail->zeros += i32_lanes_add(s->zeros);
}

INLINE void side_f64_spill(const struct side_f64 *s, struct side_tail *tail)
{
    double min[LANES], max[LANES];

    memcpy(min, s->min, sizeof(min));
    memcpy(max, s->max, sizeof(max));
    for (int i = 0; i < LANES; i++) {
        if (min[i] < tail->min)
            tail->min = min[i];
        if (max[i] > tail->max)
            tail->max = max[i];
    }
    tail->zeros += i64_lanes_add(s->zeros);
}

INLINE void delta_spill(const struct delta_lanes *d, struct delta_tail *tail)
{
    double max_abs[LANES];

    memcpy(tail->delta, d->delta, sizeof(tail->delta));
    memcpy(tail->delta_abs, d->delta_abs, sizeof(tail->delta_abs));
    memcpy(tail->delta_squares, d->delta_squares, sizeof(tail->delta_squares));
    memcpy(tail->ab, d->ab, sizeof(tail->ab));
    memcpy(max_abs, d->max_abs, sizeof(max_abs));
    tail->max_abs = 0;
    for (int i = 0; i < LANES; i++) {
        if (max_abs[i] > tail->max_abs)
            tail->max_abs = max_abs[i];
    }
    tail->changed = tail->sign_flips = 0;
    tail->beyond = i64_lanes_add(d->beyond);
}

INLINE void side_tail_step(struct side_tail *tail, size_t lane, double x, double k)
{
    double shifted = x - k;

    tail->shifted[lane] += shifted;
    tail->shifted_squares[lane] += shifted * shifted;
    tail->squares[lane] += x * x;
    if (x < tail->min)
        tail->min = x;
    if (x > tail->max)
        tail->max = x;
    tail->zeros += x == 0;
}

INLINE void delta_tail_step(struct delta_tail *tail, size_t lane, double a, double b, double epsilon)
{
    double delta = b - a, delta_abs = fabs(delta);

    tail->delta[lane] += delta;
    tail->delta_abs[lane] += delta_abs;
    tail->delta_squares[lane] += delta * delta;
    tail->ab[lane] += a * b;
    if (delta_abs > tail->max_abs)
        tail->max_abs = delta_abs;
    tail->changed += a != b;
    tail->sign_flips += (a < 0 && b > 0) || (a > 0 && b < 0);
    tail->beyond += delta_abs > epsilon;
}

INLINE void side_settle(const struct side_tail *tail, struct block_side *ret)
{
    ret->shifted = lanes_add(tail->shifted);
    ret->shifted_squares = lanes_add(tail->shifted_squares);
    ret->squares = lanes_add(tail->squares);
    ret->min = tail->min;
    ret->max = tail->max;
    ret->zeros = tail->zeros;
}

INLINE void side_block(enum block_format format, const uint8_t *x, size_t elements, double k, struct block_side *ret)
{
    const size_t bytes = element_bytes(format);
    const f64v shift = (f64v){0} + k;
    struct side_lanes lanes;
    struct side_f32 narrow;
    struct side_f64 wide;
    struct side_tail tail;
    size_t i;

    side_lanes_init(&lanes);
    side_f32_init(&narrow);
    side_f64_init(&wide);
    for (i = 0; i + STEP <= elements; i += STEP) {
        if (format == BLOCK_F64) {
            for (int p = 0; p < STEP / F64_WIDTH; p++) {
                f64v value = load_f64v(x + (i + (size_t)(p * F64_WIDTH)) * bytes);

                side_f64_step(&wide, p % F64_PARTS, value);
                side_step(&lanes, p % F64_PARTS, value, shift);
            }
        } else {
            for (int p = 0; p < F32_PARTS; p++) {
                f32v value = load_f32v(format, x + (i + (size_t)(p * F32_WIDTH)) * bytes);

                side_f32_step(&narrow, p, value);
                for (int q = 0; q < F64_PER_F32; q++)
                    side_step(&lanes, (p * F64_PER_F32 + q) % F64_PARTS, widen(value, q), shift);
            }
        }
    }
    side_spill(&lanes, &tail);
    if (format == BLOCK_F64)
        side_f64_spill(&wide, &tail);
    else
        side_f32_spill(&narrow, &tail);
    for (; i < elements; i++)
        side_tail_step(&tail, i % LANES, load_one(format, x + i * bytes), k);
    side_settle(&tail, ret);
}

INLINE void pair_block(enum block_format format, const uint8_t *a, const uint8_t *b, size_t elements, double ka,
                       double kb, double epsilon, int has_epsilon, struct block_pair *ret)
{
    const size_t bytes = element_bytes(format);
    const f64v shift_a = (f64v){0} + ka, shift_b = (f64v){0} + kb;
    struct side_lanes lanes_a, lanes_b;
    struct side_f32 narrow_a, narrow_b;
    struct side_f64 wide_a, wide_b;
    struct delta_lanes delta;
    i32v changed_f32[F32_PARTS], flips_f32[F32_PARTS];
    i64v changed_f64[F64_PARTS], flips_f64[F64_PARTS];
    struct side_tail tail_a, tail_b;
    struct delta_tail tail;
    size_t i;

    side_lanes_init(&lanes_a);
    side_lanes_init(&lanes_b);
    side_f32_init(&narrow_a);
    side_f32_init(&narrow_b);
    side_f64_init(&wide_a);
    side_f64_init(&wide_b);
    delta_lanes_init(&delta);
    for (int p = 0; p < F32_PARTS; p++)
        changed_f32[p] = flips_f32[p] = (i32v){0};
    for (int p = 0; p < F64_PARTS; p++)
        changed_f64[p] = flips_f64[p] = (i64v){0};
    for (i = 0; i + STEP <= elements; i += STEP) {
        if (format == BLOCK_F64) {
            for (int p = 0; p < STEP / F64_WIDTH; p++) {
                size_t at = (i + (size_t)(p * F64_WIDTH)) * bytes;
                f64v va = load_f64v(a + at), vb = load_f64v(b + at);
                int part = p % F64_PARTS;
                i64v zero_a = side_f64_step(&wide_a, part, va), zero_b = side_f64_step(&wide_b, part, vb);

                changed_f64[part] -= (i64v)(va != vb);
                flips_f64[part] -= (i64v)(((i64v)va ^ (i64v)vb) < 0) & ~(zero_a | zero_b);
                side_step(&lanes_a, part, va, shift_a);
                side_step(&lanes_b, part, vb, shift_b);
                delta_step(&delta, part, va, vb, epsilon, has_epsilon);
            }
        } else {
            for (int p = 0; p < F32_PARTS; p++) {
                size_t at = (i + (size_t)(p * F32_WIDTH)) * bytes;
                f32v va = load_f32v(format, a + at), vb = load_f32v(format, b + at);
                i32v zero_a = side_f32_step(&narrow_a, p, va), zero_b = side_f32_step(&narrow_b, p, vb);

                changed_f32[p] -= (i32v)(va != vb);
                flips_f32[p] -= (((i32v)va ^ (i32v)vb) >> 31) & ~(zero_a | zero_b);
                for (int q = 0; q < F64_PER_F32; q++) {
                    f64v wa = widen(va, q), wb = widen(vb, q);
                    int part = (p * F64_PER_F32 + q) % F64_PARTS;

                    side_step(&lanes_a, part, wa, shift_a);
                    side_step(&lanes_b, part, wb, shift_b);
                    delta_step(&delta, part, wa, wb, epsilon, has_epsilon);
                }
            }
        }
    }
    side_spill(&lanes_a, &tail_a);
    side_spill(&lanes_b, &tail_b);
    delta_spill(&delta, &tail);
    if (format == BLOCK_F64) {
        side_f64_spill(&wide_a, &tail_a);
        side_f64_spill(&wide_b, &tail_b);
        tail.changed = i64_lanes_add(changed_f64);
        tail.sign_flips = i64_lanes_add(flips_f64);
    } else {
        side_f32_spill(&narrow_a, &tail_a);
        side_f32_spill(&narrow_b, &tail_b);
        tail.changed = i32_lanes_add(changed_f32);
        tail.sign_flips = i32_lanes_add(flips_f32);
    }
    for (; i < elements; i++) {
        double va = load_one(format, a + i * bytes), vb = load_one(format, b + i * bytes);

        side_tail_step(&tail_a, i % LANES, va, ka);
        side_tail_step(&tail_b, i % LANES, vb, kb);
        delta_tail_step(&tail, i % LANES, va, vb, epsilon);
    }
    side_settle(&tail_a, &ret->a);
    side_settle(&tail_b, &ret->b);
    ret->delta = lanes_add(tail.delta);
    ret->delta_abs = lanes_add(tail.delta_abs);
    ret->delta_squares = lanes_add(tail.delta_squares);
    ret->ab = lanes_add(tail.ab);
    ret->max_abs = tail.max_abs;
    ret->changed = tail.changed;
    ret->sign_flips = tail.sign_flips;
    ret->beyond_epsilon =
        has_epsilon ? tail.beyond : tail.changed; /* |Δ| > 0 where a ≠ b: differences do not underflow */
}

#define KERNELS(name, format)                                                                                          \
    static void side_##name(const void *x, size_t elements, double k, struct block_side *ret)                          \
    {                                                                                                                  \
        side_block(format, x, elements, k, ret);                                                                       \
    }                                                                                                                  \
    static void pair_##name(const void *a, const void *b, size_t elements, double ka, double kb, double epsilon,       \
                            struct block_pair *ret)                                                                    \
    {                                                                                                                  \
        if (epsilon > 0)                                                                                               \
            pair_block(format, a, b, elements, ka, kb, epsilon, 1, ret);                                               \
        else                                                                                                           \
            pair_block(format, a, b, elements, ka, kb, 0, 0, ret);                                                     \
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
