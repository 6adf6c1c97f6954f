/* Sums go through kernels that take every element for finite. A row or column where that was wrong, or (F64) where
 * squares came near the ends of a double's range, shows in its sum, and is measured again with care: that depends on
 * its content alone. Rows are summed in pieces of PIECE elements and columns in stripes of 8 rows, both from the unit's
 * start; units are joined in their order. */
#include "core/scan/channels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/scan/decode.h"

enum { PIECE = 8192, FOLD_ELEMENTS = 512, JOINT_COLUMNS = 64, FEW_COLUMNS = 32 };

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void channels_done(struct channels *channels)
{
    free(channels->row);
    free(channels->column);
    *channels = (struct channels){0};
}

void channel_part_done(struct channel_part *part)
{
    free(part->column);
    *part = (struct channel_part){0};
}

static int make_room(double **figures, size_t *room, uint64_t count, struct error *err)
{
    double *grown;

    if (count <= *room)
        return 0;
    grown = calloc((size_t)count, sizeof(*grown));
    if (!grown)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the norms of %zu channels", (size_t)count);
    free(*figures);
    *figures = grown;
    *room = (size_t)count;
    return 0;
}

static void set_nothing(double *figures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        figures[i] = -0.0;
}

int channels_begin(struct channels *channels, const struct tensor *tensor, unsigned needs, struct error *err)
{
    const struct shape *shape = tensor ? &tensor->shape : NULL;
    int rc;

    channels->rows = channels->columns = 0;
    if (!tensor || shape->rank < 2 || shape->elements == 0 || dtype_traits(tensor->dtype)->kind != DTYPE_KIND_FLOAT)
        return 0;
    if ((needs & NEED_ROWS) && shape->dims[0] <= ROWS_MAX)
        channels->rows = shape->dims[0];
    if ((needs & NEED_COLUMNS) && shape->dims[shape->rank - 1] <= COLUMNS_MAX)
        channels->columns = shape->dims[shape->rank - 1];
    channels->row_elements = shape->elements / shape->dims[0];
    channels->is_joint =
        channels->rows && channels->columns == channels->row_elements && channels->columns >= JOINT_COLUMNS;
    channels->is_norms = tensor->dtype == DTYPE_F64;
    rc = make_room(&channels->row, &channels->row_room, channels->rows, err);
    if (rc == 0)
        rc = make_room(&channels->column, &channels->column_room, channels->columns, err);
    if (rc) {
        channels->rows = channels->columns = 0;
        return rc;
    }
    set_nothing(channels->row, (size_t)channels->rows);
    set_nothing(channels->column, (size_t)channels->columns);
    return 0;
}

/* A fold of short rows is up to FOLD_ELEMENTS + columns wide. */
static size_t fold_of(uint64_t columns)
{
    return columns >= JOINT_COLUMNS ? (size_t)columns : (size_t)(columns * ((FOLD_ELEMENTS + columns - 1) / columns));
}

int channel_part_begin(struct channel_part *part, const struct channels *channels, struct error *err)
{
    part->rows = 0;
    part->has_columns = false;
    if (!channels->columns)
        return 0;
    return make_room(&part->column, &part->column_room, fold_of(channels->columns), err);
}

void channel_walk_begin(struct channel_walk *walk, struct measure *m, struct channels *channels,
                        struct channel_part *part, const struct stored *x, uint64_t first)
{
    *walk = (struct channel_walk){.measure = m, .channels = channels, .part = part, .x = x, .first = first};
    if (!channels || (!channels->rows && !channels->columns) || x->elements == 0) {
        walk->channels = NULL;
        return;
    }
    if (channels->rows) {
        part->first_row = first / channels->row_elements;
        part->rows = (size_t)((first + x->elements - 1) / channels->row_elements - part->first_row) + 1;
        part->head = part->tail = -0.0;
    }
    if (channels->columns) {
        part->has_columns = true;
        walk->fold = fold_of(channels->columns);
        memset(part->column, 0, walk->fold * sizeof(*part->column));
    }
}

