/* A tile of a packed tensor on its way to values; what packed.c and packed_codes.c share. */
#ifndef CORE_DECODE_PACKED_TILE_H
#define CORE_DECODE_PACKED_TILE_H

#include "core/decode/packed.h"

struct packed_tile {
    uint64_t row, rows, column, columns; /* of SECTIONS more rows than one only where they are whole */
};

/* The state of one read: buffers that grow to what its largest tile needs. */
struct packed_work {
    const struct model *model;
    const struct tensor *tensor;
    const struct packed *packed;
    struct error *err;
    uint8_t *raw, *codes;            /* stored items; codes of the tile, row by row */
    float *scales, *zeros, *columns; /* of the columns what each is times */
    uint32_t *group_of;              /* of each column of the tile */
    float *turned;
    size_t raw_room, code_room, scale_room, zero_room, column_room, group_room, turned_room;
    float meanings[256], nested[256];
};

/* Items of a part into raw, with a byte behind them. */
int packed_work_read(struct packed_work *work, const struct packed_matrix *matrix, uint64_t row, uint64_t rows,
                     uint64_t column, uint64_t columns);

int packed_load_codes(struct packed_work *work, const struct packed_tile *tile);
int packed_load_zero_codes(struct packed_work *work, uint64_t row, uint64_t rows, uint64_t group, uint64_t groups,
                           float *out);

#endif
