/* What was found becomes pairs: parts of the target opposite views of their sources, what no rule used alone, and all
 * in canonical order again. */
#include <stdlib.h>
#include <string.h>

#include "core/align/layout_work.h"
#include "core/array.h"
#include "core/model/order.h"

enum {
    HEADS_MAX = 64,  /* of a model that are held against its embeddings; real ones have a few */
    SHARED_MAX = 64, /* tensors of one place that are looked at for another */
};

static int add_view(struct layout_work *w, const struct paired_view *view, uint32_t *ret_side)
{
    if (!array_reserve(&w->views, sizeof(*w->views), w->view_count, &w->view_room))
        return layout_no_memory(w);
    w->views[w->view_count] = *view;
    *ret_side = PAIRING_VIEW | (uint32_t)w->view_count++;
    return 0;
}

static int add_join(struct layout_work *w, const struct layout_join *join)
{
    if (!array_reserve(&w->joins, sizeof(*w->joins), w->join_count, &w->join_room))
        return layout_no_memory(w);
    w->joins[w->join_count++] = *join;
    return 0;
}

static int add_use(struct layout_work *w, const struct layout_use *use)
{
    if (!array_reserve(&w->uses, sizeof(*w->uses), w->use_count, &w->use_room))
        return layout_no_memory(w);
    w->uses[w->use_count++] = *use;
    return 0;
}

/* The target's side of a member, and its dims. */
static int target_side(struct layout_work *w, uint32_t target, const struct layout_member *member, uint64_t *dims,
                       uint32_t *ret_rank, uint32_t *ret_side)
{
    const struct tensor *tensor = &w->target->model->tensors[target];
    const uint32_t axis = member->is_slice, rank = tensor->shape.rank - axis;
    uint64_t inner = 1;
    struct view_piece piece = {.elements = 1, .rank = 1, .steps = {1}};
    struct view view = {.source = tensor, .pieces = &piece, .piece_count = 1};
    struct paired_view paired = {.of = target, .is_part = true, .part_axis = axis};
    int rc;

    *ret_rank = rank;
    memcpy(dims, tensor->shape.dims + axis, rank * sizeof(*dims));
    if (!member->is_slice && (rank == 0 || member->last - member->first == dims[0])) {
        *ret_side = target;
        return 0;
    }
    for (uint32_t d = 1; d < rank; d++)
        inner *= dims[d];
    piece.first = member->slice * inner * dims[0] + member->first * inner;
    dims[0] = member->last - member->first;
    piece.elements = piece.dims[0] = dims[0] * inner;
    rc = view_make(&view, rank, dims, &w->pairing->arena, &paired.tensor, w->err);
    if (rc)
        return rc;
    paired.slice = member->slice;
    paired.part_first = member->first;
    paired.part_last = member->last;
    if (member->is_slice && !member->is_next) { /* whole slices are parts of the first dimension */
        paired.part_axis = 0;
        paired.part_first = member->slice;
        paired.part_last = member->slice + 1;
    }
    return add_view(w, &paired, ret_side);
}

static int source_side(struct layout_work *w, struct layout_member *member, uint32_t rank, const uint64_t *dims,
                       uint32_t *ret_side)
{
    const struct tensor *tensor = &w->source->model->tensors[member->source];
    struct arrangement *a = &w->arrangement;
    struct view view = {.source = tensor};
    struct paired_view paired = {.of = member->source};
    struct layout_use use = {.tensor = member->source, .model = (uint8_t)w->source->m};
    int rc = transformation_apply(member->transformation, &w->symbols, tensor, a, w->err);

    if (rc)
        return rc;
    member->link.transformation = arena_copy(&w->pairing->arena, a->text, strlen(a->text));
    if (!member->link.transformation)
        return layout_no_memory(w);
    for (size_t i = 0; i < a->piece_count; i++)
        use.elements += a->pieces[i].elements;
    use.is_rows = a->is_rows || use.elements == tensor->shape.elements;
    use.first = a->is_rows ? a->first_row : 0;
    use.last = a->is_rows ? a->last_row : tensor->shape.rank ? tensor->shape.dims[0] : 1;
    rc = add_use(w, &use);
    if (rc)
        return rc;
    w->source->is_used[member->source] = true;
    if (!a->is_moved && rank == tensor->shape.rank && memcmp(dims, tensor->shape.dims, rank * sizeof(*dims)) == 0) {
        *ret_side = member->source;
        return 0;
    }
    view.pieces = a->pieces;
    view.piece_count = a->piece_count;
    view.arithmetic = a->arithmetic;
    paired.is_part = a->is_rows && use.elements < tensor->shape.elements;
    paired.part_first = use.first;
    paired.part_last = use.last;
    rc = view_make(&view, rank, dims, &w->pairing->arena, &paired.tensor, w->err);
    return rc ? rc : add_view(w, &paired, ret_side);
}

