/* What neither tables nor spellings know: tensors of one layer, shape and parameter whose values are far more alike
 * than any other's of that shape. Layers have the same kinds of tensors, so that one layer's samples decide for all,
 * and each is confirmed by its own. Equal tensors are left to those who pair by content, where these can. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layout_work.h"

enum { GROUPS_MAX = 192, TRIES_MAX = 8192 };
#define ALIKE_ERROR    0.2 /* √(ΣΔ² ÷ Σa²) up to which two are taken for one, where others are DISTINCT times further */
#define SINGLE_ERROR   0.05
#define NEARER         1.25 /* times as far as another: not the one */
#define DISTINCT       4
#define ELEMENTS_LEAST 4

/* The tensors of one kind: "layers.{n}.fc" with its "weight". */
struct group {
    struct name kind, own;
    uint32_t tensor; /* the first of them */
    struct captures captures;
};

struct groups {
    struct layout_side *side;
    struct group items[GROUPS_MAX];
    size_t count;
};

static bool is_left(const struct layout_side *side, uint32_t tensor)
{
    return !side->is_used[tensor] && side->model->tensors[tensor].shape.elements >= ELEMENTS_LEAST;
}

static bool is_of(const struct group *group, struct name kind, struct name own)
{
    return name_equal(group->kind, kind) && name_equal(group->own, own);
}

static int collect(struct layout_work *w, struct layout_side *side, struct groups *groups)
{
    size_t last = 0;

    groups->side = side;
    groups->count = 0;
    for (size_t i = 0; i < side->left_count && groups->count < GROUPS_MAX; i++) {
        struct group *group = &groups->items[groups->count];
        char text[PATTERN_NAME_BYTES];
        struct name kind;
        size_t g = 0;

        if (!is_left(side, side->left[i]))
            continue;
        *group = (struct group){.tensor = side->left[i]};
        kind = layout_kind(side->plain[group->tensor], text, &group->captures, &group->own);
        if (groups->count && is_of(&groups->items[last], kind, group->own))
            continue;
        while (g < groups->count && !is_of(&groups->items[g], kind, group->own))
            g++;
        last = g;
        if (g < groups->count)
            continue;
        group->kind = (struct name){arena_copy(&side->arena, kind.text, kind.bytes), kind.bytes};
        if (!group->kind.text)
            return layout_no_memory(w);
        groups->count++;
    }
    return 0;
}

/* The group's tensor of the layer, or PAIRING_NONE. */
static uint32_t of_layer(const struct layout_side *side, const struct group *group, const struct captures *captures)
{
    const struct name_records records = {side->plain, sizeof(*side->plain)};
    char text[PATTERN_NAME_BYTES], filled[PATTERN_NAME_BYTES + 16];
    struct name name;
    uint32_t found;

    if (!pattern_fill(group->kind, captures, text, &name))
        return PAIRING_NONE;
    memcpy(filled, name.text, name.bytes);
    if (group->own.bytes) {
        filled[name.bytes++] = '.';
        memcpy(filled + name.bytes, group->own.text, group->own.bytes); /* "output_max" at most */
        name.bytes += group->own.bytes;
    }
    found = name_index_find(side->index, records, (struct name){filled, name.bytes});
    return found != NAME_INDEX_NONE && is_left(side, found) ? found : PAIRING_NONE;
}

static bool is_bias(const struct group *group)
{
    return name_equal(group->own, name_of("bias"));
}

/* errors[t × sources + s]; NAN where there is nothing to hold against one another. */
static int probe_groups(struct layout_work *w, const struct groups *targets, const struct groups *sources,
                        double *errors)
{
    size_t tries = 0;

    for (size_t t = 0; t < targets->count; t++)
        for (size_t s = 0; s < sources->count; s++) {
            const struct group *target = &targets->items[t];
            const uint32_t source = of_layer(sources->side, &sources->items[s], &target->captures);
            const struct tensor *a = &targets->side->model->tensors[target->tensor], *b;
            int rc;

            errors[t * sources->count + s] = NAN;
            if (source == PAIRING_NONE || is_bias(target) != is_bias(&sources->items[s]))
                continue;
            b = &sources->side->model->tensors[source];
            if (!shape_equal(&a->shape, &b->shape) || tries++ == TRIES_MAX)
                continue;
            rc = probe_tensors(targets->side->model, a, sources->side->model, b, &errors[t * sources->count + s],
                               w->err);
            if (rc)
                return rc;
        }
    return 0;
}

bool layout_are_by_content(const struct tensor *a, const struct tensor *b)
{
    return a->dtype == b->dtype && shape_equal(&a->shape, &b->shape);
}

bool layout_are_alike(double error, double next, bool is_vector)
{
    return error <= (is_vector     ? LAYOUT_VECTOR_ERROR
                     : isinf(next) ? SINGLE_ERROR
                                   : ALIKE_ERROR) &&
           (isinf(next) || (error * DISTINCT <= next && error < next));
}

