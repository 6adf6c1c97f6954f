/* change_summary: what kind of change this is. Figures first; the label follows from them and from thresholds that are
 * options, and `undetermined` is a good answer. */
#include "core/analysis/change_summary.h"

#include <math.h>
#include <stdlib.h>

#include "core/analysis/analysis.h"

struct change_state {
    struct change_figures figures;
    struct change_verdict verdict;
    struct low_rank *low_rank; /* NULL: nothing there for it to decide */
    uint32_t *top;             /* pairs with a change, the largest ΣΔ² first */
    size_t top_count;
};

static void change_free(void *opaque)
{
    struct change_state *state = opaque;

    if (!state)
        return;
    change_figures_done(&state->figures);
    low_rank_free(state->low_rank);
    free(state->top);
    free(state);
}

struct ranked {
    double squares;
    uint32_t pair;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;

    if (a->squares != b->squares)
        return a->squares > b->squares ? -1 : 1;
    return a->pair < b->pair ? -1 : 1;
}

static int rank_tensors(const struct comparison *c, struct change_state *state, struct error *err)
{
    struct ranked *ranked = calloc(c->pairing->pairs + 1, sizeof(*ranked));

    state->top = calloc(c->pairing->pairs + 1, sizeof(*state->top));
    if (!ranked || !state->top) {
        free(ranked);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        if (c->status[pair] == STATUS_CHANGED && comparison_is_summed(c, pair))
            ranked[state->top_count++] =
                (struct ranked){delta_squares_value(comparison_delta(c, pair)), (uint32_t)pair};
    qsort(ranked, state->top_count, sizeof(*ranked), compare_ranked);
    for (size_t i = 0; i < state->top_count; i++)
        state->top[i] = ranked[i].pair;
    free(ranked);
    return 0;
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct change_state *state = calloc(1, sizeof(*state));
    int rc;

    if (!state)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    rc = change_figures_gather(c, &state->figures, err);
    if (rc == 0 && c->scan)
        rc = cast_check_run(c, env, &state->figures.cast, err);
    if (rc == 0)
        rc = rank_tensors(c, state, err);
    if (rc == 0 && change_wants_low_rank(c, &state->figures))
        rc = low_rank_measure(c, env, &state->low_rank, err);
    if (rc) {
        change_free(state);
        return rc;
    }
    state->verdict = change_classify(c, &state->figures, state->low_rank);
    *ret_state = state;
    return 0;
}

static void write_ratio(struct writer *w, const char *key, uint64_t part, uint64_t whole, const char *reason)
{
    write_figure(w, key, whole ? (double)part / (double)whole : NAN, reason);
}

static void write_zeros(const struct change_figures *f, struct writer *w)
{
    static const char none[] = "no new zeros";
    uint64_t structured = f->zeroed_in_rows > f->zeroed_in_columns ? f->zeroed_in_rows : f->zeroed_in_columns;

    if (!f->has_flips) {
        write_null(w, "zeroed", "not measured");
        return;
    }
    write_u64(w, "zeroed", f->zeroed);
    write_ratio(w, "zeroed_share_of_changes", f->zeroed, f->changed_elements, "no element changed");
    write_ratio(w, "zeroed_fraction", f->zeroed, f->zeroed_touched, none);
    write_ratio(w, "zeroed_in_whole_rows_or_columns", structured, f->zeroed_in_matrices, none);
}

static void write_evidence(const struct comparison *c, const struct change_state *state, struct writer *w)
{
    const struct change_figures *f = &state->figures;
    static const char none[] = "no float tensor changed";
    bool has_changed = f->changed.finite > 0;
    const struct change_low_rank of = change_low_rank_of(c, f, state->low_rank);

    write_object(w, "evidence");
    write_figure(w, "changed_relative_l2", has_changed ? delta_relative_l2(&f->changed) : NAN,
                 has_changed ? "baseline is all zero" : none);
    write_figure(w, "changed_cosine", has_changed ? delta_cosine(&f->changed) : NAN,
                 has_changed ? "one side is all zero" : none);
    write_u64(w, "nonfinite_changed", f->changed.nonfinite_changed);
    write_u64(w, "matrices", f->matrices);
    write_u64(w, "matrix_parameters", f->matrix_parameters);
    write_ratio(w, "frozen_matrix_share", f->frozen_matrix_parameters, f->matrix_parameters, "no weight matrices");
    write_u64(w, "unrelated_matrices", f->unrelated_matrices);
    write_ratio(w, "unrelated_matrix_share", f->unrelated_matrix_parameters, f->matrix_parameters,
                "no weight matrices");
    write_zeros(f, w);
    write_u64(w, "retyped_tensors", f->retyped);
    write_figure(w, "retyped_sqnr_db",
                 f->retyped_noise > 0 && f->retyped_signal > 0 ? 10 * log10(f->retyped_signal / f->retyped_noise) : NAN,
                 f->retyped ? "exact" : "no stored type changed");
    write_u64(w, "cast_sampled_elements", f->cast.sampled);
    write_u64(w, "cast_mismatches", f->cast.mismatches);
    write_u64(w, "cast_unchecked_tensors", f->cast.unchecked);
    if (state->low_rank) {
        write_figure(w, "low_rank_share", of.share, NULL);
        write_figure(w, "low_rank_energy", of.energy, "no matrix of low rank");
        write_u64(w, "low_rank_highest", of.rank);
    } else {
        write_null(w, "low_rank_share", "not measured: other figures decide, or nothing changed");
    }
    write_u64(w, "renamed", f->renamed);
    write_u64(w, "grown_tensors", f->grown);
    write_u64(w, "otherwise_reshaped", f->other_reshaped);
    write_u64(w, "layers_added", f->layers_added);
    write_u64(w, "layers_removed", f->layers_removed);
    write_u64(w, "layers_duplicated", f->layers_duplicated);
    write_u64(w, "other_added", f->loose_added);
    write_u64(w, "other_removed", f->loose_removed);
    write_end(w);
}

static void write_thresholds(const struct options *o, struct writer *w)
{
    write_object(w, "thresholds");
    write_figure(w, "fine_tune_relative_l2", o->fine_tune_relative_l2, NULL);
    write_figure(w, "fine_tune_cosine", o->fine_tune_cosine, NULL);
    write_figure(w, "frozen_share", o->frozen_share, NULL);
    write_figure(w, "low_rank_energy", o->low_rank_energy, NULL);
    write_figure(w, "low_rank_ratio", o->low_rank_ratio, NULL);
    write_figure(w, "low_rank_share", o->low_rank_share, NULL);
    write_figure(w, "pruned_share", o->pruned_share, NULL);
    write_figure(w, "pruned_fraction", o->pruned_fraction, NULL);
    write_figure(w, "unrelated_cosine", o->unrelated_cosine, NULL);
    write_figure(w, "unrelated_share", o->unrelated_share, NULL);
    write_figure(w, "requantized_sqnr_db", o->requantized_sqnr_db, NULL);
    write_end(w);
}

enum layer_fate { LAYERS_FROZEN, LAYERS_CHANGED, LAYERS_ONE_SIDED, LAYERS_DUPLICATED };

static bool has_fate(const struct change_layer *layer, enum layer_fate fate)
{
    switch (fate) {
    case LAYERS_FROZEN:
        return change_layer_is(layer, layer->equal);
    case LAYERS_CHANGED:
        return layer->changed > 0;
    case LAYERS_ONE_SIDED:
        return change_layer_is(layer, layer->one_sided);
    case LAYERS_DUPLICATED:
        return change_layer_is(layer, layer->duplicated);
    }
    return false;
}

static void write_layers(struct writer *w, const char *key, const struct change_layers *layers, enum layer_fate fate)
{
    write_array(w, key);
    for (size_t i = 0; i < layers->count; i++)
        if (has_fate(&layers->items[i], fate))
            write_name(w, layers->items[i].name);
    write_end(w);
}

static void write_top(const struct comparison *c, const struct change_state *state, struct writer *w)
{
    double total = delta_squares_value(&state->figures.changed);

    write_array(w, "top_tensors");
    for (size_t i = 0; i < state->top_count && i < c->request->options.top_changes; i++) {
        const struct delta_record *delta = comparison_delta(c, state->top[i]);

        write_begin_object(w);
        write_named(w, "tensor", pairing_name(c->pairing, (const struct model *const *)c->models, state->top[i]));
        write_figure(w, "share", total > 0 ? delta_squares_value(delta) / total : NAN,
                     total > 0 ? "overflows a double" : "no finite element differs");
        write_figure(w, "relative_l2", delta_relative_l2(delta), "baseline is all zero");
        write_figure(w, "cosine", delta_cosine(delta), "one side is all zero");
        write_u64(w, "changed_elements", delta->changed);
        write_end(w);
    }
    write_end(w);
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct change_state *state = opaque;
    const struct change_figures *f = &state->figures;
    const char *none = c->scan ? "no float tensors were compared" : "values not read";
    bool has_values = c->total.finite > 0;
    uint64_t tensors = 0;

    for (int s = 0; s < STATUS_COUNT; s++)
        tensors += c->status_counts[s];
    write_text(w, "class", change_class_names[state->verdict.class]);
    if (state->verdict.reason)
        write_text(w, "class_reason", state->verdict.reason);
    write_u64(w, "tensors", tensors);
    write_u64(w, "changed_tensors", c->status_counts[STATUS_CHANGED]);
    write_u64(w, "changed_parameters", c->parameters_changed);
    write_figure(w, "relative_l2", has_values ? delta_relative_l2(&c->total) : NAN,
                 has_values ? "baseline is all zero" : none);
    write_figure(w, "cosine", has_values ? delta_cosine(&c->total) : NAN, has_values ? "one side is all zero" : none);
    write_array(w, "also");
    for (unsigned i = 0; i < CHANGE_CLASS_COUNT; i++)
        if (state->verdict.also & (1u << i))
            write_name(w, name_of(change_class_names[i]));
    write_end(w);
    write_evidence(c, state, w);
    write_thresholds(&c->request->options, w);
    write_top(c, state, w);
    write_layers(w, "changed_layers", &f->baseline, LAYERS_CHANGED);
    write_layers(w, "frozen_layers", &f->baseline, LAYERS_FROZEN);
    write_layers(w, "removed_layers", &f->baseline, LAYERS_ONE_SIDED);
    write_layers(w, "added_layers", &f->candidate, LAYERS_ONE_SIDED);
    write_layers(w, "duplicated_layers", &f->candidate, LAYERS_DUPLICATED);
    if (state->low_rank)
        low_rank_write(c, state->low_rank, w);
}

const struct analysis change_summary_analysis = {
    .name = "change_summary",
    .flag = "change-summary",
    .summary =
        "What kind of change this is: a fine-tune, a merged adapter, a cast, pruning, other layers, with the evidence.",
    .docs = &change_summary_docs,
    .models_min = 2,
    .models_max = 64,
    .needs = NEED_DELTA | NEED_ROW_FIT | NEED_ROWS | NEED_COLUMNS | NEED_FLIPS,
    .prepare = prepare,
    .write = write,
    .free = change_free,
};
