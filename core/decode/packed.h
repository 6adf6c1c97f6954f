/* Weights that quantisers keep in several tensors of a checkpoint: codes, their scales, zero points, maps. */
#ifndef CORE_DECODE_PACKED_H
#define CORE_DECODE_PACKED_H

#include "core/decode/decoder.h"

enum { PACKED_NO_PART = UINT8_MAX, PACKED_GROUPS_MAX = 1 << 20 };

/* How the code of row r and column c lies. Words are of 32 bits. */
enum packed_codes {
    PACKED_ALONG,      /* rows of bytes: bit c · bits of row r's, from the lowest bit up; or in words of their own */
    PACKED_DOWN,       /* the same in words that lie a row of the part apart: word w of row r is at [w][r] */
    PACKED_HIGH_FIRST, /* rows of bytes, two codes each, the first in the high half */
    PACKED_AWQ,        /* words [c][r / 8]; row r % 8's code is in four bits of it, out of order */
    PACKED_AWQ_FAST,   /* 16-bit words [r / 4][c], four rows and 64 columns in a knot */
    PACKED_PAIRS,      /* bytes [r / 2][c]; row r % 2's code is in four bits of it, from the lowest up */
    PACKED_SECTIONS,   /* section s of the elements in order lies in the same units as section 0, at other bits */
};

/* What a code means before it is scaled. */
enum packed_values {
    PACKED_UNSIGNED, /* code − offset */
    PACKED_SIGNED,   /* two's complement */
    PACKED_ELEMENTS, /* codes of eight bits are elements of the dtype `values` */
    PACKED_SMALL,    /* codes of fewer bits are elements of the dtype `values` */
    PACKED_MAP,      /* the F32 of a part at that index */
};

/* How the zero point of row r and group g lies; each is as the scale where it is a number. */
enum packed_zeros {
    PACKED_NO_ZEROS,
    PACKED_ZEROS,       /* numbers */
    PACKED_ZEROS_ALONG, /* row r's codes side by side: bit g · bits of its words */
    PACKED_ZEROS_DOWN,  /* group g's codes side by side: bit r · bits of its words */
    PACKED_ZEROS_AWQ,   /* as PACKED_AWQ, a group a column */
};

/* A part as a matrix: the item of row r and column g lies at r · row_step + g · column_step, in items of dtype. */
struct packed_matrix {
    uint8_t part; /* of the storage's */
    enum dtype dtype;
    uint64_t row_step, column_step;
};

/* What a tensor's storage has for parameters: its elements in order are those of a matrix of rows × columns, row by
 * row; with plane_rows, of matrices of plane_rows × columns that are each turned over. All F32, in this order:
 *
 *   value = (v − zero) · scale · factor      with is_shift: v · scale + zero · zero_sign, with is_divided: v / scale
 *
 * times what each column is times besides.
 *
 * v being what the code means, scale and zero those of (r / row_block, c / column_block), or of the group that the
 * part group_index names for column c; with stack_rows, blocks of rows begin anew each so many rows. Whoever makes one
 * has held every number against the parts' shapes. */
struct packed {
    uint64_t rows, columns, plane_rows;
    enum packed_codes codes;
    uint8_t part;           /* of the codes */
    uint8_t bits;           /* of a code */
    uint8_t codes_per_word; /* codes do not cross words, whose highest bits are unused; 0: they do */
    bool is_planar;         /* DOWN: of each 32 codes the lowest four bits lie first, then the bits above them */
    uint8_t unit_bytes;     /* of a section's unit */
    uint64_t row_bytes;     /* ALONG, HIGH_FIRST, PAIRS: from one line of bytes to the next */
    uint64_t words;         /* DOWN, AWQ: from one line of words to the next */
    uint64_t section;       /* elements of one */
    int8_t first_shift, shift_step;
    enum packed_values meaning;
    enum dtype values;
    uint8_t map;
    float offset;
    struct packed_matrix scales;
    uint64_t row_block, column_block, groups; /* groups of a row */
    uint64_t stack_rows;
    bool are_scales_swizzled; /* of a byte each, in panels of 128 rows and four groups: rows 32 apart side by side */
    uint8_t group_index;
    float scale_factor, scale_divisor; /* a scale is what is stored · factor / divisor */
    uint8_t factors;                   /* F32, one each factor_rows rows of scales: another factor, or divisor */
    uint64_t factor_rows;
    bool are_divisors;
    const struct packed *scales_of, *zeros_of; /* scales, zero points are the elements of another, in the same order */
    uint8_t nested_map, nested_scales;         /* the scale's code → F32, times that of its block, plus offset */
    uint32_t nested_block;
    float nested_offset;
    enum packed_zeros zeros;
    struct packed_matrix zero;
    uint32_t zero_addend; /* added to a word of zero points before it is taken apart */
    float zero_plus;      /* added to a zero point that is a code */
    bool is_shift, is_divided;
    float zero_sign, factor;
    struct packed_matrix column_factors; /* one a column, which the activations are times instead; part may be none */
};
extern const struct decoder decoder_packed;

#endif
