/* Blocks run through a kernel that takes every element for finite. A block where that was wrong shows in its Σx², and
 * is measured again with care: counted, its finite elements moved together. Which way a block goes depends on its
 * content alone, and both give the same bits where both apply.
 *
 * F64 beyond [1e-140, 1e140] is measured once as it is, for extremes and counts, and once scaled, for the sums. */
#include "core/scan/measure.h"

#include <math.h>
#include <string.h>

#include "core/scan/couple.h"
#include "core/scan/decode_wide.h"
#include "core/scan/flips.h"
#include "core/scan/survey.h"

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The next block is asked for: it comes while this one is summed. Past the end of a tensor, nothing comes of it. */
void measure_widen(const struct measure *m, const struct stored *x, size_t at, size_t elements, float *out)
{
    enum { LINE = 64 };
    const size_t bits = dtype_traits(x->dtype)->bits, bytes = elements * bits / 8;
    const uint8_t *from = x->base + (x->first + at) * bits / 8;

    if (m->kernels->widen->f32[x->dtype])
        m->kernels->widen->f32[x->dtype](from, elements, out);
    else
        decode_f32(x->dtype, x->base, x->first + at, elements, out);
    for (size_t line = 0; line < bytes; line += LINE)
        __builtin_prefetch(from + bytes + line);
}

/* The block's elements as a kernel reads them: in place where they lie in that format, else decoded. */
const void *measure_view(const struct measure *m, const struct stored *x, size_t at, size_t n, enum block_format format,
                         float *narrow, double *wide)
{
    enum { SIZE_16 = 2, SIZE_32 = 4, SIZE_64 = 8 };

    switch (format) {
    case BLOCK_BF16:
    case BLOCK_F16:
        return x->base + (x->first + at) * SIZE_16;
    case BLOCK_F32:
        if (x->dtype == DTYPE_F32)
            return x->base + (x->first + at) * SIZE_32;
        measure_widen(m, x, at, n, narrow);
        return narrow;
    case BLOCK_F64:
    case BLOCK_FORMAT_COUNT:
        break;
    }
    if (x->dtype == DTYPE_F64)
        return x->base + (x->first + at) * SIZE_64;
    decode_f64(x->dtype, x->base, x->first + at, n, wide);
    return wide;
}

enum block_format measure_format(enum dtype dtype)
{
    if (dtype == DTYPE_BF16)
        return BLOCK_BF16;
    if (dtype == DTYPE_F16)
        return BLOCK_F16;
    return decode_is_narrow(dtype) ? BLOCK_F32 : BLOCK_F64;
}

enum block_format measure_format_of_both(enum dtype a, enum dtype b)
{
    if (a == b)
        return measure_format(a);
    return decode_is_narrow(a) && decode_is_narrow(b) ? BLOCK_F32 : BLOCK_F64;
}

/* Moves the finite values together; counts the others where totals are given. */
static size_t keep_finite(const double *values, size_t n, double *terms, struct side_totals *totals)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        terms[kept] = values[i]; /* without a branch: nearly all are finite */
        kept += isfinite(values[i]) ? 1 : 0;
    }
    for (size_t i = 0; totals && kept < n && i < n; i++)
        if (!isfinite(values[i]))
            *(isnan(values[i]) ? &totals->nans : &totals->infs) += 1;
    return kept;
}

/* Whether the first terms need no shift, by the sums of the kernel that measures them; false where one is not finite.
 */
static bool starts_near_zero(struct measure *m, const struct stored *x)
{
    const enum block_format format = measure_format(x->dtype);
    const size_t terms = min_size(x->elements, SHIFT_TERMS);
    double sum = 0, squares = 0;

    for (size_t at = 0; at < terms; at += BLOCK_ELEMENTS) {
        const size_t n = min_size(terms - at, BLOCK_ELEMENTS);
        struct block_side block;

        m->kernels->side[format](measure_view(m, x, at, n, format, m->a32, m->a64), n, 0, &block);
        sum += block.shifted;
        squares += block.squares;
    }
    return isfinite(squares) && shift_is_needless(sum / (double)terms, squares / (double)terms);
}

