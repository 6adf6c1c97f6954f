/* What the numbers say: one file per analysis, all from the one pass. Analyses read typed results and write findings;
 * they build no tree and know no JSON. */
#ifndef CORE_ANALYSIS_ANALYSIS_H
#define CORE_ANALYSIS_ANALYSIS_H

#include "core/analysis/docs.h"
#include "core/compare.h"
#include "core/writer.h"

struct analysis {
    const char *name;    /* "layer_impact" */
    const char *flag;    /* "show-layer-impact": the command line's name for it */
    const char *summary; /* one line for --help and /v1/analyses */
    const struct analysis_docs *docs;
    unsigned models_min, models_max;
    unsigned needs; /* enum scan_need */
    /* What more it needs under these options; optional. */
    unsigned (*needs_for)(const struct options *options);
    /* Work of its own before anything is written (what_if reads samples); optional. *state is handed to write, tensor
     * and free. */
    int (*prepare)(const struct comparison *comparison, const struct compare_env *env, void **ret_state,
                   struct error *err);
    /* The members of analyses.<name>. */
    void (*write)(const struct comparison *comparison, const void *state, struct writer *w);
    /* Members that it adds to a tensor's record, or to one side of it; optional. */
    void (*write_tensor)(const struct comparison *comparison, const void *state, size_t pair, struct writer *w);
    void (*write_side)(const struct comparison *comparison, const void *state, size_t pair, size_t model,
                       struct writer *w);
    void (*free)(void *state);
};

/* The registry, in the order documents list them. At most 32. */
extern const struct analysis *const analyses[];
extern const size_t analysis_count;
int analysis_by_name(const char *name, size_t bytes); /* index, or −1 */

extern const struct analysis stats_analysis, quantization_analysis, layer_impact_analysis,
    architecture_comparison_analysis, memory_analysis, anomaly_analysis, change_summary_analysis, convergence_analysis,
    gradient_analysis, similarity_matrix_analysis;

#endif
