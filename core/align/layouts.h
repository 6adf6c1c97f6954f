/* Pairs between models of unlike layouts: a checkpoint and what a converter made of it, fused and split projections,
 * stacked and separate experts. What becomes of what is data, in the tables below; which of several readings holds is
 * decided by values, a few samples of each. */
#ifndef CORE_ALIGN_LAYOUTS_H
#define CORE_ALIGN_LAYOUTS_H

#include "core/align/transformation.h"
#include "core/model/align.h"
#include "core/writer.h"

/* A name of one layout, and those that another has for it, separated by "|". {n} is a number. */
struct layout_name {
    const char *target, *sources;
};
extern const struct layout_name layout_names[], layout_tower_names[];
extern const size_t layout_name_count, layout_tower_name_count;

/* target[part] = transformation(source). In patterns, {n} is a layer's number, {e} an expert's, {p} any beginning and
 * {s} the parameter's own name (".weight", ".bias", or nothing); a source "@name" is what the tables of names give for
 * that name. Readings of a transformation are separated by "||", the likeliest first.
 * Parts: "all"; "next", the rows behind those of the rule before (rules that follow one another with the same target
 * belong together: all of their sources must be there); "[e]", slice e of the first dimension; "[e] next", both. */
struct layout_rule {
    const char *name; /* as the result calls it */
    const char
        *architectures; /* "llama|mistral", of the GGUF file; NULL: any. Decides about order, not about validity */
    const char *target, *source, *part, *transformation;
};
extern const struct layout_rule layout_rules[], layout_spelt_rules[];
extern const size_t layout_rule_count, layout_spelt_rule_count;

/* Whether the tables have, letter for letter, that name of a checkpoint for that name of a GGUF file. */
bool layout_is_named(struct name target, struct name source);

/* How values may have changed on their way under a known name: readings beside "none", likelier than that where the
 * architecture is listed. */
struct layout_reading {
    const char *architectures; /* NULL: none is known to do so */
    const char *target;        /* a pattern */
    const char *transformation;
    bool is_last; /* of other architectures only where no other reading's shape fits */
};
extern const struct layout_reading layout_readings[];
extern const size_t layout_reading_count;

/* Why a tensor has nothing opposite, by its name and by what the other model is. */
enum layout_absent_from { ABSENT_ANYWHERE, ABSENT_FROM_FILE, ABSENT_FROM_TOWER }; /* of GGUF files */
struct layout_absence {
    enum layout_absent_from from;
    const char *pattern, *reason;
};
extern const struct layout_absence layout_absences[];
extern const size_t layout_absence_count;

/* Rules beyond those of the tables, which come first. */
struct layout_rules {
    struct layout_rule *items;
    size_t count;
    struct arena arena; /* what their texts lie in */
};
/* Reads {"rules": [{"name", "target", "source", "part", "transformation"}, …]}; part and transformation may be
 * missing. ERROR_REQUEST with what is wrong. layout_rules_done is due in any case. */
int layout_rules_read(const char *text, size_t bytes, struct layout_rules *ret_rules, struct error *err);
void layout_rules_done(struct layout_rules *rules);
/* The member rules. */
void layout_rules_write(const struct layout_rules *rules, struct writer *w);

/* Pairs what is left over in a pairing, of each model with the first. Without is_probed nothing is read: the likeliest
 * reading is taken. extra may be NULL. */
int layouts_align(const struct model *const *models, struct pairing *pairing, const struct layout_rules *extra,
                  bool is_probed, struct error *err);

/* How well one tensor's values are another's: √(ΣΔ² ÷ Σa²) over some samples, NAN where there is nothing to go by. */
int probe_tensors(const struct model *model_a, const struct tensor *a, const struct model *model_b,
                  const struct tensor *b, double *ret_error, struct error *err);
bool probe_is_readable(const struct tensor *tensor);

/* What is known of the models' shapes for transformations: "heads", "kv_heads", …; layer: of lists, a value a layer. */
struct layout_facts;
int layout_facts_new(const struct model *const *models, struct layout_facts **ret_facts, struct error *err);
void layout_facts_free(struct layout_facts *facts);
void layout_facts_symbols(const struct layout_facts *facts, uint64_t layer, struct symbols *ret_symbols);
bool layout_facts_vary(const struct layout_facts *facts);                /* by layer */
struct name layout_facts_architecture(const struct layout_facts *facts); /* empty when unknown */

/* Whether the name is one of those in a list separated by "|". */
bool layout_is_listed(const char *list, struct name name);

#endif
