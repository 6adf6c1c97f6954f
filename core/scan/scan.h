/* The one pass over the numbers: every byte of every model is read once, in units cut by shape only, by any number of
 * threads, and merged in unit order, so that the records are the same bits for any thread count and instruction set. */
#ifndef CORE_SCAN_SCAN_H
#define CORE_SCAN_SCAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/model/align.h"
#include "core/scan/moments.h"

enum scan_need {
    NEED_SIDE = 1u << 0,       /* side records */
    NEED_DELTA = 1u << 1,      /* delta records of baseline (first) → candidate (last) */
    NEED_QUANTILES = 1u << 2,  /* p01 … p99 of every side */
    NEED_SATURATION = 1u << 3, /* saturated counts of I8, U8 and F8 sides */
    NEED_ROW_FIT = 1u << 4,    /* row_fit where the baseline is float and the candidate an integer type */
};

enum isa { ISA_AUTO, ISA_SCALAR, ISA_AVX2, ISA_AVX512 };
enum isa isa_best(void);                 /* of this processor */
int isa_by_name(const char *name, enum isa *ret_isa); /* 0, or ERROR_REQUEST: unknown, or not on this processor */
const char *isa_name(enum isa isa);

enum { QUANTILE_COUNT = 7 };
extern const double quantile_levels[QUANTILE_COUNT]; /* 0.01 0.05 0.25 0.5 0.75 0.95 0.99 */
struct quantiles {
    double value[QUANTILE_COUNT]; /* NAN when nothing is finite */
    bool is_exact;
};

struct scan_progress {
    uint64_t bytes_done, bytes_total, tensors_done, tensors_total;
};

/* How the pass is run; none of it changes a figure. */
struct scan_env {
    unsigned threads; /* ≥ 1; the calling thread is one of them */
    enum isa isa;
    void (*progress)(void *context, const struct scan_progress *progress); /* optional; any thread, one at a time, ≤ 10/s and once at the end */
    void *progress_context;
    const atomic_bool *cancel; /* optional; read once per unit */
};

struct scan_plan {
    const struct model *const *models;
    size_t model_count; /* ≥ 1 */
    const struct pairing *pairing;
    unsigned needs; /* enum scan_need */
    double epsilon; /* for beyond_epsilon; 0 when none was given */
};

/* How far baseline and candidate of a pair could be held against each other. */
enum scan_coverage {
    COVERED_NOT,      /* one-sided, or shapes that have no common rows */
    COVERED_VALUES,   /* every element of both */
    COVERED_ROWS,     /* the common leading rows of shapes that differ in the leading dimension only */
    COVERED_BYTES,    /* undecodable, same dtype, shape and size: is_bytes_equal says all there is to say */
    COVERED_OPAQUE,   /* undecodable, and nothing can be said */
};

struct scan_result {
    size_t pairs, models;
    struct side_record *sides;    /* [pair × models + m]; elements 0 and finite 0 where absent or undecodable */
    struct delta_record *deltas;  /* [pair] */
    uint8_t *coverage;            /* [pair]: enum scan_coverage */
    struct quantiles *quantiles;  /* [pair × models + m], with NEED_QUANTILES, else NULL */
};

/* Runs the pass. Errors name file, tensor and offset; ERROR_CANCELLED when cancel was seen. */
int scan_run(const struct scan_plan *plan, const struct scan_env *env, struct scan_result **ret_result, struct error *err);
void scan_result_free(struct scan_result *result);

#endif
