/* Pairs: which tensor of each model stands opposite which. */
#ifndef CORE_MODEL_ALIGN_H
#define CORE_MODEL_ALIGN_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/model/model.h"

#define PAIRING_NONE UINT32_MAX

enum pairing_rule {
    PAIRED_BY_NAME = 0,
    PAIRED_BY_PREFIX,
    PAIRED_BY_CONTENT,
    PAIRED_AS_COPY, /* by content, where one of the two stands in another pair too: a layer that was doubled, or one of
                       two */
};
extern const char *const pairing_rule_names[]; /* "name", "prefix", "content", "copy" */

struct pairing {
    size_t pairs, models;
    uint32_t *side;    /* [pair × models + m]: index into models[m]->tensors, or PAIRING_NONE */
    uint16_t *rule;    /* [pair]: enum pairing_rule */
    uint64_t excluded; /* names of the union left out by the selection */
};

/* Which names take part; NULL selects all. */
struct selection {
    bool (*is_selected)(void *context, struct name name);
    void *context;
};

/* Pairs tensors of equal names, in canonical (natural) order of the union of names. */
int pairing_align(const struct model *const *models, size_t model_count, const struct selection *selection,
                  struct pairing **ret_pairing, struct error *err);
void pairing_free(struct pairing *pairing);

/* Pairs names left over by pairing_align that are equal without known prefixes ("model.", "module.", "_orig_mod.", any
 * of them, nested too), or without a first component that one side's names have in common ("bert."). Names that become
 * equal to one another are left alone. */
int pairing_add_prefixed(const struct model *const *models, struct pairing *pairing, struct error *err);

/* Model m's tensor of the pair, or NULL. */
const struct tensor *pairing_tensor(const struct pairing *pairing, const struct model *const *models, size_t pair,
                                    size_t m);

/* The pair's name: that of the first model that has it. */
struct name pairing_name(const struct pairing *pairing, const struct model *const *models, size_t pair);

#endif
