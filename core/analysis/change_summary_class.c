/* The class. Each rule is one function of the figures and the thresholds; the first that holds names the change, and
 * what else holds stands beside it. Where no rule holds the answer is undetermined, with the reason. */
#include <math.h>

#include "core/analysis/change_summary.h"

const char *const change_class_names[CHANGE_CLASS_COUNT] = {
    [CHANGE_IDENTICAL] = "identical",
    [CHANGE_METADATA_ONLY] = "metadata_only",
    [CHANGE_REQUANTIZED] = "requantized",
    [CHANGE_CAST] = "cast",
    [CHANGE_FINE_TUNE] = "fine_tune",
    [CHANGE_PARTIAL_FINE_TUNE] = "partial_fine_tune",
    [CHANGE_LOW_RANK] = "low_rank",
    [CHANGE_PRUNED] = "pruned",
    [CHANGE_GROWN_VOCABULARY] = "grown_vocabulary",
    [CHANGE_LAYERS_ADDED] = "layers_added",
    [CHANGE_LAYERS_REMOVED] = "layers_removed",
    [CHANGE_REINITIALISED] = "reinitialised",
    [CHANGE_UNRELATED] = "unrelated",
    [CHANGE_UNDETERMINED] = "undetermined",
};

static bool is_cast(const struct comparison *c, const struct change_figures *f)
{
    (void)c;
    return f->retyped > 0 && f->sametyped_changed == 0 && f->changed_integers == 0 && f->cast.unchecked == 0 &&
           f->cast.mismatches == 0;
}

static bool is_requantized(const struct comparison *c, const struct change_figures *f)
{
    double ratio = pow(10, c->request->options.requantized_sqnr_db / 10);

    return f->retyped_below_16 > 0 && f->retyped_changed > 0 && f->sametyped_changed == 0 &&
           f->retyped_signal >= ratio * f->retyped_noise;
}

static bool is_pruned(const struct comparison *c, const struct change_figures *f)
{
    const struct options *o = &c->request->options;

    return f->zeroed > 0 && (double)f->zeroed >= o->pruned_share * (double)f->changed_elements &&
           (double)f->zeroed >= o->pruned_fraction * (double)f->zeroed_touched;
}

struct change_low_rank change_low_rank_of(const struct comparison *c, const struct change_figures *f,
                                          const struct low_rank *low_rank)
{
    double total = delta_squares_value(&f->changed), low = 0, held = 0;
    struct change_low_rank of = {.energy = NAN};

    for (size_t i = 0; low_rank && i < low_rank->count; i++) {
        const struct low_rank_matrix *m = &low_rank->items[i];

        if (!low_rank_is_low(m, &c->request->options))
            continue;
        low += m->squares;
        held += m->squares * m->energy;
        if (m->rank > of.rank)
            of.rank = m->rank;
    }
    of.share = total > 0 ? fmin(low / total, 1) : 0;
    of.energy = low > 0 ? held / low : NAN;
    return of;
}

static bool is_low_rank(const struct comparison *c, const struct change_figures *f, const struct low_rank *low_rank)
{
    struct change_low_rank of = change_low_rank_of(c, f, low_rank);

    return of.share >= c->request->options.low_rank_share && of.rank > 0;
}

static bool is_unrelated(const struct comparison *c, const struct change_figures *f)
{
    return f->unrelated_matrices > 0 &&
           (double)f->unrelated_matrix_parameters >= c->request->options.unrelated_share * (double)f->matrix_parameters;
}

/* Some matrices have nothing of their old values; without them, nothing changed much. */
static bool is_reinitialised(const struct comparison *c, const struct change_figures *f)
{
    return f->unrelated_matrices > 0 && !is_unrelated(c, f);
}

static bool is_fine_tune(const struct comparison *c, const struct change_figures *f)
{
    const struct options *o = &c->request->options;

    return f->changed_tensors > 0 && f->changed.nonfinite_changed == 0 &&
           delta_relative_l2(&f->changed) <= o->fine_tune_relative_l2 &&
           delta_cosine(&f->changed) >= o->fine_tune_cosine;
}

static bool is_partial(const struct comparison *c, const struct change_figures *f)
{
    return f->frozen_matrix_parameters > 0 &&
           (double)f->frozen_matrix_parameters >= c->request->options.frozen_share * (double)f->matrix_parameters;
}

static bool is_changed(const struct comparison *c)
{
    return c->status_counts[STATUS_CHANGED] > 0;
}

