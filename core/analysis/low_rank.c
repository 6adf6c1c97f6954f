/* Two ways to the singular values of Δ (m × n):
 *
 * Exact, min(m, n) ≤ 1024: the eigenvalues of ΔᵀΔ or ΔΔᵀ, whichever is smaller, are the energies σ².
 *
 * Sketch (Halko, Martinsson, Tropp 2011; Tropp, Yurtsever, Udell, Cevher 2019): one pass over Δ yields Y = ΔΩ and W =
 * ΨΔ, Ω and Ψ sparse sign matrices of eight entries a coordinate. Q = orth(Y). (l − k)⁻¹ · min_X ‖W − ΨQX‖² is then an
 * unbiased estimate of ‖Δ − QQᵀΔ‖², what lies beyond Q. (The norm of the minimising X says nothing: for Δ of full rank
 * it takes up about all of ‖Δ‖².) Where the estimate leaves room for the energy asked for, a second pass makes B = QᵀΔ,
 * whose singular values are bounds: 0 ≤ Σ(σᵢ(Δ)² − σᵢ(B)²) ≤ ‖Δ‖² − ‖B‖². A small Jacobi SVD of B's triangular factor
 * gives them. Where rounding weighs, Q misses some of what stands above it; a third pass makes C = ΔV, V = orth(Bᵀ),
 * whose singular values are bounds likewise, and near ones.
 *
 * Rounding. A merged adapter stored as BF16 is D + E: E is of full rank, its elements independent, each of variance
 * spacing² ÷ 12. With N = ΣE², r singular values above the edge of such noise leave N · (1 − r/m)(1 − r/n) of it
 * behind. What is left beyond that is not explained by rounding, and is held against ΣΔ² − N.
 *
 * The signs come from SplitMix64 of the coordinate alone, and everything runs in one fixed order on one thread. */
#include "core/analysis/low_rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/svd.h"

enum {
    BLOCK_ELEMENTS = 1 << 16, /* of Δ at a time, or one row where rows are longer */
    SIGNS = 8,                /* entries a coordinate in a test matrix */
    GRAM_ROWS = 8,            /* vectors added to a Gram matrix at a time */
};
/* More of ΣΔ² than this cannot be told from rounding: D's elements are nearly as small as E's then, whose variance is
 * no longer that of an even error. */
#define ROUNDING_SHARE_MAX 0.12
/* What may be left where nothing but rounding is: a share of ΣΔ², and one of N, which is known no better. */
#define WHOLE_SHARE    1e-6
#define WHOLE_ROUNDING 0.05
/* The largest singular value of pure noise is √(N ÷ mn) · (√m + √n), give or take a few percent. */
#define NOISE_EDGE 1.1
/* How far the energies must drop there: those of a fine-tune, too, sink into the noise, but smoothly. */
#define CLIFF            3
#define SKETCH_BYTES_MAX (UINT64_C(64) << 20)
#define ROW_ELEMENTS_MAX (UINT64_C(1) << 20)
#define SEED_ROWS        UINT64_C(0x64696666616964)
#define SEED_COLUMNS     UINT64_C(0x736b65746368)

static int check_cancel(const struct low_rank_source *source, struct error *err)
{
    if (source->cancel && atomic_load_explicit(source->cancel, memory_order_relaxed))
        return error_set(err, ERROR_CANCELLED, "cancelled");
    return 0;
}

