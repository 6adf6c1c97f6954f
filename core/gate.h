/* A gate: rules over the figures of a comparison, and which of them it breaks. Rules read what the document would say
 * of every pair, before any listing filter. */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/options.h"
#include "core/writer.h"

struct comparison;

enum gate_scope { GATE_MODEL, GATE_LAYER, GATE_TENSOR, GATE_SCOPE_COUNT };
enum gate_bound { GATE_MAX, GATE_MIN, GATE_EQUALS, GATE_BOUND_COUNT };
extern const char *const gate_scope_names[GATE_SCOPE_COUNT + 1]; /* "model", …; NULL-terminated */
extern const char *const gate_bound_names[GATE_BOUND_COUNT + 1]; /* "max", "min", "equals" */
enum { GATE_SEVERITY_ERROR = 2 };
extern const char *const gate_severity_names[]; /* "info" < "warning" < "error" < "critical" */

/* One bound on one figure. metric is a path of members with dots. In scope model it lies in summary or, from an
 * analysis's name on, in analyses ("relative_l2", "tensors.added", "quantization_analysis.precision_loss"); in scope
 * layer in the rows that name a layer ("share" is layer_impact's); in scope tensor in a tensor's record, delta's
 * members without their prefix ("relative_l2", "candidate.std"). A path through a list means each of its entries. */
struct gate_rule {
    char *metric;
    enum gate_scope scope;
    char *include; /* pattern on tensor or layer names, or NULL */
    enum gate_bound bound;
    double number;     /* the limit, when label is NULL */
    char *label;       /* or an ordered label ("minimal"), text or "true"/"false" */
    unsigned severity; /* index into gate_severity_names */
    bool allow_null;
};

struct gate {
    struct gate_rule *rules;
    size_t count;
};

enum { GATE_RULES_MAX = 256, GATE_VIOLATIONS_MAX = 10000 };

/* Appends a rule; takes nothing, copies all. ERROR_REQUEST names what is wrong with it. */
int gate_add(struct gate *gate, const struct gate_rule *rule, struct error *err);
void gate_done(struct gate *gate);

/* The member gate of a request: the rules as they were understood. */
void gate_write(const struct gate *gate, struct writer *w);

struct gate_violation {
    const struct gate_rule *rule; /* NULL: the rule that holds unless another allows it: no new non-finite elements */
    char *name;                   /* of the tensor or layer; NULL in scope model */
    char *figure;                 /* as text, or NULL: there is none */
    bool is_number;               /* the figure reads as one */
    const char *reason;           /* static: why it is a violation, when the figure is not beyond the limit */
};

struct gate_result {
    bool passed;
    struct gate_violation *violations; /* the first GATE_VIOLATIONS_MAX, in document order, rule by rule */
    size_t violation_count;
    uint64_t violations_all;
};

/* The analyses that the rules' metrics name, as a request's bits: a rule asks for its own figure. */
uint32_t gate_analyses(const struct gate *gate);

/* Holds the comparison against the gate. Beside the rules one more holds: a pair that gained or changed non-finite
 * elements, or an added tensor (of one model: any tensor) that has some, violates every gate whose rules name no metric
 * nonfinite_changed. */
int gate_run(const struct gate *gate, const struct comparison *comparison, struct gate_result **ret_result,
             struct error *err);
void gate_result_free(struct gate_result *result);

/* The member gate: {passed, violations[]}. */
void gate_result_write(const struct gate_result *result, struct writer *w);

/* The limit as text, for reports: "max 0.1", "equals identical". */
void gate_limit_text(const struct gate_rule *rule, char *out, size_t size);

#endif
