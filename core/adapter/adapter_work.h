/* Inside core/adapter. */
#ifndef CORE_ADAPTER_ADAPTER_WORK_H
#define CORE_ADAPTER_ADAPTER_WORK_H

#include "core/adapter/adapter.h"
#include "core/adapter/lora.h"
#include "core/align/spelling.h"
#include "core/arena.h"
#include "core/model/config.h"
#include "core/model/name_index.h"

enum { ADAPTER_NAME_BYTES = 1024, RIGHT_ELEMENTS_MAX = 1 << 28 };

struct adapter_config {
    struct config *json;
    bool is_rslora, is_dora, is_fan_in_fan_out;
};

struct applying {
    struct model *base;
    const struct model *adapter;
    struct adapter_config *config; /* NULL of a GGUF file, which has alpha alone */
    double alpha;
    struct arena arena;
    struct tensor *fresh; /* base's tensors as they become, then those that are added */
    size_t fresh_count;
    struct tensor *parts; /* adapter's, their files counted behind base's */
    struct name *plain;   /* of fresh */
    struct name_index *index;
    struct spelling *spelling;
    struct name *spelt; /* of base's tensors, as other versions of its library may call them */
    struct name_index *spelt_index;
    bool *is_spelt_twice;
    bool *is_applied; /* [adapter's tensor] */
    size_t applied;
    struct error *err;
};

int adapter_no_memory(struct applying *x);

/* The base's tensor of that name, however many silent prefixes it has, or of that spelling; of that spelling alone. */
struct tensor *adapter_find(const struct applying *x, struct name name);
struct tensor *adapter_find_spelt(const struct applying *x, struct name spelt);

/* Puts the change on a tensor, which yields F32 from now on, at the scale of a module of that rank; marks the adapter's
 * tensors that it was made of (NULL: fewer than three) as used. */
int adapter_put_scaled(struct applying *x, struct name module, uint64_t rank, struct tensor *tensor, struct lora *lora,
                       const struct tensor *const parts[3]);
void adapter_mark(struct applying *x, const struct tensor *part);

bool adapter_is_float(const struct tensor *tensor);

/* B·A on a whole tensor; is_transposed: the tensor holds columns where the module has rows. */
int adapter_apply_pair(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *a,
                       const struct tensor *b, const struct tensor *magnitude, bool is_transposed);

/* B·A on a parameter that adapter_config.json names, stacked or one by one. */
int adapter_apply_parameter(struct applying *x, struct name module, const struct tensor *a, const struct tensor *b);

#endif