static double side_shift(struct measure *m, const struct stored *x, int32_t exponent)
{
    struct shift shift;

    if (exponent == 0 && starts_near_zero(m, x))
        return 0;
    shift_init(&shift);
    for (size_t at = 0; at < x->elements && !shift_is_full(&shift); at += BLOCK_ELEMENTS) {
        size_t n = min_size(x->elements - at, BLOCK_ELEMENTS);

        decode_f64(x->dtype, x->base, x->first + at, n, m->a64);
        n = keep_finite(m->a64, n, m->terms_a, NULL);
        if (exponent)
            scale_terms(m->terms_a, n, exponent);
        shift_feed(&shift, m->terms_a, n);
    }
    return shift_value(&shift);
}

static void side_block_with_care(struct measure *m, const struct stored *x, size_t at, size_t n, double k,
                                 int32_t exponent, struct side_totals *totals)
{
    struct block_side block;

    decode_f64(x->dtype, x->base, x->first + at, n, m->a64);
    n = keep_finite(m->a64, n, m->terms_a, totals);
    if (exponent)
        scale_terms(m->terms_a, n, exponent);
    m->kernels->side[BLOCK_F64](m->terms_a, n, k, &block);
    side_totals_add(totals, &block, n);
}

static void side_rescale(struct measure *m, const struct stored *x, struct side_record *record, int32_t exponent)
{
    struct side_totals totals;
    double k = side_shift(m, x, exponent);

    side_totals_init(&totals);
    for (size_t at = 0; at < x->elements; at += BLOCK_ELEMENTS)
        side_block_with_care(m, x, at, min_size(x->elements - at, BLOCK_ELEMENTS), k, exponent, &totals);
    side_record_settle(record, &totals, k, exponent);
}

/* −0 + 0 is +0: which of two zeros an instruction calls the lesser must not show. */
static void side_set_extremes(struct side_record *record, double min, double max)
{
    switch (dtype_traits(record->dtype)->kind) {
    case DTYPE_KIND_INT:
        record->min.i64 = (int64_t)min;
        record->max.i64 = (int64_t)max;
        break;
    case DTYPE_KIND_UINT:
    case DTYPE_KIND_BOOL:
        record->min.u64 = (uint64_t)min;
        record->max.u64 = (uint64_t)max;
        break;
    case DTYPE_KIND_FLOAT:
    case DTYPE_KIND_NONE:
    case DTYPE_KIND_COMPLEX:
        record->min.f64 = min + 0.0;
        record->max.f64 = max + 0.0;
        break;
    }
    record->abs_max = fmax(fabs(min), fabs(max));
}

static void side_count_saturated(const struct stored *x, struct side_record *record)
{
    const struct dtype_traits *traits = dtype_traits(x->dtype);
    uint8_t is_extreme[256];
    uint64_t saturated = 0;
    float value;

    if (traits->bits != 8 || traits->kind == DTYPE_KIND_BOOL)
        return;
    for (unsigned code = 0; code < 256; code++) {
        const uint8_t byte = (uint8_t)code;

        decode_f32(x->dtype, &byte, 0, 1, &value);
        is_extreme[code] = (double)value == traits->min || (double)value == traits->max;
    }
    for (size_t i = 0; i < x->elements; i++)
        saturated += is_extreme[x->base[x->first + i]];
    record->saturated = saturated;
}

static void side_finish(struct measure *m, const struct stored *x, const struct side_totals *totals, double k,
                        struct side_record *ret)
{
    int32_t exponent;

    side_record_init(ret, x->dtype);
    ret->elements = x->elements;
    ret->nans = totals->nans;
    ret->infs = totals->infs;
    ret->zeros = totals->zeros;
    side_record_settle(ret, totals, k, 0);
    if (ret->finite)
        side_set_extremes(ret, totals->min, totals->max);
    exponent = x->dtype == DTYPE_F64 ? exponent_for(ret->abs_max) : 0;
    if (exponent)
        side_rescale(m, x, ret, exponent);
    if (m->needs & NEED_SATURATION)
        side_count_saturated(x, ret);
}

