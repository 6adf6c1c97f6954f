/* What is left over in a pairing goes through the tables: for every tensor of the target, the sources that its name
 * promises, in every reading whose shape fits. Where more than one does, samples decide. Names are found by hash. */
#include "core/align/layouts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layout_work.h"
#include "core/format/format.h"

int layout_no_memory(struct layout_work *w)
{
    return error_set(w->err, ERROR_NO_MEMORY, "no memory to pair tensors of other layouts");
}

/* Layers have the same tensors: what is in one of them is remembered once. */
int layout_add_kind(struct layout_side *side, struct name plain, uint32_t *ret_kind)
{
    const struct name_records records = {side->kinds, sizeof(*side->kinds)};
    struct captures captures = {0};
    char text[PATTERN_NAME_BYTES];
    struct name own, kind = layout_kind(plain, text, &captures, &own);

    *ret_kind = name_index_find(side->kind_index, records, kind);
    if (*ret_kind != NAME_INDEX_NONE)
        return 0;
    kind.text = arena_copy(&side->arena, kind.text, kind.bytes);
    if (!kind.text)
        return ERROR_NO_MEMORY;
    side->kinds[side->kind_count] = kind;
    *ret_kind = (uint32_t)side->kind_count++;
    name_index_add(side->kind_index, records, *ret_kind);
    return 0;
}

static int side_init(struct layout_work *w, struct layout_side *side, size_t m)
{
    const struct pairing *pairing = w->pairing;
    const size_t count = w->models[m]->tensor_count;

    *side = (struct layout_side){.model = w->models[m], .m = m};
    side->is_gguf = strcmp(side->model->format->name, "gguf") == 0;
    side->left = calloc(count + 1, sizeof(*side->left));
    side->pair_of = calloc(count + 1, sizeof(*side->pair_of));
    side->is_used = calloc(count + 1, sizeof(*side->is_used));
    side->plain = calloc(count + 1, sizeof(*side->plain));
    side->index = name_index_new(count + 1);
    side->kinds = calloc(2 * count + 1, sizeof(*side->kinds)); /* plain, and spelt */
    side->kind_index = name_index_new(2 * count + 1);
    side->arena.limit = SCRATCH_BYTES_MAX;
    if (!side->kinds || !side->kind_index || !side->left || !side->pair_of || !side->is_used || !side->plain ||
        !side->index)
        return layout_no_memory(w);
    memset(side->pair_of, 0xff, (count + 1) * sizeof(*side->pair_of));
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        const uint32_t tensor = pairing->side[pair * 2 + m];
        const struct name_records records = {side->plain, sizeof(*side->plain)};
        uint32_t kind;

        if (tensor == PAIRING_NONE || pairing->side[pair * 2 + !m] != PAIRING_NONE)
            continue;
        side->left[side->left_count++] = tensor;
        side->pair_of[tensor] = (uint32_t)pair;
        side->plain[tensor] = name_plain(side->model->tensors[tensor].name);
        name_index_add(side->index, records, tensor);
        if (layout_add_kind(side, side->plain[tensor], &kind))
            return layout_no_memory(w);
    }
    return 0;
}

static void side_done(struct layout_side *side)
{
    free(side->left);
    free(side->pair_of);
    free(side->is_used);
    free(side->plain);
    name_index_free(side->index);
    name_index_free(side->kind_index);
    free(side->kinds);
    free(side->is_kind_confirmed);
    free(side->is_kind_crossed);
    free(side->spelt);
    free(side->is_spelt_twice);
    free(side->spelt_kind);
    free(side->kind_rules);
    name_index_free(side->spelt_index);
    arena_done(&side->arena);
}

static int index_names(struct layout_work *w)
{
    w->row_count = layout_name_count + layout_tower_name_count;
    w->row_targets = calloc(w->row_count, sizeof(*w->row_targets));
    w->rows = calloc(w->row_count, sizeof(*w->rows));
    w->names = name_index_new(w->row_count);
    if (!w->row_targets || !w->rows || !w->names)
        return layout_no_memory(w);
    for (size_t i = 0; i < w->row_count; i++) {
        const struct name_records records = {w->row_targets, sizeof(*w->row_targets)};

        w->rows[i].row = i < layout_name_count ? &layout_names[i] : &layout_tower_names[i - layout_name_count];
        w->row_targets[i] = name_of(w->rows[i].row->target);
        name_index_add(w->names, records, (uint32_t)i);
    }
    return 0;
}

static int align_towards(struct layout_work *w, struct layout_side *target, struct layout_side *source)
{
    int rc = 0;

    w->target = target;
    w->source = source;
    for (size_t i = 0; rc == 0 && i < target->left_count; i++)
        if (!target->is_used[target->left[i]])
            rc = layout_join_target(w, target->left[i]);
    return rc;
}

