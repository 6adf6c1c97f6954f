/* Weights that are sums of vectors out of codebooks, times a scale a row. */
#ifndef CORE_DECODE_SUMS_H
#define CORE_DECODE_SUMS_H

#include "core/decode/decoder.h"

enum { SUMS_BOOKS_MAX = 64, SUMS_WIDTH_MAX = 256, SUMS_NUMBERS_MAX = 1 << 22 }; /* numbers of all books together */

/* What a tensor's storage has for parameters; its parts are codes, books and scales. Elements in order are vectors of
 * `width` behind one another; each has a code a book, and is the F32 sum, book by book, of the entries that its codes
 * name. A code's bits above those of an entry's number are its sign. */
struct sums {
    uint64_t columns;
    uint32_t width, books, entries; /* entries of each book, a power of two */
    enum dtype codes;
};
extern const struct decoder decoder_sums;

#endif
