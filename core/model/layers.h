/* Which layer and module a tensor belongs to, read from its name. */
#ifndef CORE_MODEL_LAYERS_H
#define CORE_MODEL_LAYERS_H

#include <stdint.h>

#include "core/name.h"

/* The name up to and including its first numeric path component ("model.layers.12", "blk.3"), else the name without
 * its last component; "" for a name of one component. Borrowed from name. */
struct name layer_of(struct name name);

/* Something whose name lies in a layer: qsort by layered_compare brings layers together, in natural order, and keeps
 * the order of indices within each. */
struct layered {
    struct name layer;
    uint32_t index;
};
int layered_compare(const void *left, const void *right);

/* The rest after the layer, without the parameter's own name: "self_attn.q_proj" of
 * "model.layers.0.self_attn.q_proj.weight"; "" when nothing is left. */
struct name module_of(struct name name);

/* embedding, attention_q, attention_k, attention_v, attention_qkv, attention_output, mlp_gate, mlp_up, mlp_down, norm,
 * convolution, head, router, expert, bias, other: by the published table of name patterns. Static string. */
const char *module_type_of(struct name name);

/* The index of a module type in the table's order, and the reverse. */
enum { MODULE_TYPE_COUNT = 16 };
unsigned module_type_index(struct name name);
const char *module_type_name(unsigned index);

/* What was told of the latest names: those of a model's layers differ in a number. Zeroed at first; keeps the names. */
enum { MODULE_MEMO_SLOTS = 1024 };
struct module_memo {
    struct module_known {
        struct name name;
        unsigned type;
    } known[MODULE_MEMO_SLOTS];
};
unsigned module_memo_index(struct module_memo *memo, struct name name);

#endif