void measure_side(struct measure *m, const struct stored *x, const struct survey *survey, struct side_record *ret)
{
    enum block_format format = measure_format(x->dtype);
    struct side_totals totals;
    struct survey_walk walk;
    double k;

    survey_begin(&walk, m, survey, x);
    if (dtype_is_complex(x->dtype)) {
        measure_side_complex(m, x, ret);
        return;
    }
    if (dtype_traits(x->dtype)->is_wide) {
        measure_side_wide(m, x, ret);
        survey_wide(&walk, m);
        return;
    }
    k = side_shift(m, x, 0);
    side_totals_init(&totals);
    for (size_t at = 0; at < x->elements; at += BLOCK_ELEMENTS) {
        size_t n = min_size(x->elements - at, BLOCK_ELEMENTS);
        const void *view = measure_view(m, x, at, n, format, m->a32, m->a64);
        struct block_side block;

        m->kernels->side[format](view, n, k, &block);
        survey_block(&walk, m, view, format, at, n);
        if (isfinite(block.squares))
            side_totals_add(&totals, &block, n);
        else
            side_block_with_care(m, x, at, n, k, 0, &totals);
    }
    survey_end(&walk);
    side_finish(m, x, &totals, k, ret);
}

void delta_add_delta(struct delta_record *record, const struct block_pair *block)
{
    sum_add(&record->delta, block->delta);
    sum_add(&record->delta_abs, block->delta_abs);
    sum_add(&record->delta_squares, block->delta_squares);
}

void delta_add_products(struct delta_record *record, const struct block_pair *block)
{
    sum_add(&record->aa, block->a.squares);
    sum_add(&record->bb, block->b.squares);
    sum_add(&record->ab, block->ab);
}

bool delta_begin_scaled(struct delta_record *record, double abs_max_a, double abs_max_b)
{
    const struct sum zero = {0};

    record->exponent = exponent_for(record->max_abs);
    record->exponent_a = exponent_for(abs_max_a);
    record->exponent_b = exponent_for(abs_max_b);
    if (!record->exponent && !record->exponent_a && !record->exponent_b)
        return false;
    record->delta = record->delta_abs = record->delta_squares = record->aa = record->bb = record->ab = zero;
    return true;
}

void delta_add_scaled(struct measure *m, size_t terms, struct delta_record *record)
{
    double scaled_a[BLOCK_ELEMENTS], scaled_b[BLOCK_ELEMENTS];
    struct block_pair block;

    memcpy(scaled_a, m->terms_a, terms * sizeof(*scaled_a));
    memcpy(scaled_b, m->terms_b, terms * sizeof(*scaled_b));
    scale_terms(scaled_a, terms, record->exponent_a);
    scale_terms(scaled_b, terms, record->exponent_b);
    m->kernels->pair[BLOCK_F64](scaled_a, scaled_b, terms, 0, 0, 0, &block);
    delta_add_products(record, &block);
    scale_terms(m->terms_a, terms, record->exponent);
    scale_terms(m->terms_b, terms, record->exponent);
    m->kernels->pair[BLOCK_F64](m->terms_a, m->terms_b, terms, 0, 0, 0, &block);
    delta_add_delta(record, &block);
}

static void delta_add_counts(struct delta_record *record, const struct block_pair *block, size_t finite)
{
    record->finite += finite;
    record->changed += block->changed;
    record->sign_flips += block->sign_flips;
    record->beyond_epsilon += block->beyond_epsilon;
}

/* Decodes both blocks and moves together what is finite on both sides; counts the others where a record is given. */
static size_t pair_keep_finite(struct measure *m, const struct stored *a, const struct stored *b, size_t at, size_t n,
                               struct delta_record *record)
{
    size_t kept = 0;

    decode_f64(a->dtype, a->base, a->first + at, n, m->a64);
    decode_f64(b->dtype, b->base, b->first + at, n, m->b64);
    for (size_t i = 0; i < n; i++) {
        double va = m->a64[i], vb = m->b64[i];

        if (isfinite(va) && isfinite(vb)) {
            m->terms_a[kept] = va;
            m->terms_b[kept++] = vb;
        } else if (record && va != vb && !(isnan(va) && isnan(vb))) {
            record->nonfinite_changed++;
            record->changed++;
            record->beyond_epsilon++;
        }
    }
    return kept;
}

/* The element of the block whose |Δ| is the unit's greatest. Looked for once a unit. */
static uint64_t find_max_abs(struct measure *m, const struct stored *a, const struct stored *b, size_t at, size_t n,
                             double max_abs)
{
    decode_f64(a->dtype, a->base, a->first + at, n, m->a64);
    decode_f64(b->dtype, b->base, b->first + at, n, m->b64);
    for (size_t i = 0; i < n; i++) {
        if (isfinite(m->a64[i]) && isfinite(m->b64[i]) && fabs(m->b64[i] - m->a64[i]) == max_abs)
            return at + i;
    }
    return at;
}

