#include "core/scan/layout.h"

#include <stdlib.h>

int layout_init(struct layout *layout, size_t models, struct error *err)
{
    *layout = (struct layout){.models = models};
    layout->tensor = calloc(models, sizeof(*layout->tensor));
    layout->group_of = calloc(models, sizeof(*layout->group_of));
    layout->group = calloc(models, sizeof(*layout->group));
    if (!layout->tensor || !layout->group_of || !layout->group) {
        layout_done(layout);
        return error_set(err, ERROR_NO_MEMORY, "no memory to lay out pairs of %zu models", models);
    }
    return 0;
}

void layout_done(struct layout *layout)
{
    free(layout->tensor);
    free(layout->group_of);
    free(layout->group);
    *layout = (struct layout){0};
}

static enum scan_coverage coverage_of(const struct tensor *a, const struct tensor *b)
{
    if (!tensor_is_decodable(a) || !tensor_is_decodable(b)) {
        if (!tensor_is_decodable(a) && !tensor_is_decodable(b) &&
            name_equal(tensor_dtype_name(a), tensor_dtype_name(b)) && shape_equal(&a->shape, &b->shape) &&
            a->extent.bytes == b->extent.bytes && (a->extent.bytes > 0 || a->shape.elements == 0))
            return COVERED_BYTES;
        return COVERED_OPAQUE;
    }
    if (shape_equal(&a->shape, &b->shape))
        return COVERED_VALUES;
    if (shapes_share_grid(&a->shape, &b->shape) && a->shape.dims[0] > 0 && b->shape.dims[0] > 0)
        return COVERED_ROWS;
    return COVERED_NOT;
}

/* Puts model m into the group of its grid. */
static void join_group(struct layout *layout, size_t m)
{
    const struct tensor *tensor = layout->tensor[m];
    uint32_t g = 0;

    while (g < layout->group_count &&
           (layout->group[g].is_bytes || !shapes_share_grid(layout->group[g].shape, &tensor->shape)))
        g++;
    if (g == layout->group_count) {
        layout->group[g] = (struct layout_group){.shape = &tensor->shape};
        layout->group_count++;
    } else if (tensor->shape.elements > layout->group[g].shape->elements) {
        layout->group[g].shape = &tensor->shape;
    }
    layout->group_of[m] = g;
}

/* Puts model m into a group of its own that is read as bytes. */
static uint32_t join_bytes(struct layout *layout, size_t m)
{
    uint32_t g = (uint32_t)layout->group_count++;
    uint64_t bytes = layout->tensor[m]->extent.bytes;

    layout->group[g] = (struct layout_group){
        .is_bytes = true, .bytes = bytes, .units = bytes / BYTES_UNIT + (bytes % BYTES_UNIT != 0)};
    layout->group_of[m] = g;
    return g;
}

static bool is_float_beside_codes(const struct tensor *a, const struct tensor *b)
{
    const struct dtype_traits *codes = dtype_traits(b->dtype);

    return dtype_traits(a->dtype)->kind == DTYPE_KIND_FLOAT && !codes->is_wide &&
           (codes->kind == DTYPE_KIND_INT || codes->kind == DTYPE_KIND_UINT);
}

void layout_of(struct layout *layout, const struct scan_plan *plan, size_t pair)
{
    const size_t models = layout->models, last = models - 1;
    const bool is_measured = plan->needs & (NEED_SIDE | NEED_QUANTILES | NEED_SATURATION | NEED_PROFILE | NEED_ROWS |
                                            NEED_COLUMNS | NEED_COUPLES);
    const bool is_digested = plan->needs & NEED_DIGEST;
    const bool needs_delta = plan->needs & (NEED_DELTA | NEED_ROW_FIT | NEED_FLIPS);
    const struct tensor *baseline, *candidate;
    bool has_delta;

    for (size_t m = 0; m < models; m++) {
        layout->tensor[m] = pairing_tensor(plan->pairing, plan->models, pair, m);
        layout->group_of[m] = LAYOUT_NO_GROUP;
    }
    layout->group_count = 0;
    layout->units = layout->bytes = 0;
    layout->is_whole = true;
    layout->delta_group = LAYOUT_NO_GROUP;
    layout->coverage = COVERED_NOT;
    layout->is_row_fit = false;
    layout->is_measured = is_measured;
    baseline = layout->tensor[0];
    candidate = layout->tensor[last];
    if (models > 1 && needs_delta && baseline && candidate)
        layout->coverage = coverage_of(baseline, candidate);
    has_delta = layout->coverage == COVERED_VALUES || layout->coverage == COVERED_ROWS;
    for (size_t m = 0; m < models; m++) {
        if (layout->tensor[m] && tensor_is_decodable(layout->tensor[m]) &&
            (is_measured || is_digested || (has_delta && (m == 0 || m == last))))
            join_group(layout, m);
    }
    if (layout->coverage == COVERED_BYTES)
        layout->group_of[last] = join_bytes(layout, 0);
    for (size_t m = 0; is_digested && m < models; m++) {
        if (layout->tensor[m] && layout->group_of[m] == LAYOUT_NO_GROUP)
            join_bytes(layout, m);
    }
    if (has_delta || layout->coverage == COVERED_BYTES)
        layout->delta_group = layout->group_of[0];
    if (has_delta)
        layout->is_row_fit = (plan->needs & NEED_ROW_FIT) && is_float_beside_codes(baseline, candidate);
    for (size_t g = 0; g < layout->group_count; g++) {
        struct layout_group *group = &layout->group[g];

        if (!group->is_bytes) {
            grid_of(group->shape, &group->grid);
            group->units = group->grid.units;
        }
        layout->units += group->units;
        layout->is_whole = layout->is_whole && group->units <= 1;
    }
    for (size_t m = 0; m < models; m++) {
        if (layout->group_of[m] == LAYOUT_NO_GROUP)
            layout->tensor[m] = NULL;
        else
            layout->bytes += layout->tensor[m]->extent.bytes;
    }
}

uint32_t layout_group_of_unit(const struct layout *layout, uint64_t *unit)
{
    uint32_t g = 0;

    while (*unit >= layout->group[g].units) {
        *unit -= layout->group[g].units;
        g++;
    }
    return g;
}
