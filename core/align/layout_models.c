/* More than two models: each is paired with the first as if there were no others. The pairs with the last stand as they
 * are, since they are what is reported; a tensor of a model between joins the pair that looks at the first model's
 * tensor the same way. Where the last has another layout than the first and a model between has not, that model's
 * tensor is looked at as the first's is. What joins none stands alone. */
#include <stdlib.h>
#include <string.h>

#include "core/align/layout_work.h"
#include "core/decode/view.h"
#include "core/model/order.h"

struct merge {
    const struct model *const *models;
    size_t model_count;
    const struct pairing *by_name;
    struct pairing *with_first; /* [m]: of the models 0 and m */
    struct arena *arena;
    uint32_t *side; /* [row × models + m] */
    uint16_t *rule;
    uint32_t *link; /* [row]: into the links with the last */
    size_t row_count;
    struct paired_view *views;
    size_t view_count;
    uint32_t *first_row, *next_row; /* rows by the tensor of the first model: [tensor], [row] */
    uint32_t *row_of;               /* [pair by name] the row of it without the first model */
    uint32_t *name_pair;            /* [tensor of the model at hand] its pair by name */
    struct error *err;
};

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "no memory to pair tensors of several models");
}

static uint32_t *none_of(size_t count)
{
    uint32_t *items = calloc(count + 1, sizeof(*items));

    if (items)
        memset(items, 0xff, (count + 1) * sizeof(*items));
    return items;
}

/* The pairs by name as the models 0 and m alone have them. */
static int take_two(const struct merge *g, size_t m, struct pairing *ret)
{
    const struct pairing *from = g->by_name;
    size_t kept = 0;

    *ret = (struct pairing){.models = 2};
    ret->side = calloc(2 * from->pairs + 1, sizeof(*ret->side));
    ret->rule = calloc(from->pairs + 1, sizeof(*ret->rule));
    if (!ret->side || !ret->rule)
        return no_memory(g->err);
    for (size_t pair = 0; pair < from->pairs; pair++) {
        const uint32_t a = from->side[pair * from->models], b = from->side[pair * from->models + m];

        if (a == PAIRING_NONE && b == PAIRING_NONE)
            continue;
        ret->side[2 * kept] = a;
        ret->side[2 * kept + 1] = b;
        ret->rule[kept++] = a == PAIRING_NONE || b == PAIRING_NONE ||
                                    name_equal(g->models[0]->tensors[a].name, g->models[m]->tensors[b].name)
                                ? PAIRED_BY_NAME
                                : PAIRED_BY_PREFIX;
    }
    ret->pairs = kept;
    return 0;
}

static const struct paired_view *view_at(const struct pairing *two, uint32_t side)
{
    return side != PAIRING_NONE && (side & PAIRING_VIEW) ? &two->views[side & ~PAIRING_VIEW] : NULL;
}

static uint32_t tensor_at(const struct pairing *two, uint32_t side)
{
    const struct paired_view *view = view_at(two, side);

    return view ? view->of : side;
}

static uint32_t add_view(struct merge *g, const struct paired_view *view)
{
    g->views[g->view_count] = *view;
    return PAIRING_VIEW | (uint32_t)g->view_count++;
}

/* A side of a pair of two models, as one of the rows. */
static uint32_t side_of(struct merge *g, const struct pairing *two, uint32_t side)
{
    const struct paired_view *view = view_at(two, side);

    return view ? add_view(g, view) : side;
}

static uint32_t add_row(struct merge *g)
{
    const uint32_t row = (uint32_t)g->row_count++;

    memset(g->side + row * g->model_count, 0xff, g->model_count * sizeof(*g->side));
    g->rule[row] = PAIRED_BY_NAME;
    g->next_row[row] = PAIRING_NONE;
    return row;
}

static void find_name_pairs(struct merge *g, size_t m)
{
    for (size_t pair = 0; pair < g->by_name->pairs; pair++) {
        const uint32_t tensor = g->by_name->side[pair * g->model_count + m];

        if (tensor != PAIRING_NONE)
            g->name_pair[tensor] = (uint32_t)pair;
    }
}

static void add_last(struct merge *g)
{
    const size_t last = g->model_count - 1;
    const struct pairing *two = &g->with_first[last];

    find_name_pairs(g, last);
    for (size_t pair = two->pairs; pair-- > 0;) { /* backwards: the rows of a tensor are listed in order */
        const uint32_t a = two->side[2 * pair], b = two->side[2 * pair + 1], row = add_row(g);

        g->rule[row] = two->rule[pair];
        g->link[row] = two->link ? two->link[pair] : 0;
        g->side[row * g->model_count] = side_of(g, two, a);
        g->side[row * g->model_count + last] = side_of(g, two, b);
        if (a != PAIRING_NONE) {
            g->next_row[row] = g->first_row[tensor_at(two, a)];
            g->first_row[tensor_at(two, a)] = row;
        } else if (!view_at(two, b)) {
            g->row_of[g->name_pair[b]] = row;
        }
    }
}