static void delta_rescale(struct measure *m, const struct stored *a, const struct stored *b, size_t common,
                          const double abs_max[2], struct delta_record *record)
{
    if (!delta_begin_scaled(record, abs_max[0], abs_max[1]))
        return;
    for (size_t at = 0; at < common; at += BLOCK_ELEMENTS) {
        size_t n = pair_keep_finite(m, a, b, at, min_size(common - at, BLOCK_ELEMENTS), NULL);

        delta_add_scaled(m, n, record);
    }
}

/* Σ over rows of ⟨a,b⟩²/⟨b,b⟩, what the best scale a row explains of Σa². */
static void delta_fit_rows(struct measure *m, const struct stored *a, const struct stored *b, size_t common,
                           uint64_t row_elements, struct delta_record *record)
{
    enum block_format format = measure_format_of_both(a->dtype, b->dtype);

    record->has_row_fit = row_elements > 0 && common % row_elements == 0 && record->exponent_a == 0;
    if (!record->has_row_fit)
        return;
    for (size_t row = 0; row < common; row += row_elements) {
        struct sum ab = {0}, bb = {0};
        double scale;

        for (size_t at = row; at < row + row_elements; at += BLOCK_ELEMENTS) {
            size_t n = min_size(row + row_elements - at, BLOCK_ELEMENTS);
            struct block_pair block;

            m->kernels->pair[format](measure_view(m, a, at, n, format, m->a32, m->a64),
                                     measure_view(m, b, at, n, format, m->b32, m->b64), n, 0, 0, 0, &block);
            if (!isfinite(block.a.squares)) {
                n = pair_keep_finite(m, a, b, at, n, NULL);
                m->kernels->pair[BLOCK_F64](m->terms_a, m->terms_b, n, 0, 0, 0, &block);
            }
            sum_add(&ab, block.ab);
            sum_add(&bb, block.b.squares);
        }
        if (sum_value(&bb) > 0) {
            scale = sum_value(&ab) / sum_value(&bb);
            sum_add(&record->row_fit, sum_value(&ab) * scale);
        }
    }
}

static bool is_row_fit_asked(const struct measure *m, enum dtype a, enum dtype b)
{
    const struct dtype_traits *candidate = dtype_traits(b);

    return (m->needs & NEED_ROW_FIT) && dtype_traits(a)->kind == DTYPE_KIND_FLOAT && !candidate->is_wide &&
           (candidate->kind == DTYPE_KIND_INT || candidate->kind == DTYPE_KIND_UINT);
}

/* One side of a pass over two. */
struct pass_side {
    double k;
    struct side_totals totals;
    struct survey_walk walk;
};

static void pass_side_begin(struct pass_side *side, struct measure *m, const struct stored *x,
                            const struct survey *survey)
{
    side->k = side_shift(m, x, 0);
    side_totals_init(&side->totals);
    survey_begin(&side->walk, m, survey, x);
}

/* Whether those elements lie as the same bytes in both, which are of one type and start alike. */
static bool is_stretch_equal(const struct stored *a, const struct stored *b, size_t at, size_t elements)
{
    const unsigned bits = dtype_traits(a->dtype)->bits;
    const uint64_t from = (a->first + at) * bits / 8, to = ((a->first + at + elements) * bits + 7) / 8;

    return memcmp(a->base + from, b->base + from, to - from) == 0;
}

/* What a kernel of one side does not ask for while it works: the other side's elements from `at` on. */
static void prefetch(const struct stored *x, size_t at, size_t elements)
{
    enum { LINE_BYTES = 64, INTO_L2 = 2 };
    const unsigned bits = dtype_traits(x->dtype)->bits;
    const uint8_t *from = x->base + (x->first + at) * bits / 8;

    for (size_t i = 0; i < elements * bits / 8; i += LINE_BYTES)
        __builtin_prefetch(from + i, 0, INTO_L2);
}

static bool is_bytes_equal(const struct stored *a, const struct stored *b)
{
    return a->dtype == b->dtype && a->first == b->first && a->elements == b->elements &&
           is_stretch_equal(a, b, 0, a->elements);
}

/* A block and its equal: as the kernel of pairs has it. */
static void pair_of_equal(const struct block_side *side, struct block_pair *ret)
{
    *ret = (struct block_pair){.a = *side, .b = *side, .ab = side->squares};
}

