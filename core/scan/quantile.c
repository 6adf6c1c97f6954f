#include "core/scan/quantile.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/scan/decode_wide.h"

const double quantile_levels[QUANTILE_COUNT] = {0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99};

enum { RANKS = 2 * QUANTILE_COUNT };

bool quantiles_exist(enum dtype dtype)
{
    return dtype_traits(dtype)->kind != DTYPE_KIND_COMPLEX && dtype_traits(dtype)->kind != DTYPE_KIND_NONE;
}

void quantiles_init(struct quantiles *quantiles)
{
    *quantiles = (struct quantiles){.is_exact = false};
    for (int i = 0; i < QUANTILE_COUNT; i++)
        quantiles->value[i] = NAN;
}

/* The two ranks that a level lies between: floor((n − 1)·q) and the next. */
static void ranks_of(uint64_t n, uint64_t rank[RANKS])
{
    for (int i = 0; i < QUANTILE_COUNT; i++) {
        uint64_t low = (uint64_t)((double)(n - 1) * quantile_levels[i]);

        if (low > n - 1)
            low = n - 1;
        rank[2 * i] = low;
        rank[2 * i + 1] = low + 1 < n ? low + 1 : low;
    }
}

/* As NumPy interpolates: from the nearer end. */
static void interpolate(uint64_t n, const double at_rank[RANKS], struct quantiles *ret)
{
    for (int i = 0; i < QUANTILE_COUNT; i++) {
        double virtual_index = (double)(n - 1) * quantile_levels[i], t = virtual_index - floor(virtual_index);
        double a = at_rank[2 * i], b = at_rank[2 * i + 1], step = b - a;

        ret->value[i] = (t >= 0.5 ? b - step * (1 - t) : a + step * t) + 0.0;
    }
}

