/* A row is a pair as it will be. Equal content needs no measuring: its sides have been measured, and what lies between
 * them follows. */
#include "core/scan/repair.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/order.h"
#include "core/scan/yield.h"

/* Which earlier pair each of its tensors comes from. */
struct row {
    uint32_t base, between, last; /* PAIRING_NONE: has none */
    uint16_t rule;
};

struct rows {
    const struct scan_plan *plan;
    const struct pairing *pairing;
    const struct repair *repairs;
    const struct scan_result *result;
    size_t last; /* model */
    struct row *items;
    size_t count;
};

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "no memory to pair tensors by content");
}

static bool has_tensor(const struct rows *rows, size_t pair, size_t model)
{
    return rows->pairing->side[pair * rows->pairing->models + model] != PAIRING_NONE;
}

static bool has_between(const struct rows *rows, size_t pair)
{
    for (size_t m = 1; m < rows->last; m++)
        if (has_tensor(rows, pair, m))
            return true;
    return false;
}

/* Whether the models between of pair `last`, which the baseline lacks, follow its candidate to pair `base`, where there
 * are none: a series in which the first model alone has another name for the tensor. */
static bool do_between_follow(const struct rows *rows, uint32_t last, uint32_t base)
{
    return !rows->repairs[base].is_base_copy && !has_tensor(rows, last, 0) && !has_between(rows, base);
}

/* What becomes of one earlier pair. Its baseline keeps the models between, whose names it has. */
static void rows_add(struct rows *rows, uint32_t pair)
{
    const struct repair *repair = &rows->repairs[pair];
    const bool is_base_moved = repair->base_with != PAIRING_NONE, is_last_moved = repair->last_with != PAIRING_NONE;
    struct row row = {pair, pair, pair, rows->pairing->rule[pair]};

    if (is_last_moved && !repair->is_last_copy && do_between_follow(rows, pair, repair->last_with))
        return;
    if (is_base_moved && do_between_follow(rows, repair->base_with, pair))
        row.between = repair->base_with;
    if (is_base_moved) {
        row.last = repair->base_with;
        row.rule = repair->is_base_copy ? PAIRED_AS_COPY : PAIRED_BY_CONTENT;
    } else if (is_last_moved) {
        row.last = PAIRING_NONE;
        row.rule = has_between(rows, pair) ? row.rule : PAIRED_BY_NAME;
    }
    if (is_base_moved && !is_last_moved && has_tensor(rows, pair, rows->last))
        rows->items[rows->count++] = (struct row){PAIRING_NONE, PAIRING_NONE, pair, PAIRED_BY_NAME};
    if (is_last_moved && repair->is_last_copy)
        rows->items[rows->count++] = (struct row){repair->last_with, PAIRING_NONE, pair, PAIRED_AS_COPY};
    if (has_tensor(rows, pair, 0) || has_between(rows, pair) || row.last != PAIRING_NONE)
        rows->items[rows->count++] = row;
}

static int rows_list(struct rows *rows, struct error *err)
{
    rows->items = calloc(2 * rows->pairing->pairs + 1, sizeof(*rows->items));
    if (!rows->items)
        return no_memory(err);
    for (uint32_t pair = 0; pair < rows->pairing->pairs; pair++)
        rows_add(rows, pair);
    return 0;
}

/* The earlier pair that model m's tensor comes from. */
static uint32_t row_pair(const struct rows *rows, const struct row *row, size_t m)
{
    return m == 0 ? row->base : m == rows->last ? row->last : row->between;
}

static uint32_t row_tensor(const struct rows *rows, const struct row *row, size_t m)
{
    uint32_t pair = row_pair(rows, row, m);

    return pair == PAIRING_NONE ? PAIRING_NONE : rows->pairing->side[pair * rows->pairing->models + m];
}

static struct name row_name(const struct rows *rows, const struct row *row)
{
    for (size_t m = 0; m <= rows->last; m++) {
        uint32_t tensor = row_tensor(rows, row, m);

        if (tensor != PAIRING_NONE)
            return pairing_side(rows->pairing, rows->plan->models, m, tensor)->name;
    }
    return (struct name){"", 0};
}

