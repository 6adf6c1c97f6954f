/* Datatypes. */
#include <stdlib.h>
#include <string.h>

#include "core/format/hdf5_dataset.h"

static void read_integer(hid_t id, struct hdf5_type *type)
{
    static const enum dtype by_width[2][9] = {{[1] = DTYPE_U8, [2] = DTYPE_U16, [4] = DTYPE_U32, [8] = DTYPE_U64},
                                              {[1] = DTYPE_I8, [2] = DTYPE_I16, [4] = DTYPE_I32, [8] = DTYPE_I64}};

    type->spelled = "integer of an unusual width";
    type->is_swapped = H5Tget_order(id) == H5T_ORDER_BE;
    if (type->bytes <= 8 && H5Tget_precision(id) == 8 * (size_t)type->bytes && H5Tget_offset(id) == 0)
        type->dtype = by_width[H5Tget_sign(id) == H5T_SGN_2][type->bytes];
}

static void read_float(hid_t id, struct hdf5_type *type)
{
    static const struct {
        uint32_t bytes;
        size_t exponent, mantissa, bias;
        enum dtype dtype;
    } known[] = {
        {1, 5, 2, 15, DTYPE_F8_E5M2}, {2, 5, 10, 15, DTYPE_F16},    {2, 8, 7, 127, DTYPE_BF16},
        {4, 8, 23, 127, DTYPE_F32},   {8, 11, 52, 1023, DTYPE_F64},
    };
    const H5T_order_t order = H5Tget_order(id);
    size_t sign_at, exponent_at, exponent, mantissa_at, mantissa;

    type->spelled = "float of an unusual form";
    type->is_swapped = order == H5T_ORDER_BE;
    if ((order != H5T_ORDER_BE && order != H5T_ORDER_LE) || H5Tget_norm(id) != H5T_NORM_IMPLIED ||
        H5Tget_precision(id) != 8 * (size_t)type->bytes || H5Tget_offset(id) != 0 ||
        H5Tget_fields(id, &sign_at, &exponent_at, &exponent, &mantissa_at, &mantissa) < 0)
        return;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].bytes == type->bytes && known[i].exponent == exponent && known[i].mantissa == mantissa &&
            known[i].bias == H5Tget_ebias(id) && mantissa_at == 0 && exponent_at == mantissa &&
            sign_at == 8 * (size_t)type->bytes - 1)
            type->dtype = known[i].dtype;
}

static bool is_member(hid_t id, unsigned number, const char *one, const char *other)
{
    char *name = H5Tget_member_name(id, number);
    const bool is_so = name && (strcmp(name, one) == 0 || strcmp(name, other) == 0);

    H5free_memory(name);
    return is_so;
}

static bool read_member(struct hdf5 *h5, hid_t id, unsigned number, unsigned depth, struct hdf5_type *ret)
{
    const hid_t member = H5Tget_member_type(id, number);
    const bool is_good =
        member >= 0 ? hdf5_read_type(h5, member, depth, ret) : hdf5_library_fault(h5, "a datatype cannot be read");

    if (member >= 0)
        H5Tclose(member);
    return is_good;
}

/* Two members of one float type, by the names that NumPy and MATLAB give them, are a complex number. */
static bool read_compound(struct hdf5 *h5, hid_t id, unsigned depth, struct hdf5_type *type)
{
    struct hdf5_type parts[2];

    type->reason = "compound";
    if (H5Tget_nmembers(id) != 2 || !is_member(id, 0, "r", "real") || !is_member(id, 1, "i", "imag"))
        return true;
    for (unsigned i = 0; i < 2; i++)
        if (!read_member(h5, id, i, depth - 1, &parts[i]))
            return false;
    if ((parts[0].dtype != DTYPE_F32 && parts[0].dtype != DTYPE_F64) || parts[1].dtype != parts[0].dtype ||
        parts[0].is_swapped != parts[1].is_swapped || parts[0].rank || parts[1].rank || parts[0].is_complex ||
        parts[1].is_complex || type->bytes != 2 * parts[0].bytes || H5Tget_member_offset(id, 0) != 0 ||
        H5Tget_member_offset(id, 1) != parts[0].bytes)
        return true;
    type->dtype = parts[0].dtype;
    type->is_swapped = parts[0].is_swapped;
    type->is_complex = true;
    type->reason = NULL;
    return true;
}

