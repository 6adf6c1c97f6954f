/* change_summary in parts: the figures, the class that they decide, and the check for casts. */
#ifndef CORE_ANALYSIS_CHANGE_SUMMARY_H
#define CORE_ANALYSIS_CHANGE_SUMMARY_H

#include "core/analysis/low_rank.h"
#include "core/compare.h"

enum change_class {
    CHANGE_IDENTICAL,
    CHANGE_METADATA_ONLY,
    CHANGE_REQUANTIZED,
    CHANGE_CAST,
    CHANGE_FINE_TUNE,
    CHANGE_PARTIAL_FINE_TUNE,
    CHANGE_LOW_RANK,
    CHANGE_PRUNED,
    CHANGE_GROWN_VOCABULARY,
    CHANGE_LAYERS_ADDED,
    CHANGE_LAYERS_REMOVED,
    CHANGE_REINITIALISED,
    CHANGE_UNRELATED,
    CHANGE_UNDETERMINED,
    CHANGE_CLASS_COUNT
};
extern const char *const change_class_names[CHANGE_CLASS_COUNT];

/* One layer of one side, and what became of its tensors. */
struct change_layer {
    struct name name;
    uint64_t tensors;
    uint64_t equal, changed, one_sided, duplicated, other; /* tensors; duplicated: a copy of a tensor paired before */
    bool is_numbered;
};

struct change_layers {
    struct change_layer *items; /* natural order */
    size_t count;
};

/* What a cast would have made of the tensors whose type changed, on samples of them. */
struct cast_check {
    uint64_t tensors, sampled, mismatches; /* elements */
    uint64_t unchecked;                    /* tensors whose types have no check here */
};

struct change_figures {
    struct change_layers baseline, candidate;
    struct delta_record changed; /* over the changed float pairs */
    uint64_t changed_tensors;    /* float pairs of status changed */
    uint64_t changed_integers;   /* changed pairs that are not float on both sides */
    uint64_t renamed;
    /* Weight matrices: two dimensions above 1, no norm, no bias; compared. */
    uint64_t matrix_parameters, frozen_matrix_parameters, unrelated_matrix_parameters;
    uint64_t matrices, unrelated_matrices;
    bool has_flips;
    uint64_t changed_elements, zeroed, zeroed_touched; /* touched: elements of the tensors with new zeros */
    uint64_t zeroed_in_matrices, zeroed_in_rows, zeroed_in_columns;
    uint64_t retyped,
        retyped_below_16; /* pairs whose stored type differs; of them, stored in under 16 bits somewhere */
    uint64_t retyped_changed, sametyped_changed;
    double retyped_signal, retyped_noise; /* Σa² and Σ(a − s·b)² of the retyped; s = 1 between floats */
    uint64_t grown, other_reshaped;       /* shape_changed: more rows of an embedding or head; any other */
    uint64_t common_rows_changed;         /* tensors that grew whose common rows changed too */
    uint64_t layers_added, layers_removed, layers_duplicated, loose_added,
        loose_removed; /* loose: not of such layers */
    struct cast_check cast;
};

int change_figures_gather(const struct comparison *comparison, struct change_figures *figures, struct error *err);
void change_figures_done(struct change_figures *figures);

/* Samples of every retyped pair are read again: at most 4,096 elements each. */
int cast_check_run(const struct comparison *comparison, const struct compare_env *env, struct cast_check *ret_check,
                   struct error *err);

struct change_verdict {
    enum change_class class;
    uint32_t also;      /* bit i: enum change_class i holds too */
    const char *reason; /* of undetermined */
};

/* Whether the singular values could still decide something. */
bool change_wants_low_rank(const struct comparison *comparison, const struct change_figures *figures);
/* low_rank may be NULL. */
struct change_verdict change_classify(const struct comparison *comparison, const struct change_figures *figures,
                                      const struct low_rank *low_rank);

/* What lies in matrices of low rank. */
struct change_low_rank {
    double share;  /* of ΣΔ² */
    double energy; /* what their ranks hold of it; NAN where there is none */
    uint32_t rank; /* the highest */
};
struct change_low_rank change_low_rank_of(const struct comparison *comparison, const struct change_figures *figures,
                                          const struct low_rank *low_rank);

/* All of the layer's tensors are of the kind told. */
static inline bool change_layer_is(const struct change_layer *layer, uint64_t tensors)
{
    return layer->tensors > 0 && tensors == layer->tensors;
}

#endif
