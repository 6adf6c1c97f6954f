/* The work of settle.c under way, and the list of tensors that it looks at (settle_items.c). */
#ifndef CORE_SCAN_SETTLING_H
#define CORE_SCAN_SETTLING_H

#include "core/scan/settle.h"
#include "core/scan/window.h"

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
    uint64_t *sought; /* bits by hash: contents of open tensors, and a few that share a bit with one */
    struct item *items;
    size_t item_count, item_capacity;
    uint32_t *order; /* items by content, side and place */
    struct window windows[2];
    uint8_t *moved[2]; /* CONFIRM_BYTES of a tensor whose elements lie elsewhere */
    struct settlement *settlement;
};

const struct tensor *item_tensor(const struct settling *s, const struct item *item);
/* The model of the item's side. */
size_t item_model(const struct settling *s, const struct item *item);

/* 0 for tensors of one content (as far as the records tell), and for names that differ in their numbers only. */
int item_compare_content(const struct settling *s, const struct item *x, const struct item *y);
int item_compare_place(const struct settling *s, const struct item *x, const struct item *y);

/* Lists the open tensors and all of their content, and sorts them by content, place, side and canonical order; nothing
 * where no tensor is open. */
int settling_list(struct settling *s, struct error *err);

#endif
