/* A series of models held against each other, every two of them, by layer and whole: the pass's couple records with the
 * side records beside them. Gradients, optimizer state and scalars (gradient_roles.h) are no weights and stay out. */
#ifndef CORE_ANALYSIS_COUPLES_H
#define CORE_ANALYSIS_COUPLES_H

#include "core/compare.h"

struct couples {
    size_t models, groups;
    const struct name *names;           /* [group] */
    const struct couple_record *layers; /* [group × couples + couple]; the pass's */
    struct couple_record *whole;        /* [couple] */
    struct side_record *sides;       /* [group × models + m], of float tensors; elements count undecodable ones too */
    struct side_record *whole_sides; /* [model] */
    struct side_record *left_out;    /* [model]: float tensors that are no weights */
};

/* NULL in *ret_couples where the pass has none (headers_only). */
int couples_new(const struct comparison *comparison, struct couples **ret_couples, struct error *err);
void couples_free(struct couples *couples);

#define COUPLES_WHOLE SIZE_MAX
const struct side_record *couples_side(const struct couples *couples, size_t group, size_t model);

/* The record of i and j (i ≠ j), its a being model i: turned around where i > j. */
struct couple_record couples_between(const struct couples *couples, size_t group, size_t i, size_t j);

/* ‖w_j − w_i‖; 0 for i = j, NAN where nothing finite was compared. */
double couples_distance(const struct couples *couples, size_t group, size_t i, size_t j);

/* 1 − cosine without the cancellation of that difference: (‖Δ‖² − (‖a‖ − ‖b‖)²) ÷ (2·‖a‖·‖b‖). */
double couple_angle(const struct couple_record *record);

/* Pearson's correlation of the two models' weights; 1 where all are equal, NAN where one side is constant. */
double couples_correlation(const struct couples *couples, size_t group, size_t i, size_t j);

/* ⟨w_t − w_{t−1}, w_{t+1} − w_t⟩ ÷ (‖·‖·‖·‖) for 0 < t < models − 1, the product summed as such by the pass: as exact
 * as a cosine of tensors, however unequal the steps. NAN, with a reason, where it has no value. */
double couples_turn(const struct couples *couples, size_t group, size_t t, const char **ret_reason);

#endif