/* The second side, which was left out while its blocks were equal to those of the first, up to element `to`. */
static void pass_catch_up(struct measure *m, const struct stored *b, enum block_format format, size_t to,
                          const struct pass_side *side_a, struct pass_side *side_b)
{
    side_b->totals = side_a->totals;
    for (size_t at = 0; at < to; at += BLOCK_ELEMENTS)
        survey_block(&side_b->walk, m, measure_view(m, b, at, BLOCK_ELEMENTS, format, m->b32, m->b64), format, at,
                     BLOCK_ELEMENTS);
}

/* Real sides of at most 53 bits. The sides' own figures are gathered on the way where asked for. Blocks that are equal
 * in bytes are measured once; as long as all are, the second side is left alone, and true says that none differed. */
static bool pair_pass(struct measure *m, const struct opposite *pair, size_t common, struct pass_side *side_a,
                      struct pass_side *side_b, struct delta_record *ret)
{
    const struct stored *a = pair->a, *b = pair->b;
    const enum block_format format = measure_format_of_both(a->dtype, b->dtype);
    const double ka = side_a ? side_a->k : 0, kb = side_b ? side_b->k : 0;
    const bool is_one_type = a->dtype == b->dtype && a->first == b->first && ka == kb && !signbit(ka) == !signbit(kb);
    double abs_max[2] = {0, 0};
    bool is_alike = is_one_type;
    size_t max_block = 0;

    for (size_t at = 0; at < common; at += BLOCK_ELEMENTS) {
        const size_t elements = min_size(common - at, BLOCK_ELEMENTS);
        const bool is_equal = is_one_type && is_stretch_equal(a, b, at, elements);
        const void *view_a = measure_view(m, a, at, elements, format, m->a32, m->a64), *view_b = view_a;
        const uint64_t changed = ret->changed;
        bool has_zeros, is_careful;
        size_t n = elements;
        struct block_pair block;

        if (is_alike && !is_equal) {
            is_alike = false;
            if (side_b)
                pass_catch_up(m, b, format, at, side_a, side_b);
        }
        if (is_equal) {
            struct block_side side;

            prefetch(b, at + elements, elements);
            m->kernels->side[format](view_a, n, ka, &side);
            pair_of_equal(&side, &block);
        } else {
            view_b = measure_view(m, b, at, elements, format, m->b32, m->b64);
            m->kernels->pair[format](view_a, view_b, n, ka, kb, m->epsilon, &block);
        }
        has_zeros = block.a.zeros || block.b.zeros;
        is_careful = !isfinite(block.a.squares) || !isfinite(block.b.squares);
        if (side_a)
            survey_block(&side_a->walk, m, view_a, format, at, n);
        if (side_b && !is_alike)
            survey_block(&side_b->walk, m, view_b, format, at, n);
        if (pair->flips && has_zeros && !is_equal)
            flips_zeros(m, pair->flips, n, view_a, view_b, format);
        if (!is_careful) {
            if (side_a)
                side_totals_add(&side_a->totals, &block.a, n);
            if (side_b && !is_alike)
                side_totals_add(&side_b->totals, &block.b, n);
        } else {
            if (side_a)
                side_block_with_care(m, a, at, n, ka, 0, &side_a->totals);
            if (side_b && !is_alike)
                side_block_with_care(m, b, at, n, kb, 0, &side_b->totals);
            n = pair_keep_finite(m, a, b, at, n, ret);
            m->kernels->pair[BLOCK_F64](m->terms_a, m->terms_b, n, 0, 0, m->epsilon, &block);
        }
        delta_add_delta(ret, &block);
        delta_add_products(ret, &block);
        delta_add_counts(ret, &block, n);
        if (n > 0) {
            abs_max[0] = fmax(abs_max[0], fmax(fabs(block.a.min), fabs(block.a.max)));
            abs_max[1] = fmax(abs_max[1], fmax(fabs(block.b.min), fabs(block.b.max)));
        }
        if (block.max_abs > ret->max_abs) {
            ret->max_abs = block.max_abs;
            max_block = at;
        }
        if (pair->flips && ret->changed > changed)
            flips_list(m, pair->flips, a, b, at, elements);
    }
    if (ret->max_abs > 0)
        ret->max_abs_at = find_max_abs(m, a, b, max_block, min_size(common - max_block, BLOCK_ELEMENTS), ret->max_abs);
    if (!is_alike && (a->dtype == DTYPE_F64 || b->dtype == DTYPE_F64))
        delta_rescale(m, a, b, common, abs_max, ret);
    return is_alike;
}