static const struct paired_view *first_view(const struct merge *g, uint32_t row)
{
    const uint32_t side = g->side[row * g->model_count];

    return side != PAIRING_NONE && (side & PAIRING_VIEW) ? &g->views[side & ~PAIRING_VIEW] : NULL;
}

/* Looks at model m's tensor as the rows look at the first model's, which has the same shape. */
static int look_alike(struct merge *g, size_t m, uint32_t first, uint32_t tensor, bool *ret_is_joined)
{
    const struct tensor *source = &g->models[0]->tensors[first], *other = &g->models[m]->tensors[tensor];

    for (uint32_t row = g->first_row[first]; row != PAIRING_NONE; row = g->next_row[row]) {
        const struct paired_view *view = first_view(g, row);
        uint32_t *side = &g->side[row * g->model_count + m];
        struct paired_view made;
        int rc;

        if (!view || *side != PAIRING_NONE || !shape_equal(&source->shape, &other->shape))
            continue;
        made = *view;
        made.of = tensor;
        rc = view_of_other(&view->tensor, source, other, g->arena, &made.tensor, g->err);
        if (rc)
            return rc;
        *side = add_view(g, &made);
        *ret_is_joined = true;
    }
    return 0;
}

/* Alone, or with the models that have it under that name where the first has nothing. */
static void stand_alone(struct merge *g, size_t m, const struct pairing *two, uint32_t side)
{
    uint32_t *row_of = view_at(two, side) ? NULL : &g->row_of[g->name_pair[side]];
    uint32_t row = row_of ? *row_of : PAIRING_NONE;

    if (row == PAIRING_NONE || g->side[row * g->model_count + m] != PAIRING_NONE)
        row = add_row(g);
    g->side[row * g->model_count + m] = side_of(g, two, side);
    if (row_of && *row_of == PAIRING_NONE)
        *row_of = row;
}

static int join(struct merge *g, size_t m, size_t pair)
{
    const struct pairing *two = &g->with_first[m];
    const uint32_t a = two->side[2 * pair], b = two->side[2 * pair + 1];
    const struct paired_view *view = view_at(two, a);
    bool is_joined = false;
    int rc = 0;

    for (uint32_t row = a == PAIRING_NONE ? a : g->first_row[tensor_at(two, a)]; row != PAIRING_NONE;
         row = g->next_row[row]) {
        const struct paired_view *looked = first_view(g, row);
        uint32_t *side = &g->side[row * g->model_count + m];

        if (*side != PAIRING_NONE || !view != !looked)
            continue;
        if (view && !view_equal(&view->tensor, &looked->tensor, &g->models[0]->tensors[view->of]))
            continue;
        *side = side_of(g, two, b);
        return 0;
    }
    if (a != PAIRING_NONE && !view && !view_at(two, b))
        rc = look_alike(g, m, a, b, &is_joined);
    if (rc == 0 && !is_joined && two->rule[pair] != PAIRED_AS_TIED)
        stand_alone(g, m, two, b);
    return rc;
}

/* What is tied stands in a pair of its own too, which goes first. */
static int add_between(struct merge *g, size_t m)
{
    const struct pairing *two = &g->with_first[m];
    int rc = 0;

    find_name_pairs(g, m);
    for (int is_tied = 0; is_tied < 2; is_tied++)
        for (size_t pair = 0; rc == 0 && pair < two->pairs; pair++)
            if (two->side[2 * pair + 1] != PAIRING_NONE && (two->rule[pair] == PAIRED_AS_TIED) == is_tied)
                rc = join(g, m, pair);
    return rc;
}

/* Where a row belongs: by its first tensor, then by the part of that. */
static struct name row_place(const struct merge *g, uint32_t row, size_t *ret_m, uint32_t *ret_tensor,
                             const struct paired_view **ret_view)
{
    const uint32_t *side = g->side + row * g->model_count;
    size_t m = 0;

    while (side[m] == PAIRING_NONE)
        m++;
    *ret_m = m;
    *ret_view = side[m] & PAIRING_VIEW ? &g->views[side[m] & ~PAIRING_VIEW] : NULL;
    *ret_tensor = *ret_view ? (*ret_view)->of : side[m];
    return g->models[m]->tensors[*ret_tensor].name;
}

static int compare_rows(const void *context, uint32_t a, uint32_t b)
{
    const struct merge *g = context;
    const struct paired_view *x, *y;
    size_t m_a, m_b;
    uint32_t tensor_a, tensor_b;
    struct name name_a = row_place(g, a, &m_a, &tensor_a, &x), name_b = row_place(g, b, &m_b, &tensor_b, &y);
    int order = m_a == m_b ? (tensor_a > tensor_b) - (tensor_a < tensor_b) : name_compare_natural(name_a, name_b);

    if (order == 0 && x && y && x->slice != y->slice)
        order = x->slice < y->slice ? -1 : 1;
    if (order == 0 && x && y && x->part_first != y->part_first)
        order = x->part_first < y->part_first ? -1 : 1;
    return order ? order : (a > b) - (a < b);
}

