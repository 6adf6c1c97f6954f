/* Inside core/model/config*.c: the flat array of values, and how it is read. */
#ifndef CORE_MODEL_CONFIG_VALUES_H
#define CORE_MODEL_CONFIG_VALUES_H

#include "core/model/config.h"

enum kind { KIND_NULL, KIND_FLAG, KIND_NUMBER, KIND_TEXT, KIND_ARRAY, KIND_OBJECT };

struct value {
    struct name key;  /* of a member; .text NULL otherwise */
    struct name text; /* of a string, or a number's and a literal's own spelling */
    enum kind kind;
    uint32_t first, count; /* of a container: its run of children */
    uint32_t next;         /* the sibling read after it; while parsing only */
    uint32_t size;         /* values below it and itself */
    uint32_t height;       /* levels of containers: 0 for a scalar */
};

struct config {
    char *text;
    struct value *values; /* [0] is the root */
    uint32_t *children;
    size_t value_count, value_room, child_count;
};

static inline const struct value *config_child(const struct config *config, const struct value *value, uint32_t i)
{
    return &config->values[config->children[value->first + i]];
}

/* A whole number without sign; false of anything else. */
bool config_read_u64(struct name text, uint64_t *ret_value);

/* The number's value, or what is not finite when it is beyond a double. */
double config_read_f64(struct name number);

#endif
