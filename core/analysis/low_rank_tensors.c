/* Which tensors' Δ is measured, read again from both files in blocks, and how the findings are written. */
#include "core/analysis/low_rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/scan/decode.h"

/* Multiplications that the exact way may spend in one comparison: some seconds. */
#define EXACT_WORK (UINT64_C(1) << 32)

/* Δ of one pair. */
struct delta_reader {
    struct {
        const struct model *model;
        const struct tensor *tensor;
    } sides[2];
    uint8_t *stored;
    double *values; /* of the baseline */
    size_t capacity;
};

static int reserve(struct delta_reader *reader, size_t count, struct error *err)
{
    uint8_t *stored;
    double *values;

    if (count <= reader->capacity)
        return 0;
    stored = reallocarray(reader->stored, count, 8);
    if (stored)
        reader->stored = stored;
    values = reallocarray(reader->values, count, sizeof(*values));
    if (values)
        reader->values = values;
    if (!stored || !values)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    reader->capacity = count;
    return 0;
}

static int read_side(struct delta_reader *reader, int side, uint64_t first, size_t count, double *out,
                     struct error *err)
{
    const struct tensor *tensor = reader->sides[side].tensor;
    int rc = decoder_read(reader->sides[side].model, tensor, first, count, reader->stored, err);

    if (rc == 0)
        decode_f64(tensor->dtype, reader->stored, 0, count, out);
    return rc;
}

/* The float formats that candidates are rounded to; rounding to others is not known here, or none. */
static const struct precision {
    enum dtype dtype;
    int fraction_bits, exponent_min; /* of normal values */
} precisions[] = {
    {DTYPE_F32, 23, -126}, {DTYPE_BF16, 7, -126}, {DTYPE_F16, 10, -14}, {DTYPE_F8_E4M3, 3, -6}, {DTYPE_F8_E5M2, 2, -14},
};

/* Σ spacing² ÷ 12 of count stored values: what an error spread evenly over half a spacing to both sides adds. */
static double rounding_of(enum dtype dtype, const double *values, size_t count)
{
    const struct precision *precision = NULL;
    double sum = 0;

    for (size_t i = 0; i < sizeof(precisions) / sizeof(precisions[0]); i++)
        if (precisions[i].dtype == dtype)
            precision = &precisions[i];
    if (!precision)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t least = (uint64_t)(precision->exponent_min + 1023) << 52;
        uint64_t bits;
        double power;

        if (!isfinite(values[i]))
            continue;
        memcpy(&bits, &values[i], sizeof(bits));
        bits &= UINT64_C(0x7ff) << 52;
        bits = bits > least ? bits : least;
        memcpy(&power, &bits, sizeof(power));
        sum += power * power;
    }
    return ldexp(sum / 12, -2 * precision->fraction_bits);
}

static int read_delta(void *context, uint64_t first, size_t count, double *ret_values, double *rounding,
                      struct error *err)
{
    struct delta_reader *reader = context;
    int rc = reserve(reader, count, err);

    if (rc == 0)
        rc = read_side(reader, 0, first, count, reader->values, err);
    if (rc == 0)
        rc = read_side(reader, 1, first, count, ret_values, err);
    if (rc == 0 && rounding)
        *rounding += rounding_of(reader->sides[1].tensor->dtype, ret_values, count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool is_pair = isfinite(reader->values[i]) && isfinite(ret_values[i]);

        ret_values[i] = is_pair ? ret_values[i] - reader->values[i] : 0;
    }
    return rc;
}

static bool is_read_in_bytes(const struct tensor *tensor)
{
    return tensor_is_decodable(tensor) && dtype_traits(tensor->dtype)->bits >= 8;
}

struct candidate {
    double squares;
    uint32_t pair;
};

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    if (a->squares != b->squares)
        return a->squares > b->squares ? -1 : 1;
    return a->pair < b->pair ? -1 : 1;
}

/* A convolution is a matrix of its output channels, as its adapters see it. */
static bool is_candidate(const struct comparison *c, size_t pair)
{
    const struct tensor *a = comparison_tensor(c, pair, 0), *b = comparison_tensor(c, pair, c->model_count - 1);

    return c->status[pair] == STATUS_CHANGED && comparison_is_summed(c, pair) &&
           (a->shape.rank == 2 || a->shape.rank == 4) && dtype_traits(a->dtype)->kind == DTYPE_KIND_FLOAT &&
           dtype_traits(b->dtype)->kind == DTYPE_KIND_FLOAT && delta_squares_value(comparison_delta(c, pair)) > 0;
}