/* Whether a sum of squares says all there is to say. Beyond these bounds, F64's squares may have lost something. */
static bool is_trusted(const struct channels *channels, double sum)
{
    if (channels->is_norms)
        return sum > 1e-250 && sum < 1e300;
    return isfinite(sum);
}

static double figure_of(const struct channels *channels, double sum)
{
    if (sum == 0)
        return -0.0;
    return channels->is_norms ? sqrt(sum) : sum;
}

/* The same of what was measured with care; has_nonfinite: beside something that is not finite. */
static double careful_figure(const struct channels *channels, long double sum, bool has_nonfinite)
{
    if (sum == 0)
        return has_nonfinite ? 0.0 : -0.0;
    return (double)(channels->is_norms ? sqrtl(sum) : sum);
}

static double row_with_care(struct channel_walk *walk, size_t start, size_t end)
{
    struct measure *m = walk->measure;
    const struct stored *x = walk->x;
    bool has_nonfinite = false;
    long double sum = 0;

    for (size_t at = start; at < end; at += BLOCK_ELEMENTS) {
        size_t n = min_size(end - at, BLOCK_ELEMENTS);

        decode_f64(x->dtype, x->base, x->first + at, n, m->channel_terms);
        for (size_t i = 0; i < n; i++) {
            if (isfinite(m->channel_terms[i]))
                sum += (long double)m->channel_terms[i] * (long double)m->channel_terms[i];
            else
                has_nonfinite = true;
        }
    }
    return careful_figure(walk->channels, sum, has_nonfinite);
}

/* The row that lies at elements [start, end) of the unit. */
static void row_put(struct channel_walk *walk, size_t start, size_t end, double sum)
{
    struct channels *channels = walk->channels;
    struct channel_part *part = walk->part;
    const size_t row = (size_t)((walk->first + start) / channels->row_elements - part->first_row);
    double figure = is_trusted(channels, sum) ? figure_of(channels, sum) : row_with_care(walk, start, end);

    if (row == 0)
        part->head = figure;
    else if (row == part->rows - 1)
        part->tail = figure;
    else
        channels->row[part->first_row + row] = figure;
}

/* Rows and columns in one walk, in stripes of whole rows. */
static void advance_joint(struct channel_walk *walk, size_t done)
{
    const size_t columns = (size_t)walk->channels->columns, stripe = STRIPE_ROWS * columns;
    double sums[STRIPE_ROWS];

    while (walk->row_at < done && (done - walk->row_at >= stripe || done == walk->x->elements)) {
        size_t rows = min_size((done - walk->row_at) / columns, STRIPE_ROWS);

        measure_stripe(walk->measure, walk->x, walk->row_at, rows, columns, sums, walk->part->column);
        for (size_t r = 0; r < rows; r++)
            row_put(walk, walk->row_at + r * columns, walk->row_at + (r + 1) * columns, sums[r]);
        walk->row_at += rows * columns;
    }
}

static void advance_rows(struct channel_walk *walk, size_t done)
{
    const uint64_t row_elements = walk->channels->row_elements;

    while (walk->row_at < done) {
        uint64_t rest =
            row_elements - (walk->first + walk->row_start) % row_elements; /* of the row, from its start here */
        size_t end = rest < walk->x->elements - walk->row_start ? walk->row_start + (size_t)rest : walk->x->elements;
        size_t n = min_size(end - walk->row_at, PIECE);
        double sum;

        if (walk->row_at + n > done)
            break;
        measure_stripe(walk->measure, walk->x, walk->row_at, 1, n, &sum, NULL);
        walk->row_sum += sum;
        walk->row_at += n;
        if (walk->row_at == end) {
            row_put(walk, walk->row_start, end, walk->row_sum);
            walk->row_sum = 0;
            walk->row_start = end;
        }
    }
}

static void advance_columns(struct channel_walk *walk, size_t done)
{
    const size_t stripe = STRIPE_ROWS * walk->fold;

    while (walk->column_at < done && (done - walk->column_at >= stripe || done == walk->x->elements)) {
        size_t rest = done - walk->column_at, rows = min_size(rest / walk->fold, STRIPE_ROWS);

        if (rows == 0) { /* less than a fold: the unit's last rows */
            measure_stripe(walk->measure, walk->x, walk->column_at, 1, rest, NULL, walk->part->column);
            walk->column_at += rest;
        } else {
            measure_stripe(walk->measure, walk->x, walk->column_at, rows, walk->fold, NULL, walk->part->column);
            walk->column_at += rows * walk->fold;
        }
    }
}