static int align_by_values(struct layout_work *w)
{
    struct layout_side *target = w->target;
    int rc = layout_add_alike(w);

    if (rc == 0)
        rc = layout_add_nearest(w);
    if (rc == 0)
        rc = layout_add_fused(w);
    w->target = w->source;
    w->source = target;
    return rc ? rc : layout_add_fused(w);
}

/* A converter's file is the target; of two models of one kind, either may hold what is fused. */
static int align_by_rules(struct layout_work *w)
{
    struct layout_side *a = &w->sides[0], *b = &w->sides[1];
    int rc = 0;

    if (!a->is_gguf || b->is_gguf)
        rc = align_towards(w, b, a);
    if (rc == 0 && (a->is_gguf || !b->is_gguf))
        rc = align_towards(w, a, b);
    return rc;
}

/* Vectors that are spelt alike and whose values are not are tried again when values have had their turn. */
static int align_both(struct layout_work *w)
{
    int rc;

    if (w->sides[0].left_count == 0 || w->sides[1].left_count == 0)
        return 0;
    w->is_strict = w->is_probed;
    rc = align_by_rules(w);
    if (rc == 0 && w->is_probed)
        rc = align_by_values(w);
    w->is_strict = false;
    return rc == 0 && w->is_probed ? align_by_rules(w) : rc;
}

bool layout_is_reversed(const struct pairing *pairing, const struct model *const *models, size_t pair, size_t m,
                        bool is_square)
{
    const uint32_t side[] = {pairing->side[pair * pairing->models], pairing->side[pair * pairing->models + m]};
    const struct shape *a, *b;

    if (side[0] == PAIRING_NONE || side[1] == PAIRING_NONE)
        return false;
    a = &models[0]->tensors[side[0]].shape;
    b = &models[m]->tensors[side[1]].shape;
    return a->rank == 2 && b->rank == 2 && a->dims[0] == b->dims[1] && a->dims[1] == b->dims[0] && a->dims[0] > 1 &&
           a->dims[1] > 1 && (a->dims[0] == a->dims[1]) == is_square;
}

static bool has_reversed(const struct pairing *pairing, const struct model *const *models)
{
    for (size_t pair = 0; pair < pairing->pairs; pair++)
        for (size_t m = 1; m < pairing->models; m++)
            if (layout_is_reversed(pairing, models, pair, m, false))
                return true;
    return false;
}

static bool has_leftovers(const struct pairing *pairing)
{
    for (size_t side = 0; side < pairing->models * pairing->pairs; side++)
        if (pairing->side[side] == PAIRING_NONE)
            return true;
    return false;
}

int layout_align_two(const struct model *const *models, struct pairing *pairing, const struct layout_rules *extra,
                     bool is_probed, struct error *err)
{
    struct layout_work *w;
    const bool is_reversed = is_probed && has_reversed(pairing, models);
    int rc;

    if (!has_leftovers(pairing) && !is_reversed)
        return 0;
    w = calloc(1, sizeof(*w));
    if (!w)
        return error_set(err, ERROR_NO_MEMORY, "no memory to pair tensors of other layouts");
    w->models = models;
    w->pairing = pairing;
    w->extra = extra;
    w->is_probed = is_probed;
    w->err = err;
    w->scratch.limit = SCRATCH_BYTES_MAX;
    w->members = calloc(MEMBERS_MAX, sizeof(*w->members));
    rc = w->members ? 0 : layout_no_memory(w);
    for (size_t m = 0; rc == 0 && m < 2; m++)
        rc = side_init(w, &w->sides[m], m);
    if (rc == 0)
        rc = index_names(w);
    if (rc == 0)
        rc = layout_facts_new(models, &w->facts, err);
    for (size_t i = 0; rc == 0 && i < layout_reading_count; i++)
        w->likely |= (uint64_t)layout_is_listed(layout_readings[i].architectures, layout_facts_architecture(w->facts))
                     << i;
    if (rc == 0)
        layout_facts_symbols(w->facts, 0, &w->symbols);
    if (rc == 0 && is_reversed)
        rc = layout_add_transposed(w);
    if (rc == 0)
        rc = align_both(w);
    if (rc == 0)
        rc = layout_add_tied(w);
    if (rc == 0 && w->join_count)
        rc = layout_rewrite(w);
    for (size_t m = 0; m < 2; m++)
        side_done(&w->sides[m]);
    layout_facts_free(w->facts);
    name_index_free(w->names);
    spelling_free(w->spelling);
    arena_done(&w->scratch);
    free(w->row_targets);
    free(w->rows);
    free(w->joins);
    free(w->uses);
    free(w->views);
    free(w->members);
    free(w);
    return rc;
}

int layouts_align(const struct model *const *models, struct pairing *pairing, const struct layout_rules *extra,
                  bool is_probed, struct error *err)
{
    if (pairing->models <= 2)
        return layout_align_two(models, pairing, extra, is_probed, err);
    return has_leftovers(pairing) || (is_probed && has_reversed(pairing, models))
               ? layout_align_models(models, pairing, extra, is_probed, err)
               : 0;
}
