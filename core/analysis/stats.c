/* stats: the moments and extremes of every tensor, per side; on request its quantiles. */
#include <math.h>

#include "core/analysis/analysis.h"
#include "core/document.h"

static unsigned needs_for(const struct options *options)
{
    return options->quantiles ? NEED_QUANTILES : 0;
}

static void write(const struct comparison *c, const void *state, struct writer *w)
{
    uint64_t tensors = 0;
    size_t last = c->model_count - 1;

    (void)state;
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        tensors += comparison_side(c, pair, 0) || comparison_side(c, pair, last);
    write_u64(w, "tensors", tensors);
    write_text(w, "std", "population");
}

/* An extreme as the type holds it: integers print as integers. */
static void write_extreme(struct writer *w, const char *key, const struct side_record *side, union extreme value)
{
    switch (dtype_traits(side->dtype)->kind) {
    case DTYPE_KIND_UINT:
    case DTYPE_KIND_BOOL:
        write_u64(w, key, value.u64);
        break;
    case DTYPE_KIND_INT:
        write_i64(w, key, value.i64);
        break;
    default:
        write_figure(w, key, value.f64, NULL);
    }
}

static void write_quantiles(struct writer *w, const struct quantiles *q, const struct side_record *side)
{
    static const char *const names[QUANTILE_COUNT] = {"p01", "p05", "p25", "p50", "p75", "p95", "p99"};
    const char *reason = dtype_traits(side->dtype)->kind == DTYPE_KIND_COMPLEX ? "complex" : side_null_reason(side);

    write_object(w, "quantiles");
    for (int i = 0; i < QUANTILE_COUNT; i++)
        write_figure(w, names[i], q->value[i], reason);
    write_end(w);
    write_flag(w, "quantiles_exact", q->is_exact);
}

static void write_side(const struct comparison *c, const void *state, size_t pair, size_t model, struct writer *w)
{
    const struct side_record *side = comparison_side(c, pair, model);
    const char *reason = side_null_reason(side);
    bool is_complex = dtype_traits(side->dtype)->kind == DTYPE_KIND_COMPLEX;

    (void)state;
    write_figure(w, "mean", side_mean(side), reason);
    write_figure(w, "std", side_std(side), reason);
    if (side->finite == 0 || is_complex) {
        write_null(w, "min", is_complex ? "complex" : reason);
        write_null(w, "max", is_complex ? "complex" : reason);
    } else {
        write_extreme(w, "min", side, side->min);
        write_extreme(w, "max", side, side->max);
    }
    write_figure(w, "abs_max", side->finite ? side->abs_max : NAN, reason);
    write_figure(w, "l2", side->finite ? side_l2(side) : NAN, side->finite ? "overflows a double" : reason);
    write_u64(w, "zeros", side->zeros);
    write_u64(w, "nans", side->nans);
    write_u64(w, "infs", side->infs);
    if (c->scan->quantiles)
        write_quantiles(w, &c->scan->quantiles[pair * c->model_count + model], side);
}

const struct analysis stats_analysis = {
    .name = "stats",
    .flag = "stats",
    .summary = "Mean, standard deviation, extremes, norms and counts of every tensor, on both sides.",
    .docs = &stats_docs,
    .models_min = 1,
    .models_max = 64,
    .needs = NEED_SIDE,
    .needs_for = needs_for,
    .write = write,
    .write_side = write_side,
};