int layout_add_members(struct layout_work *w, uint32_t target)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < w->member_count; i++) {
        struct layout_member *member = &w->members[i];
        struct layout_join join = {.rule = PAIRED_BY_LAYOUT};
        uint64_t dims[VIEW_RANK_MAX];
        uint32_t rank;

        if (w->target->model->tensors[target].shape.rank > VIEW_RANK_MAX)
            return 0;
        rc = target_side(w, target, member, dims, &rank, &join.side[w->target->m]);
        if (rc == 0)
            rc = source_side(w, member, rank, dims, &join.side[w->source->m]);
        join.link = member->link;
        if (rc == 0)
            rc = add_join(w, &join);
    }
    w->target->is_used[target] = true;
    return rc;
}

int layout_join_whole(struct layout_work *w, uint32_t target, uint32_t source, const char *transformation, double error,
                      const char *rule)
{
    const struct tensor *tensor = &w->target->model->tensors[target];

    w->members[0] = (struct layout_member){
        .source = source,
        .last = tensor->shape.rank ? tensor->shape.dims[0] : 1,
        .transformation = name_of(transformation),
        .link = {.rule = rule, .viewed = w->source->m, .evidence = LINK_CONFIRMED, .probe_error = error}};
    w->member_count = 1;
    return layout_add_members(w, target);
}

static bool is_any(struct name name, const char *const *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (name_equal(name, name_of(known[i])))
            return true;
    return false;
}

static bool is_embedding(struct name name)
{
    static const char *const known[] = {"token_embd.weight",
                                        "embed_tokens.weight",
                                        "wte.weight",
                                        "word_embeddings.weight",
                                        "embed_in.weight",
                                        "shared.weight",
                                        "embeddings.word_embeddings.weight",
                                        "embeddings.weight",
                                        "embed_out.weight",
                                        "tok_embeddings.weight",
                                        "encoder.embed_tokens.weight",
                                        "decoder.embed_tokens.weight"};
    struct captures captures = {0};

    return is_any(name, known, sizeof(known) / sizeof(known[0])) ||
           pattern_match(name_of("{p}.embed_tokens.weight"), name, &captures) ||
           pattern_match(name_of("{p}.word_embeddings.weight"), name, &captures) ||
           pattern_match(name_of("{p}.wte.weight"), name, &captures) ||
           pattern_match(name_of("{p}.shared.weight"), name, &captures);
}

static bool is_head(struct name name)
{
    static const char *const known[] = {"output.weight", "lm_head.weight", "embed_out.weight",
                                        "cls.predictions.decoder.weight"};
    struct captures captures = {0};

    return is_any(name, known, sizeof(known) / sizeof(known[0])) ||
           pattern_match(name_of("{p}lm_head.weight"), name, &captures) ||
           pattern_match(name_of("{p}embed_tokens.weight"), name, &captures) ||
           pattern_match(name_of("{p}.decoder.weight"), name, &captures);
}

