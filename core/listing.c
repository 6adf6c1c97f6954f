#include "core/listing.h"

#include <math.h>
#include <stdlib.h>

struct entry {
    double figure;
    uint32_t pair;
};

double listing_figure(const struct comparison *c, size_t pair, enum sort_key key)
{
    const struct delta_record *delta;

    if (key == SORT_NAME)
        return (double)pair;
    if (key == SORT_CHANGE_MAGNITUDE && c->model_count > 1 &&
        (c->status[pair] == STATUS_ADDED || c->status[pair] == STATUS_REMOVED ||
         c->status[pair] == STATUS_SHAPE_CHANGED))
        return HUGE_VAL;
    delta = comparison_delta(c, pair);
    if (!delta || c->model_count == 1)
        return NAN;
    switch (key) {
    case SORT_CHANGE_MAGNITUDE:
        /* a change from nothing is larger than any ratio */
        return isnan(delta_relative_l2(delta)) && delta->changed ? HUGE_VAL : delta_relative_l2(delta);
    case SORT_RELATIVE_L2:
        return delta_relative_l2(delta);
    case SORT_L2:
        return delta_l2(delta);
    case SORT_RMS:
        return delta_rms(delta);
    case SORT_MAX_ABS:
        return delta->max_abs;
    case SORT_MEAN:
        return delta_mean(delta);
    case SORT_MEAN_ABS:
        return delta_mean_abs(delta);
    case SORT_COSINE:
        return delta_cosine(delta);
    case SORT_CHANGED_ELEMENTS:
        return (double)delta->changed;
    case SORT_CHANGED_FRACTION:
        return delta->elements ? (double)delta->changed / (double)delta->elements : NAN;
    case SORT_SIGN_FLIPS:
        return (double)delta->sign_flips;
    case SORT_BEYOND_EPSILON:
        return (double)delta->beyond_epsilon;
    case SORT_NAME:
    case SORT_COUNT:
        break;
    }
    return NAN;
}

/* Pairs without a figure come last whatever the order; equal figures stay in canonical order. */
static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;

    if (isnan(a->figure) != isnan(b->figure))
        return isnan(a->figure) ? 1 : -1;
    if (a->figure < b->figure)
        return -1;
    if (a->figure > b->figure)
        return 1;
    return a->pair < b->pair ? -1 : a->pair > b->pair;
}

static bool is_listed(const struct comparison *c, size_t pair)
{
    if (c->model_count == 1)
        return true;
    if (c->status[pair] == STATUS_COUNT)
        return false;
    if (!c->request->options.only_changed)
        return true;
    return c->status[pair] != STATUS_BIT_EQUAL && c->status[pair] != STATUS_VALUE_EQUAL &&
           !comparison_is_within_epsilon(c, pair);
}

int listing_build(const struct comparison *c, uint32_t **ret_listing, size_t *ret_count, struct error *err)
{
    const struct options *options = &c->request->options;
    bool is_descending = options->order ? options->order == 2 : options->sort != SORT_NAME;
    struct entry *entries = calloc(c->pairing->pairs + 1, sizeof(*entries));
    uint32_t *listing = calloc(c->pairing->pairs + 1, sizeof(*listing));
    size_t count = 0;

    if (!entries || !listing) {
        free(entries);
        free(listing);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        if (is_listed(c, pair)) {
            double figure = listing_figure(c, pair, (enum sort_key)options->sort);

            entries[count++] = (struct entry){is_descending ? -figure : figure, (uint32_t)pair};
        }
    qsort(entries, count, sizeof(*entries), compare_entries);
    if (options->top && options->top < count)
        count = (size_t)options->top;
    for (size_t i = 0; i < count; i++)
        listing[i] = entries[i].pair;
    free(entries);
    *ret_listing = listing;
    *ret_count = count;
    return 0;
}