static void point_at(const struct comparison *c, size_t pair, struct delta_reader *reader)
{
    for (int side = 0; side < 2; side++) {
        size_t model = side ? c->model_count - 1 : 0;

        reader->sides[side].model = c->models[model];
        reader->sides[side].tensor = comparison_tensor(c, pair, model);
    }
}

static int measure_pair(const struct comparison *c, const struct compare_env *env, size_t pair,
                        struct delta_reader *reader, uint64_t *work, struct low_rank_matrix *m, struct error *err)
{
    struct low_rank_source source = {.read = read_delta, .context = reader, .cancel = env->scan.cancel};
    const struct shape *shape = &comparison_tensor(c, pair, 0)->shape;

    point_at(c, pair, reader);
    m->pair = (uint32_t)pair;
    return low_rank_measure_matrix(&source, shape->dims[0], shape->elements / shape->dims[0],
                                   c->request->options.low_rank_energy, work, m, err);
}

/* Evenly spread rows, and the columns in their middle, of a larger matrix. */
struct block {
    struct delta_reader *reader;
    uint64_t rows, columns; /* of the whole */
    uint64_t taken_rows, taken_columns;
};

static int read_block(void *context, uint64_t first, size_t count, double *ret_values, double *rounding,
                      struct error *err)
{
    const struct block *block = context;
    int rc = 0;

    /* The exact way asks for whole rows, or for parts of one. */
    while (rc == 0 && count > 0) {
        uint64_t row = first / block->taken_columns, column = first % block->taken_columns;
        size_t run = (size_t)(block->taken_columns - column < count ? block->taken_columns - column : count);
        uint64_t at = row * block->rows / block->taken_rows * block->columns;

        rc = read_delta(block->reader, at + (block->columns - block->taken_columns) / 2 + column, run, ret_values,
                        rounding, err);
        first += run;
        ret_values += run;
        count -= run;
    }
    return rc;
}

static int sample_pair(const struct comparison *c, const struct compare_env *env, size_t pair,
                       struct delta_reader *reader, struct low_rank_matrix *m, struct error *err)
{
    const struct shape *shape = &comparison_tensor(c, pair, 0)->shape;
    struct block block = {.reader = reader, .rows = shape->dims[0], .columns = shape->elements / shape->dims[0]};
    struct low_rank_source source = {.read = read_block, .context = &block, .cancel = env->scan.cancel};
    uint64_t work = UINT64_MAX;
    int rc;

    point_at(c, pair, reader);
    block.taken_rows = block.rows < LOW_RANK_SAMPLE ? block.rows : LOW_RANK_SAMPLE;
    block.taken_columns = block.columns < LOW_RANK_SAMPLE ? block.columns : LOW_RANK_SAMPLE;
    m->pair = (uint32_t)pair;
    rc = low_rank_measure_matrix(&source, block.taken_rows, block.taken_columns, c->request->options.low_rank_energy,
                                 &work, m, err);
    m->method = LOW_RANK_BY_SAMPLE;
    m->squares = delta_squares_value(comparison_delta(c, pair));
    return rc;
}

bool low_rank_is_low(const struct low_rank_matrix *m, const struct options *options)
{
    enum { SIDE_MIN = 8 }; /* a matrix whose smaller side is shorter says nothing by its rank */
    uint64_t side = m->rows < m->columns ? m->rows : m->columns;

    if (side < SIDE_MIN)
        return false;
    return (m->rank > 0 && (double)m->rank <= options->low_rank_ratio * (double)side) || low_rank_is_whole_low(m);
}

/* Whether what was measured leaves the change a chance to be of low rank. */
static bool is_worth_sampling(const struct comparison *c, const struct low_rank *low_rank)
{
    double low = 0, total = 0;

    for (size_t i = 0; i < low_rank->count; i++) {
        total += low_rank->items[i].squares;
        low += low_rank_is_low(&low_rank->items[i], &c->request->options) ? low_rank->items[i].squares : 0;
    }
    return low > 0 && low >= c->request->options.low_rank_share * total;
}

