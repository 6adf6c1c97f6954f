/* What is left and lies row behind row in one tensor opposite, under names that no table knows: from its first row on,
 * the tensor whose values are those of the next rows, until there are no more. */
#include <math.h>
#include <stdlib.h>

#include "core/align/layout_work.h"

enum { PARTS_MAX = 16, COMPARISONS_MAX = 1 << 20 };

struct part {
    uint32_t tensor;
    uint64_t rows, inner;
    struct sample sample;
};

static struct part part_of(const struct layout_side *side, uint32_t tensor)
{
    const struct shape *shape = &side->model->tensors[tensor].shape;

    return (struct part){.tensor = tensor, .rows = shape->dims[0], .inner = shape->elements / shape->dims[0]};
}

static bool is_left(const struct layout_side *side, uint32_t tensor)
{
    const struct shape *shape = &side->model->tensors[tensor].shape;

    return !side->is_used[tensor] && shape->elements > 1 && shape->rank > 0 && shape->rank <= VIEW_RANK_MAX;
}

/* The part whose values are by far the nearest to those of the whole's rows from `row` on. */
static int find_part(struct layout_work *w, const struct part *whole, uint64_t row, struct part *parts, size_t count,
                     size_t *ret_found, double *ret_error)
{
    double error = INFINITY, next = INFINITY;
    struct sample sample;
    uint64_t rows = 0;
    int rc;

    *ret_found = count;
    for (size_t i = 0; i < count; i++) {
        double own;

        if (w->source->is_used[parts[i].tensor] || parts[i].inner != whole->inner || parts[i].rows >= whole->rows ||
            parts[i].rows > whole->rows - row || whole->rows / parts[i].rows > PARTS_MAX)
            continue;
        if (rows != parts[i].rows) {
            rows = parts[i].rows;
            rc = layout_sample(w, w->target, whole->tensor, row * whole->inner, rows * whole->inner, &sample);
            if (rc)
                return rc;
        }
        own = layout_sample_error(&sample, &parts[i].sample);
        if (own < error) {
            next = error;
            error = own;
            *ret_found = i;
        } else if (own < next) {
            next = own;
        }
    }
    if (!layout_are_alike(error, next, whole->inner == 1) ||
        (whole->inner == 1 && (w->join_count == 0 || (isinf(next) && error > LAYOUT_CAST_ERROR))))
        *ret_found = count;
    *ret_error = error;
    return 0;
}

static int join_parts(struct layout_work *w, const struct part *whole, struct part *parts, size_t count)
{
    uint64_t row = 0;
    int rc = 0;

    w->member_count = 0;
    while (row < whole->rows && w->member_count < PARTS_MAX) {
        struct layout_member *member = &w->members[w->member_count];
        double error;
        size_t found;

        rc = find_part(w, whole, row, parts, count, &found, &error);
        if (rc || found == count)
            break;
        for (size_t i = 0; i < w->member_count; i++)
            if (w->members[i].source == parts[found].tensor)
                return 0;
        *member = (struct layout_member){
            .source = parts[found].tensor,
            .is_next = true,
            .first = row,
            .last = row + parts[found].rows,
            .transformation = name_of("none"),
            .link = {.rule = "values", .viewed = w->source->m, .evidence = LINK_CONFIRMED, .probe_error = error}};
        row = member->last;
        w->member_count++;
    }
    return rc == 0 && row == whole->rows ? layout_add_members(w, whole->tensor) : rc;
}

static int compare_parts(const void *a, const void *b)
{
    const struct part *x = a, *y = b;

    if (x->rows != y->rows)
        return x->rows < y->rows ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

int layout_add_fused(struct layout_work *w)
{
    const struct layout_side *target = w->target, *source = w->source;
    struct part *parts = calloc(source->left_count + 1, sizeof(*parts));
    size_t count = 0, wholes = 0;
    int rc = parts ? 0 : layout_no_memory(w);

    for (size_t i = 0; rc == 0 && i < source->left_count; i++)
        if (is_left(source, source->left[i]))
            parts[count++] = part_of(source, source->left[i]);
    for (size_t i = 0; i < target->left_count; i++)
        wholes += is_left(target, target->left[i]);
    if (rc || (uint64_t)wholes * count > COMPARISONS_MAX || wholes == 0)
        goto out;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = layout_sample(w, source, parts[i].tensor, 0, parts[i].rows * parts[i].inner, &parts[i].sample);
    qsort(parts, count, sizeof(*parts), compare_parts);
    for (int vectors = 0; rc == 0 && vectors < 2; vectors++)
        for (size_t i = 0; rc == 0 && i < target->left_count; i++) {
            struct part whole;

            if (!is_left(target, target->left[i]))
                continue;
            whole = part_of(target, target->left[i]);
            if ((whole.inner == 1) == vectors)
                rc = join_parts(w, &whole, parts, count);
        }
out:
    free(parts);
    return rc;
}
