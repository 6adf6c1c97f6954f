/* Tensors that are made of another tensor of their model: a part of it, its rows in another order, transposed, with one
 * added. What a view yields is what a converter would have written, rounded as it rounds. */
#ifndef CORE_DECODE_VIEW_H
#define CORE_DECODE_VIEW_H

#include "core/arena.h"
#include "core/decode/decoder.h"

enum { VIEW_RANK_MAX = 12 };

enum view_arithmetic {
    VIEW_AS_IT_IS,
    VIEW_PLUS_ONE,     /* x + 1 */
    VIEW_NEGATIVE_EXP, /* −e^x */
};

/* A box of the source: element (i, j, …) is the source's element first + i·steps[0] + j·steps[1] + …, counted in
 * row-major order. */
struct view_piece {
    uint64_t first, elements;
    uint32_t rank;
    uint64_t dims[VIEW_RANK_MAX], steps[VIEW_RANK_MAX];
};

/* Pieces one after the other, in row-major order each. */
struct view {
    const struct tensor *source; /* of the same model */
    const struct view_piece *pieces;
    size_t piece_count;
    enum view_arithmetic arithmetic;
};

/* Makes a tensor of shape dims (copied) that holds the pieces; its memory is the arena's. Where the pieces lie in one
 * stretch of the source, the tensor is that stretch and costs nothing. The source's elements have whole bytes. */
int view_make(const struct view *view, uint32_t rank, const uint64_t *dims, struct arena *arena,
              struct tensor *ret_tensor, struct error *err);

/* Where element flat of a tensor that view_make made of source lies in source. */
uint64_t view_origin(const struct tensor *view, const struct tensor *source, uint64_t flat);

/* The tensor that a view reads, NULL of what is no view or one stretch. */
const struct tensor *view_source(const struct tensor *view);

/* A view of source made anew of another tensor of its shape; whether two views of source are the same. */
int view_of_other(const struct tensor *view, const struct tensor *source, const struct tensor *other,
                  struct arena *arena, struct tensor *ret_tensor, struct error *err);
bool view_equal(const struct tensor *a, const struct tensor *b, const struct tensor *source);

#endif
