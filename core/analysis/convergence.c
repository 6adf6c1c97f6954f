/* convergence_analysis: how far a series of checkpoints moved, step by step, and whether the steps die away.
 *   step_norm[t] = ‖w_{t+1} − w_t‖ · relative_step_norm[t] = step ÷ ‖w_t‖ · cos_steps[t] = cosine of steps t and t + 1
 *   rate r: ln(step ÷ its time · mean time) fitted by least squares against the middle of the step; even intervals, or
 *   none known, make that ln(step) against its number · projected_remaining = last step · r ÷ (1 − r), r < 1.
 * Labels come last, from figures that stand beside them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "core/analysis/convergence_scalars.h"
#include "core/analysis/couples.h"

enum { FIT_STEPS_MIN = 3, STATUS_MODELS_MIN = 4 };

struct fit {
    double rate, r_squared; /* NAN: no fit; no spread to explain */
    size_t steps;
    const char *reason; /* why there is no rate */
};

struct verdict_of_series {
    const char *status, *reason;
};

/* One layer's way, or the whole model's. */
struct trail {
    double *steps, *relative, *turns; /* [models − 1], [models − 1], [models − 2] */
    double path, displacement, projected, spread, later_turn;
    struct fit fit;
};

struct convergence {
    struct couples *couples;
    struct run_scalars *scalars;
    double *room; /* for one trail at a time */
};

static const char nothing[] = "no float values compared";

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Of the finite values; reorders them. NAN when there is none. */
static double median(double *values, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            values[kept++] = values[i];
    qsort(values, kept, sizeof(*values), compare_doubles);
    if (kept == 0)
        return NAN;
    return kept % 2 ? values[kept / 2] : (values[kept / 2 - 1] + values[kept / 2]) / 2;
}

