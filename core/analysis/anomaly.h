/* anomaly_detection in parts: the table of rules, and what a rule says of one tensor. */
#ifndef CORE_ANALYSIS_ANOMALY_H
#define CORE_ANALYSIS_ANOMALY_H

#include "core/compare.h"

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR, SEVERITY_CRITICAL, SEVERITY_COUNT };
extern const char *const severity_names[SEVERITY_COUNT];

/* The spread of one tensor's place over the numbered layers: all layers' "self_attn.q_proj.weight". */
struct anomaly_peers {
    uint32_t others;    /* tensors of that place in other layers */
    double median, mad; /* of the standard deviations, its own too; NumPy's median */
};

struct anomaly_context {
    const struct comparison *comparison;
    size_t model;                      /* the one that is judged: the last */
    const struct anomaly_peers *peers; /* [pair] */
};

enum { ANOMALY_EVIDENCE_MAX = 6 };
struct anomaly_evidence {
    const char *key;
    double value; /* NAN: has none */
    bool is_count;
};

/* What a rule found in a tensor. */
struct anomaly_case {
    enum severity severity;
    const char *reason; /* why it could not be evaluated; static */
    unsigned evidence_count;
    struct anomaly_evidence evidence[ANOMALY_EVIDENCE_MAX];
};

enum anomaly_outcome { ANOMALY_NONE, ANOMALY_FOUND, ANOMALY_NOT_EVALUATED };

struct anomaly_rule {
    const char *id;
    const char *against; /* what the tensor is held against: "itself", "baseline", "peers" */
    enum severity severity;
    unsigned needs, models_min;
    const char *option; /* its threshold's name; NULL: any at all */
    const char *what;
    /* Called for decodable tensors of the judged model only. */
    enum anomaly_outcome (*check)(const struct anomaly_context *context, size_t pair, struct anomaly_case *ret_case);
};
extern const struct anomaly_rule anomaly_rules[];
extern const size_t anomaly_rule_count;

/* The rule's threshold under these options; 0 where any at all counts. */
double anomaly_threshold(const struct anomaly_rule *rule, const struct options *options);

/* Findings of at least that severity. state is what the analysis' prepare returned. */
uint64_t anomaly_count(const void *state, enum severity least);

#endif
