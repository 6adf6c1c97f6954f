/* Tensors whose records are the same bits are held to be equal until their bytes are read again and say otherwise; only
 * tensors that would be paired anew are read. Everything is decided from sorted lists, so that 300,000 tensors of equal
 * content cost no more than sorting them.
 *
 * Within tensors of equal content, those of the same place (the name with its numbers taken out) are paired in
 * canonical order, what remains of one and one is a renamed tensor, and what remains of more is ambiguous. A tensor
 * that is still alone may be a copy of one that has its partner, but only as a part of a layer all of which is a copy
 * of one layer: buffers that every layer has would make copies of all new layers otherwise. */
#include "core/scan/settle.h"

#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/model/layers.h"
#include "core/model/order.h"
#include "core/scan/repair.h"
#include "core/scan/window.h"

enum { AMBIGUITY_MAX = 16, CONFIRM_BYTES = 4 << 20 };

enum item_state { ITEM_EQUAL, ITEM_OPEN, ITEM_MOVED, ITEM_COPY };

/* One tensor of baseline (side 0) or candidate (side 1). */
struct item {
    uint32_t tensor, pair, partner; /* partner: an item; PAIRING_NONE */
    uint8_t side;
    uint8_t state;
    uint64_t hash;
};

struct settling {
    const struct scan_plan *plan;
    const struct scan_env *env;
    struct pairing *pairing;
    struct scan_result *result;
    size_t last;
    struct item *items;
    size_t item_count;
    uint32_t *order; /* items by content, side and place */
    struct window windows[2];
    uint8_t *moved[2]; /* CONFIRM_BYTES of a tensor whose elements lie elsewhere */
    struct settlement *settlement;
};

void settlement_free(struct settlement *settlement)
{
    if (!settlement)
        return;
    for (size_t i = 0; i < settlement->ambiguity_count; i++)
        free(settlement->ambiguities[i].candidates);
    free(settlement->ambiguities);
    free(settlement);
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "no memory to pair tensors by content");
}

static size_t model_of(const struct settling *s, const struct item *item)
{
    return item->side ? s->last : 0;
}

static const struct tensor *tensor_of(const struct settling *s, const struct item *item)
{
    return &s->plan->models[model_of(s, item)]->tensors[item->tensor];
}

static const struct side_record *record_of(const struct settling *s, const struct item *item)
{
    return &s->result->sides[item->pair * s->result->models + model_of(s, item)];
}

/* Constant tensors are equal for too many reasons. Where min and max are not known (complex), the spread tells. */
static bool is_constant(const struct side_record *record)
{
    if (record->finite == 0)
        return true;
    if (dtype_traits(record->dtype)->kind == DTYPE_KIND_COMPLEX)
        return !(record->m2 > 0);
    return record->min.u64 == record->max.u64;
}

static bool is_open(const struct settling *s, size_t pair)
{
    const uint32_t *side = s->pairing->side + pair * s->pairing->models;

    if (side[0] == PAIRING_NONE || side[s->last] == PAIRING_NONE)
        return true;
    switch ((enum scan_coverage)s->result->coverage[pair]) {
    case COVERED_VALUES:
        return s->result->deltas[pair].changed > 0;
    case COVERED_NOT:
    case COVERED_ROWS:
        return true;
    case COVERED_BYTES:
    case COVERED_OPAQUE:
        break;
    }
    return false;
}

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word;

        memcpy(&word, (const uint8_t *)data + i, 8);
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash;
}