void channel_walk_advance(struct channel_walk *walk, size_t done)
{
    if (!walk->channels)
        return;
    if (walk->channels->is_joint) {
        advance_joint(walk, done);
        return;
    }
    if (walk->channels->rows)
        advance_rows(walk, done);
    if (walk->channels->columns)
        advance_columns(walk, done);
}

/* The stored elements of one of the unit's columns, next to each other: to be waited for together, and decoded so. */
static struct stored gathered(const struct channel_walk *walk, size_t column, size_t first, size_t count, uint8_t *room)
{
    const struct stored *x = walk->x;
    const size_t columns = (size_t)walk->channels->columns, bytes = dtype_traits(x->dtype)->bits / 8;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = x->base + (x->first + column + (first + i) * columns) * bytes;

        if (bytes == 2)
            memcpy(room + 2 * i, from, 2);
        else
            memcpy(room + i * bytes, from, bytes);
    }
    return (struct stored){.dtype = x->dtype, .base = room, .elements = count};
}

/* One of the unit's columns again. Elements of less than a byte are decoded one by one. */
static void column_with_care(struct channel_walk *walk, size_t column)
{
    const size_t columns = (size_t)walk->channels->columns, bits = dtype_traits(walk->x->dtype)->bits;
    const size_t rows = (walk->x->elements - column + columns - 1) / columns, step = bits % 8 ? 1 : BLOCK_ELEMENTS;
    struct measure *m = walk->measure;
    bool has_nonfinite = false;
    long double sum = 0;

    for (size_t row = 0; row < rows; row += step) {
        const size_t n = min_size(rows - row, step);
        struct stored part = *walk->x;

        part.first += column + row * columns;
        if (bits % 8 == 0)
            part = gathered(walk, column, row, n, (uint8_t *)m->column_sums);
        decode_f64(part.dtype, part.base, part.first, n, m->channel_terms);
        for (size_t i = 0; i < n; i++) {
            if (isfinite(m->channel_terms[i]))
                sum += (long double)m->channel_terms[i] * (long double)m->channel_terms[i];
            else
                has_nonfinite = true;
        }
    }
    walk->part->column[column] = careful_figure(walk->channels, sum, has_nonfinite);
}

/* All of the unit's columns again, for the sake of many. */
static void columns_with_care(struct channel_walk *walk)
{
    const size_t columns = (size_t)walk->channels->columns;
    struct measure *m = walk->measure;
    const struct stored *x = walk->x;
    size_t c = 0;

    for (size_t i = 0; i < columns; i++) {
        m->column_sums[i] = 0;
        m->column_nonfinite[i] = false;
    }
    for (size_t at = 0; at < x->elements; at += BLOCK_ELEMENTS) {
        size_t n = min_size(x->elements - at, BLOCK_ELEMENTS);

        decode_f64(x->dtype, x->base, x->first + at, n, m->channel_terms);
        for (size_t i = 0; i < n; i++) {
            double value = m->channel_terms[i];

            if (isfinite(value))
                m->column_sums[c] += (long double)value * (long double)value;
            else
                m->column_nonfinite[c] = true;
            c = c + 1 == columns ? 0 : c + 1;
        }
    }
    for (size_t i = 0; i < columns; i++) {
        double *figure = &walk->part->column[i];

        *figure = is_trusted(walk->channels, *figure)
                      ? figure_of(walk->channels, *figure)
                      : careful_figure(walk->channels, m->column_sums[i], m->column_nonfinite[i]);
    }
}

