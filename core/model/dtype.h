/* Element types: one row of a table each. */
#ifndef CORE_MODEL_DTYPE_H
#define CORE_MODEL_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/name.h"

enum dtype {
    DTYPE_UNKNOWN, /* named by the file, not known here: listed, compared as bytes only */
    DTYPE_BOOL,
    DTYPE_F4,
    DTYPE_F6_E2M3,
    DTYPE_F6_E3M2,
    DTYPE_U8,
    DTYPE_I8,
    DTYPE_F8_E5M2,
    DTYPE_F8_E4M3,
    DTYPE_F8_E8M0,
    DTYPE_F8_E4M3FNUZ,
    DTYPE_F8_E5M2FNUZ,
    DTYPE_I16,
    DTYPE_U16,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_I32,
    DTYPE_U32,
    DTYPE_F32,
    DTYPE_C64,
    DTYPE_F64,
    DTYPE_C128,
    DTYPE_I64,
    DTYPE_U64,
    DTYPE_COUNT
};

enum dtype_kind {
    DTYPE_KIND_NONE,
    DTYPE_KIND_BOOL,
    DTYPE_KIND_INT,
    DTYPE_KIND_UINT,
    DTYPE_KIND_FLOAT,
    DTYPE_KIND_COMPLEX
};

struct dtype_traits {
    const char *name;       /* as safetensors spells it */
    const char *short_name; /* lower case, as the text forms print it: f32, bf16 */
    unsigned bits;          /* of one element */
    enum dtype_kind kind;
    bool is_wide;    /* values do not fit a double exactly (I64, U64) */
    double min, max; /* finite extreme values: saturation; 0 where unused */
};

const struct dtype_traits *dtype_traits(enum dtype dtype);
bool dtype_is_complex(enum dtype dtype);    /* two terms an element */
enum dtype dtype_by_name(struct name name); /* DTYPE_UNKNOWN when there is none */
bool dtype_is_parameter(enum dtype dtype);  /* counts in model-level sums: floats and complex, not integers and BOOL */

#endif
