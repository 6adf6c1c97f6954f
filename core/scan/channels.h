/* L2 norms of a tensor's rows (first dimension) and columns (last dimension), gathered unit by unit.
 *
 * A channel's figure is Σx² over its finite elements; for F64, whose squares leave the range of a double, it is the
 * norm itself, joined by hypot. −0 stands for "nothing but zeros so far", +0 for "no finite value but zeros, and
 * something that is not finite": IEEE addition keeps the two apart. */
#ifndef CORE_SCAN_CHANNELS_H
#define CORE_SCAN_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/model/tensor.h"
#include "core/scan/measure.h"
#include "core/scan/scan.h"

/* One side of one tensor, over all its units. A zeroed one holds nothing. */
struct channels {
    uint64_t rows, columns; /* 0: not measured */
    uint64_t row_elements;
    bool is_joint; /* rank 2: a row is as long as there are columns, and one walk measures both */
    bool is_norms; /* F64 */
    double *row, *column;
    size_t row_room, column_room;
};

/* What one unit adds that others add to as well. Rows that lie between its first and its last go to channels->row at
 * once: they are this unit's alone. */
struct channel_part {
    uint64_t first_row;
    size_t rows; /* 0: none */
    double head, tail;
    double *column; /* [columns] */
    size_t column_room;
    bool has_columns;
};

/* Makes ready for a tensor; NULL or one that is not measured empties. ERROR_NO_MEMORY. */
int channels_begin(struct channels *channels, const struct tensor *tensor, unsigned needs, struct error *err);
void channels_done(struct channels *channels);

int channel_part_begin(struct channel_part *part, const struct channels *channels, struct error *err);
void channel_part_done(struct channel_part *part);

/* A unit on its way: its elements are handed on as they are measured, while they lie in the cache. */
struct channel_walk {
    struct measure *measure;
    struct channels *channels;
    struct channel_part *part;
    const struct stored *x;
    uint64_t first;           /* flat index of the unit's first element */
    size_t row_at, column_at; /* elements of the unit that are done */
    double row_sum;           /* of the row under way */
    size_t row_start;         /* where in the unit it starts */
    size_t fold;              /* short rows are taken together, `fold` elements wide: a multiple of the columns */
};

/* channels may be NULL, or empty: then nothing is done. */
void channel_walk_begin(struct channel_walk *walk, struct measure *m, struct channels *channels,
                        struct channel_part *part, const struct stored *x, uint64_t first);
/* The unit's first `done` elements have been seen. */
void channel_walk_advance(struct channel_walk *walk, size_t done);
void channel_walk_end(struct channel_walk *walk);

/* from's unit had the same bytes: its figures are to's. */
void channel_part_copy(struct channels *to, struct channel_part *to_part, const struct channels *from,
                       const struct channel_part *from_part);

/* Adds a unit; in unit order. */
void channels_join(struct channels *channels, const struct channel_part *part);

/* When all units are joined. The channels' figures are used up. */
void channels_settle(struct channels *channels, struct channel_norms *ret_rows, struct channel_norms *ret_columns);

#endif