static uint64_t split_mix(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A coordinate's entries in a test matrix of width columns: one in each of eight blocks of columns. */
struct signs {
    uint8_t at[SIGNS];
    bool is_negative[SIGNS];
};

static struct signs signs_of(uint64_t seed, uint64_t coordinate, unsigned width)
{
    uint64_t bits = split_mix(seed, coordinate);
    struct signs signs;

    for (unsigned i = 0; i < SIGNS; i++, bits >>= 8) {
        signs.at[i] = (uint8_t)(i * (width / SIGNS) + (((bits & 0x7f) * (width / SIGNS)) >> 7));
        signs.is_negative[i] = bits & 0x80;
    }
    return signs;
}

static void add_scaled(double *restrict into, const double *restrict row, double factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        into[i] += factor * row[i];
}

/* Σ of the squares that rounding accounts for; 0 where it is too much to be told from the rest. */
static double discount_of(const struct low_rank_matrix *m)
{
    return m->rounding <= ROUNDING_SHARE_MAX ? m->rounding * m->squares : 0;
}

/* The rank that leaves nothing but rounding: after it, the energies (largest first) drop, and what is left is no more
 * than was expected. */
static void find_whole(struct low_rank_matrix *m, const double *energies, size_t count, double wanted)
{
    const double rows = (double)m->rows, columns = (double)m->columns, noise = discount_of(m);
    const double signal = m->squares - noise, sides = 1 / sqrt(rows) + 1 / sqrt(columns);
    const double edge = NOISE_EDGE * noise * sides * sides;
    double beyond = m->squares;

    for (size_t r = 1; r < count && energies[r - 1] > edge; r++) {
        double left, expected = noise * (1 - (double)r / rows) * (1 - (double)r / columns);

        beyond -= energies[r - 1];
        left = fmax(beyond - expected, 0);
        if (left > fmin(WHOLE_SHARE, 1 - wanted) * signal + WHOLE_ROUNDING * expected ||
            energies[r - 1] < CLIFF * energies[r])
            continue;
        m->whole = (uint32_t)r;
        m->whole_energy = 1 - left / signal;
        break;
    }
}

bool low_rank_is_whole_low(const struct low_rank_matrix *m)
{
    return m->whole > 0 && m->whole * (m->rows + m->columns) < m->rows * m->columns;
}

static void set_rank(struct low_rank_matrix *m, const double *energies, size_t count, double wanted)
{
    double held = 0;
    size_t r = 0;

    m->value_count = (uint32_t)(count < LOW_RANK_VALUES ? count : LOW_RANK_VALUES);
    for (uint32_t i = 0; i < m->value_count; i++)
        m->values[i] = sqrt(energies[i]);
    find_whole(m, energies, count, wanted);
    if (low_rank_is_whole_low(m)) {
        m->rank = m->whole;
        m->energy = m->whole_energy;
        m->error_bound += discount_of(m) / m->squares; /* what was taken for rounding may have been D's */
        return;
    }
    while (r < count && !(held >= wanted * m->squares))
        held += energies[r++];
    m->energy = fmin(held / m->squares, 1);
    if (held >= wanted * m->squares)
        m->rank = (uint32_t)r;
    else
        m->reason = "the sketch does not hold the energy asked for";
}

/* The exact way. */

/* gram (g × g, lower triangle) += Σ v vᵀ over count vectors of g elements each. */
static void gram_add(double *gram, size_t g, const double *vectors, size_t count)
{
    for (size_t at = 0; at < count; at += GRAM_ROWS) {
        size_t taken = count - at < GRAM_ROWS ? count - at : GRAM_ROWS;
        const double *block = vectors + at * g;

        for (size_t i = 0; i < g; i++)
            for (size_t t = 0; t < taken; t++)
                add_scaled(gram + i * g, block + t * g, block[t * g + i], i + 1);
    }
}

/* m ≥ n: the rows are the vectors. */
static int gram_of_rows(const struct low_rank_source *source, uint64_t rows, size_t columns, double *gram,
                        double *buffer, double *rounding, struct error *err)
{
    uint64_t step = BLOCK_ELEMENTS / columns;

    for (uint64_t row = 0; row < rows; row += step) {
        size_t taken = (size_t)(rows - row < step ? rows - row : step);
        int rc = check_cancel(source, err);

        if (rc == 0)
            rc = source->read(source->context, row * columns, taken * columns, buffer, rounding, err);
        if (rc)
            return rc;
        gram_add(gram, columns, buffer, taken);
    }
    return 0;
}

/* m < n: the columns are; tiles of them are read row by row and turned. */
static int gram_of_columns(const struct low_rank_source *source, size_t rows, uint64_t columns, double *gram,
                           double *buffer, double *rounding, struct error *err)
{
    size_t step = BLOCK_ELEMENTS / rows * 4;
    double *turned = calloc(step * rows, sizeof(*turned));
    int rc = turned ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");

    for (uint64_t column = 0; rc == 0 && column < columns; column += step) {
        size_t taken = (size_t)(columns - column < step ? columns - column : step);

        rc = check_cancel(source, err);
        for (size_t row = 0; rc == 0 && row < rows; row++) {
            rc = source->read(source->context, row * columns + column, taken, buffer, rounding, err);
            for (size_t i = 0; rc == 0 && i < taken; i++)
                turned[i * rows + row] = buffer[i];
        }
        if (rc == 0)
            gram_add(gram, rows, turned, taken);
    }
    free(turned);
    return rc;
}

static int measure_exact(const struct low_rank_source *source, double wanted, struct low_rank_matrix *m,
                         struct error *err)
{
    size_t g = (size_t)(m->rows < m->columns ? m->rows : m->columns);
    double *gram = calloc(g * g, sizeof(*gram)), *values = calloc(3 * g, sizeof(*values));
    double *buffer = calloc(BLOCK_ELEMENTS * 4, sizeof(*buffer)), rounding = 0;
    int rc = gram && values && buffer ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");

    if (rc == 0 && m->rows >= m->columns)
        rc = gram_of_rows(source, m->rows, g, gram, buffer, &rounding, err);
    else if (rc == 0)
        rc = gram_of_columns(source, g, m->columns, gram, buffer, &rounding, err);
    if (rc == 0) {
        m->squares = 0;
        for (size_t i = 0; i < g; i++) {
            m->squares += gram[i * g + i];
            for (size_t j = 0; j < i; j++)
                gram[j * g + i] = gram[i * g + j];
        }
        svd_symmetric(gram, g, values, values + g);
        for (size_t i = 0; i < g; i++)
            values[i] = fmax(values[i], 0);
        m->method = LOW_RANK_EXACT;
        m->error_bound = (double)g * 0x1p-50;
        m->rounding = m->squares > 0 ? rounding / m->squares : 0;
        /* Rounding must not keep a wanted energy of 1 from being reached. */
        set_rank(m, values, g, fmin(wanted, 1 - m->error_bound));
    }
    free(gram);
    free(values);
    free(buffer);
    return rc;
}

/* The sketch. */

struct sketch {
    double *y;      /* rows × LOW_RANK_SKETCH; later Q */
    double *w;      /* LOW_RANK_COSKETCH × columns; later B, LOW_RANK_SKETCH × columns */
    double *buffer; /* whole rows of Δ */
    double *small;  /* LOW_RANK_COSKETCH × LOW_RANK_SKETCH */
    double *scratch;
    double *turned;      /* columns × LOW_RANK_SKETCH: V */
    struct signs *omega; /* of each column */
    uint64_t step;       /* rows at a time */
};

static void sketch_done(struct sketch *s)
{
    free(s->y);
    free(s->w);
    free(s->buffer);
    free(s->small);
    free(s->scratch);
    free(s->turned);
    free(s->omega);
}

static int sketch_init(struct sketch *s, uint64_t rows, uint64_t columns, struct error *err)
{
    uint64_t longest = rows > columns ? rows : columns;

    memset(s, 0, sizeof(*s));
    s->step = BLOCK_ELEMENTS / columns ? BLOCK_ELEMENTS / columns : 1;
    s->y = calloc(rows * LOW_RANK_SKETCH, sizeof(*s->y));
    s->w = calloc(LOW_RANK_COSKETCH * columns, sizeof(*s->w));
    s->buffer = calloc(s->step * columns, sizeof(*s->buffer));
    s->small = calloc(LOW_RANK_COSKETCH * LOW_RANK_SKETCH, sizeof(*s->small));
    s->scratch = calloc(longest + 4 * LOW_RANK_COSKETCH, sizeof(*s->scratch));
    s->omega = calloc(columns, sizeof(*s->omega));
    if (!s->y || !s->w || !s->buffer || !s->small || !s->scratch || !s->omega) {
        sketch_done(s);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (uint64_t column = 0; column < columns; column++)
        s->omega[column] = signs_of(SEED_COLUMNS, column, LOW_RANK_SKETCH);
    return 0;
}

/* Rows of Δ into Y's rows and W. */
static void sketch_rows(struct sketch *s, uint64_t first, const double *delta, size_t count, size_t columns)
{
    for (uint64_t row = first; row < first + count; row++, delta += columns) {
        struct signs psi = signs_of(SEED_ROWS, row, LOW_RANK_COSKETCH);
        double *y = s->y + row * LOW_RANK_SKETCH;

        for (size_t c = 0; c < columns; c++) {
            const struct signs *omega = &s->omega[c];

            for (unsigned i = 0; i < SIGNS; i++)
                y[omega->at[i]] += omega->is_negative[i] ? -delta[c] : delta[c];
        }
        for (unsigned i = 0; i < SIGNS; i++)
            add_scaled(s->w + psi.at[i] * columns, delta, psi.is_negative[i] ? -1 : 1, columns);
    }
}

/* into += Σ factors[i · stride] · rows[i], four rows a time: each element's sum runs in the order of the rows. */
static void add_rows(double *restrict into, const double *restrict rows, const double *factors, size_t stride,
                     size_t count, size_t columns)
{
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const double *restrict row = rows + i * columns;
        double p = factors[i * stride], q = factors[(i + 1) * stride], r = factors[(i + 2) * stride],
               t = factors[(i + 3) * stride];

        for (size_t c = 0; c < columns; c++)
            into[c] =
                (((into[c] + p * row[c]) + q * row[columns + c]) + r * row[2 * columns + c]) + t * row[3 * columns + c];
    }
    for (; i < count; i++)
        add_scaled(into, rows + i * columns, factors[i * stride], columns);
}

/* B's part of some rows: B += Q[rows]ᵀ · Δ[rows]. */
static void project_rows(struct sketch *s, uint64_t first, const double *delta, size_t count, size_t columns)
{
    for (size_t k = 0; k < LOW_RANK_SKETCH; k++)
        add_rows(s->w + k * columns, delta, s->y + first * LOW_RANK_SKETCH + k, LOW_RANK_SKETCH, count, columns);
}

static int each_row(const struct low_rank_source *source, struct sketch *s, const struct low_rank_matrix *m,
                    void (*take)(struct sketch *, uint64_t, const double *, size_t, size_t), double *ret_squares,
                    double *rounding, struct error *err)
{
    struct sum squares = {0};

    for (uint64_t row = 0; row < m->rows; row += s->step) {
        size_t taken = (size_t)(m->rows - row < s->step ? m->rows - row : s->step);
        int rc = check_cancel(source, err);

        if (rc == 0)
            rc = source->read(source->context, row * m->columns, taken * m->columns, s->buffer, rounding, err);
        if (rc)
            return rc;
        for (size_t i = 0; ret_squares && i < taken * m->columns; i++)
            sum_add(&squares, s->buffer[i] * s->buffer[i]);
        take(s, row, s->buffer, taken, (size_t)m->columns);
    }
    if (ret_squares)
        *ret_squares = sum_value(&squares);
    return 0;
}

/* The unbiased estimate of ‖Δ − QQᵀΔ‖² ÷ ‖Δ‖²: what least squares leaves of W, by its degrees of freedom. Ψ's entries
 * have variance SIGNS ÷ l, so that residual · l ÷ SIGNS ÷ (l − k) is in Δ's units. */
static double estimate_residual(struct sketch *s, const struct low_rank_matrix *m)
{
    const double freedom = LOW_RANK_COSKETCH - LOW_RANK_SKETCH;
    double total = 0, held = 0, *projected = s->scratch;

    for (uint64_t row = 0; row < m->rows; row++) {
        struct signs psi = signs_of(SEED_ROWS, row, LOW_RANK_COSKETCH);

        for (unsigned i = 0; i < SIGNS; i++)
            add_scaled(s->small + psi.at[i] * LOW_RANK_SKETCH, s->y + row * LOW_RANK_SKETCH,
                       psi.is_negative[i] ? -1 : 1, LOW_RANK_SKETCH);
    }
    svd_orthonormalise(s->small, LOW_RANK_COSKETCH, LOW_RANK_SKETCH, NULL, s->scratch);
    for (size_t k = 0; k < LOW_RANK_SKETCH; k++) {
        memset(projected, 0, m->columns * sizeof(*projected));
        for (size_t l = 0; l < LOW_RANK_COSKETCH; l++)
            add_scaled(projected, s->w + l * m->columns, s->small[l * LOW_RANK_SKETCH + k], m->columns);
        for (size_t c = 0; c < m->columns; c++)
            held += projected[c] * projected[c];
    }
    for (size_t i = 0; i < LOW_RANK_COSKETCH * m->columns; i++)
        total += s->w[i] * s->w[i];
    return fmax(total - held, 0) * (LOW_RANK_COSKETCH / (double)SIGNS) / freedom / m->squares;
}

/* C's part of some rows: C[rows] = Δ[rows] · V, in Y's place. */
static void refine_rows(struct sketch *s, uint64_t first, const double *delta, size_t count, size_t columns)
{
    for (size_t row = 0; row < count; row++)
        for (size_t c = 0; c < columns; c++)
            add_scaled(s->y + (first + row) * LOW_RANK_SKETCH, s->turned + c * LOW_RANK_SKETCH,
                       delta[row * columns + c], LOW_RANK_SKETCH);
}

/* The energies of B = QᵀΔ by the triangular factor of Bᵀ; where refined, those of C = ΔV by C's. */
static int energies_of_core(const struct low_rank_source *source, struct sketch *s, const struct low_rank_matrix *m,
                            bool is_refined, double *ret_energies, struct error *err)
{
    int rc = 0;

    s->turned = calloc(m->columns * LOW_RANK_SKETCH, sizeof(*s->turned));
    if (!s->turned)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t k = 0; k < LOW_RANK_SKETCH; k++)
        for (size_t c = 0; c < m->columns; c++)
            s->turned[c * LOW_RANK_SKETCH + k] = s->w[k * m->columns + c];
    svd_orthonormalise(s->turned, (size_t)m->columns, LOW_RANK_SKETCH, s->small, s->scratch);
    if (is_refined) {
        memset(s->y, 0, m->rows * LOW_RANK_SKETCH * sizeof(*s->y));
        rc = each_row(source, s, m, refine_rows, NULL, NULL, err);
        if (rc)
            return rc;
        svd_orthonormalise(s->y, (size_t)m->rows, LOW_RANK_SKETCH, s->small, s->scratch);
    }
    svd_jacobi(s->small, LOW_RANK_SKETCH, ret_energies);
    for (size_t k = 0; k < LOW_RANK_SKETCH; k++)
        ret_energies[k] *= ret_energies[k];
    return 0;
}