static bool is_measured_plainly(const struct stored *x)
{
    return dtype_is_complex(x->dtype) || dtype_traits(x->dtype)->is_wide;
}

static void delta_plain(struct measure *m, const struct stored *a, const struct stored *b, struct delta_record *ret)
{
    if (dtype_is_complex(a->dtype) || dtype_is_complex(b->dtype))
        measure_delta_complex(m, a, b, ret);
    else
        measure_delta_wide(m, a, b, ret);
}

static void delta_begin(struct delta_record *record, size_t common)
{
    delta_record_init(record);
    record->is_bytes_equal = false;
    record->has_row_fit = false;
    record->elements = common;
}

/* Both sides of a unit hold the same bytes, and the first is measured. */
static void pair_finish_equal(struct measure *m, const struct opposite *pair, const struct side_record *side,
                              struct side_record *ret_b, struct delta_record *ret_delta)
{
    *ret_b = *side;
    if (pair->survey_b)
        survey_copy(m, pair->survey_b, pair->survey_a, pair->b);
    delta_record_of_equal(ret_delta, side);
}

static void measure_pair_plain(struct measure *m, const struct opposite *pair, struct side_record *ret_a,
                               struct side_record *ret_b, struct delta_record *ret_delta)
{
    measure_side(m, pair->a, pair->survey_a, ret_a);
    if (is_bytes_equal(pair->a, pair->b)) {
        pair_finish_equal(m, pair, ret_a, ret_b, ret_delta);
        return;
    }
    measure_side(m, pair->b, pair->survey_b, ret_b);
    delta_plain(m, pair->a, pair->b, ret_delta);
    if (pair->flips)
        flips_plain(m, pair->flips, pair->a, pair->b);
}

void measure_pair(struct measure *m, const struct opposite *pair, struct side_record *ret_a, struct side_record *ret_b,
                  struct delta_record *ret_delta)
{
    const struct stored *a = pair->a, *b = pair->b;
    const size_t common = min_size(a->elements, b->elements);

    delta_begin(ret_delta, common);
    if (is_measured_plainly(a) || is_measured_plainly(b)) {
        measure_pair_plain(m, pair, ret_a, ret_b, ret_delta);
        return;
    }
    if (a->elements == b->elements) {
        struct pass_side side_a, side_b;
        bool is_alike;

        pass_side_begin(&side_a, m, a, pair->survey_a);
        pass_side_begin(&side_b, m, b, pair->survey_b);
        is_alike = pair_pass(m, pair, common, &side_a, &side_b, ret_delta);
        survey_end(&side_a.walk);
        side_finish(m, a, &side_a.totals, side_a.k, ret_a);
        if (is_alike) {
            pair_finish_equal(m, pair, ret_a, ret_b, ret_delta);
            return;
        }
        survey_end(&side_b.walk);
        side_finish(m, b, &side_b.totals, side_b.k, ret_b);
    } else {
        measure_side(m, a, pair->survey_a, ret_a);
        measure_side(m, b, pair->survey_b, ret_b);
        pair_pass(m, pair, common, NULL, NULL, ret_delta);
    }
    if (is_row_fit_asked(m, a->dtype, b->dtype))
        delta_fit_rows(m, a, b, common, pair->row_elements, ret_delta);
}

void measure_couple(struct measure *m, const struct stored *a, const struct stored *b, const struct side_record *side_a,
                    const struct side_record *side_b, struct couple_record *ret)
{
    const struct opposite pair = {.a = a, .b = b};

    if (is_bytes_equal(a, b)) {
        delta_record_of_equal(&ret->delta, side_a);
    } else {
        delta_begin(&ret->delta, a->elements);
        if (is_measured_plainly(a) || is_measured_plainly(b))
            delta_plain(m, a, b, &ret->delta);
        else if (!couple_of_finite_sides(m, a, b, side_a, side_b, &ret->delta))
            pair_pass(m, &pair, a->elements, NULL, NULL, &ret->delta);
    }
    couple_add_sums(m, a, b, side_a, side_b, ret);
}
