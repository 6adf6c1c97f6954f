/* How a tensor is cut into units. Its row-major matrix form has the last dimension as columns and all others as rows; a
 * unit is a box of it that lies contiguously: whole rows up to about 2^20 elements, or a piece of a longer row. The
 * cuts depend on the shape alone, and on its leading dimension not at all: tensors that differ there only share their
 * cuts. */
#ifndef CORE_SCAN_UNIT_H
#define CORE_SCAN_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/model/tensor.h"

enum { UNIT_ELEMENTS = 1 << 20 };

struct box {
    uint64_t row, rows, column, columns;
};

struct grid {
    uint64_t rows, columns;
    uint64_t unit_rows;    /* rows of a unit; 1 where rows are cut */
    uint64_t unit_columns; /* columns of a unit; all, or 2^20 where rows are cut */
    uint64_t units;        /* 0 of an empty tensor */
};

void grid_of(const struct shape *shape, struct grid *ret_grid);

/* The unit's box; unit < grid->units. */
void grid_box(const struct grid *grid, uint64_t unit, struct box *ret_box);

/* The box's first element in the flat tensor, and its size. */
uint64_t box_first(const struct grid *grid, const struct box *box);
uint64_t box_elements(const struct box *box);

/* Whether two shapes have the same rank and trailing dimensions: then their units share their cuts. */
bool shapes_share_grid(const struct shape *a, const struct shape *b);

#endif