void channel_walk_end(struct channel_walk *walk)
{
    struct channel_part *part = walk->part;
    size_t columns;
    size_t distrusted = 0;

    if (!walk->channels)
        return;
    channel_walk_advance(walk, walk->x->elements);
    columns = (size_t)walk->channels->columns;
    if (columns == 0)
        return;
    for (size_t at = columns; at < walk->fold; at += columns)
        for (size_t c = 0; c < columns; c++)
            part->column[c] += part->column[at + c];
    for (size_t c = 0; c < columns; c++)
        distrusted += !is_trusted(walk->channels, part->column[c]);
    if (distrusted > columns / FEW_COLUMNS) {
        columns_with_care(walk);
        return;
    }
    for (size_t c = 0; c < columns; c++) {
        if (is_trusted(walk->channels, part->column[c]))
            part->column[c] = figure_of(walk->channels, part->column[c]);
        else
            column_with_care(walk, c);
    }
}

void channel_part_copy(struct channels *to, struct channel_part *to_part, const struct channels *from,
                       const struct channel_part *from_part)
{
    to_part->first_row = from_part->first_row;
    to_part->rows = to->rows ? from_part->rows : 0;
    to_part->head = from_part->head;
    to_part->tail = from_part->tail;
    to_part->has_columns = from_part->has_columns;
    if (to_part->rows > 2) {
        const size_t at = (size_t)from_part->first_row + 1;

        memcpy(to->row + at, from->row + at, (to_part->rows - 2) * sizeof(*to->row));
    }
    if (to_part->has_columns)
        memcpy(to_part->column, from_part->column, (size_t)to->columns * sizeof(*to_part->column));
}

static double joined(const struct channels *channels, double a, double b)
{
    return channels->is_norms && (a != 0 || b != 0) ? hypot(a, b) : a + b;
}

void channels_join(struct channels *channels, const struct channel_part *part)
{
    if (part->rows > 0) {
        double *head = &channels->row[part->first_row], *tail = head + (part->rows - 1);

        *head = joined(channels, *head, part->head);
        if (tail != head)
            *tail = joined(channels, *tail, part->tail);
    }
    if (!part->has_columns)
        return;
    if (channels->is_norms) {
        for (size_t c = 0; c < channels->columns; c++)
            channels->column[c] = joined(channels, channels->column[c], part->column[c]);
    } else {
        for (size_t c = 0; c < channels->columns; c++)
            channels->column[c] += part->column[c];
    }
}

/* The item of that rank, by Hoare's selection; what lies before it is not greater. No norm is NaN. */
static double select_rank(double *items, size_t count, size_t rank)
{
    size_t low = 0, high = count - 1;

    while (low < high) {
        double a = items[low], b = items[low + (high - low) / 2], c = items[high];
        double pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        size_t i = low, j = high;

        while (i <= j) {
            double kept;

            while (items[i] < pivot)
                i++;
            while (items[j] > pivot)
                j--;
            if (i > j)
                break;
            kept = items[i];
            items[i++] = items[j];
            items[j] = kept;
            if (j == 0)
                break;
            j--;
        }
        if (rank <= j && j < high)
            high = j;
        else if (rank >= i)
            low = i;
        else
            break;
    }
    return items[rank];
}

/* NumPy's: the middle one, or the mean of the two in the middle. */
static double median_of(double *items, size_t count)
{
    double upper = select_rank(items, count, count / 2), lower;

    if (count % 2)
        return upper;
    lower = items[0];
    for (size_t i = 1; i < count / 2; i++) {
        if (items[i] > lower)
            lower = items[i];
    }
    return (lower + upper) / 2;
}

static void norms_of(const struct channels *channels, double *figures, uint64_t count, struct channel_norms *ret)
{
    struct channel_norms norms = {.count = count};

    if (count == 0) {
        *ret = norms;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        norms.zeros += figures[i] == 0 && signbit(figures[i]);
        figures[i] = channels->is_norms ? figures[i] + 0.0 : sqrt(figures[i] + 0.0);
        if (figures[i] > norms.max) {
            norms.max = figures[i];
            norms.max_at = i;
        }
    }
    norms.median = median_of(figures, (size_t)count);
    *ret = norms;
}

void channels_settle(struct channels *channels, struct channel_norms *ret_rows, struct channel_norms *ret_columns)
{
    if (ret_rows)
        norms_of(channels, channels->row, channels->rows, ret_rows);
    if (ret_columns)
        norms_of(channels, channels->column, channels->columns, ret_columns);
}