/* The tensor opposite one of model m's embeddings, of that shape, by name or by a join, whose values are the head's. */
static int tied_partner(struct layout_work *w, size_t m, const struct tensor *head, uint32_t *ret_partner,
                        double *ret_error)
{
    const struct pairing *pairing = w->pairing;
    const size_t steps = pairing->pairs + w->join_count;

    *ret_partner = PAIRING_NONE;
    for (size_t i = 0; i < steps; i++) {
        const uint32_t *side = i < pairing->pairs ? &pairing->side[i * 2] : w->joins[i - pairing->pairs].side;
        const struct tensor *own, *opposite;
        double error;
        int rc;

        if (side[m] == PAIRING_NONE || side[!m] == PAIRING_NONE || (side[m] & PAIRING_VIEW) ||
            (side[!m] & PAIRING_VIEW))
            continue;
        own = &w->models[m]->tensors[side[m]];
        opposite = &w->models[!m]->tensors[side[!m]];
        if (own == head || !is_embedding(own->name) || !shape_equal(&opposite->shape, &head->shape))
            continue;
        rc = probe_tensors(w->models[m], head, w->models[!m], opposite, &error, w->err);
        if (rc)
            return rc;
        if (error <= 0.5) {
            *ret_partner = side[!m];
            *ret_error = error;
            return 0;
        }
    }
    return 0;
}

