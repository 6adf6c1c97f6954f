/* Inside core/align: a pairing by layouts under way. */
#ifndef CORE_ALIGN_LAYOUT_WORK_H
#define CORE_ALIGN_LAYOUT_WORK_H

#include "core/align/layouts.h"
#include "core/align/pattern.h"
#include "core/align/spelling.h"
#include "core/model/name_index.h"

enum { READINGS_MAX = 16, MEMBERS_MAX = 4096, SCRATCH_BYTES_MAX = 1 << 28, SAMPLES = 64 };
#define LAYOUT_VECTOR_ERROR 0.05  /* up to which two vectors are taken for one; of two norms it is some tenths */
#define LAYOUT_CAST_ERROR   0.005 /* up to which a vector without a rival is taken for another: BF16 leaves less */
#define KIND_RULES_KNOWN    (UINT64_C(1) << 63)

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
    struct name *spelt;      /* [tensor] in one spelling for all libraries; this and what follows NULL until spelt */
    uint32_t *spelt_kind;    /* [tensor] its kind */
    bool *is_kind_confirmed; /* [kind]: values agreed where names are only spelt alike */
    bool *is_kind_crossed;   /* [kind]: of its vectors, another lies nearer than the one that is spelt alike */
    uint64_t *kind_rules;    /* [kind]: the layout_spelt_rules that it is a target of; 0: not yet known */
    bool *is_spelt_twice;    /* [tensor] and another one of that spelling is there */
    struct name_index *spelt_index;
    struct arena arena; /* of kinds and spellings */
};

/* A row of the tables of names, and which of its aliases some tensor of the source has, whatever the layer. */
struct layout_row {
    const struct layout_name *row;
    const struct layout_side *looked_at[2]; /* [is_spelt]: the source that the bits below are of */
    struct aliases {
        uint64_t whole, of_expert; /* bit i: alias i */
    } some[2];
};

/* A reading of a source. */
struct reading {
    uint32_t source;
    struct name transformation;
    char text[TRANSFORMATION_BYTES];
    uint64_t fingerprint; /* of the arrangement */
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
    bool is_spelt;   /* names are looked for by their spelling */
    bool is_strict;  /* vectors must be more than spelt alike */
    uint64_t likely; /* bit i: layout_readings[i] lists the architecture at hand */
    struct layout_facts *facts;
    struct layout_side sides[2];
    struct layout_side *target, *source; /* of the direction at hand */
    struct symbols symbols;
    struct spelling *spelling; /* NULL until layout_spell */
    struct name_index *names;  /* of `rows`, by target */
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

/* Takes a parameter's own name off: "weight", "bias", a bound, or nothing. */
struct name layout_own(struct name *name);

/* A name in two: the layer's number as {n}, and the parameter's own name. */
struct name layout_kind(struct name name, char out[PATTERN_NAME_BYTES], struct captures *captures,
                        struct name *ret_own);

/* Remembers the kind of a tensor of that name. */
int layout_add_kind(struct layout_side *side, struct name plain, uint32_t *ret_kind);

/* Spells what is left of a side, once. */
int layout_spell(struct layout_work *w, struct layout_side *side);

/* The side's only tensor of that spelling, or NAME_INDEX_NONE. */
uint32_t layout_find_spelt(const struct layout_side *side, struct name spelt);

/* The source that has the target's name but for prefixes that say nothing, or alone its spelling, as the target has; or
 * NAME_INDEX_NONE. */
uint32_t layout_find_alike(const struct layout_work *w, uint32_t target);

/* The sources that the tables give for a GGUF file's name, of one expert where expert has text; those that a rule
 * gives. At most READINGS_MAX. */
void layout_find_named(struct layout_work *w, struct name name, struct name expert, uint32_t *sources, size_t *count);
void layout_find_by_rule(struct layout_work *w, const struct layout_rule *rule, const struct captures *captures,
                         uint32_t *sources, size_t *count);

/* Finds sources for the target's tensor and joins them. */
int layout_join_target(struct layout_work *w, uint32_t target);

/* Joins the members to the target; one source, so transformed, to the target. */
int layout_add_members(struct layout_work *w, uint32_t target);
int layout_join_whole(struct layout_work *w, uint32_t target, uint32_t source, const char *transformation, double error,
                      const char *rule);

/* Joins what is left and alike by values: of one layer; then of one shape, whatever the layer; then what lies row
 * behind row in one of the target. */
int layout_add_alike(struct layout_work *w);
int layout_add_nearest(struct layout_work *w);
int layout_add_fused(struct layout_work *w);

/* A few values of a stretch of a side's tensor, and √(ΣΔ² ÷ Σa²) between two, or more than 1; INFINITY where there
 * are none, or zeros. */
struct sample {
    float values[SAMPLES];
    double squares;
};
int layout_sample(struct layout_work *w, const struct layout_side *side, uint32_t tensor, uint64_t first,
                  uint64_t elements, struct sample *ret);
double layout_sample_error(const struct sample *a, const struct sample *b);

/* Whether two tensors would be paired by their content, if that is equal: bytes of one type and shape. */
bool layout_are_by_content(const struct tensor *a, const struct tensor *b);

/* Whether two tensors are the same one: error is what lies between them, next between them and the nearest other. */
bool layout_are_alike(double error, double next, bool is_vector);

/* Takes pairs by name for transposed where their values say so. */
int layout_add_transposed(struct layout_work *w);

/* Whether a pair's matrices of models 0 and m have reversed shapes, square ones or others. */
bool layout_is_reversed(const struct pairing *pairing, const struct model *const *models, size_t pair, size_t m,
                        bool is_square);

/* Output heads that are their embedding. */
int layout_add_tied(struct layout_work *w);

/* Writes the pairing anew from what was joined. */
int layout_rewrite(struct layout_work *w);

/* layouts_align of two models; of more. */
int layout_align_two(const struct model *const *models, struct pairing *pairing, const struct layout_rules *extra,
                     bool is_probed, struct error *err);
int layout_align_models(const struct model *const *models, struct pairing *pairing, const struct layout_rules *extra,
                        bool is_probed, struct error *err);

int layout_no_memory(struct layout_work *w);

#endif
