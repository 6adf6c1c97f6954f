/* Everything is summed in double and rounded to F32 once, so that a merge in F32 lies within its own rounding. The
 * right factor is read whole for every range; it is small beside what it is multiplied with. The norms of columns take
 * a pass over the whole weight: whoever makes it first leaves them for the others, and whoever comes meanwhile makes
 * his own, the same to the bit. */
#include "core/adapter/lora.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/adapter/adapted.h"

enum { NOT_YET, BEING_WRITTEN, WRITTEN };

struct lora_columns {
    atomic_int state; /* values are there once it is WRITTEN: released and acquired */
    double values[];
};

struct lora_columns *lora_columns_new(struct arena *arena, uint64_t columns)
{
    struct lora_columns *made = columns < SIZE_MAX / sizeof(double) / 2
                                    ? arena_take(arena, sizeof(*made) + (size_t)columns * sizeof(double))
                                    : NULL;

    if (made)
        atomic_init(&made->state, NOT_YET);
    return made;
}

/* What one range needs. */
struct merging {
    const struct model *model;
    const struct lora *lora;
    struct error *err;
    double *right;  /* rank × columns, of the slice at hand */
    double *left;   /* rank */
    double *row;    /* columns */
    double *own;    /* columns, where the lora's are not written yet */
    uint64_t slice; /* whose right is loaded; UINT64_MAX: none */
};

static void merging_done(struct merging *m)
{
    free(m->right);
    free(m->left);
    free(m->row);
    free(m->own);
}

static int merging_init(struct merging *m)
{
    const struct lora *lora = m->lora;

    m->slice = UINT64_MAX;
    m->right = calloc(lora->rank * lora->columns, sizeof(*m->right));
    m->left = calloc(lora->rank, sizeof(*m->left));
    m->row = calloc(lora->columns, sizeof(*m->row));
    if (m->right && m->left && m->row)
        return 0;
    return error_set(m->err, ERROR_NO_MEMORY, "no memory for an adapter of rank %" PRIu64, lora->rank);
}

/* A row of a factor, where its elements lie `step` apart. */
static int read_factor(const struct merging *m, const struct tensor *factor, uint64_t first, uint64_t step,
                       uint64_t count, double *out)
{
    int rc = 0;

    if (step == 1)
        return adapted_read_f64(m->model, factor, first, count, out, m->err);
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = adapted_read_f64(m->model, factor, first + i * step, 1, out + i, m->err);
    return rc;
}

/* A factor whose columns lie apart is read the other way round. */
static int load_right(struct merging *m, uint64_t slice)
{
    const struct lora *lora = m->lora;
    const uint64_t first = lora->right_first + slice * lora->right_slice;
    int rc = 0;

    if (m->slice == slice)
        return 0;
    for (uint64_t i = 0; !lora->right && i < lora->rank * lora->columns; i++)
        m->right[i] = 1;
    if (!lora->right) {
        m->slice = slice;
        return 0;
    }
    if (lora->right_column == 1 || lora->rank == 1) {
        for (uint64_t k = 0; rc == 0 && k < lora->rank; k++)
            rc = read_factor(m, lora->right, first + k * lora->right_rank, lora->right_column, lora->columns,
                             m->right + k * lora->columns);
    } else {
        for (uint64_t c = 0; rc == 0 && c < lora->columns; c++) {
            rc = read_factor(m, lora->right, first + c * lora->right_column, lora->right_rank, lora->rank, m->left);
            for (uint64_t k = 0; rc == 0 && k < lora->rank; k++)
                m->right[k * lora->columns + c] = m->left[k];
        }
    }
    if (rc == 0)
        m->slice = slice;
    return rc;
}

/* The row of the left factor, and of a magnitude by rows. */
static uint64_t row_of(const struct lora *lora, uint64_t row)
{
    return lora->left_rows ? lora->left_rows[row % lora->rows] : row % lora->rows;
}