static enum change_class class_of_values(const struct comparison *c, const struct change_figures *f,
                                         const struct low_rank *low_rank)
{
    if (!is_changed(c) && f->common_rows_changed == 0)
        return f->retyped ? CHANGE_CAST : CHANGE_IDENTICAL;
    if (is_cast(c, f))
        return CHANGE_CAST;
    if (is_requantized(c, f))
        return CHANGE_REQUANTIZED;
    if (is_pruned(c, f))
        return CHANGE_PRUNED;
    if (is_low_rank(c, f, low_rank))
        return CHANGE_LOW_RANK;
    if (is_unrelated(c, f))
        return CHANGE_UNRELATED;
    if (is_reinitialised(c, f)) /* not told from layers that moved, where layers came or went */
        return f->layers_added || f->layers_removed ? CHANGE_UNDETERMINED : CHANGE_REINITIALISED;
    if (is_fine_tune(c, f))
        return is_partial(c, f) ? CHANGE_PARTIAL_FINE_TUNE : CHANGE_FINE_TUNE;
    return CHANGE_UNDETERMINED;
}

static enum change_class class_of_structure(const struct change_figures *f)
{
    if (f->other_reshaped || f->loose_added || f->loose_removed)
        return CHANGE_UNDETERMINED;
    if (f->grown)
        return f->layers_added || f->layers_removed ? CHANGE_UNDETERMINED : CHANGE_GROWN_VOCABULARY;
    if (f->layers_added)
        return f->layers_removed ? CHANGE_UNDETERMINED : CHANGE_LAYERS_ADDED;
    return f->layers_removed ? CHANGE_LAYERS_REMOVED : CHANGE_IDENTICAL;
}

static uint32_t also(const struct comparison *c, const struct change_figures *f)
{
    uint32_t held = 0;

    held |= f->grown ? 1u << CHANGE_GROWN_VOCABULARY : 0;
    held |= f->layers_added ? 1u << CHANGE_LAYERS_ADDED : 0;
    held |= f->layers_removed ? 1u << CHANGE_LAYERS_REMOVED : 0;
    held |= is_changed(c) && is_pruned(c, f) ? 1u << CHANGE_PRUNED : 0;
    held |= f->retyped && f->retyped_below_16 == 0 ? 1u << CHANGE_CAST : 0;
    return held;
}

static const char *reason_of_values(const struct comparison *c, const struct change_figures *f)
{
    if (f->changed.nonfinite_changed)
        return "NaN or infinity came or went";
    if (f->changed_tensors == 0)
        return "only integer tensors changed";
    if (is_reinitialised(c, f))
        return "layers came or went, and others have nothing of their old values: they may have moved";
    if (f->zeroed && !is_pruned(c, f) && (double)f->zeroed >= 0.5 * (double)f->changed_elements)
        return "new zeros and other changes together";
    return "the change is larger than a fine-tune's, but not unrelated";
}

struct change_verdict change_classify(const struct comparison *c, const struct change_figures *f,
                                      const struct low_rank *low_rank)
{
    struct change_verdict verdict = {.class = CHANGE_UNDETERMINED};
    enum change_class values, structure;

    if (!c->scan) {
        verdict.reason = "values not read";
        return verdict;
    }
    if (c->status_counts[STATUS_NOT_COMPARED]) {
        verdict.reason = "there are tensors that could not be compared";
        return verdict;
    }
    values = class_of_values(c, f, low_rank);
    structure = class_of_structure(f);
    if (values == CHANGE_IDENTICAL && structure == CHANGE_IDENTICAL) {
        if (c->status_counts[STATUS_VALUE_EQUAL])
            verdict.reason = "all values are equal, in other bytes of the same type";
        else
            verdict.class = c->is_metadata_changed ? CHANGE_METADATA_ONLY : CHANGE_IDENTICAL;
        return verdict;
    }
    if (values == CHANGE_IDENTICAL) {
        verdict.class = structure;
        if (structure == CHANGE_UNDETERMINED)
            verdict.reason = c->status_counts[STATUS_BIT_EQUAL] + c->status_counts[STATUS_VALUE_EQUAL]
                                 ? "what both have is equal; tensors came, went or were reshaped"
                                 : "the models have nothing in common";
    } else {
        verdict.class = values;
        if (values == CHANGE_UNDETERMINED)
            verdict.reason = reason_of_values(c, f);
    }
    verdict.also = also(c, f) & ~(1u << verdict.class);
    return verdict;
}

bool change_wants_low_rank(const struct comparison *c, const struct change_figures *f)
{
    return c->scan && f->changed_tensors > 0 && !is_cast(c, f) && !is_requantized(c, f) && !is_pruned(c, f);
}
