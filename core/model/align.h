/* Pairs: which tensor of each model stands opposite which. */
#ifndef CORE_MODEL_ALIGN_H
#define CORE_MODEL_ALIGN_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/model/model.h"

#define PAIRING_NONE UINT32_MAX
#define PAIRING_VIEW (UINT32_C(1) << 31) /* of a side: it is views[side without this bit] */

enum pairing_rule {
    PAIRED_BY_NAME = 0,
    PAIRED_BY_PREFIX,
    PAIRED_BY_CONTENT,
    PAIRED_AS_COPY,   /* by content, where one of the two stands in another pair too: a layer that was doubled, or one
                         of two */
    PAIRED_BY_LAYOUT, /* by a rule of core/align: its link tells */
    PAIRED_AS_TIED,   /* an output head opposite the embedding that it is tied to, which stands in another pair too */
};
extern const char *const pairing_rule_names[]; /* "name", "prefix", "content", "copy", "layout", "tied" */

/* A tensor looked at another way, or a part of it. */
struct paired_view {
    struct tensor tensor; /* under the name of the one it is made of */
    uint32_t of;          /* index into its model's tensors */
    bool is_part;
    uint64_t part_first, part_last; /* along the dimension part_axis of that tensor */
    uint32_t part_axis;
    uint64_t slice; /* of the first dimension, where part_axis is 1 */
};

/* How sure a pair by layout is, before its values are read. */
enum link_evidence {
    LINK_UNREAD,    /* no values were read */
    LINK_CONFIRMED, /* samples agree, and with this reading best */
    LINK_AMBIGUOUS, /* samples agree with several readings alike */
    LINK_UNLIKE,    /* samples agree with none */
};
extern const char *const link_evidence_names[];

/* What made a pair of two tensors of other layout. */
struct pairing_link {
    const char *rule;           /* "names", "fused_qkv", … */
    const char *transformation; /* of the tensor in model `viewed`: "none", "rope_permute(4)", … */
    const char *others;         /* readings that samples agree with as well, or NULL */
    size_t viewed;
    enum link_evidence evidence;
    double probe_error; /* relative, over the samples; NAN where there are none */
};

struct pairing {
    size_t pairs, models;
    uint32_t *side; /* [pair × models + m]: index into models[m]->tensors, PAIRING_VIEW and one into views, or
                       PAIRING_NONE */
    uint16_t *rule; /* [pair]: enum pairing_rule */
    uint32_t *link; /* [pair]: of PAIRED_BY_LAYOUT and PAIRED_AS_TIED, index into links; NULL without any */
    const struct paired_view *views;
    const struct pairing_link *links;
    size_t view_count, link_count;
    struct arena arena; /* what views and links are, and lie in */
    uint64_t excluded;  /* pairs left out by the selection */
};

/* Which names take part. */
struct selection {
    bool (*is_selected)(void *context, struct name name);
    void *context;
};

/* Pairs tensors of equal names, in canonical (natural) order of the union of names. */
int pairing_align(const struct model *const *models, size_t model_count, struct pairing **ret_pairing,
                  struct error *err);
void pairing_free(struct pairing *pairing);

/* Leaves out the pairs whose name is not selected, and counts them. */
void pairing_select(const struct model *const *models, struct pairing *pairing, const struct selection *selection);

/* Pairs names left over by pairing_align that are equal without known prefixes ("model.", "module.", "_orig_mod.", any
 * of them, nested too), or without a first component besides that one side's names have in common ("bert.", and "net."
 * of "state_dict.net._forward_module."). Names that become equal to one another are left alone. */
int pairing_add_prefixed(const struct model *const *models, struct pairing *pairing, struct error *err);

/* Model m's tensor of the pair, or NULL. */
const struct tensor *pairing_tensor(const struct pairing *pairing, const struct model *const *models, size_t pair,
                                    size_t m);

/* The tensor that a side of model m stands for; side is none of PAIRING_NONE. */
const struct tensor *pairing_side(const struct pairing *pairing, const struct model *const *models, size_t m,
                                  uint32_t side);

/* The view that model m's side of the pair is, or NULL; the link of the pair, or NULL. */
const struct paired_view *pairing_view(const struct pairing *pairing, size_t pair, size_t m);
const struct pairing_link *pairing_link(const struct pairing *pairing, size_t pair);

/* The pair's name: that of the first model that has it. */
struct name pairing_name(const struct pairing *pairing, const struct model *const *models, size_t pair);

#endif
