/* memory_analysis in parts: what could be saved, and what config.json says of the cache of keys and values. */
#ifndef CORE_ANALYSIS_MEMORY_H
#define CORE_ANALYSIS_MEMORY_H

#include "core/compare.h"

enum saving_kind {
    SAVING_DUPLICATE,
    SAVING_ALL_ZERO,
    SAVING_CONSTANT,
    SAVING_TO_BF16,
    SAVING_TO_F16,
    SAVING_ZERO_ROWS,
    SAVING_KIND_COUNT
};
extern const char *const saving_kind_names[SAVING_KIND_COUNT];

struct saving {
    uint64_t bytes, saved; /* of the tensors concerned now; fewer by */
    uint32_t pair;
    uint32_t first, count; /* duplicates: which of savings.equal; else 0 and the zero rows */
    uint8_t kind;
};

/* What could be saved in one model, each measured. */
struct savings {
    struct saving *items; /* largest saving first */
    size_t count;
    size_t model;
    uint32_t *equal;   /* pairs of equal content, group after group */
    uint64_t saveable; /* the largest saving of each tensor, summed: the savings do not add up */
    bool has_values, has_profiles, has_rows;
};

/* Tensors that seem to be stored twice are read again. */
int savings_find(const struct comparison *comparison, const struct compare_env *env, size_t model,
                 struct savings *savings, struct error *err);
void savings_done(struct savings *savings);
/* The member opportunities, and what was not measured. */
void savings_write(const struct comparison *comparison, const struct savings *savings, struct writer *w);

struct what_if;
/* The member low_precision: of the first model, for each tensor the smallest type that keeps precision_low_db. */
void memory_precision_write(const struct comparison *comparison, const struct what_if *what_if, struct writer *w);

/* Whether this pair is the first that holds the model's tensor: one tensor may stand in several pairs. */
bool *memory_first_uses(const struct comparison *comparison, size_t model);

/* 2 · layers · kv_heads · head_dim · element_bytes of the model's config. */
struct kv_cache {
    uint64_t layers, kv_heads, head_dim, element_bytes, bytes_per_token;
    const char *reason; /* why it is not known; NULL: it is */
};
struct kv_cache kv_cache_of(const struct model *model);

#endif