static int measure_sketch(const struct low_rank_source *source, double wanted, struct low_rank_matrix *m,
                          struct error *err)
{
    double energies[LOW_RANK_SKETCH], residual, rounding = 0, held = 0, discount;
    struct sketch s;
    int rc = sketch_init(&s, m->rows, m->columns, err);

    if (rc)
        return rc;
    m->method = LOW_RANK_BY_SKETCH;
    rc = each_row(source, &s, m, sketch_rows, &m->squares, &rounding, err);
    if (rc || !(m->squares > 0) || !isfinite(m->squares))
        goto out;
    m->rounding = rounding / m->squares;
    discount = discount_of(m) / m->squares;
    svd_orthonormalise(s.y, (size_t)m->rows, LOW_RANK_SKETCH, NULL, s.scratch);
    residual = fmin(estimate_residual(&s, m), 1);
    /* Twice the room: the estimate's own spread is far below that, and the second pass decides. Several times the
     * rounding besides: for a rank near its own width, that much of D is missed by Q. */
    if (residual > 2 * (1 - wanted) + 6 * discount) {
        m->energy = 1 - residual;
        m->error_bound = residual;
        m->reason = "above what the sketch can tell";
        goto out;
    }
    memset(s.w, 0, LOW_RANK_SKETCH * m->columns * sizeof(*s.w));
    rc = each_row(source, &s, m, project_rows, NULL, NULL, err);
    if (rc == 0)
        rc = energies_of_core(source, &s, m, discount > 0.01 * (1 - wanted), energies, err);
    if (rc)
        goto out;
    for (size_t k = LOW_RANK_SKETCH; k-- > 0;)
        held += energies[k];
    m->error_bound = fmax(1 - held / m->squares, 0) + LOW_RANK_SKETCH * 0x1p-50;
    set_rank(m, energies, LOW_RANK_SKETCH, wanted);
out:
    sketch_done(&s);
    return rc;
}

