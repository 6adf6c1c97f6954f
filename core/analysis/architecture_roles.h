/* What the tensors of a block are for, read from their names. */
#ifndef CORE_ANALYSIS_ARCHITECTURE_ROLES_H
#define CORE_ANALYSIS_ARCHITECTURE_ROLES_H

#include <stdbool.h>

#include "core/name.h"

/* What a tensor of a block is for. The first seven touch the residual stream: one of their dimensions is its width. */
enum role {
    ROLE_Q,
    ROLE_K,
    ROLE_QKV,
    ROLE_O,
    ROLE_UP,
    ROLE_DOWN,
    ROLE_EXPERT_DOWN,
    ROLE_MIXER, /* in and out of a state-space or recurrent mixer */
    ROLE_STREAM_COUNT,
    ROLE_LATENT = ROLE_STREAM_COUNT, /* keys and values compressed into one (DeepSeek) */
    ROLE_NORM,
    ROLE_Q_NORM,
    ROLE_K_NORM,
    ROLE_HEAD_COLUMNS, /* a table with a column a head: relative position biases */
    ROLE_HEAD_ITEMS,   /* one number a head: attention sinks */
    ROLE_HEAD_SIZED,   /* last dimension is the head size: relative positions of SAM, VITS */
    ROLE_COUNT,
    ROLE_NONE = ROLE_COUNT
};

/* The role of tensor name, which is rest within its block. */
enum role role_of(struct name name, struct name rest);

/* Whether the tensor exists in recurrent mixers only: a state's decay. */
bool role_is_recurrent(struct name rest);

bool name_is(struct name name, const char *text);
bool name_is_one_of(struct name name, const char *const *list); /* NULL-terminated */
bool name_holds(struct name name, const char *text);

/* The last path component; *ret_rest is what stands before it, without its dot. */
struct name name_last(struct name name, struct name *ret_rest);
bool name_has_component(struct name name, const char *const *list);

#endif
