/* What was done to a tensor on its way from one layout into another, as text: "rope_permute(heads)",
 * "index(3)|transpose|rows(0:1/2)". Steps are applied from left to right:
 *
 *   none                    as it is; dimensions of 1 may come and go
 *   reshape                 other dimensions, same order of elements
 *   transpose               the last two dimensions change places
 *   index(i), index2(i)     slice i of the first, of the third dimension
 *   rows(a:b[:s])           of the first dimension; columns(a:b[:s]): of the second
 *   heads(n)                the first dimension becomes two, the first of which is n
 *   rope_permute(n)         rows of n heads: halves become neighbours; rope_unpermute(n): neighbours become halves
 *   regroup(n:a,b,~c)       rows are n groups of parts as large as a, b, c are to each other: all first parts come
 *                           first, then all second ones; parts with ~ are left out
 *   tile(n:m[:a])           rows behind the first a are n groups of m parts, and become m groups of n parts;
 *                           tile_columns(n:m): the second dimension of a matrix
 *   rowmap(a:b:s,...)       slices of rows, one after the other
 *   plus_one, neg_exp       x + 1, −e^x
 *
 * A number is a figure, a fraction of the dimension ("1/3"), or a symbol with a value; "-" counts from the end. */
#ifndef CORE_ALIGN_TRANSFORMATION_H
#define CORE_ALIGN_TRANSFORMATION_H

#include "core/decode/view.h"

enum { TRANSFORMATION_PIECES_MAX = 64, TRANSFORMATION_BYTES = 256, SYMBOLS_MAX = 24 };

struct symbol {
    const char *name;
    uint64_t value;
};

struct symbols {
    struct symbol items[SYMBOLS_MAX];
    size_t count;
};

/* Sets a symbol; one too many is left out. */
void symbols_set(struct symbols *symbols, const char *name, uint64_t value);

/* NULL where it has no value. */
const struct symbol *symbols_find(const struct symbols *symbols, struct name name);

struct arrangement {
    uint32_t rank;
    uint64_t dims[VIEW_RANK_MAX];
    size_t piece_count;
    enum view_arithmetic arithmetic;
    bool is_reshaped; /* by "reshape": any dimensions of as many elements will do */
    bool is_moved;    /* more was done than nothing */
    bool is_rows;     /* only rows were taken, [first_row, last_row) of the first dimension */
    uint64_t first_row, last_row;
    char text[TRANSFORMATION_BYTES];                     /* with figures for symbols */
    struct view_piece pieces[TRANSFORMATION_PIECES_MAX]; /* the last member: those beyond piece_count are not set */
};

/* What the transformation makes of a tensor of that type and shape. ERROR_REQUEST with the step that does not fit, or
 * cannot be read. */
int transformation_apply(struct name text, const struct symbols *symbols, const struct tensor *source,
                         struct arrangement *ret, struct error *err);

/* Equal for arrangements that take the same elements in the same order, however they were said. */
uint64_t arrangement_fingerprint(const struct arrangement *arrangement);

/* Whether the text can be read at all, whatever the tensor. */
int transformation_check(struct name text, struct error *err);

#endif
