/* Weights with a low-rank change added as they are read: W + scale·B·A, and DoRA's m·W' ÷ ‖W'‖ by outputs: rows, or
 * columns of a weight that is stored the other way round. */
#ifndef CORE_ADAPTER_LORA_H
#define CORE_ADAPTER_LORA_H

#include "core/arena.h"
#include "core/decode/decoder.h"

enum { LORA_RANK_MAX = 4096 };

/* The base as rows × columns, `slices` of them one behind the other (stacked experts). Row i of slice e changes by
 * scale · Σ over k of left(e, i, k) · right(e, k, ·), where right is rank × columns. The factors are elements of
 * adapter tensors: left at left_first + e·left_slice + i·left_row + k·left_rank, right likewise. With left_rows, row i
 * changes as left_rows[i] would. */
struct lora {
    const struct tensor *base;         /* as it was */
    const struct tensor *left, *right; /* right NULL: ones */
    const struct tensor *magnitude;    /* DoRA's, one a row, or a column; NULL: plain */
    struct lora_columns *columns_by;   /* what columns are multiplied with, NULL where rows are */
    uint64_t slices, rows, columns, rank;
    const uint32_t *left_rows; /* [row]; NULL: as they are */
    uint64_t left_first, left_slice, left_row, left_rank;
    uint64_t right_first, right_slice, right_rank, right_column;
    double scale;
};

extern const struct decoder decoder_lora;

/* Room for what the first to read a weight by columns finds of all of it; NULL: out of memory. */
struct lora_columns *lora_columns_new(struct arena *arena, uint64_t columns);

#endif
