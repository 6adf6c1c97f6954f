/* How stored bytes become values where a tensor is not simply contiguous little-endian elements of its dtype. Decoders
 * keep no state: deflated bytes are a source of their own (core/io), and so any thread may read any range. */
#ifndef CORE_DECODE_DECODER_H
#define CORE_DECODE_DECODER_H

#include "core/model/model.h"

struct decoder {
    const char *name;
    /* The values take another form than the stored bytes, which are what is held against each other and digested. Else
     * elements only lie elsewhere or the other way round, and the tensor's bytes are those of its plain elements. */
    bool is_encoding;
    /* No file holds the values, so that no bytes are equal: they are computed, or other decoders' moved about. */
    bool is_computed;
    /* Either: granule elements lie in granule_bytes bytes, one granule behind the other from the extent's start. */
    uint32_t granule, granule_bytes;
    void (*decode)(const struct storage *storage, const uint8_t *stored, size_t granules, void *out);
    /* Or, with granule 0: plain elements [first, first + elements) of the tensor, which lie anywhere. */
    int (*read)(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements, void *out,
                struct error *err);
    /* Optional, with read: whether neighbours lie far apart, as in a matrix turned over. Every stretch of such a tensor
     * is spread over all of its bytes, so that a long one costs little more than a short one. */
    bool (*is_scattered)(const struct tensor *tensor);
};

enum { DECODER_GRANULE_MAX = 256 };

bool tensor_is_encoded(const struct tensor *tensor);
bool tensor_is_computed(const struct tensor *tensor);

/* Elements [first, first + elements) as plain elements of tensor->dtype, which has whole bytes where the tensor has a
 * storage; without one, the range starts at a byte. */
int decoder_read(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements, void *out,
                 struct error *err);

/* The same from stored bytes at hand: those of the granules that the range touches. With granules only. */
void decoder_decode(const struct tensor *tensor, const uint8_t *stored, uint64_t first, size_t elements, void *out);

/* Bytes [offset, offset + bytes) of the extent.bytes that the tensor is compared and digested by; both multiples of 8
 * or the end. */
int decoder_read_bytes(const struct model *model, const struct tensor *tensor, uint64_t offset, size_t bytes, void *out,
                       struct error *err);

/* Of a tensor made of several: the share of its bytes that stands for elements [first, first + elements). */
void decoder_share(const struct tensor *tensor, uint64_t first, size_t elements, uint64_t *ret_offset,
                   uint64_t *ret_bytes);

/* How far from its extent's offset the tensor's bytes reach: views leave gaps, or lie on the same bytes again. */
uint64_t decoder_reach(const struct tensor *tensor);

/* Whether neighbours of the tensor lie far apart. */
bool decoder_is_scattered(const struct tensor *tensor);

/* Bytes of every element turned round, in granules of one element of that dtype. */
const struct decoder *decoder_swapped(enum dtype dtype);

/* int4 in the low half of a byte each, as I8. */
extern const struct decoder decoder_int4;

/* Integers of 4 or 2 bits, several to a byte, the first in its lowest bits, as I8 or U8. */
const struct decoder *decoder_packed_ints(unsigned bits, bool is_signed);

/* Two F16 to a complex number, as C64. */
extern const struct decoder decoder_complex32;

/* Elements at strides: parameters point to a struct strides. */
struct strides {
    const uint64_t *steps; /* in elements, one a dimension */
    bool is_swapped;
};
extern const struct decoder decoder_strided;

/* A matrix in tiles that lie anywhere: bands of rows, each cut into tiles from its first column to its last. Pieces of
 * one run of elements are tiles of one column. Parameters point to a struct tiles. */
struct tile {
    uint64_t row, rows, column, columns; /* in elements, none empty */
    uint64_t offset;                     /* in its source */
    uint32_t source;                     /* counted from the extent's */
};
struct tiles {
    const struct tile *list; /* by row, then by column */
    size_t count;
    uint64_t columns; /* of the matrix */
    uint64_t reach;   /* from the extent's offset, of those in the extent's source */
};

/* Gives tiles its list, whose sources are still those of the model, and tensor the extent's source and offset. */
void tiles_settle(struct tiles *tiles, struct tile *list, struct tensor *tensor);

extern const struct decoder decoder_tiles;

/* Elements [first, first + elements) of a box whose element 0 is element base of `of`, which may be decoded itself;
 * dims and steps count the elements of `of` in row-major order. */
int strided_read(const struct model *model, const struct tensor *of, uint32_t rank, const uint64_t *dims,
                 const uint64_t *steps, uint64_t base, uint64_t first, uint64_t elements, void *out, struct error *err);
bool strided_is_scattered(uint32_t rank, const uint64_t *dims, const uint64_t *steps);

#endif
