#include "core/scan/unit.h"

void grid_of(const struct shape *shape, struct grid *ret_grid)
{
    struct grid grid = {.rows = 1, .columns = 1};

    if (shape->elements == 0) { /* the product of the other dimensions may be anything */
        *ret_grid = (struct grid){0};
        return;
    }
    if (shape->rank > 0) {
        grid.columns = shape->dims[shape->rank - 1];
        grid.rows = shape->elements / grid.columns;
    }
    if (shape->rank <= 1 || grid.columns > UNIT_ELEMENTS) {
        /* A vector is cut like a long row, so that vectors of other lengths share its cuts. */
        grid.unit_rows = 1;
        grid.unit_columns = UNIT_ELEMENTS;
        grid.units = grid.rows * ((grid.columns - 1) / UNIT_ELEMENTS + 1);
    } else {
        grid.unit_rows = UNIT_ELEMENTS / grid.columns;
        if (grid.unit_rows > 8) /* elements of less than a byte then start at a byte */
            grid.unit_rows -= grid.unit_rows % 8;
        grid.unit_columns = grid.columns;
        grid.units = (grid.rows - 1) / grid.unit_rows + 1;
    }
    *ret_grid = grid;
}

void grid_box(const struct grid *grid, uint64_t unit, struct box *ret_box)
{
    uint64_t cuts = (grid->columns - 1) / grid->unit_columns + 1;
    struct box box;

    box.row = unit / cuts * grid->unit_rows;
    box.column = unit % cuts * grid->unit_columns;
    box.rows = grid->rows - box.row < grid->unit_rows ? grid->rows - box.row : grid->unit_rows;
    box.columns = grid->columns - box.column < grid->unit_columns ? grid->columns - box.column : grid->unit_columns;
    *ret_box = box;
}

uint64_t box_first(const struct grid *grid, const struct box *box)
{
    return box->row * grid->columns + box->column;
}

uint64_t box_elements(const struct box *box)
{
    return box->rows * box->columns;
}

bool shapes_share_grid(const struct shape *a, const struct shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (uint32_t i = 1; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i])
            return false;
    }
    return true;
}