static int list_items(struct settling *s, bool *ret_has_open, struct error *err)
{
    const size_t models = s->pairing->models;

    _Static_assert(sizeof(struct side_record) % 8 == 0, "hashed by words, no padding");
    *ret_has_open = false;
    s->items = calloc(2 * s->pairing->pairs + 1, sizeof(*s->items));
    if (!s->items)
        return no_memory(err);
    for (size_t pair = 0; pair < s->pairing->pairs; pair++) {
        for (uint8_t side = 0; side < 2; side++) {
            struct item *item = &s->items[s->item_count];
            const struct tensor *tensor;

            *item = (struct item){.pair = (uint32_t)pair, .side = side, .partner = PAIRING_NONE};
            item->tensor = s->pairing->side[pair * models + (side ? s->last : 0)];
            if (item->tensor == PAIRING_NONE || (item->tensor & PAIRING_VIEW))
                continue; /* a view has been paired by a rule, or is what that left over */
            tensor = tensor_of(s, item);
            if (record_of(s, item)->elements != tensor->shape.elements || is_constant(record_of(s, item)))
                continue; /* not decodable, or constant */
            item->hash = mix(tensor->shape.rank, record_of(s, item), sizeof(struct side_record));
            item->hash = mix(item->hash, tensor->shape.dims, tensor->shape.rank * sizeof(*tensor->shape.dims));
            item->state = is_open(s, pair) ? ITEM_OPEN : ITEM_EQUAL;
            *ret_has_open |= item->state == ITEM_OPEN;
            s->item_count++;
        }
    }
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Names with every run of digits taken for the same. */
static int compare_places(struct name a, struct name b)
{
    uint32_t i = 0, j = 0;

    while (i < a.bytes && j < b.bytes) {
        if (is_digit(a.text[i]) && is_digit(b.text[j])) {
            while (i < a.bytes && is_digit(a.text[i]))
                i++;
            while (j < b.bytes && is_digit(b.text[j]))
                j++;
        } else if (a.text[i] != b.text[j]) {
            return (unsigned char)a.text[i] < (unsigned char)b.text[j] ? -1 : 1;
        } else {
            i++;
            j++;
        }
    }
    return (i < a.bytes) - (j < b.bytes);
}

static int compare_content(const struct settling *s, const struct item *x, const struct item *y)
{
    const struct shape *a = &tensor_of(s, x)->shape, *b = &tensor_of(s, y)->shape;
    int order;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    order = a->rank ? memcmp(a->dims, b->dims, a->rank * sizeof(*a->dims)) : 0;
    if (order)
        return order;
    /* Bytes on purpose: records start zeroed, and those of equal content are the same bits. */
    return memcmp(record_of(s, x), record_of(s, y), sizeof(struct side_record)); /* NOLINT(bugprone-*,cert-*) */
}

static int compare_items(const void *context, uint32_t a, uint32_t b)
{
    const struct settling *s = context;
    const struct item *x = &s->items[a], *y = &s->items[b];
    int order = compare_content(s, x, y);

    if (order)
        return order;
    order = compare_places(tensor_of(s, x)->name, tensor_of(s, y)->name);
    if (order)
        return order;
    if (x->side != y->side)
        return x->side < y->side ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor; /* canonical order */
}

static int sort_items(struct settling *s, struct error *err)
{
    uint32_t *scratch = calloc(s->item_count / 2 + 1, sizeof(*scratch));

    s->order = calloc(s->item_count + 1, sizeof(*s->order));
    if (!s->order || !scratch) {
        free(scratch);
        return no_memory(err);
    }
    for (size_t i = 0; i < s->item_count; i++)
        s->order[i] = (uint32_t)i;
    order_sort(s->order, s->item_count, scratch, compare_items, s);
    free(scratch);
    return 0;
}

/* Bytes [at, at + bytes) that stand for the item's tensor. */
static int confirm_view(struct settling *s, const struct item *item, int side, uint64_t at, size_t bytes,
                        const uint8_t **ret_data, struct error *err)
{
    const struct tensor *tensor = tensor_of(s, item);
    const struct model *model = s->plan->models[model_of(s, item)];
    const struct extent *extent = &tensor->extent;

    if (!tensor->storage || tensor_is_encoded(tensor))
        return window_view(&s->windows[side], model->files[extent->source].source, extent->offset + at, bytes, ret_data,
                           err);
    if (!s->moved[side])
        s->moved[side] = malloc(CONFIRM_BYTES);
    if (!s->moved[side])
        return no_memory(err);
    *ret_data = s->moved[side];
    return decoder_read_bytes(model, tensor, at, bytes, s->moved[side], err);
}

/* Whether the stored bytes are equal, all of them, and of one type. */
static int confirm(struct settling *s, const struct item *a, const struct item *b, bool *ret_is_equal,
                   struct error *err)
{
    const struct item *items[2] = {a, b};
    const uint64_t bytes = tensor_of(s, a)->extent.bytes;

    *ret_is_equal = bytes == tensor_of(s, b)->extent.bytes &&
                    name_equal(tensor_dtype_name(tensor_of(s, a)), tensor_dtype_name(tensor_of(s, b)));
    for (uint64_t at = 0; *ret_is_equal && at < bytes; at += CONFIRM_BYTES) {
        const size_t n = bytes - at < CONFIRM_BYTES ? (size_t)(bytes - at) : CONFIRM_BYTES;
        const uint8_t *data[2];

        if (s->env->cancel && atomic_load_explicit(s->env->cancel, memory_order_relaxed))
            return error_set(err, ERROR_CANCELLED, "cancelled");
        for (int i = 0; i < 2; i++) {
            int rc = confirm_view(s, items[i], i, at, n, &data[i], err);

            if (rc)
                return rc;
        }
        s->settlement->confirmed_bytes += 2 * (uint64_t)n;
        *ret_is_equal = memcmp(data[0], data[1], n) == 0;
    }
    return 0;
}

/* Pairs two open items anew, if their bytes agree. */
static int move_together(struct settling *s, uint32_t a, uint32_t b, struct error *err)
{
    bool is_equal;
    int rc = confirm(s, &s->items[a], &s->items[b], &is_equal, err);

    if (rc || !is_equal)
        return rc;
    s->items[a].partner = b;
    s->items[b].partner = a;
    s->items[a].state = s->items[b].state = ITEM_MOVED;
    s->settlement->moved += 2;
    return 0;
}

/* The next open item of that side in order[from, to), or `to`. */
static size_t next_open(const struct settling *s, size_t from, size_t to, uint8_t side)
{
    while (from < to && (s->items[s->order[from]].state != ITEM_OPEN || s->items[s->order[from]].side != side))
        from++;
    return from;
}

/* One place of one content, [from, to): baseline's items, then candidate's. */
static int match_place(struct settling *s, size_t from, size_t to, struct error *err)
{
    size_t a = next_open(s, from, to, 0), b = next_open(s, from, to, 1);
    int rc = 0;

    while (rc == 0 && a < to && b < to) {
        rc = move_together(s, s->order[a], s->order[b], err);
        a = next_open(s, a + 1, to, 0);
        b = next_open(s, b + 1, to, 1);
    }
    return rc;
}

static int add_ambiguity(struct settling *s, uint32_t candidate, size_t from, size_t to, struct error *err)
{
    struct settlement *settlement = s->settlement;
    struct ambiguity *grown =
        reallocarray(settlement->ambiguities, settlement->ambiguity_count + 1, sizeof(*settlement->ambiguities));
    struct ambiguity *ambiguity;

    if (!grown)
        return no_memory(err);
    settlement->ambiguities = grown;
    ambiguity = &grown[settlement->ambiguity_count];
    *ambiguity = (struct ambiguity){.tensor = s->items[candidate].tensor,
                                    .candidates = calloc(AMBIGUITY_MAX, sizeof(*ambiguity->candidates))};
    if (!ambiguity->candidates)
        return no_memory(err);
    settlement->ambiguity_count++;
    for (size_t i = next_open(s, from, to, 0); i < to && ambiguity->candidate_count < AMBIGUITY_MAX;
         i = next_open(s, i + 1, to, 0))
        ambiguity->candidates[ambiguity->candidate_count++] = s->items[s->order[i]].tensor;
    return 0;
}

/* The end of the items of one content and place that begin at from. */
static size_t end_of_place(const struct settling *s, size_t from, size_t to)
{
    const struct item *first = &s->items[s->order[from]];
    size_t end = from + 1;

    while (end < to && compare_content(s, first, &s->items[s->order[end]]) == 0 &&
           compare_places(tensor_of(s, first)->name, tensor_of(s, &s->items[s->order[end]])->name) == 0)
        end++;
    return end;
}

/* All items of one content, [from, to). */
static int match_content(struct settling *s, size_t from, size_t to, struct error *err)
{
    size_t a, b;
    int rc = 0;

    for (size_t start = from, end; rc == 0 && start < to; start = end) {
        end = end_of_place(s, start, to);
        rc = match_place(s, start, end, err);
    }
    a = next_open(s, from, to, 0);
    b = next_open(s, from, to, 1);
    if (rc || a == to || b == to)
        return rc;
    if (next_open(s, a + 1, to, 0) == to && next_open(s, b + 1, to, 1) == to)
        return move_together(s, s->order[a], s->order[b], err);
    for (; rc == 0 && b < to; b = next_open(s, b + 1, to, 1))
        rc = add_ambiguity(s, s->order[b], from, to, err);
    return rc;
}

static int match_all(struct settling *s, struct error *err)
{
    int rc = 0;

    for (size_t from = 0, to; rc == 0 && from < s->item_count; from = to) {
        to = from + 1;
        while (to < s->item_count && compare_content(s, &s->items[s->order[from]], &s->items[s->order[to]]) == 0)
            to++;
        if (to > from + 1)
            rc = match_content(s, from, to, err);
    }
    return rc;
}

/* An open item beside the tensors opposite that it may be a copy of: order[first, first + count), same content, same
 * place, another layer. */
struct copy {
    uint32_t item;
    size_t first, count;
};

static struct name layer_of_item(const struct settling *s, uint32_t item)
{
    return layer_of(tensor_of(s, &s->items[item])->name);
}

/* The item of that layer among the copy's sources, or PAIRING_NONE. They lie in canonical order, so their layers do. */
static uint32_t source_in_layer(const struct settling *s, const struct copy *copy, struct name layer)
{
    size_t low = copy->first, high = copy->first + copy->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (name_compare_natural(layer_of_item(s, s->order[middle]), layer) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == copy->first + copy->count || s->items[s->order[low]].state == ITEM_OPEN ||
        !name_equal(layer_of_item(s, s->order[low]), layer))
        return PAIRING_NONE;
    return s->order[low];
}

/* Where the copies of a layer, [from, to), have a layer in common that they all are copies of, they become so. */
static int copy_layer(struct settling *s, const struct copy *copies, size_t from, size_t to, struct error *err)
{
    const struct copy *fewest = &copies[from];
    int rc = 0;

    for (size_t i = from; i < to; i++)
        if (copies[i].count < fewest->count)
            fewest = &copies[i];
    for (size_t option = 0; option < fewest->count && option < AMBIGUITY_MAX; option++) {
        const struct name layer = layer_of_item(s, s->order[fewest->first + option]);
        bool is_all = true;

        for (size_t i = from; is_all && i < to; i++)
            is_all = source_in_layer(s, &copies[i], layer) != PAIRING_NONE;
        if (!is_all)
            continue;
        for (size_t i = from; rc == 0 && i < to; i++) {
            uint32_t source = source_in_layer(s, &copies[i], layer);
            bool is_equal;

            rc = confirm(s, &s->items[source], &s->items[copies[i].item], &is_equal, err);
            if (rc == 0 && is_equal) {
                s->items[copies[i].item].partner = source;
                s->items[copies[i].item].state = ITEM_COPY;
                s->settlement->moved++;
            }
        }
        break;
    }
    return rc;
}

struct copy_context {
    const struct settling *s;
    const struct copy *copies;
};

/* By side, then canonical order: a layer's tensors follow one another. */
static int compare_copies(const void *context, uint32_t a, uint32_t b)
{
    const struct copy_context *c = context;
    const struct item *x = &c->s->items[c->copies[a].item], *y = &c->s->items[c->copies[b].item];

    if (x->side != y->side)
        return x->side < y->side ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

/* One place of one content, [from, to), in which `middle` is candidate's first. Every open item gets an entry, so that
 * a layer that has a tensor of its own is no copy. */
static void list_copies(const struct settling *s, size_t from, size_t middle, size_t to, struct copy *copies,
                        size_t *count)
{
    for (size_t at = from; at < to; at++) {
        const struct item *item = &s->items[s->order[at]];

        if (item->state == ITEM_OPEN)
            copies[(*count)++] = (struct copy){.item = s->order[at],
                                               .first = item->side ? from : middle,
                                               .count = item->side ? middle - from : to - middle};
    }
}

static int find_copies(struct settling *s, struct error *err)
{
    struct copy *copies = calloc(s->item_count + 1, sizeof(*copies)), *sorted = NULL;
    uint32_t *order = calloc(s->item_count + 1, sizeof(*order));
    uint32_t *scratch = calloc(s->item_count / 2 + 1, sizeof(*scratch));
    const struct copy_context context = {s, copies};
    size_t count = 0;
    int rc = 0;

    sorted = calloc(s->item_count + 1, sizeof(*sorted));
    if (!copies || !sorted || !order || !scratch) {
        rc = no_memory(err);
        goto out;
    }
    for (size_t from = 0, middle, to; from < s->item_count; from = to) {
        middle = from;
        to = end_of_place(s, from, s->item_count);
        while (middle < to && s->items[s->order[middle]].side == 0)
            middle++;
        list_copies(s, from, middle, to, copies, &count);
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, count, scratch, compare_copies, &context);
    for (size_t i = 0; i < count; i++)
        sorted[i] = copies[order[i]];
    for (size_t from = 0, to; rc == 0 && from < count; from = to) {
        const struct name layer = layer_of_item(s, sorted[from].item);

        to = from + 1;
        while (to < count && s->items[sorted[to].item].side == s->items[sorted[from].item].side &&
               name_equal(layer_of_item(s, sorted[to].item), layer))
            to++;
        rc = copy_layer(s, sorted, from, to, err);
    }
out:
    free(copies);
    free(sorted);
    free(order);
    free(scratch);
    return rc;
}

/* What was decided, pair by pair. */
static int rewrite(struct settling *s, struct error *err)
{
    struct repair *repairs = calloc(s->pairing->pairs + 1, sizeof(*repairs));
    int rc;

    if (!repairs)
        return no_memory(err);
    for (size_t pair = 0; pair < s->pairing->pairs; pair++)
        repairs[pair] = (struct repair){.base_with = PAIRING_NONE, .last_with = PAIRING_NONE};
    for (size_t i = 0; i < s->item_count; i++) {
        const struct item *item = &s->items[i];
        struct repair *repair = &repairs[item->pair];

        if (item->state != ITEM_MOVED && item->state != ITEM_COPY)
            continue;
        if (item->side) {
            repair->last_with = s->items[item->partner].pair;
            repair->is_last_copy = item->state == ITEM_COPY;
        } else {
            repair->base_with = s->items[item->partner].pair;
            repair->is_base_copy = item->state == ITEM_COPY;
        }
    }
    rc = pairs_rewrite(s->plan, repairs, s->pairing, s->result, err);
    free(repairs);
    return rc;
}

int settle_by_content(const struct scan_plan *plan, const struct scan_env *env, struct pairing *pairing,
                      struct scan_result *result, struct settlement **ret_settlement, struct error *err)
{
    struct settling s = {.plan = plan, .env = env, .pairing = pairing, .result = result, .last = plan->model_count - 1};
    bool has_open = false;
    int rc = 0;

    s.settlement = calloc(1, sizeof(*s.settlement));
    if (!s.settlement)
        return no_memory(err);
    if (plan->model_count > 1)
        rc = list_items(&s, &has_open, err);
    if (rc == 0 && has_open) {
        rc = sort_items(&s, err);
        if (rc == 0)
            rc = match_all(&s, err);
        if (rc == 0)
            rc = find_copies(&s, err);
        if (rc == 0 && s.settlement->moved)
            rc = rewrite(&s, err);
    }
    window_done(&s.windows[0]);
    window_done(&s.windows[1]);
    free(s.moved[0]);
    free(s.moved[1]);
    free(s.items);
    free(s.order);
    if (rc) {
        settlement_free(s.settlement);
        return rc;
    }
    *ret_settlement = s.settlement;
    return 0;
}