/* Puts the rows in order, in the place of the pairs by name. */
static int take_over(struct merge *g, struct pairing *pairing)
{
    const struct pairing *last = &g->with_first[g->model_count - 1];
    const size_t models = g->model_count, count = g->row_count;
    uint32_t *order = calloc(count + 1, sizeof(*order)), *scratch = calloc(count / 2 + 1, sizeof(*scratch));
    uint32_t *side = calloc(count * models + 1, sizeof(*side)), *link = calloc(count + 1, sizeof(*link));
    uint16_t *rule = calloc(count + 1, sizeof(*rule));
    struct pairing_link *links = arena_take_array(g->arena, last->link_count + 1, sizeof(*links));
    int rc = order && scratch && side && link && rule && links ? 0 : no_memory(g->err);

    if (rc)
        goto out;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, count, scratch, compare_rows, g);
    for (size_t i = 0; i < count; i++) {
        memcpy(side + i * models, g->side + order[i] * models, models * sizeof(*side));
        rule[i] = g->rule[order[i]];
        link[i] = g->link[order[i]];
    }
    for (size_t i = 0; i < last->link_count; i++) {
        links[i] = last->links[i];
        links[i].viewed = links[i].viewed ? models - 1 : 0;
    }
    free(pairing->side);
    free(pairing->rule);
    free(pairing->link);
    pairing->pairs = count;
    pairing->side = side;
    pairing->rule = rule;
    pairing->link = link;
    pairing->views = g->views;
    pairing->view_count = g->view_count;
    pairing->links = links;
    pairing->link_count = last->link_count;
    side = link = NULL;
    rule = NULL;
out:
    free(order);
    free(scratch);
    free(side);
    free(link);
    free(rule);
    return rc;
}

static int merge_rows(struct merge *g, struct pairing *pairing)
{
    size_t rows = 0, views = 0, most = 0;
    int rc;

    for (size_t m = 1; m < g->model_count; m++) {
        rows += g->with_first[m].pairs;
        views += g->with_first[m].view_count;
    }
    views += (g->model_count - 2) * g->with_first[g->model_count - 1].view_count;
    for (size_t m = 0; m < g->model_count; m++)
        most = g->models[m]->tensor_count > most ? g->models[m]->tensor_count : most;
    g->side = calloc(rows * g->model_count + 1, sizeof(*g->side));
    g->rule = calloc(rows + 1, sizeof(*g->rule));
    g->link = calloc(rows + 1, sizeof(*g->link));
    g->views = arena_take_array(g->arena, views + 1, sizeof(*g->views));
    g->first_row = none_of(g->models[0]->tensor_count);
    g->next_row = none_of(rows);
    g->row_of = none_of(g->by_name->pairs);
    g->name_pair = none_of(most);
    rc = g->side && g->rule && g->link && g->views && g->first_row && g->next_row && g->row_of && g->name_pair
             ? 0
             : no_memory(g->err);
    if (rc == 0)
        add_last(g);
    for (size_t m = 1; rc == 0 && m + 1 < g->model_count; m++)
        rc = add_between(g, m);
    return rc ? rc : take_over(g, pairing);
}

int layout_align_models(const struct model *const *models, struct pairing *pairing, const struct layout_rules *extra,
                        bool is_probed, struct error *err)
{
    struct merge g = {.models = models,
                      .model_count = pairing->models,
                      .by_name = pairing,
                      .with_first = calloc(pairing->models, sizeof(*g.with_first)),
                      .arena = &pairing->arena,
                      .err = err};
    size_t links = 0;
    int rc = g.with_first ? 0 : no_memory(err);

    for (size_t m = 1; rc == 0 && m < pairing->models; m++) {
        const struct model *const two[] = {models[0], models[m]};

        rc = take_two(&g, m, &g.with_first[m]);
        g.with_first[m].arena = pairing->arena; /* where the views stay */
        if (rc == 0)
            rc = layout_align_two(two, &g.with_first[m], extra, is_probed, err);
        pairing->arena = g.with_first[m].arena;
        links += g.with_first[m].link_count;
    }
    if (rc == 0 && links)
        rc = merge_rows(&g, pairing);
    for (size_t m = 1; g.with_first && m < g.model_count; m++) {
        free(g.with_first[m].side);
        free(g.with_first[m].rule);
        free(g.with_first[m].link);
    }
    free(g.with_first);
    free(g.side);
    free(g.rule);
    free(g.link);
    free(g.first_row);
    free(g.next_row);
    free(g.row_of);
    free(g.name_pair);
    return rc;
}
