/* The table of element types. Extremes are those of the finite values: what a saturating cast ends at. */
#include "core/model/dtype.h"

#include <float.h>
#include <string.h>

static const struct dtype_traits traits[DTYPE_COUNT] = {
    [DTYPE_UNKNOWN] = {.name = "unknown", .short_name = "unknown", .kind = DTYPE_KIND_NONE},
    [DTYPE_BOOL] = {"BOOL", "bool", 8, DTYPE_KIND_BOOL, false, 0, 1},
    [DTYPE_F4] = {"F4", "f4", 4, DTYPE_KIND_FLOAT, false, -6, 6},
    [DTYPE_F6_E2M3] = {"F6_E2M3", "f6_e2m3", 6, DTYPE_KIND_FLOAT, false, -7.5, 7.5},
    [DTYPE_F6_E3M2] = {"F6_E3M2", "f6_e3m2", 6, DTYPE_KIND_FLOAT, false, -28, 28},
    [DTYPE_U8] = {"U8", "u8", 8, DTYPE_KIND_UINT, false, 0, 255},
    [DTYPE_I8] = {"I8", "i8", 8, DTYPE_KIND_INT, false, -128, 127},
    [DTYPE_F8_E5M2] = {"F8_E5M2", "f8_e5m2", 8, DTYPE_KIND_FLOAT, false, -57344, 57344},
    [DTYPE_F8_E4M3] = {"F8_E4M3", "f8_e4m3", 8, DTYPE_KIND_FLOAT, false, -448, 448},
    [DTYPE_F8_E8M0] = {"F8_E8M0", "f8_e8m0", 8, DTYPE_KIND_FLOAT, false, 0x1p-127, 0x1p127},
    [DTYPE_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", "f8_e4m3fnuz", 8, DTYPE_KIND_FLOAT, false, -240, 240},
    [DTYPE_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", "f8_e5m2fnuz", 8, DTYPE_KIND_FLOAT, false, -57344, 57344},
    [DTYPE_I16] = {"I16", "i16", 16, DTYPE_KIND_INT, false, -32768, 32767},
    [DTYPE_U16] = {"U16", "u16", 16, DTYPE_KIND_UINT, false, 0, 65535},
    [DTYPE_F16] = {"F16", "f16", 16, DTYPE_KIND_FLOAT, false, -65504, 65504},
    [DTYPE_BF16] = {"BF16", "bf16", 16, DTYPE_KIND_FLOAT, false, -0x1.fep127, 0x1.fep127},
    [DTYPE_I32] = {"I32", "i32", 32, DTYPE_KIND_INT, false, INT32_MIN, INT32_MAX},
    [DTYPE_U32] = {"U32", "u32", 32, DTYPE_KIND_UINT, false, 0, UINT32_MAX},
    [DTYPE_F32] = {"F32", "f32", 32, DTYPE_KIND_FLOAT, false, -FLT_MAX, FLT_MAX},
    [DTYPE_C64] = {"C64", "c64", 64, DTYPE_KIND_COMPLEX, false, 0, 0},
    [DTYPE_C128] = {"C128", "c128", 128, DTYPE_KIND_COMPLEX, false, 0, 0},
    [DTYPE_F64] = {"F64", "f64", 64, DTYPE_KIND_FLOAT, false, -DBL_MAX, DBL_MAX},
    [DTYPE_I64] = {"I64", "i64", 64, DTYPE_KIND_INT, true, -0x1p63, 0x1p63},
    [DTYPE_U64] = {"U64", "u64", 64, DTYPE_KIND_UINT, true, 0, 0x1p64},
};

const struct dtype_traits *dtype_traits(enum dtype dtype)
{
    return &traits[(unsigned)dtype < DTYPE_COUNT ? dtype : DTYPE_UNKNOWN];
}

enum dtype dtype_by_name(struct name name)
{
    for (unsigned i = DTYPE_UNKNOWN + 1; i < DTYPE_COUNT; i++)
        if (name.bytes > 0 && traits[i].name[0] == name.text[0] && strlen(traits[i].name) == name.bytes &&
            memcmp(traits[i].name, name.text, name.bytes) == 0)
            return (enum dtype)i;
    return DTYPE_UNKNOWN;
}

bool dtype_is_complex(enum dtype dtype)
{
    return dtype_traits(dtype)->kind == DTYPE_KIND_COMPLEX;
}

bool dtype_is_parameter(enum dtype dtype)
{
    enum dtype_kind kind = dtype_traits(dtype)->kind;

    return kind == DTYPE_KIND_FLOAT || kind == DTYPE_KIND_COMPLEX;
}
