/* similarity_matrix: every two models of a series. Row i is the reference: relative_l2[i][j] = ‖w_j − w_i‖ ÷ ‖w_i‖,
 * coverage[i][j] = the share of model i's float elements that model j has in the same shape. Clusters are merged by
 * average linkage on 1 − cosine; a cosine without value counts as distance 2. */
#include <math.h>
#include <stdlib.h>

#include "core/analysis/analysis.h"
#include "core/analysis/clustering.h"
#include "core/analysis/couples.h"
#include "core/analysis/similarity_across.h"

struct similarity {
    struct couples *couples;
    struct across *across; /* NULL: not asked for */
};

enum figure { FIGURE_COSINE, FIGURE_RELATIVE_L2, FIGURE_CORRELATION, FIGURE_COVERAGE, FIGURE_COUNT };

struct figure_row {
    const char *name, *reason_key, *reason;
};
static const struct figure_row figure_rows[FIGURE_COUNT] = {
    [FIGURE_COSINE] = {"cosine", "cosine_reason", "nothing in common, or one side is all zero"},
    [FIGURE_RELATIVE_L2] = {"relative_l2", "relative_l2_reason", "nothing in common, or the row's model is all zero"},
    [FIGURE_CORRELATION] = {"correlation", "correlation_reason", "nothing in common, or one side is constant"},
    [FIGURE_COVERAGE] = {"coverage", "coverage_reason", "the row's model has no float elements"},
};

static void similarity_free(void *opaque)
{
    struct similarity *state = opaque;

    if (!state)
        return;
    couples_free(state->couples);
    across_free(state->across);
    free(state);
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct similarity *state = calloc(1, sizeof(*state));
    int rc;

    if (!state)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    rc = couples_new(c, &state->couples, err);
    if (rc == 0 && state->couples && c->request->options.similarity_across != ACROSS_NONE)
        rc = across_measure(c, env, &state->across, err);
    if (rc) {
        similarity_free(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

static double figure_of(const struct couples *couples, size_t group, enum figure figure, size_t i, size_t j)
{
    const struct side_record *row = couples_side(couples, group, i);
    struct couple_record record;

    if (i == j)
        return figure == FIGURE_COVERAGE && row->elements == 0 ? NAN : figure != FIGURE_RELATIVE_L2;
    record = couples_between(couples, group, i, j);
    switch (figure) {
    case FIGURE_COSINE:
        return delta_cosine(&record.delta);
    case FIGURE_RELATIVE_L2:
        return delta_relative_l2(&record.delta);
    case FIGURE_CORRELATION:
        return couples_correlation(couples, group, i, j);
    case FIGURE_COVERAGE:
        return row->elements ? (double)record.delta.elements / (double)row->elements : NAN;
    case FIGURE_COUNT:
        break;
    }
    return NAN;
}

static void write_matrix(struct writer *w, const struct couples *couples, size_t group, enum figure figure)
{
    bool has_null = false;

    write_array(w, figure_rows[figure].name);
    for (size_t i = 0; i < couples->models; i++) {
        write_begin_array(w);
        for (size_t j = 0; j < couples->models; j++) {
            double value = figure_of(couples, group, figure, i, j);

            has_null = write_row(w, &value, 1) || has_null;
        }
        write_end(w);
    }
    write_end(w);
    if (has_null)
        write_text(w, figure_rows[figure].reason_key, figure_rows[figure].reason);
}

/* The extremes over all couples, and where they are. */
static void write_extremes(struct writer *w, const struct couples *couples)
{
    double least = NAN, most = NAN, coverage = NAN;
    size_t at[2] = {0, 0};

    for (size_t i = 0; i < couples->models; i++)
        for (size_t j = 0; j < couples->models; j++) {
            double cosine = figure_of(couples, COUPLES_WHOLE, FIGURE_COSINE, i, j);

            if (i == j)
                continue;
            if (isnan(least) ? isfinite(cosine) : cosine < least) {
                least = cosine;
                at[0] = i;
                at[1] = j;
            }
            most = fmax(most, figure_of(couples, COUPLES_WHOLE, FIGURE_RELATIVE_L2, i, j));
            coverage = fmin(coverage, figure_of(couples, COUPLES_WHOLE, FIGURE_COVERAGE, i, j));
        }
    write_figure(w, "min_cosine", least, figure_rows[FIGURE_COSINE].reason);
    write_figure(w, "max_relative_l2", most, figure_rows[FIGURE_RELATIVE_L2].reason);
    write_figure(w, "min_coverage", coverage, figure_rows[FIGURE_COVERAGE].reason);
    write_u64(w, "models", couples->models);
    write_array(w, "least_alike");
    for (size_t k = 0; k < 2 && isfinite(least); k++)
        w->ops->u64(w, at[k]);
    write_end(w);
}

static void write_clustering(struct writer *w, const struct couples *couples)
{
    double distance[CLUSTERING_ITEMS_MAX * CLUSTERING_ITEMS_MAX];
    size_t n = couples->models;
    struct clustering clustering;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            struct couple_record record;

            distance[i * n + j] = 0;
            if (i == j)
                continue;
            record = couples_between(couples, COUPLES_WHOLE, i < j ? i : j, i < j ? j : i);
            distance[i * n + j] = couple_angle(&record);
            if (isnan(distance[i * n + j]))
                distance[i * n + j] = 2;
        }
    clustering_run(distance, n, &clustering);
    write_object(w, "clustering");
    write_text(w, "linkage", "average");
    write_text(w, "distance", "1 - cosine");
    write_array(w, "order");
    for (size_t i = 0; i < n; i++)
        w->ops->u64(w, clustering.order[i]);
    write_end(w);
    write_array(w, "merges");
    for (size_t k = 0; k + 1 < n; k++) {
        write_begin_object(w);
        write_u64(w, "left", clustering.merges[k].left);
        write_u64(w, "right", clustering.merges[k].right);
        write_figure(w, "height", clustering.merges[k].height, NULL);
        write_u64(w, "size", clustering.merges[k].size);
        write_end(w);
    }
    write_end(w);
    write_end(w);
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct similarity *state = opaque;
    const struct couples *couples = state->couples;

    if (!couples) {
        write_null(w, "min_cosine", "values not read");
        return;
    }
    write_extremes(w, couples);
    for (int figure = 0; figure < FIGURE_COUNT; figure++)
        write_matrix(w, couples, COUPLES_WHOLE, (enum figure)figure);
    write_clustering(w, couples);
    if (c->request->options.similarity_layers) {
        write_array(w, "layers");
        for (size_t group = 0; group < couples->groups; group++) {
            write_begin_object(w);
            write_named(w, "layer", couples->names[group]);
            for (int figure = 0; figure < FIGURE_COUNT; figure++)
                write_matrix(w, couples, group, (enum figure)figure);
            write_end(w);
        }
        write_end(w);
    }
    if (state->across)
        across_write(state->across, w);
}

const struct analysis similarity_matrix_analysis = {
    .name = "similarity_matrix",
    .flag = "similarity-matrix",
    .summary = "Cosine, relative L2 and correlation of every two models, and how they cluster.",
    .docs = &similarity_docs,
    .models_min = 2,
    .models_max = CLUSTERING_ITEMS_MAX,
    .needs = NEED_SIDE | NEED_COUPLES,
    .prepare = prepare,
    .write = write,
    .free = similarity_free,
};
