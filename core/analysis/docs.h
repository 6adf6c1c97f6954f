/* What is told of each analysis to those who read its figures. */
#ifndef CORE_ANALYSIS_DOCS_H
#define CORE_ANALYSIS_DOCS_H

struct analysis_docs {
    const char *measures;   /* what the figures say */
    const char *formula;    /* one definition a line */
    const char *thresholds; /* which labels hang on which options, and where the defaults come from */
    const char *example;    /* a command, and how to read what it prints */
};

extern const struct analysis_docs stats_docs, quantization_docs, layer_impact_docs, architecture_docs, memory_docs,
    anomaly_docs, change_summary_docs, convergence_docs, gradient_docs, similarity_docs;

#endif