static int compare_extents(const void *context, uint32_t a, uint32_t b)
{
    const struct tensor *tensors = context;
    const struct extent *x = &tensors[a].extent, *y = &tensors[b].extent;

    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* A side's tensors that have another one opposite. */
struct paired {
    uint32_t *tensors;  /* by extent */
    uint32_t *partners; /* [tensor] the one opposite */
    size_t count;
};

/* The tensor opposite another name of the same bytes. */
static uint32_t shared_partner(const struct layout_work *w, const struct layout_side *side, const struct paired *paired,
                               uint32_t tensor)
{
    const struct tensor *tensors = side->model->tensors;
    size_t low = 0, high = paired->count;

    if (tensors[tensor].shape.elements == 0)
        return PAIRING_NONE;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (compare_extents(tensors, paired->tensors[middle], tensor) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i < paired->count && i - low < SHARED_MAX; i++) {
        const uint32_t other = paired->tensors[i], partner = paired->partners[other];

        if (compare_extents(tensors, other, tensor) != 0)
            break;
        if (tensors[other].dtype == tensors[tensor].dtype &&
            shape_equal(&w->models[!side->m]->tensors[partner].shape, &tensors[tensor].shape))
            return partner;
    }
    return PAIRING_NONE;
}

static int add_tie(struct layout_work *w, struct layout_side *side, uint32_t tensor, uint32_t partner, double error)
{
    struct layout_join join = {.rule = PAIRED_AS_TIED,
                               .link = {.rule = "tied",
                                        .transformation = "none",
                                        .viewed = side->m,
                                        .evidence = LINK_CONFIRMED,
                                        .probe_error = error}};

    join.side[side->m] = tensor;
    join.side[!side->m] = partner;
    side->is_used[tensor] = true;
    return add_join(w, &join);
}

/* Names of bytes that another name stands for too, as files keep them where names share a storage. */
static int add_shared(struct layout_work *w, struct layout_side *side)
{
    const size_t count = side->model->tensor_count;
    struct paired paired = {calloc(count + 1, sizeof(*paired.tensors)), calloc(count + 1, sizeof(*paired.partners)), 0};
    uint32_t *scratch = calloc(count / 2 + 1, sizeof(*scratch));
    int rc = paired.tensors && paired.partners && scratch ? 0 : layout_no_memory(w);

    for (size_t i = 0; rc == 0 && i < count; i++)
        paired.partners[i] = PAIRING_NONE;
    for (size_t i = 0; rc == 0 && i < w->pairing->pairs + w->join_count; i++) {
        const uint32_t *pair = i < w->pairing->pairs ? &w->pairing->side[i * 2] : w->joins[i - w->pairing->pairs].side;

        if (pair[side->m] != PAIRING_NONE && pair[!side->m] != PAIRING_NONE &&
            !((pair[side->m] | pair[!side->m]) & PAIRING_VIEW))
            paired.partners[pair[side->m]] = pair[!side->m];
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (paired.partners[i] != PAIRING_NONE)
            paired.tensors[paired.count++] = (uint32_t)i;
    if (rc == 0)
        order_sort(paired.tensors, paired.count, scratch, compare_extents, side->model->tensors);
    for (size_t i = 0; rc == 0 && i < side->left_count; i++) {
        const uint32_t tensor = side->left[i];
        const uint32_t partner = side->is_used[tensor] ? PAIRING_NONE : shared_partner(w, side, &paired, tensor);

        if (partner != PAIRING_NONE)
            rc = add_tie(w, side, tensor, partner, 0);
    }
    free(paired.tensors);
    free(paired.partners);
    free(scratch);
    return rc;
}

int layout_add_tied(struct layout_work *w)
{
    int rc = 0;

    for (size_t m = 0; rc == 0 && m < 2; m++)
        if (w->sides[m].left_count)
            rc = add_shared(w, &w->sides[m]);
    for (size_t m = 0; rc == 0 && w->is_probed && m < 2; m++) {
        struct layout_side *side = &w->sides[m];
        unsigned heads = 0;

        for (size_t i = 0; rc == 0 && i < side->left_count && heads < HEADS_MAX; i++) {
            const uint32_t tensor = side->left[i];
            uint32_t partner;
            double error;

            if (side->is_used[tensor] || !is_head(side->plain[tensor]))
                continue;
            heads++;
            rc = tied_partner(w, m, &side->model->tensors[tensor], &partner, &error);
            if (rc == 0 && partner != PAIRING_NONE)
                rc = add_tie(w, side, tensor, partner, error);
        }
    }
    return rc;
}

static int compare_uses(const void *a, const void *b)
{
    const struct layout_use *x = a, *y = b;

    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    if (x->tensor != y->tensor)
        return x->tensor < y->tensor ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int add_remainder(struct layout_work *w, const struct layout_use *use, uint64_t first, uint64_t last)
{
    const struct tensor *tensor = &w->models[use->model]->tensors[use->tensor];
    struct paired_view paired = {.of = use->tensor, .is_part = true, .part_first = first, .part_last = last};
    struct layout_join join = {.side = {PAIRING_NONE, PAIRING_NONE}, .rule = PAIRED_BY_NAME};
    const uint64_t inner = tensor->shape.elements / tensor->shape.dims[0];
    struct view_piece piece = {.first = first * inner,
                               .elements = (last - first) * inner,
                               .rank = 1,
                               .dims = {(last - first) * inner},
                               .steps = {1}};
    struct view view = {.source = tensor, .pieces = &piece, .piece_count = 1};
    uint64_t dims[VIEW_RANK_MAX];
    int rc;

    memcpy(dims, tensor->shape.dims, tensor->shape.rank * sizeof(*dims));
    dims[0] = last - first;
    rc = view_make(&view, tensor->shape.rank, dims, &w->pairing->arena, &paired.tensor, w->err);
    if (rc == 0)
        rc = add_view(w, &paired, &join.side[use->model]);
    return rc ? rc : add_join(w, &join);
}

/* Rows that no use took stand alone. */
static int add_remainders(struct layout_work *w)
{
    if (w->use_count)
        qsort(w->uses, w->use_count, sizeof(*w->uses), compare_uses);
    for (size_t i = 0, end; i < w->use_count; i = end) {
        const struct tensor *tensor = &w->models[w->uses[i].model]->tensors[w->uses[i].tensor];
        uint64_t row = 0;
        bool is_rows = tensor->shape.rank > 0;
        int rc = 0;

        for (end = i;
             end < w->use_count && w->uses[end].model == w->uses[i].model && w->uses[end].tensor == w->uses[i].tensor;
             end++)
            is_rows &= w->uses[end].is_rows;
        for (size_t k = i; rc == 0 && is_rows && k < end; k++) {
            if (w->uses[k].first > row)
                rc = add_remainder(w, &w->uses[k], row, w->uses[k].first);
            row = w->uses[k].last > row ? w->uses[k].last : row;
        }
        if (rc == 0 && is_rows && row < tensor->shape.dims[0])
            rc = add_remainder(w, &w->uses[i], row, tensor->shape.dims[0]);
        if (rc)
            return rc;
    }
    return 0;
}

/* Pairs as they will be: those that stay, then the joins. */
struct new_pairs {
    const struct layout_work *w;
    const uint32_t *kept;
    size_t kept_count;
};

static const uint32_t *new_side(const struct new_pairs *n, uint32_t at)
{
    return at < n->kept_count ? &n->w->pairing->side[(size_t)n->kept[at] * 2] : n->w->joins[at - n->kept_count].side;
}

/* The first side of a pair: whose it is, of which tensor, and where in that its part begins. */
struct standing {
    size_t m;
    uint32_t tensor;
    uint64_t slice, row;
};

static struct standing new_place(const struct new_pairs *n, uint32_t at)
{
    const uint32_t *side = new_side(n, at);
    const size_t m = side[0] == PAIRING_NONE;
    const struct paired_view *view = side[m] & PAIRING_VIEW ? &n->w->views[side[m] & ~PAIRING_VIEW] : NULL;

    return (struct standing){m, view ? view->of : side[m], view && view->part_axis ? view->slice : 0,
                             view ? view->part_first : 0};
}

/* Canonical order, in which each model's tensors are already. */
static int compare_new(const void *context, uint32_t a, uint32_t b)
{
    const struct new_pairs *n = context;
    const struct standing x = new_place(n, a), y = new_place(n, b);
    int order;

    if (x.m == y.m)
        order = x.tensor < y.tensor ? -1 : x.tensor > y.tensor;
    else
        order =
            name_compare_natural(n->w->models[x.m]->tensors[x.tensor].name, n->w->models[y.m]->tensors[y.tensor].name);
    if (order)
        return order;
    if (x.slice != y.slice)
        return x.slice < y.slice ? -1 : 1;
    if (x.row != y.row)
        return x.row < y.row ? -1 : 1;
    return a < b ? -1 : a > b;
}

static int take_over(struct layout_work *w, const struct new_pairs *n, const uint32_t *order, size_t count)
{
    struct pairing *pairing = w->pairing;
    uint32_t *side = calloc(2 * count + 1, sizeof(*side)), *link = calloc(count + 1, sizeof(*link));
    uint16_t *rule = calloc(count + 1, sizeof(*rule));
    struct paired_view *views = arena_take_array(&pairing->arena, w->view_count + 1, sizeof(*views));
    struct pairing_link *links = arena_take_array(&pairing->arena, w->join_count + 1, sizeof(*links));

    if (!side || !link || !rule || !views || !links) {
        free(side);
        free(link);
        free(rule);
        return layout_no_memory(w);
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(&side[2 * i], new_side(n, order[i]), 2 * sizeof(*side));
        rule[i] = order[i] < n->kept_count ? pairing->rule[n->kept[order[i]]] : w->joins[order[i] - n->kept_count].rule;
        link[i] = order[i] < n->kept_count ? 0 : (uint32_t)(order[i] - n->kept_count);
    }
    for (size_t i = 0; i < w->join_count; i++)
        links[i] = w->joins[i].link;
    if (w->view_count)
        memcpy(views, w->views, w->view_count * sizeof(*views));
    free(pairing->side);
    free(pairing->rule);
    free(pairing->link);
    pairing->side = side;
    pairing->rule = rule;
    pairing->link = link;
    pairing->pairs = count;
    pairing->views = views;
    pairing->view_count = w->view_count;
    pairing->links = links;
    pairing->link_count = w->join_count;
    return 0;
}

int layout_rewrite(struct layout_work *w)
{
    const struct pairing *pairing = w->pairing;
    struct new_pairs n = {.w = w};
    uint32_t *kept = NULL, *order = NULL, *scratch = NULL;
    size_t count;
    int rc = add_remainders(w);

    if (rc)
        return rc;
    kept = calloc(pairing->pairs + 1, sizeof(*kept));
    order = calloc(pairing->pairs + w->join_count + 1, sizeof(*order));
    scratch = calloc((pairing->pairs + w->join_count) / 2 + 1, sizeof(*scratch));
    if (!kept || !order || !scratch) {
        rc = layout_no_memory(w);
        goto out;
    }
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        bool is_joined = false;

        for (size_t m = 0; m < 2; m++) {
            const uint32_t tensor = pairing->side[pair * 2 + m];

            is_joined |= tensor != PAIRING_NONE && w->sides[m].is_used[tensor];
        }
        if (!is_joined)
            kept[n.kept_count++] = (uint32_t)pair;
    }
    n.kept = kept;
    count = n.kept_count + w->join_count;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, count, scratch, compare_new, &n);
    rc = take_over(w, &n, order, count);
out:
    free(kept);
    free(order);
    free(scratch);
    return rc;
}
