/* Tensors whose records are the same bits are held to be equal until their bytes are read again and say otherwise; only
 * tensors that would be paired anew are read. Everything is decided from sorted lists, so that 300,000 tensors of equal
 * content cost no more than sorting them.
 *
 * Within tensors of equal content, those of the same place (the name with its numbers taken out) are paired in
 * canonical order, what remains of one and one is a renamed tensor, and what remains of more is ambiguous. A tensor
 * that is still alone may be a copy of one that has its partner, but only as a part of a layer all of which is a copy
 * of one layer: buffers that every layer has would make copies of all new layers otherwise. */
#include "core/scan/settling.h"

#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/model/layers.h"
#include "core/model/order.h"
#include "core/scan/repair.h"

enum { AMBIGUITY_MAX = 16, CONFIRM_BYTES = 4 << 20 };

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

/* Bytes [at, at + bytes) that stand for the item's tensor. */
static int confirm_view(struct settling *s, const struct item *item, int side, uint64_t at, size_t bytes,
                        const uint8_t **ret_data, struct error *err)
{
    const struct tensor *tensor = item_tensor(s, item);
    const struct model *model = s->plan->models[item_model(s, item)];
    const struct extent *extent = &tensor->extent;

    if (!tensor->storage || (tensor_is_encoded(tensor) && tensor->storage->part_count == 0))
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
    const uint64_t bytes = item_tensor(s, a)->extent.bytes;

    *ret_is_equal = bytes == item_tensor(s, b)->extent.bytes &&
                    name_equal(tensor_dtype_name(item_tensor(s, a)), tensor_dtype_name(item_tensor(s, b)));
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

    while (end < to && item_compare_content(s, first, &s->items[s->order[end]]) == 0 &&
           item_compare_place(s, first, &s->items[s->order[end]]) == 0)
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
        while (to < s->item_count && item_compare_content(s, &s->items[s->order[from]], &s->items[s->order[to]]) == 0)
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
    return layer_of(item_tensor(s, &s->items[item])->name);
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
    size_t count = 0, sources = 0;
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
        sources += copies[i].count;
    if (sources == 0)
        goto out;
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
    int rc = 0;

    s.settlement = calloc(1, sizeof(*s.settlement));
    if (!s.settlement)
        return no_memory(err);
    if (plan->model_count > 1)
        rc = settling_list(&s, err);
    if (rc == 0 && s.item_count > 0) {
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
    free(s.sought);
    free(s.items);
    free(s.order);
    if (rc) {
        settlement_free(s.settlement);
        return rc;
    }
    *ret_settlement = s.settlement;
    return 0;
}