/* Columns [from, to) of a row of W + scale·B·A, in m->row. */
static int add_row(struct merging *m, uint64_t row, uint64_t from, uint64_t to)
{
    const struct lora *lora = m->lora;
    const uint64_t slice = row / lora->rows, at = row_of(lora, row);
    int rc = load_right(m, slice);

    if (rc == 0)
        rc = read_factor(m, lora->left, lora->left_first + slice * lora->left_slice + at * lora->left_row,
                         lora->left_rank, lora->rank, m->left);
    if (rc == 0)
        rc = adapted_read_f64(m->model, lora->base, row * lora->columns + from, to - from, m->row + from, m->err);
    for (uint64_t k = 0; rc == 0 && k < lora->rank; k++) {
        const double factor = lora->scale * m->left[k];
        const double *right = m->right + k * lora->columns;

        for (uint64_t c = from; c < to; c++)
            m->row[c] += factor * right[c];
    }
    return rc;
}

/* What columns are multiplied with: m ÷ ‖W'‖. */
static int find_columns(struct merging *m, const double **ret_by)
{
    const struct lora *lora = m->lora;
    struct lora_columns *shared = lora->columns_by;
    int state = NOT_YET, rc = 0;

    *ret_by = m->own;
    if (atomic_load_explicit(&shared->state, memory_order_acquire) == WRITTEN)
        *ret_by = shared->values;
    if (*ret_by)
        return 0;
    m->own = calloc(lora->columns, sizeof(*m->own));
    if (!m->own)
        return error_set(m->err, ERROR_NO_MEMORY, "no memory for an adapter's %" PRIu64 " columns", lora->columns);
    for (uint64_t row = 0; rc == 0 && row < lora->rows; row++) {
        rc = add_row(m, row, 0, lora->columns);
        for (uint64_t c = 0; rc == 0 && c < lora->columns; c++)
            m->own[c] += m->row[c] * m->row[c];
    }
    if (rc == 0)
        rc = adapted_read_f64(m->model, lora->magnitude, 0, lora->columns, m->row, m->err);
    if (rc)
        return rc;
    for (uint64_t c = 0; c < lora->columns; c++)
        m->own[c] = m->row[c] / sqrt(m->own[c]);
    if (atomic_compare_exchange_strong(&shared->state, &state, BEING_WRITTEN)) {
        memcpy(shared->values, m->own, (size_t)lora->columns * sizeof(*m->own));
        atomic_store_explicit(&shared->state, WRITTEN, memory_order_release);
    }
    *ret_by = m->own;
    return 0;
}

/* Columns [from, to) of a row of the merge, in m->row; all of them where DoRA wants the row's norm. */
static int merge_row(struct merging *m, uint64_t row, uint64_t from, uint64_t to)
{
    const struct lora *lora = m->lora;
    const bool is_by_row = lora->magnitude && !lora->columns_by;
    double squares = 0, magnitude;
    const double *by = NULL;
    int rc = lora->columns_by ? find_columns(m, &by) : 0;

    if (rc == 0)
        rc = add_row(m, row, is_by_row ? 0 : from, is_by_row ? lora->columns : to);
    for (uint64_t c = from; rc == 0 && by && c < to; c++)
        m->row[c] *= by[c];
    if (rc || !is_by_row)
        return rc;
    rc = adapted_read_f64(m->model, lora->magnitude, row_of(lora, row), 1, &magnitude, m->err);
    for (uint64_t c = 0; c < lora->columns; c++)
        squares += m->row[c] * m->row[c];
    for (uint64_t c = 0; c < lora->columns; c++)
        m->row[c] *= magnitude / sqrt(squares);
    return rc;
}

static int read_lora(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements, void *out,
                     struct error *err)
{
    struct merging m = {.model = model, .lora = tensor->storage->parameters, .err = err};
    const uint64_t columns = m.lora->columns;
    int rc = merging_init(&m);

    for (size_t done = 0; rc == 0 && done < elements;) {
        const uint64_t row = (first + done) / columns, from = (first + done) % columns;
        const uint64_t n = columns - from < elements - done ? columns - from : elements - done;

        rc = merge_row(&m, row, from, from + n);
        for (uint64_t i = 0; rc == 0 && i < n; i++) {
            if (tensor->dtype == DTYPE_F64)
                ((double *)out)[done + i] = m.row[from + i];
            else
                ((float *)out)[done + i] = (float)m.row[from + i];
        }
        done += n;
    }
    merging_done(&m);
    return rc;
}

const struct decoder decoder_lora = {.name = "lora", .is_encoding = true, .is_computed = true, .read = read_lora};
