/* Inside core/align: a pairing by layouts under way. */
#ifndef CORE_ALIGN_LAYOUT_WORK_H
#define CORE_ALIGN_LAYOUT_WORK_H

#include "core/align/layouts.h"
#include "core/align/pattern.h"
#include "core/model/name_index.h"

enum { READINGS_MAX = 16, MEMBERS_MAX = 4096, SCRATCH_BYTES_MAX = 1 << 28 };

/* One of the two models. */
struct layout_side {
    const struct model *model;
    size_t m;
    bool is_gguf;
    uint32_t *left; /* its tensors without a pair, in canonical order */
    size_t left_count;
    uint32_t *pair_of;  /* [tensor] its one-sided pair, or PAIRING_NONE */
    bool *is_used;      /* [tensor] whole, or some of it */
    struct name *plain; /* [tensor] names without prefixes that say nothing */
    struct name_index *index;
    struct name *kinds; /* those names without layer and parameter: "layers.{n}.mlp.up_proj" */
    size_t kind_count;
    struct name_index *kind_index;
    struct arena arena; /* of kinds */
};

/* A row of the tables of names, and which of its aliases some tensor of the source has, whatever the layer. */
struct layout_row {
    const struct layout_name *row;
    const struct layout_side *looked_at; /* the source that the bits below are of */
    uint64_t whole, of_expert;           /* bit i: alias i */
};

/* A reading of a source. */
struct reading {
    uint32_t source;
    struct name transformation;
    char text[TRANSFORMATION_BYTES];
    double error;
    uint64_t rows;
};

/* A stretch of the target and a source for it. */
struct layout_member {
    uint32_t source;
    bool is_slice, is_next;
    uint64_t slice, first, last; /* rows of the target, or of its slice */
    struct pairing_link link;
    struct name transformation; /* as the rule has it, for the reading that was chosen */
};

struct layout_join {
    uint32_t side[2]; /* [model] as in the pairing */
    uint16_t rule;
    struct pairing_link link;
};

/* A use of a source, for what remains of it. */
struct layout_use {
    uint32_t tensor;
    uint8_t model;
    bool is_rows;
    uint64_t first, last, elements;
};

struct layout_work {
    const struct model *const *models;
    struct pairing *pairing;
    const struct layout_rules *extra;
    bool is_probed;
    uint64_t likely; /* bit i: layout_readings[i] lists the architecture at hand */
    struct layout_facts *facts;
    struct layout_side sides[2];
    struct layout_side *target, *source; /* of the direction at hand */
    struct symbols symbols;
    struct name_index *names; /* of `rows`, by target */
    struct name *row_targets;
    struct layout_row *rows;
    size_t row_count;
    struct layout_join *joins;
    struct layout_use *uses;
    struct paired_view *views;
    size_t join_count, join_room, use_count, use_room, view_count, view_room;
    struct arena scratch; /* of one target */
    struct layout_member *members;
    size_t member_count;
    struct reading readings[READINGS_MAX];
    struct arrangement arrangement; /* 14 KB: not for the stack */
    struct error *err;
};

/* A name in two: the layer's number as {n}, and the parameter's own name ("weight", "bias" or nothing). */
struct name layout_kind(struct name name, char out[PATTERN_NAME_BYTES], struct captures *captures,
                        struct name *ret_own);

/* Finds sources for the target's tensor and joins them. */
int layout_join_target(struct layout_work *w, uint32_t target);

/* Joins the members to the target. */
int layout_add_members(struct layout_work *w, uint32_t target);

/* Output heads that are their embedding. */
int layout_add_tied(struct layout_work *w);

/* Writes the pairing anew from what was joined. */
int layout_rewrite(struct layout_work *w);

int layout_no_memory(struct layout_work *w);

#endif
