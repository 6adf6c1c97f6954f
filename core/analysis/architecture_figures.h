/* What a model is, measured from names and shapes and read from its config, side by side. */
#ifndef CORE_ANALYSIS_ARCHITECTURE_FIGURES_H
#define CORE_ANALYSIS_ARCHITECTURE_FIGURES_H

#include "core/analysis/architecture_stacks.h"
#include "core/model/config.h"
#include "core/model/model.h"

enum figure {
    FIGURE_DEPTH,             /* blocks of the main stack */
    FIGURE_STAGES,            /* of a network that works in stages of different width */
    FIGURE_HIDDEN_SIZE,       /* width of the residual stream */
    FIGURE_HEADS,             /* query heads */
    FIGURE_KV_HEADS,          /* key and value heads */
    FIGURE_HEADS_PER_KV_HEAD, /* their ratio, which shapes tell where the head size is unknown */
    FIGURE_HEAD_SIZE,         /* of the attention's output: of the values, where keys are of another size */
    FIGURE_FFN_SIZE,          /* inner width of the feed-forward part; of one expert where all are experts */
    FIGURE_VOCABULARY,        /* rows of the token embedding */
    FIGURE_EXPERTS,           /* routed experts of a layer */
    FIGURE_COUNT
};
extern const char *const figure_names[FIGURE_COUNT];

struct figure_value {
    bool has_shapes, has_config;
    uint64_t shapes, config;
    const char *reason; /* why neither is known */
    bool is_derived;    /* shapes divided by a number of the config's: no measurement of its own */
    bool is_conflict;   /* both are known and differ, or no shape fits the config */
};

enum tying { TIED_UNKNOWN, TIED_NOT, TIED };

struct architecture {
    struct name family;        /* .text NULL: unknown */
    const char *family_source; /* "config" or "names" */
    struct name stack;         /* the main one; .text NULL: none */
    struct figure_value figures[FIGURE_COUNT];
    enum tying tying;
    const char *tying_source, *tying_reason;
};

/* config may be NULL. Names in the result are borrowed from model and config. */
void architecture_measure(const struct model *model, const struct block_ranges *ranges, const struct config *config,
                          struct architecture *ret);

/* Sets family and family_source. */
void architecture_tell_family(const struct model *model, const struct config *config, struct architecture *a);

#endif