/* Whether t and s are each other's best, and no other comes near. */
static bool are_alike(const double *errors, size_t targets, size_t sources, size_t t, size_t s, bool is_vector)
{
    const double own = errors[t * sources + s];
    double next = INFINITY;

    for (size_t i = 0; i < sources; i++)
        if (i != s && errors[t * sources + i] < next)
            next = errors[t * sources + i];
    for (size_t i = 0; i < targets; i++)
        if (i != t && errors[i * sources + s] < next)
            next = errors[i * sources + s];
    return layout_are_alike(own, next, is_vector);
}

/* limit: of the error, in other layers than that which decided. */
static int join_groups(struct layout_work *w, const struct group *target, const struct group *source, double limit)
{
    struct layout_side *side = w->target;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < side->left_count; i++) {
        const uint32_t tensor = side->left[i];
        struct captures captures = {0};
        char text[PATTERN_NAME_BYTES];
        struct name own, kind = layout_kind(side->plain[tensor], text, &captures, &own);
        uint32_t opposite;
        double error;

        if (!is_left(side, tensor) || !is_of(target, kind, own))
            continue;
        opposite = of_layer(w->source, source, &captures);
        if (opposite == PAIRING_NONE ||
            !shape_equal(&side->model->tensors[tensor].shape, &w->source->model->tensors[opposite].shape))
            continue;
        rc = probe_tensors(side->model, &side->model->tensors[tensor], w->source->model,
                           &w->source->model->tensors[opposite], &error, w->err);
        if (rc == 0 && error <= limit &&
            (error > 0 || !layout_are_by_content(&side->model->tensors[tensor], &w->source->model->tensors[opposite])))
            rc = layout_join_whole(w, tensor, opposite, "none", error, "values");
    }
    return rc;
}

/* Norms of about one are alike to some tenths, whatever they are called: one library's "norm2" is another's "norm1". */
static void note_crossed(struct layout_work *w, const struct groups *targets, const struct groups *sources,
                         const double *errors)
{
    struct layout_side *target = w->target, *source = w->source;

    for (size_t t = 0; target->spelt && source->spelt && t < targets->count; t++, errors += sources->count) {
        const uint32_t tensor = targets->items[t].tensor;
        const uint32_t alike = is_left(target, tensor) ? layout_find_alike(w, tensor) : NAME_INDEX_NONE;
        double own = NAN, nearest = INFINITY;

        if (alike == NAME_INDEX_NONE || target->model->tensors[tensor].shape.rank >= 2)
            continue;
        for (size_t s = 0; s < sources->count; s++) {
            const uint32_t other = of_layer(source, &sources->items[s], &targets->items[t].captures);

            own = other == alike ? errors[s] : own;
            nearest = other != PAIRING_NONE && errors[s] < nearest ? errors[s] : nearest;
        }
        if (nearest * NEARER < own) {
            target->is_kind_crossed[target->spelt_kind[tensor]] = true;
            source->is_kind_crossed[source->spelt_kind[alike]] = true;
        }
    }
}

int layout_add_alike(struct layout_work *w)
{
    struct groups *groups = calloc(2, sizeof(*groups));
    double *errors = NULL;
    bool is_sure = w->join_count > 0; /* what vectors alone, ones and zeros mostly, do not prove */
    int rc = groups ? 0 : layout_no_memory(w);

    for (size_t side = 0; rc == 0 && side < 2; side++)
        rc = collect(w, side ? w->source : w->target, &groups[side]);
    if (rc || groups[0].count == 0 || groups[1].count == 0)
        goto out;
    errors = calloc(groups[0].count * groups[1].count, sizeof(*errors));
    rc = errors ? probe_groups(w, &groups[0], &groups[1], errors) : layout_no_memory(w);
    for (int vectors = 0; rc == 0 && vectors < 2; vectors++)
        for (size_t i = 0; rc == 0 && i < groups[0].count * groups[1].count; i++) {
            const size_t t = i / groups[1].count, s = i % groups[1].count;
            const bool is_vector = w->target->model->tensors[groups[0].items[t].tensor].shape.rank < 2;

            if (is_vector != vectors || (is_vector && !is_sure) ||
                !are_alike(errors, groups[0].count, groups[1].count, t, s, is_vector))
                continue;
            is_sure |= !is_vector;
            /* any two norms of about one are more alike than matrices ever are */
            rc = join_groups(w, &groups[0].items[t], &groups[1].items[s],
                             is_vector && DISTINCT * errors[i] < ALIKE_ERROR ? DISTINCT * errors[i] : ALIKE_ERROR);
        }
    if (rc == 0)
        note_crossed(w, &groups[0], &groups[1], errors);
out:
    free(groups);
    free(errors);
    return rc;
}