/* Least squares of y on x over count points, both around their means. */
static void fit_line(const double *x, const double *y, size_t count, struct fit *fit)
{
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0, slope;

    for (size_t i = 0; i < count; i++) {
        mean_x += x[i] / (double)count;
        mean_y += y[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
    }
    slope = xy / xx;
    fit->rate = exp(slope);
    fit->r_squared = yy > 0 ? slope * xy / yy : NAN;
}

static void fit_decay(const double *steps, const double *times, size_t models, struct fit *fit)
{
    double x[64], y[64], interval = (times[models - 1] - times[0]) / (double)(models - 1);
    size_t count = 0;

    *fit = (struct fit){.rate = NAN, .r_squared = NAN, .reason = "fewer than four models"};
    if (models < STATUS_MODELS_MIN)
        return;
    for (size_t t = 0; t + 1 < models; t++) {
        double taken = (times[t + 1] - times[t]) / interval;

        if (!(steps[t] > 0))
            continue;
        x[count] = (times[t] - times[0]) / interval + taken / 2;
        y[count++] = log(steps[t] / taken);
    }
    fit->steps = count;
    fit->reason = "fewer than three steps above 0";
    if (count < FIT_STEPS_MIN)
        return;
    fit->reason = NULL;
    fit_line(x, y, count, fit);
}

/* The later half of the cosines, at least three. */
static double later_median(const double *turns, size_t count)
{
    size_t taken = (count + 1) / 2 < 3 ? (count < 3 ? count : 3) : (count + 1) / 2;
    double values[64] = {0};

    memcpy(values, turns + (count - taken), taken * sizeof(*values));
    return median(values, taken);
}

static double spread_of(const double *steps, size_t count)
{
    double least = HUGE_VAL, most = 0;

    for (size_t t = 0; t < count; t++) {
        least = fmin(least, steps[t]);
        most = fmax(most, steps[t]);
    }
    return least > 0 ? most / least : NAN;
}

static void follow(const struct convergence *state, size_t group, struct trail *trail)
{
    const struct couples *couples = state->couples;
    const double *times = state->scalars->times;
    size_t n = couples->models;
    const char *reason;
    double last;

    *trail = (struct trail){.steps = state->room, .relative = state->room + n, .turns = state->room + 2 * n};
    for (size_t t = 0; t + 1 < n; t++) {
        struct couple_record step = couples_between(couples, group, t, t + 1);

        trail->steps[t] = delta_l2(&step.delta);
        trail->relative[t] = delta_relative_l2(&step.delta);
        trail->path += trail->steps[t];
    }
    for (size_t t = 1; t + 1 < n; t++)
        trail->turns[t - 1] = couples_turn(couples, group, t, &reason);
    trail->displacement = couples_distance(couples, group, 0, n - 1);
    fit_decay(trail->steps, times, n, &trail->fit);
    trail->spread = spread_of(trail->steps, n - 1);
    trail->later_turn = n > 2 ? later_median(trail->turns, n - 2) : NAN;
    last = trail->steps[n - 2] * ((times[n - 1] - times[0]) / (double)(n - 1)) / (times[n - 1] - times[n - 2]);
    trail->projected = trail->fit.rate < 1 ? last * trail->fit.rate / (1 - trail->fit.rate) : NAN;
}

static const char *first_reason(const struct couples *couples, size_t group)
{
    const char *reason = NULL;

    for (size_t t = 1; t + 1 < couples->models && !reason; t++)
        couples_turn(couples, group, t, &reason);
    return reason;
}

/* An array of figures; where one is null, its reason stands beside it. */
static void write_figures(struct writer *w, const char *key, const char *reason_key, const double *values, size_t count,
                          const char *reason)
{
    bool has_null;

    write_array(w, key);
    has_null = write_row(w, values, count);
    write_end(w);
    if (has_null)
        write_text(w, reason_key, reason ? reason : nothing);
}

static void convergence_free(void *opaque)
{
    struct convergence *state = opaque;

    if (!state)
        return;
    couples_free(state->couples);
    run_scalars_free(state->scalars);
    free(state->room);
    free(state);
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct convergence *state = calloc(1, sizeof(*state));
    int rc = 0;

    (void)env;
    if (state)
        state->room = calloc(3 * c->model_count, sizeof(*state->room));
    if (!state || !state->room)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = couples_new(c, &state->couples, err);
    if (rc == 0)
        rc = run_scalars_find(c, &state->scalars, err);
    if (rc) {
        convergence_free(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

static uint64_t nonfinite(const struct side_record *side)
{
    return side->nans + side->infs;
}

static struct verdict_of_series judge(const struct options *o, const struct convergence *state,
                                      const struct trail *trail)
{
    const struct couples *couples = state->couples;
    size_t n = couples->models;
    bool is_believed = trail->fit.r_squared >= o->convergence_r_squared;

    if (n < STATUS_MODELS_MIN)
        return (struct verdict_of_series){"undetermined", "fewer than four models"};
    if (!isfinite(trail->relative[n - 2]))
        return (struct verdict_of_series){"undetermined", nothing};
    if (nonfinite(&couples->whole_sides[n - 1]) > nonfinite(&couples->whole_sides[0]))
        return (struct verdict_of_series){"diverging", "the last model has non-finite weights that the first has not"};
    if (trail->relative[n - 2] <= o->convergence_tolerance)
        return (struct verdict_of_series){"converged", "the last relative step is within convergence_tolerance"};
    if (is_believed && trail->fit.rate >= o->convergence_growing)
        return (struct verdict_of_series){"diverging", "the steps grow by convergence_growing or more"};
    if (is_believed && trail->fit.rate <= o->convergence_shrinking)
        return (struct verdict_of_series){"converging", "the steps shrink by convergence_shrinking or more"};
    if (trail->later_turn <= o->convergence_oscillation)
        return (struct verdict_of_series){"oscillating",
                                          "successive steps turn back by convergence_oscillation or more"};
    if (trail->spread <= o->convergence_spread)
        return (struct verdict_of_series){"plateaued", "the steps neither shrink nor grow: convergence_spread"};
    return (struct verdict_of_series){"undetermined", "no rule holds"};
}

static void write_way(struct writer *w, const struct trail *trail, size_t n)
{
    double last = trail->steps[n - 2], straightness = trail->displacement / trail->path;
    const char *still = trail->path > 0 ? "the last model is where the first was" : "nothing moved";

    write_figure(w, "last_step", last, nothing);
    write_figure(w, "last_relative_step", trail->relative[n - 2], isfinite(last) ? "the model is all zero" : nothing);
    write_figure(w, "path_length", trail->path, nothing);
    write_figure(w, "displacement", trail->displacement, nothing);
    write_figure(w, "straightness", straightness, isfinite(trail->path) ? still : nothing);
    write_figure(w, "path_ratio", trail->path / trail->displacement, isfinite(trail->path) ? still : nothing);
    write_figure(w, "decay_rate", trail->fit.rate, trail->fit.reason);
    write_figure(w, "r_squared", trail->fit.r_squared, trail->fit.reason ? trail->fit.reason : "the steps are equal");
    write_figure(w, "projected_remaining", trail->projected,
                 trail->fit.reason ? trail->fit.reason : "the steps do not shrink");
}

static void write_series(struct writer *w, const struct couples *couples, size_t group, const struct trail *trail)
{
    size_t n = couples->models;
    double values[64] = {0};

    write_figures(w, "step_norm", "step_norm_reason", trail->steps, n - 1, nothing);
    write_figures(w, "relative_step_norm", "relative_step_norm_reason", trail->relative, n - 1,
                  "a model is all zero, or no float values were compared");
    write_figures(w, "cos_steps", "cos_steps_reason", trail->turns, n - 2, first_reason(couples, group));
    for (size_t m = 0; m < n; m++)
        values[m] = couples_distance(couples, group, 0, m);
    write_figures(w, "dist_from_start", "dist_from_start_reason", values, n, nothing);
    for (size_t m = 0; m < n; m++)
        values[m] = couples_distance(couples, group, m, n - 1);
    write_figures(w, "dist_to_end", "dist_to_end_reason", values, n, nothing);
    for (size_t m = 0; m < n; m++)
        values[m] = side_l2(couples_side(couples, group, m));
    write_figures(w, "norm", "norm_reason", values, n, "no finite float elements");
    for (size_t m = 0; m < n; m++) {
        const struct side_record *side = couples_side(couples, group, m);

        values[m] = side->finite ? side->abs_max : NAN;
    }
    write_figures(w, "max_abs", "max_abs_reason", values, n, "no finite float elements");
}

static void write_thresholds(struct writer *w, const struct options *o)
{
    write_object(w, "thresholds");
    write_figure(w, "convergence_tolerance", o->convergence_tolerance, NULL);
    write_figure(w, "convergence_shrinking", o->convergence_shrinking, NULL);
    write_figure(w, "convergence_growing", o->convergence_growing, NULL);
    write_figure(w, "convergence_r_squared", o->convergence_r_squared, NULL);
    write_figure(w, "convergence_oscillation", o->convergence_oscillation, NULL);
    write_figure(w, "convergence_spread", o->convergence_spread, NULL);
    write_figure(w, "straggler_factor", o->straggler_factor, NULL);
    write_end(w);
}

static double last_relative(const struct couples *couples, size_t group)
{
    struct couple_record step = couples_between(couples, group, couples->models - 2, couples->models - 1);

    return delta_relative_l2(&step.delta);
}

/* The layers' median last relative step; NAN when out of memory or nothing was compared. */
static double layers_median(const struct couples *couples)
{
    double *values = calloc(couples->groups + 1, sizeof(*values)), result;

    if (!values)
        return NAN;
    for (size_t group = 0; group < couples->groups; group++)
        values[group] = last_relative(couples, group);
    result = median(values, couples->groups);
    free(values);
    return result;
}

static bool is_straggler(const struct options *o, double relative, double layers)
{
    return layers > 0 && relative > o->straggler_factor * layers;
}

static void write_layers(const struct comparison *c, const struct convergence *state, double layers, struct writer *w)
{
    const struct couples *couples = state->couples;
    size_t n = couples->models;

    write_array(w, "stragglers");
    for (size_t group = 0; group < couples->groups; group++)
        if (is_straggler(&c->request->options, last_relative(couples, group), layers))
            write_name(w, couples->names[group]);
    write_end(w);
    write_array(w, "layers");
    for (size_t group = 0; group < couples->groups; group++) {
        struct couple_record last = couples_between(couples, group, n - 2, n - 1);
        struct trail trail;

        follow(state, group, &trail);
        write_begin_object(w);
        write_named(w, "layer", couples->names[group]);
        write_u64(w, "tensors", last.tensors);
        write_u64(w, "parameters", last.delta.elements);
        write_flag(w, "straggler", is_straggler(&c->request->options, trail.relative[n - 2], layers));
        write_way(w, &trail, n);
        write_series(w, couples, group, &trail);
        write_end(w);
    }
    write_end(w);
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct convergence *state = opaque;
    const struct couples *couples = state->couples;
    struct verdict_of_series verdict;
    struct trail trail;
    double layers;
    size_t n;

    if (!couples) {
        write_null(w, "status", "values not read");
        run_scalars_write(state->scalars, w);
        return;
    }
    n = couples->models;
    layers = layers_median(couples);
    follow(state, COUPLES_WHOLE, &trail);
    verdict = judge(&c->request->options, state, &trail);
    write_text(w, "status", verdict.status);
    write_text(w, "because", verdict.reason);
    write_way(w, &trail, n);
    write_u64(w, "models", n);
    write_object(w, "evidence");
    write_u64(w, "fitted_steps", trail.fit.steps);
    write_figure(w, "later_cos_steps", trail.later_turn, "no cosine of two steps has a value");
    write_figure(w, "step_spread", trail.spread, "a step of length 0");
    write_u64(w, "nonfinite_first", nonfinite(&couples->whole_sides[0]));
    write_u64(w, "nonfinite_last", nonfinite(&couples->whole_sides[n - 1]));
    write_figure(w, "layers_last_relative_step", layers, nothing);
    write_u64(w, "left_out_parameters", couples->left_out[n - 1].elements);
    write_end(w);
    write_thresholds(w, &c->request->options);
    write_series(w, couples, COUPLES_WHOLE, &trail);
    run_scalars_write(state->scalars, w);
    write_layers(c, state, layers, w);
}

const struct analysis convergence_analysis = {
    .name = "convergence_analysis",
    .flag = "convergence-analysis",
    .summary = "How far a series of checkpoints moved at each step, and whether the steps die away.",
    .docs = &convergence_docs,
    .models_min = 2,
    .models_max = 64,
    .needs = NEED_SIDE | NEED_COUPLES | NEED_TURNS,
    .prepare = prepare,
    .write = write,
    .free = convergence_free,
};