/* Doubles as integers of the same order. */
static uint64_t key_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double value_of(uint64_t key)
{
    uint64_t bits = key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key;
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void sort_few(uint64_t *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        size_t at = i;

        for (; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Radix sort by bytes; the bytes that all keys share (the low ones of narrow dtypes) cost one look. */
static uint64_t *sort_keys(uint64_t *keys, uint64_t *other, size_t n)
{
    if (n <= 32) {
        sort_few(keys, n);
        return keys;
    }
    for (int shift = 0; shift < 64; shift += 8) {
        size_t start[256] = {0}, total = 0;
        uint64_t *from = keys;

        for (size_t i = 0; i < n; i++)
            start[keys[i] >> shift & 0xff]++;
        if (start[keys[0] >> shift & 0xff] == n)
            continue;
        for (int digit = 0; digit < 256; digit++) {
            size_t count = start[digit];

            start[digit] = total;
            total += count;
        }
        for (size_t i = 0; i < n; i++)
            other[start[from[i] >> shift & 0xff]++] = from[i];
        keys = other;
        other = from;
    }
    return keys;
}

void quantiles_of_elements(const struct stored *x, uint64_t *scratch, struct quantiles *ret)
{
    enum { CHUNK = 256 };
    double values[CHUNK], at_rank[RANKS];
    uint64_t rank[RANKS];
    uint64_t *sorted;
    size_t n = 0;

    quantiles_init(ret);
    for (size_t at = 0; at < x->elements; at += CHUNK) {
        size_t block = x->elements - at < CHUNK ? x->elements - at : CHUNK;

        decode_f64(x->dtype, x->base, x->first + at, block, values);
        for (size_t i = 0; i < block; i++) {
            if (isfinite(values[i]))
                scratch[n++] = key_of(values[i]);
        }
    }
    ret->is_exact = true;
    if (n == 0)
        return;
    sorted = sort_keys(scratch, scratch + QUANTILE_SORTED, n);
    ranks_of(n, rank);
    for (int i = 0; i < RANKS; i++)
        at_rank[i] = value_of(sorted[rank[i]]);
    interpolate(n, at_rank, ret);
}

static bool is_exact_in_bins(enum dtype dtype)
{
    return dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype_traits(dtype)->bits <= 8;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static void count_halves(const uint8_t *from, size_t elements, uint32_t *bins)
{
    size_t i;
    uint16_t pattern;

    for (i = 0; i + 4 <= elements; i += 4) {
        uint64_t word;

        memcpy(&word, from + i * 2, sizeof(word));
        bins[word & 0xffff]++;
        bins[word >> 16 & 0xffff]++;
        bins[word >> 32 & 0xffff]++;
        bins[word >> 48]++;
    }
    for (; i < elements; i++) {
        memcpy(&pattern, from + i * 2, sizeof(pattern));
        bins[pattern]++;
    }
}

/* The upper halves of F32. Inf and NaN fall into bins that are not read. */
static void count_upper_halves(const uint8_t *from, size_t elements, uint32_t *bins)
{
    for (size_t i = 0; i < elements; i++) {
        uint16_t pattern;

        memcpy(&pattern, from + i * 4 + 2, sizeof(pattern));
        bins[pattern]++;
    }
}

static void count_values(const double *values, size_t elements, uint32_t *bins)
{
    for (size_t i = 0; i < elements; i++) {
        double value = values[i];

        if (isfinite(value))
            bins[bits_of((float)fmax(fmin(value, (double)FLT_MAX), -(double)FLT_MAX)) >> 16]++;
    }
}

void quantile_count(const struct stored *x, size_t at, size_t elements, const void *view, enum block_format format,
                    uint32_t bins[QUANTILE_BINS])
{
    if (x->dtype == DTYPE_F16 || x->dtype == DTYPE_BF16)
        count_halves(x->base + (x->first + at) * 2, elements, bins);
    else if (format == BLOCK_F32)
        count_upper_halves(view, elements, bins);
    else
        count_values(view, elements, bins);
}

/* What stands for a bin: its only value, or the middle of it. */
static double bin_value(enum dtype dtype, uint32_t pattern)
{
    uint32_t bits = pattern << 16;
    uint16_t half = (uint16_t)pattern;
    float value;

    if (dtype == DTYPE_F16) {
        decode_f32(dtype, (const uint8_t *)&half, 0, 1, &value);
        return (double)value;
    }
    memcpy(&value, &bits, sizeof(value));
    if (!is_exact_in_bins(dtype) && isfinite(value) && value != 0) {
        bits |= 0x8000u;
        memcpy(&value, &bits, sizeof(value));
    }
    return (double)value;
}

static void side_range(const struct side_record *side, double *min, double *max)
{
    switch (dtype_traits(side->dtype)->kind) {
    case DTYPE_KIND_INT:
        *min = (double)side->min.i64;
        *max = (double)side->max.i64;
        break;
    case DTYPE_KIND_BOOL:
    case DTYPE_KIND_UINT:
        *min = (double)side->min.u64;
        *max = (double)side->max.u64;
        break;
    case DTYPE_KIND_FLOAT:
    case DTYPE_KIND_NONE:
    case DTYPE_KIND_COMPLEX:
        *min = side->min.f64;
        *max = side->max.f64;
        break;
    }
}

void quantiles_of_bins(const uint64_t bins[QUANTILE_BINS], const struct side_record *side, struct quantiles *ret)
{
    double at_rank[RANKS] = {0}, min = 0, max = 0;
    uint64_t rank[RANKS], seen = 0;
    int order[RANKS], next = 0;

    quantiles_init(ret);
    ret->is_exact = is_exact_in_bins(side->dtype);
    if (side->finite == 0)
        return;
    side_range(side, &min, &max);
    ranks_of(side->finite, rank);
    for (int i = 0; i < RANKS; i++) { /* ascending: of a few elements, two levels' ranks can interleave */
        int at = i;

        for (; at > 0 && rank[order[at - 1]] > rank[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    /* Patterns in the order of their values: the negative ones backwards, then the others. */
    for (uint32_t i = 0; i < QUANTILE_BINS && next < RANKS; i++) {
        uint32_t pattern = i < 0x8000 ? 0xffff - i : i - 0x8000;
        double value;

        if (bins[pattern] == 0)
            continue;
        value = bin_value(side->dtype, pattern);
        if (!isfinite(value))
            continue;
        seen += bins[pattern];
        for (; next < RANKS && rank[order[next]] < seen; next++)
            at_rank[order[next]] = fmin(fmax(value, min), max);
    }
    interpolate(side->finite, at_rank, ret);
}
