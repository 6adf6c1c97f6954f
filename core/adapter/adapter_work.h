/* Inside core/adapter. */
#ifndef CORE_ADAPTER_ADAPTER_WORK_H
#define CORE_ADAPTER_ADAPTER_WORK_H

#include "core/adapter/adapter.h"
#include "core/adapter/lora.h"
#include "core/align/spelling.h"
#include "core/align/transformation.h"
#include "core/arena.h"
#include "core/model/config.h"
#include "core/model/name_index.h"
#include "core/patterns.h"

enum {
    ADAPTER_NAME_BYTES = 1024,
    ADAPTER_KEY_BYTES = 128,
    ADAPTER_LEAVES_MAX = 32,
    ADAPTER_LAYERS_MAX = 16,
    RIGHT_ELEMENTS_MAX = 1 << 28
};

struct adapter_config {
    struct config *json;
    struct adapter_expression { /* a key of an alpha_pattern that is no plain name */
        char path[ADAPTER_KEY_BYTES];
        struct name key;
        double alpha;
    } expressions[PATTERNS_MAX];
    size_t expression_count;
    struct pattern_set *set; /* of these; NULL where none is */
    bool is_timed;
};

/* Which way weights of modules lie whose last name is this, as their biases tell. */
struct adapter_leaf {
    struct name name;
    bool has_turned, has_straight; /* inputs first, or outputs */
};

/* Where a pair of factors, or a tensor stored whole, of the other kind of file goes. */
struct placement {
    struct tensor *tensor; /* of fresh; NULL: nowhere */
    const uint32_t *rows;  /* as of struct lora */
    bool is_twice;         /* it would go to another one too */
};

struct applying {
    struct model *base;
    const struct model *adapter;
    struct adapter_config *config;  /* NULL of a GGUF file, which has alpha alone, and of files that have neither */
    double alpha;                   /* NAN: none */
    const struct tensor *own_alpha; /* of the pair at hand; NULL: none */
    bool is_alpha_missing;          /* of some pair, which is taken once then */
    struct tensor *embedding;       /* the base's only one, which is its output head where it has no other; or NULL */
    struct adapter_leaf leaves[ADAPTER_LEAVES_MAX];
    size_t leaf_count;
    struct name *flat; /* of base's tensors, as kohya writes them; NULL until one is looked for */
    struct name_index *flat_index;
    bool *is_flat_twice;
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
    struct symbols *symbols; /* of base's config; NULL until one is asked for */
    bool *is_applied;        /* [adapter's tensor] */
    struct placement
        *placements; /* [adapter's tensor, of a pair the first]; NULL: names are those of base's kind of file */
    bool *is_whole;  /* [fresh]: the adapter stores it whole */
    size_t applied;
    struct error *err;
};

int adapter_no_memory(struct applying *x);

/* The base's tensor of that name, however many silent prefixes it has, or of that spelling; of that spelling alone. */
struct tensor *adapter_find(const struct applying *x, struct name name);
struct tensor *adapter_find_spelt(const struct applying *x, struct name spelt);

/* The base's tensor of a module's parameter, ".weight" or ".bias", however many parts of a pipeline stand before it. */
struct tensor *adapter_find_text(const struct applying *x, struct name module, const char *suffix);

/* Finds the embedding that is the output head too, unless the base's config says that its head is none. */
void adapter_learn_embedding(struct applying *x);

/* That embedding, where module is a head that the base does not have; NULL otherwise. */
struct tensor *adapter_find_tied(const struct applying *x, struct name module);

/* The base's tensor of a module whose dots are underscores. ERROR_NO_MEMORY. */
int adapter_find_flat(struct applying *x, struct name module, struct tensor **ret_tensor);

/* The adapter's tensor of that name; NULL: none. */
const struct tensor *adapter_part(const struct applying *x, struct name stem, const char *suffix);

/* A name without what peft and diffusers put around it: "base_model.model.", "modules_to_save.", "processor.", the
 * adapter's own name; empty where it is too long. */
struct name adapter_module(struct name name, char out[ADAPTER_NAME_BYTES]);
bool adapter_name_ends(struct name name, const char *suffix, struct name *ret_stem);

/* ERROR_FORMAT where an adapter of that configuration is no sum of a base and a product. */
int adapter_config_check(const struct adapter_config *config, struct error *err);

/* A flag of the configuration, as it stands for a module. */
bool adapter_config_is(const struct adapter_config *config, const char *key, struct name module);

/* Whether the configuration stores a module of that name whole. */
bool adapter_config_saves(const struct adapter_config *config, struct name name);

/* Where the configuration lists the tokens of an embedding of which rows are stored: their number, and one of them. */
size_t adapter_config_tokens(const struct adapter_config *config, struct name module,
                             char ret_path[ADAPTER_NAME_BYTES]);
bool adapter_config_token(const struct adapter_config *config, const char *path, size_t at, uint64_t *ret_row);

/* Whether another change may lie on the tensor: names that mean the same module are without end. */
bool adapter_has_room(const struct tensor *tensor);

/* Gives a tensor a decoder; stored_as is its type's name and what was done. */
int adapter_store(struct applying *x, struct tensor *tensor, const struct decoder *decoder, const void *parameters,
                  const char *what);

/* Puts the change on a tensor, which yields F32 from now on, at the scale of a module of that rank; marks the adapter's
 * tensors that it was made of (NULL: fewer than three) as used. */
int adapter_put_scaled(struct applying *x, struct name module, uint64_t rank, struct tensor *tensor, struct lora *lora,
                       const struct tensor *const parts[3]);
void adapter_mark(struct applying *x, const struct tensor *part);

bool adapter_is_float(const struct tensor *tensor);

/* The steps, each for one tensor of the adapter; those that are none of a step's are left alone. What is whole comes
 * first, since changes lie on it. */
int adapter_apply_whole(struct applying *x, const struct tensor *part);
int adapter_apply_factors(struct applying *x, const struct tensor *part);
int adapter_apply_rows(struct applying *x, const struct tensor *part);

/* Whether the name is one of a pair's first factor. */
bool adapter_is_factor(struct name name);

/* The second factor of a pair whose first is a, the name that both begin with, and what stands behind their module's;
 * false where a is none. */
bool adapter_factors(const struct applying *x, const struct tensor *a, const struct tensor **ret_b,
                     struct name *ret_stem, const char **ret_suffix);

/* Whether the adapter has the names of the other kind of file, GGUF or not; finds where its factors go then. */
bool adapter_is_across(const struct applying *x);
int adapter_place_across(struct applying *x);
struct tensor *adapter_placed(const struct applying *x, const struct tensor *part);

/* Which way weights lie, for those whose shapes do not tell. */
void adapter_learn_leaves(struct applying *x);

/* B·A on a whole tensor; is_transposed: the tensor holds columns where the module has rows; rows as of struct lora. */
int adapter_apply_pair(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *a,
                       const struct tensor *b, const struct tensor *magnitude, bool is_transposed,
                       const uint32_t *rows);

/* The rows of a module's weight as the base's tensor has them, as of struct lora; NULL: in the module's own order.
 * ERROR_FORMAT where they follow from a number of heads that nothing tells. */
int adapter_rotary_rows(struct applying *x, struct name module, const struct tensor *tensor, const uint32_t **ret_rows);

/* B·A on a parameter that adapter_config.json names, stacked or one by one. */
int adapter_apply_parameter(struct applying *x, struct name module, const struct tensor *a, const struct tensor *b);

#endif
