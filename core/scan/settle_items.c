/* The tensors that settling looks at. Only what may be the content of an open tensor is listed, and sorted by its hash
 * first: a few changes among 300,000 tensors cost next to nothing, and many no more than the sorting. */
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/model/order.h"
#include "core/scan/settling.h"

enum { SOUGHT_WORDS = 1 << 17 };

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "no memory to pair tensors by content");
}

size_t item_model(const struct settling *s, const struct item *item)
{
    return item->side ? s->last : 0;
}

const struct tensor *item_tensor(const struct settling *s, const struct item *item)
{
    return &s->plan->models[item_model(s, item)]->tensors[item->tensor];
}

static const struct side_record *record_of(const struct settling *s, const struct item *item)
{
    return &s->result->sides[item->pair * s->result->models + item_model(s, item)];
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

/* The tensor of a pair's side, with its content's hash; false where there is none to be found by content: it is not
 * decodable, or constant. */
static bool item_of(const struct settling *s, size_t pair, uint8_t side, struct item *ret_item)
{
    struct item item = {.pair = (uint32_t)pair, .side = side, .partner = PAIRING_NONE};
    const struct tensor *tensor;

    _Static_assert(sizeof(struct side_record) % 8 == 0, "hashed by words, no padding");
    item.tensor = s->pairing->side[pair * s->pairing->models + item_model(s, &item)];
    if (item.tensor == PAIRING_NONE || (item.tensor & PAIRING_VIEW))
        return false; /* a view has been paired by a rule, or is what that left over */
    tensor = item_tensor(s, &item);
    if (record_of(s, &item)->elements != tensor->shape.elements || is_constant(record_of(s, &item)) ||
        tensor_is_computed(tensor))
        return false;
    item.hash = mix(tensor->shape.rank, record_of(s, &item), sizeof(struct side_record));
    item.hash = mix(item.hash, tensor->shape.dims, tensor->shape.rank * sizeof(*tensor->shape.dims));
    *ret_item = item;
    return true;
}

/* The hash's bit among the sought ones; the low bits of the product say more than the high ones do. */
static uint64_t *sought_word(const struct settling *s, uint64_t hash, uint64_t *ret_bit)
{
    *ret_bit = UINT64_C(1) << (hash % 64);
    return &s->sought[hash / 64 % SOUGHT_WORDS];
}

/* Marks the contents of open tensors. */
static int mark_sought(struct settling *s, bool *ret_has_open, struct error *err)
{
    struct item item;
    uint64_t bit;

    *ret_has_open = false;
    s->sought = calloc(SOUGHT_WORDS, sizeof(*s->sought));
    if (!s->sought)
        return no_memory(err);
    for (size_t pair = 0; pair < s->pairing->pairs; pair++) {
        if (!is_open(s, pair))
            continue;
        for (uint8_t side = 0; side < 2; side++)
            if (item_of(s, pair, side, &item)) {
                *ret_has_open = true;
                *sought_word(s, item.hash, &bit) |= bit;
            }
    }
    return 0;
}

static int add_item(struct settling *s, const struct item *item, struct error *err)
{
    if (s->item_count == s->item_capacity) {
        const size_t capacity = s->item_capacity ? 2 * s->item_capacity : 64;
        struct item *grown = reallocarray(s->items, capacity, sizeof(*grown));

        if (!grown)
            return no_memory(err);
        s->items = grown;
        s->item_capacity = capacity;
    }
    s->items[s->item_count++] = *item;
    return 0;
}

static int list_items(struct settling *s, struct error *err)
{
    int rc = 0;

    for (size_t pair = 0; rc == 0 && pair < s->pairing->pairs; pair++) {
        for (uint8_t side = 0; rc == 0 && side < 2; side++) {
            struct item item;
            uint64_t bit;

            if (!item_of(s, pair, side, &item) || !(*sought_word(s, item.hash, &bit) & bit))
                continue;
            item.state = is_open(s, pair) ? ITEM_OPEN : ITEM_EQUAL;
            rc = add_item(s, &item, err);
        }
    }
    return rc;
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

int item_compare_content(const struct settling *s, const struct item *x, const struct item *y)
{
    const struct shape *a = &item_tensor(s, x)->shape, *b = &item_tensor(s, y)->shape;
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

int item_compare_place(const struct settling *s, const struct item *x, const struct item *y)
{
    return compare_places(item_tensor(s, x)->name, item_tensor(s, y)->name);
}

static int compare_items(const void *context, uint32_t a, uint32_t b)
{
    const struct settling *s = context;
    const struct item *x = &s->items[a], *y = &s->items[b];
    int order = item_compare_content(s, x, y);

    if (order)
        return order;
    order = item_compare_place(s, x, y);
    if (order)
        return order;
    if (x->side != y->side)
        return x->side < y->side ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor; /* canonical order */
}

/* By hash first, which tells nearly all apart without a look at anything else; then, within equal ones, in full. */
static int sort_items(struct settling *s, struct error *err)
{
    enum { DIGIT_BITS = 16, DIGITS = 1 << DIGIT_BITS };
    uint32_t *order = calloc(s->item_count + 1, sizeof(*order));
    uint32_t *other = calloc(s->item_count + 1, sizeof(*other));
    uint32_t *ends = calloc(DIGITS, sizeof(*ends));

    if (!order || !other || !ends) {
        free(order);
        free(other);
        free(ends);
        return no_memory(err);
    }
    for (size_t i = 0; i < s->item_count; i++)
        order[i] = (uint32_t)i;
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        uint32_t *sorted = other;
        uint32_t total = 0;

        memset(ends, 0, DIGITS * sizeof(*ends));
        for (size_t i = 0; i < s->item_count; i++)
            ends[s->items[i].hash >> shift & (DIGITS - 1)]++;
        for (size_t digit = 0; digit < DIGITS; digit++) {
            const uint32_t count = ends[digit];

            ends[digit] = total;
            total += count;
        }
        for (size_t i = 0; i < s->item_count; i++)
            sorted[ends[s->items[order[i]].hash >> shift & (DIGITS - 1)]++] = order[i];
        other = order;
        order = sorted;
    }
    for (size_t from = 0, to; from < s->item_count; from = to) {
        for (to = from + 1; to < s->item_count && s->items[order[to]].hash == s->items[order[from]].hash;)
            to++;
        order_sort(order + from, to - from, other, compare_items, s);
    }
    free(other);
    free(ends);
    s->order = order;
    return 0;
}

int settling_list(struct settling *s, struct error *err)
{
    bool has_open;
    int rc = mark_sought(s, &has_open, err);

    if (rc == 0 && has_open)
        rc = list_items(s, err);
    if (rc == 0 && has_open)
        rc = sort_items(s, err);
    return rc;
}
