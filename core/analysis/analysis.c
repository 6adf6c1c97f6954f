#include "core/analysis/analysis.h"

#include <string.h>

const struct analysis *const analyses[] = {
    &stats_analysis,    &quantization_analysis,      &layer_impact_analysis,   &architecture_comparison_analysis,
    &memory_analysis,   &anomaly_analysis,           &change_summary_analysis, &convergence_analysis,
    &gradient_analysis, &similarity_matrix_analysis,
};
const size_t analysis_count = sizeof(analyses) / sizeof(analyses[0]);

int analysis_by_name(const char *name, size_t bytes)
{
    for (size_t i = 0; i < analysis_count; i++)
        if (strlen(analyses[i]->name) == bytes && memcmp(analyses[i]->name, name, bytes) == 0)
            return (int)i;
    return -1;
}
