#include "core/scan/flips.h"

#include <math.h>
#include <string.h>

#include "core/scan/decode.h"

/* The stored bits of element at. */
static uint64_t bits_at(const struct stored *x, size_t at)
{
    const unsigned bits = dtype_traits(x->dtype)->bits;
    const uint64_t first = (x->first + at) * bits;
    const unsigned shift = (unsigned)(first % 8);
    uint64_t word = 0;

    memcpy(&word, x->base + first / 8, (shift + bits + 7) / 8);
    word >>= shift;
    return bits < 64 ? word & ((UINT64_C(1) << bits) - 1) : word;
}

static bool value_equal(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

void flips_list(struct measure *m, struct flips *flips, const struct stored *a, const struct stored *b, size_t at,
                size_t elements)
{
    const size_t terms = dtype_is_complex(a->dtype) ? 2 : 1;
    const bool is_wide = dtype_traits(a->dtype)->is_wide;

    if (a->dtype != b->dtype || a->is_encoded || b->is_encoded || flips->count == FLIPS_MAX)
        return;
    decode_f64(a->dtype, a->base, a->first + at, elements, m->a64);
    decode_f64(b->dtype, b->base, b->first + at, elements, m->b64);
    for (size_t i = 0; i < elements && flips->count < FLIPS_MAX; i++) {
        const double *va = m->a64 + terms * i, *vb = m->b64 + terms * i;
        bool is_equal = value_equal(va[0], vb[0]) && value_equal(va[terms - 1], vb[terms - 1]);
        uint64_t differing = bits_at(a, at + i) ^ bits_at(b, at + i);

        if (is_wide ? differing == 0 : is_equal)
            continue;
        flips->items[flips->count].at = at + i;
        flips->items[flips->count].bits = (uint32_t)__builtin_popcountll(differing);
        flips->items[flips->count].highest = (uint32_t)(63 - __builtin_clzll(differing));
        flips->count++;
    }
}

void flips_zeros(struct measure *m, struct flips *flips, size_t elements, const void *view_a, const void *view_b,
                 enum block_format format)
{
    struct block_flips block;

    m->kernels->counts->flips[format](view_a, view_b, elements, &block);
    flips->zeroed += block.zeroed;
    flips->revived += block.revived;
}

/* An element of a block, one or two terms, is zero. 64-bit integers round to zero only where they are. */
static bool is_zero(const double *terms, enum dtype dtype, size_t i)
{
    return dtype_is_complex(dtype) ? terms[2 * i] == 0 && terms[2 * i + 1] == 0 : terms[i] == 0;
}

void flips_plain(struct measure *m, struct flips *flips, const struct stored *a, const struct stored *b)
{
    enum { BLOCK = BLOCK_ELEMENTS / 2 };

    for (size_t at = 0; at < a->elements; at += BLOCK) {
        size_t n = a->elements - at < BLOCK ? a->elements - at : BLOCK;

        decode_f64(a->dtype, a->base, a->first + at, n, m->a64);
        decode_f64(b->dtype, b->base, b->first + at, n, m->b64);
        for (size_t i = 0; i < n; i++) {
            bool is_zero_a = is_zero(m->a64, a->dtype, i), is_zero_b = is_zero(m->b64, b->dtype, i);

            flips->zeroed += is_zero_b && !is_zero_a;
            flips->revived += is_zero_a && !is_zero_b;
        }
        flips_list(m, flips, a, b, at, n);
    }
}

void flips_merge(struct flips *into, const struct flips *next, uint64_t next_first)
{
    into->zeroed += next->zeroed;
    into->revived += next->revived;
    for (uint32_t i = 0; i < next->count && into->count < FLIPS_MAX; i++) {
        into->items[into->count] = next->items[i];
        into->items[into->count++].at += next_first;
    }
}