static int measure_all(const struct comparison *c, const struct compare_env *env, struct candidate *candidates,
                       struct low_rank *low_rank, struct error *err)
{
    uint64_t left = c->request->options.low_rank_elements, work = EXACT_WORK;
    struct delta_reader reader = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < low_rank->candidates; i++) {
        size_t pair = candidates[i].pair;
        uint64_t elements = comparison_tensor(c, pair, 0)->shape.elements;

        if (!is_read_in_bytes(comparison_tensor(c, pair, 0)) ||
            !is_read_in_bytes(comparison_tensor(c, pair, c->model_count - 1))) {
            low_rank->not_plain++;
        } else if (elements > left) {
            candidates[low_rank->over_budget++] = candidates[i];
        } else {
            left -= elements;
            low_rank->elements += elements;
            rc = measure_pair(c, env, pair, &reader, &work, &low_rank->items[low_rank->count++], err);
        }
    }
    if (rc == 0 && is_worth_sampling(c, low_rank))
        for (size_t i = 0; rc == 0 && i < low_rank->over_budget && i < LOW_RANK_SAMPLES_MAX; i++) {
            rc = sample_pair(c, env, candidates[i].pair, &reader, &low_rank->items[low_rank->count++], err);
            low_rank->sampled++;
        }
    free(reader.stored);
    free(reader.values);
    return rc;
}

int low_rank_measure(const struct comparison *c, const struct compare_env *env, struct low_rank **ret_low_rank,
                     struct error *err)
{
    struct low_rank *low_rank = calloc(1, sizeof(*low_rank));
    struct candidate *candidates = calloc(c->pairing->pairs + 1, sizeof(*candidates));
    int rc;

    if (!low_rank || !candidates) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
        goto out;
    }
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        if (is_candidate(c, pair))
            candidates[low_rank->candidates++] =
                (struct candidate){delta_squares_value(comparison_delta(c, pair)), (uint32_t)pair};
    qsort(candidates, low_rank->candidates, sizeof(*candidates), compare_candidates);
    low_rank->items = calloc(low_rank->candidates + 1, sizeof(*low_rank->items));
    rc = low_rank->items ? measure_all(c, env, candidates, low_rank, err)
                         : error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc)
        goto out;
    *ret_low_rank = low_rank;
    low_rank = NULL;
out:
    low_rank_free(low_rank);
    free(candidates);
    return rc;
}

void low_rank_free(struct low_rank *low_rank)
{
    if (!low_rank)
        return;
    free(low_rank->items);
    free(low_rank);
}

static const char *const method_names[] = {
    [LOW_RANK_EXACT] = "exact", [LOW_RANK_BY_SKETCH] = "sketch", [LOW_RANK_BY_SAMPLE] = "sample"};

/* Of the sampled, rows, columns and figures are those of the block. */
static void write_matrix(const struct comparison *c, const struct low_rank_matrix *m, struct writer *w)
{
    write_begin_object(w);
    write_named(w, "tensor", pairing_name(c->pairing, (const struct model *const *)c->models, m->pair));
    if (m->rank)
        write_u64(w, "rank", m->rank);
    else
        write_null(w, "rank", m->reason);
    if (m->whole)
        write_u64(w, "whole_rank", m->whole);
    else
        write_null(w, "whole_rank", m->reason ? m->reason : "no rank below the full one leaves nothing but rounding");
    write_figure(w, "rounding_share", m->squares > 0 ? m->rounding : NAN, m->reason);
    write_figure(w, "energy", m->squares > 0 ? m->energy : NAN, m->reason);
    write_figure(w, "error_bound", m->squares > 0 ? m->error_bound : NAN, m->reason);
    write_u64(w, "rows", m->rows);
    write_u64(w, "columns", m->columns);
    write_text(w, "method", method_names[m->method]);
    write_u64(w, "sketch_size", m->method == LOW_RANK_BY_SKETCH ? LOW_RANK_SKETCH : 0);
    write_array(w, "singular_values");
    for (uint32_t i = 0; i < m->value_count; i++)
        w->ops->f64(w, m->values[i]);
    write_end(w);
    write_end(w);
}

void low_rank_write(const struct comparison *c, const struct low_rank *low_rank, struct writer *w)
{
    write_object(w, "low_rank");
    write_u64(w, "candidates", low_rank->candidates);
    write_u64(w, "measured", low_rank->count - low_rank->sampled);
    write_u64(w, "sampled", low_rank->sampled);
    write_u64(w, "measured_elements", low_rank->elements);
    write_u64(w, "budget_elements", c->request->options.low_rank_elements);
    write_u64(w, "skipped_over_budget", low_rank->over_budget - low_rank->sampled);
    write_u64(w, "skipped_not_plain", low_rank->not_plain);
    write_array(w, "tensors");
    for (size_t i = 0; i < low_rank->count; i++)
        write_matrix(c, &low_rank->items[i], w);
    write_end(w);
    write_end(w);
}
