/* The rank of Δ, decided by its singular values. A matrix whose smaller side is short, or whose exact work is
 * affordable, is measured exactly; any other by a random sketch, which tells a rank only up to its own width. */
#ifndef CORE_ANALYSIS_LOW_RANK_H
#define CORE_ANALYSIS_LOW_RANK_H

#include "core/compare.h"

enum {
    LOW_RANK_SKETCH = 80,       /* columns of the sketch of Δ's rows: the highest rank it can tell is below */
    LOW_RANK_COSKETCH = 168,    /* rows of the sketch of its columns: what measures what the first one misses */
    LOW_RANK_EXACT_SIDE = 1024, /* longest smaller side that is measured exactly */
    LOW_RANK_VALUES = 32,       /* singular values kept */
    LOW_RANK_SAMPLE = 192,      /* rows and columns of a sample */
    LOW_RANK_SAMPLES_MAX = 1024,
};

/* A sample is a block of the matrix: its rank is a lower bound of the whole's. */
enum low_rank_method { LOW_RANK_EXACT, LOW_RANK_BY_SKETCH, LOW_RANK_BY_SAMPLE };

struct low_rank_matrix {
    uint32_t pair;
    enum low_rank_method method;
    uint64_t rows, columns;
    double squares;     /* ΣΔ²; of the sampled, as the pass found it */
    double rounding;    /* share of ΣΔ² that rounding to the candidate's type accounts for */
    uint32_t rank;      /* whole, where that is low; else the smallest r whose r largest singular values hold the energy
                           asked for; 0: none was found */
    const char *reason; /* of rank 0 */
    double energy;      /* what those hold of ΣΔ² (of whole: without the rounding); with rank 0, the share that the
                           sketch holds (an estimate) */
    uint32_t whole;     /* smallest r that leaves nothing but rounding; 0: none was found */
    double whole_energy;
    /* Share of ΣΔ² that the singular values may lack: 0 ≤ (σᵢ² of Δ) − (σᵢ² told) ≤ error_bound · ΣΔ². */
    double error_bound;
    uint32_t value_count;
    double values[LOW_RANK_VALUES];
};

/* Elements [first, first + count) of Δ, row-major; 0 where a side is not finite. What rounding to the candidate's type
 * adds to the sum of their squares on average is added to *rounding, when it is not NULL. */
struct low_rank_source {
    int (*read)(void *context, uint64_t first, size_t count, double *ret_values, double *rounding, struct error *err);
    void *context;
    const atomic_bool *cancel; /* optional; read once per block */
};

/* Measures one matrix: rows, columns, method, rank … of *ret_matrix. energy: the share that decides the rank. work:
 * what the exact way may cost, in multiplications; lowered by what was spent. ERROR_LIMIT is not among its errors: a
 * matrix too large for either way has rank 0 and a reason. */
int low_rank_measure_matrix(const struct low_rank_source *source, uint64_t rows, uint64_t columns, double energy,
                            uint64_t *work, struct low_rank_matrix *ret_matrix, struct error *err);

struct low_rank {
    struct low_rank_matrix *items; /* largest ΣΔ² first */
    size_t count;                  /* measured, then sampled */
    uint64_t sampled;              /* of them */
    uint64_t candidates;           /* changed 2-D (and 4-D: outputs × rest) float tensors */
    uint64_t elements;             /* read */
    uint64_t over_budget;          /* tensors left out: too many elements */
    uint64_t not_plain;            /* tensors left out: not stored as plain elements */
};

/* Whether two factors of the rank that leaves nothing but rounding are smaller than the matrix: r · (rows + columns) <
 * rows · columns. */
bool low_rank_is_whole_low(const struct low_rank_matrix *matrix);

/* Whether its rank is low: that, or at most low_rank_ratio of its smaller side, which must not be tiny. */
bool low_rank_is_low(const struct low_rank_matrix *matrix, const struct options *options);

/* Reads the changed 2-D and 4-D float tensors with the largest ΣΔ² again, options.low_rank_elements of them at most.
 * Where what was measured is of low rank, blocks of the others are sampled, 192 rows by 192 columns each. */
int low_rank_measure(const struct comparison *comparison, const struct compare_env *env, struct low_rank **ret_low_rank,
                     struct error *err);
void low_rank_free(struct low_rank *low_rank);

/* The member low_rank. */
void low_rank_write(const struct comparison *comparison, const struct low_rank *low_rank, struct writer *w);

#endif