/* Multiplications of the exact way: the Gram matrix and its tridiagonal form. */
static uint64_t exact_work(uint64_t rows, uint64_t columns)
{
    uint64_t side = rows < columns ? rows : columns;

    return rows * columns * (side / 2 + 1) + side * side * side;
}

int low_rank_measure_matrix(const struct low_rank_source *source, uint64_t rows, uint64_t columns, double energy,
                            uint64_t *work, struct low_rank_matrix *ret_matrix, struct error *err)
{
    struct low_rank_matrix m = {.pair = ret_matrix->pair, .rows = rows, .columns = columns};
    uint64_t side = rows < columns ? rows : columns;
    bool is_exact = side <= LOW_RANK_EXACT_SIDE && exact_work(rows, columns) <= *work;
    bool is_sketched = side > 2 * LOW_RANK_COSKETCH && columns <= ROW_ELEMENTS_MAX &&
                       (rows * LOW_RANK_SKETCH + columns * LOW_RANK_COSKETCH) * sizeof(double) <= SKETCH_BYTES_MAX;
    int rc = 0;

    m.reason = is_exact || is_sketched ? NULL : "beyond the budget of the exact way and too large to sketch";
    if (is_sketched)
        rc = measure_sketch(source, energy, &m, err);
    /* What the sketch could not tell is worth the exact way; what it could is within its bound already. */
    if (rc == 0 && is_exact && m.rank == 0) {
        m.reason = NULL;
        *work -= exact_work(rows, columns);
        rc = measure_exact(source, energy, &m, err);
    }
    if (rc)
        return rc;
    if (!(m.squares > 0) || !isfinite(m.squares)) {
        m.rank = 0;
        m.value_count = 0;
        if (!m.reason)
            m.reason = m.squares == 0 ? "no finite element differs" : "overflows a double";
    }
    *ret_matrix = m;
    return 0;
}
