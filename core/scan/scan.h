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
    NEED_PROFILE = 1u << 5,    /* subnormals, and what narrower types would lose */
    NEED_ROWS = 1u << 6,       /* norms of the rows of every float side of rank ≥ 2 */
    NEED_COLUMNS = 1u << 7,    /* norms of its columns, up to COLUMNS_MAX of them */
    NEED_FLIPS = 1u << 8,      /* new zeros, and the first changed elements' bits */
    NEED_COUPLES = 1u << 9,    /* delta records between every two models, a group of pairs each (plan.groups) */
    NEED_DIGEST = 1u << 10,    /* SHA-256 of every tensor's stored bytes */
    NEED_TURNS = 1u << 11,     /* with NEED_COUPLES: the turns of every three models that follow one another */
};

/* With NEED_PROFILE. Counts of finite elements of one side; 0 for integer and BOOL types. */
struct side_profile {
    uint64_t subnormals; /* in their own type */
    uint64_t not_bf16;   /* not exactly a BF16 value */
    uint64_t not_f16;    /* not exactly an F16 value */
};

/* With NEED_ROWS or NEED_COLUMNS. L2 norms over the finite elements of each row (first dimension: dims[0] rows of the
 * product of the others) or column (last dimension: dims[rank − 1] columns). */
enum { COLUMNS_MAX = 65536, ROWS_MAX = 1 << 20 };
struct channel_norms {
    uint64_t count;     /* 0: not measured (rank < 2, not float, too many) */
    uint64_t zeros;     /* channels that hold nothing but zeros */
    double median, max; /* NumPy's median */
    uint64_t max_at;    /* lowest channel that has max */
};

/* With NEED_FLIPS, of pairs with COVERED_VALUES. */
enum { FLIPS_MAX = 8 };
struct flips {
    uint64_t zeroed;  /* a ≠ 0, b = 0 */
    uint64_t revived; /* a = 0, b ≠ 0 */
    uint32_t
        count; /* of the entries below: min(changed elements, FLIPS_MAX); only when both dtypes are equal, else 0 */
    struct {
        uint64_t at;      /* flat index, ascending */
        uint32_t bits;    /* how many stored bits differ */
        uint32_t highest; /* the highest of them, 0 = least significant */
    } items[FLIPS_MAX];
};

enum isa { ISA_AUTO, ISA_SCALAR, ISA_AVX2, ISA_AVX512 };
enum isa isa_best(void);                              /* of this processor */
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
    void (*progress)(
        void *context,
        const struct scan_progress *progress); /* optional; any thread, one at a time, ≤ 10/s and once at the end */
    void *progress_context;
    const atomic_bool *cancel; /* optional; read once per unit */
    /* How many bytes of model files may stay in the page cache that were not there before: where all models together
     * are larger, what has been read is let go behind the cursor. */
    uint64_t cache_bytes;
};

struct scan_plan {
    const struct model *const *models;
    size_t model_count; /* ≥ 1 */
    const struct pairing *pairing;
    unsigned needs; /* enum scan_need */
    double epsilon; /* for beyond_epsilon; 0 when none was given */
    /* With NEED_COUPLES: which group (a layer) each pair's sums go to, GROUP_NONE for none. Only pairs whose tensors in
     * both models of a couple are float, decodable and of one shape take part. */
    const uint32_t *groups; /* [pair] */
    size_t group_count;
};
#define GROUP_NONE UINT32_MAX

/* The couples of n models are (0,1) (0,2) … (0,n−1) (1,2) …: this is the place of i < j. */
static inline size_t couple_index(size_t models, size_t i, size_t j)
{
    return i * models - i * (i + 1) / 2 + (j - i - 1);
}
static inline size_t couple_count(size_t models)
{
    return models * (models - 1) / 2;
}

/* One couple's sums over one group, merged in canonical order of pairs. */
struct couple_record {
    struct delta_record delta;
    struct sum a, b; /* Σa, Σb over the same terms, scaled by 2^-exponent_a, 2^-exponent_b */
    uint64_t tensors;
    /* Of models i and i + 2, m lying between: Σ(m − a)(b − m) over the elements finite in all three, scaled by
     * 2^-turn_exponent: what polarisation would lose where one step is far shorter than the other. */
    struct sum turn;
    uint64_t turn_finite; /* its terms */
    int32_t turn_exponent;
};

/* How far baseline and candidate of a pair could be held against each other. */
enum scan_coverage {
    COVERED_NOT,    /* one-sided, or shapes that have no common rows */
    COVERED_VALUES, /* every element of both */
    COVERED_ROWS,   /* the common leading rows of shapes that differ in the leading dimension only */
    COVERED_BYTES,  /* undecodable, same dtype, shape and size: is_bytes_equal says all there is to say */
    COVERED_OPAQUE, /* undecodable, and nothing can be said */
};

/* How the pass went; no function of the models. */
struct scan_pass {
    uint64_t bytes; /* read, of all models */
    double seconds;
    double waiting_share; /* of its threads' time: not at work, but waiting for input (or for a processor) */
};

struct scan_result {
    size_t pairs, models;
    struct scan_pass pass;
    struct side_record *sides;     /* [pair × models + m]; elements 0 and finite 0 where absent or undecodable */
    struct delta_record *deltas;   /* [pair] */
    uint8_t *coverage;             /* [pair]: enum scan_coverage */
    struct quantiles *quantiles;   /* [pair × models + m], with NEED_QUANTILES, else NULL */
    struct side_profile *profiles; /* [pair × models + m], with NEED_PROFILE, else NULL */
    struct channel_norms *rows, *columns; /* [pair × models + m], with NEED_ROWS, NEED_COLUMNS, else NULL */
    struct flips *flips;                  /* [pair], with NEED_FLIPS, else NULL */
    size_t group_count;
    struct couple_record *couples; /* [group × couple_count + couple], with NEED_COUPLES, else NULL */
    uint8_t (*digests)[32];        /* [pair × models + m], with NEED_DIGEST, else NULL; zero where absent */
};

/* Runs the pass. Errors name file, tensor and offset; ERROR_CANCELLED when cancel was seen. */
int scan_run(const struct scan_plan *plan, const struct scan_env *env, struct scan_result **ret_result,
             struct error *err);
void scan_result_free(struct scan_result *result);

/* Replaces result's couples and groups by those of from, which keeps none. */
void scan_result_take_couples(struct scan_result *result, struct scan_result *from);

#endif