static bool read_base(struct hdf5 *h5, hid_t id, unsigned depth, struct hdf5_type *ret)
{
    const hid_t base = H5Tget_super(id);
    const bool is_good =
        base >= 0 ? hdf5_read_type(h5, base, depth - 1, ret) : hdf5_library_fault(h5, "a datatype cannot be read");

    if (base >= 0)
        H5Tclose(base);
    return is_good;
}

/* NumPy's bool is an enumeration of FALSE and TRUE. */
static bool read_enum(struct hdf5 *h5, hid_t id, unsigned depth, struct hdf5_type *type)
{
    uint8_t no = 1, yes = 0;

    if (!read_base(h5, id, depth, type))
        return false;
    if (type->bytes == 1 && H5Tget_nmembers(id) == 2 && H5Tenum_valueof(id, "FALSE", &no) >= 0 &&
        H5Tenum_valueof(id, "TRUE", &yes) >= 0 && no == 0 && yes == 1)
        type->dtype = DTYPE_BOOL;
    return true;
}

static bool read_array(struct hdf5 *h5, hid_t id, unsigned depth, struct hdf5_type *type)
{
    const int rank = H5Tget_array_ndims(id);
    hsize_t dims[HDF5_RANK_MAX];
    struct hdf5_type base;

    if (rank < 0 || rank > HDF5_RANK_MAX || H5Tget_array_dims2(id, dims) < 0)
        return hdf5_library_fault(h5, "a datatype cannot be read");
    if (!read_base(h5, id, depth, &base))
        return false;
    if (base.rank || base.dtype == DTYPE_UNKNOWN) {
        type->reason = base.reason ? base.reason
                       : base.rank ? "arrays of arrays"
                                   : "arrays of elements that are not read";
        return true;
    }
    base.bytes = type->bytes;
    *type = base;
    type->rank = (uint32_t)rank;
    for (int d = 0; d < rank; d++)
        type->dims[d] = dims[d];
    return true;
}

bool hdf5_read_type(struct hdf5 *h5, hid_t id, unsigned depth, struct hdf5_type *ret)
{
    const H5T_class_t class_of = H5Tget_class(id);
    const size_t bytes = H5Tget_size(id);
    struct hdf5_type type = {.dtype = DTYPE_UNKNOWN, .spelled = "datatype that is not known", .bytes = (uint32_t)bytes};
    bool is_good = true;

    if (bytes == 0 || bytes > UINT32_MAX)
        return hdf5_library_fault(h5, "a datatype cannot be read");
    if (depth == 0)
        return hdf5_fault(h5, ERROR_UNSUPPORTED, "a datatype lies in %d others", HDF5_TYPE_DEPTH_MAX);
    switch (class_of) {
    case H5T_INTEGER:
        read_integer(id, &type);
        break;
    case H5T_FLOAT:
        read_float(id, &type);
        break;
    case H5T_COMPOUND:
        is_good = read_compound(h5, id, depth, &type);
        break;
    case H5T_ENUM:
        is_good = read_enum(h5, id, depth, &type);
        break;
    case H5T_ARRAY:
        is_good = read_array(h5, id, depth, &type);
        break;
    case H5T_STRING:
        type.spelled = "text";
        type.reason = H5Tis_variable_str(id) > 0 ? "text of variable length" : NULL;
        break;
    case H5T_VLEN:
        type.reason = "sequences of variable length";
        break;
    case H5T_REFERENCE:
        type.reason = "references";
        type.is_object_reference = H5Tequal(id, H5T_STD_REF_OBJ) > 0 && bytes == sizeof(hobj_ref_t);
        break;
    case H5T_OPAQUE:
        type.is_opaque = true;
        type.spelled = "opaque";
        break;
    case H5T_BITFIELD:
        type.spelled = "bitfield";
        break;
    default:
        type.reason = "a datatype that is not known";
        break;
    }
    if (is_good)
        *ret = type;
    return is_good;
}