/* Canonical order; a tensor that stands in two pairs is followed by its copies in the order of theirs. */
static int compare_rows(const void *context, uint32_t a, uint32_t b)
{
    const struct rows *rows = context;
    const struct row *x = &rows->items[a], *y = &rows->items[b];
    int order = name_compare_natural(row_name(rows, x), row_name(rows, y));
    uint32_t last_x, last_y;

    if (order)
        return order;
    last_x = row_tensor(rows, x, rows->last);
    last_y = row_tensor(rows, y, rows->last);
    return last_x < last_y ? -1 : last_x > last_y;
}

/* The figures of a pair as it will be; what its baseline and its candidate are to each other comes first. */
static void row_figures(const struct rows *rows, const struct row *row, size_t at, struct scan_result *to)
{
    const struct scan_result *from = rows->result;
    const size_t models = from->models;

    for (size_t m = 0; m < models; m++) {
        const uint32_t pair = row_pair(rows, row, m);
        const size_t into = at * models + m;
        size_t side;

        side_record_init(&to->sides[into], DTYPE_UNKNOWN);
        for (int i = 0; to->quantiles && i < QUANTILE_COUNT; i++)
            to->quantiles[into].value[i] = NAN;
        if (row_tensor(rows, row, m) == PAIRING_NONE)
            continue;
        side = pair * models + m;
        to->sides[into] = from->sides[side];
        if (to->quantiles)
            to->quantiles[into] = from->quantiles[side];
        if (to->profiles)
            to->profiles[into] = from->profiles[side];
        if (to->rows)
            to->rows[into] = from->rows[side];
        if (to->columns)
            to->columns[into] = from->columns[side];
        if (to->digests)
            memcpy(to->digests[into], from->digests[side], sizeof(to->digests[into]));
    }
    if (row->base == row->last) {
        to->deltas[at] = from->deltas[row->base];
        to->coverage[at] = from->coverage[row->base];
        if (to->flips)
            to->flips[at] = from->flips[row->base];
    } else if (row->base != PAIRING_NONE && row->last != PAIRING_NONE && row_tensor(rows, row, 0) != PAIRING_NONE) {
        delta_record_of_equal(&to->deltas[at], &to->sides[at * models]);
        to->coverage[at] = COVERED_VALUES;
    } else {
        delta_record_init(&to->deltas[at]);
        to->deltas[at].is_bytes_equal = to->deltas[at].has_row_fit = false;
        to->coverage[at] = COVERED_NOT;
    }
}

/* Writes pairing and result anew, in canonical order. They are untouched on failure. */
int pairs_rewrite(const struct scan_plan *plan, const struct repair *repairs, struct pairing *pairing,
                  struct scan_result *result, struct error *err)
{
    struct pairing fresh = {0}, old;
    struct rows rows = {
        .plan = plan, .pairing = pairing, .repairs = repairs, .result = result, .last = plan->model_count - 1};
    struct scan_result *fresh_result = NULL;
    uint32_t *order = NULL, *scratch = NULL;
    int rc = rows_list(&rows, err);

    if (rc)
        return rc;
    order = calloc(rows.count + 1, sizeof(*order));
    scratch = calloc(rows.count / 2 + 1, sizeof(*scratch));
    fresh = *pairing;
    fresh.pairs = rows.count;
    fresh.side = calloc(rows.count * fresh.models + 1, sizeof(*fresh.side));
    fresh.rule = calloc(rows.count + 1, sizeof(*fresh.rule));
    fresh.link = calloc(rows.count + 1, sizeof(*fresh.link));
    if (!order || !scratch || !fresh.side || !fresh.rule || !fresh.link) {
        rc = no_memory(err);
        goto out;
    }
    for (size_t i = 0; i < rows.count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, rows.count, scratch, compare_rows, &rows);
    rc = scan_result_like(result, rows.count, &fresh_result, err);
    if (rc)
        goto out;
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *row = &rows.items[order[i]];

        for (size_t m = 0; m < fresh.models; m++)
            fresh.side[i * fresh.models + m] = row_tensor(&rows, row, m);
        fresh.rule[i] = row->rule;
        if (pairing->link && row->base != PAIRING_NONE)
            fresh.link[i] = pairing->link[row->base];
        row_figures(&rows, row, i, fresh_result);
    }
    scan_result_swap(result, fresh_result);
    old = *pairing;
    *pairing = fresh;
    fresh = old;
out:
    free(fresh.side);
    free(fresh.rule);
    free(fresh.link);
    free(order);
    free(scratch);
    free(rows.items);
    scan_result_free(fresh_result);
    return rc;
}
