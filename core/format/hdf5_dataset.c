/* What a dataset says of itself. */
#include "core/format/hdf5_dataset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"

enum { FILL_MAX = 4096, TEXT_MAX = 256 };

static bool read_space(struct hdf5 *h5, hid_t id, struct hdf5_dataset *dataset)
{
    const hid_t space = H5Dget_space(id);
    hsize_t dims[HDF5_RANK_MAX];
    int rank = -1;

    if (space >= 0) {
        dataset->is_null = H5Sget_simple_extent_type(space) == H5S_NULL;
        rank = H5Sget_simple_extent_ndims(space);
        if (rank > 0 && (rank > HDF5_RANK_MAX || H5Sget_simple_extent_dims(space, dims, NULL) < 0))
            rank = -1;
        H5Sclose(space);
    }
    if (rank < 0)
        return hdf5_library_fault(h5, "its dimensions cannot be read");
    dataset->rank = (uint32_t)rank;
    for (int d = 0; d < rank; d++)
        dataset->dims[d] = dims[d];
    return true;
}

/* As it lies in the file: no conversion between a type and itself. */
static bool read_fill(struct hdf5 *h5, hid_t properties, hid_t type, struct hdf5_dataset *dataset)
{
    H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
    char *value;

    if (dataset->type.reason || dataset->type.bytes > FILL_MAX || H5Pfill_value_defined(properties, &defined) < 0 ||
        defined != H5D_FILL_VALUE_USER_DEFINED)
        return true;
    value = arena_take(&h5->arena, dataset->type.bytes);
    if (!value)
        return hdf5_no_memory(h5);
    if (H5Pget_fill_value(properties, type, value) < 0)
        return hdf5_library_fault(h5, "its fill value cannot be read");
    dataset->fill = (struct name){value, dataset->type.bytes};
    return true;
}

static bool read_filters(struct hdf5 *h5, hid_t properties, struct hdf5_dataset *dataset)
{
    const int count = H5Pget_nfilters(properties);

    if (count < 0)
        return hdf5_library_fault(h5, "its filters cannot be read");
    if (count > HDF5_FILTERS_MAX) {
        dataset->unread = "it went through more filters than are undone here";
        return true;
    }
    for (int i = 0; i < count; i++) {
        unsigned flags, parameters[16] = {0}, config;
        size_t parameter_count = sizeof(parameters) / sizeof(parameters[0]);
        const H5Z_filter_t id =
            H5Pget_filter2(properties, (unsigned)i, &flags, &parameter_count, parameters, 0, NULL, &config);

        if (id < 0)
            return hdf5_library_fault(h5, "its filters cannot be read");
        dataset->filters[i] = (struct hdf5_filter){(unsigned)id, parameters[0]};
    }
    dataset->filter_count = (unsigned)count;
    dataset->unread = hdf5_filters_reason(dataset->filters, dataset->filter_count);
    if (!dataset->unread && count && dataset->chunk_bytes > HDF5_CHUNK_BYTES_MAX)
        dataset->unread = "its compressed chunks are larger than 64 MB each, the most that is read";
    return true;
}

static bool read_chunks(struct hdf5 *h5, hid_t properties, struct hdf5_dataset *dataset)
{
    hsize_t chunk[HDF5_RANK_MAX];
    unsigned options = 0;

    if (H5Pget_chunk(properties, HDF5_RANK_MAX, chunk) != (int)dataset->rank || dataset->rank == 0)
        return hdf5_library_fault(h5, "its chunks do not have its dimensions");
    dataset->chunk_bytes = dataset->type.bytes;
    for (uint32_t d = 0; d < dataset->rank; d++) {
        dataset->chunk[d] = chunk[d];
        if (chunk[d] == 0 || !checked_mul(dataset->chunk_bytes, chunk[d], &dataset->chunk_bytes))
            return hdf5_fault(h5, ERROR_FORMAT, "its chunks have no elements, or more than 2^64 bytes");
    }
    dataset->has_whole_edges =
        H5Pget_chunk_opts(properties, &options) >= 0 && options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS;
    return read_filters(h5, properties, dataset);
}

/* Whether other files say how large a virtual dataset is: a part of it is unlimited. To ask for its dimensions then is
 * to have them looked for. */
static bool is_open_ended(hid_t properties)
{
    size_t parts = 0;
    bool is_open = H5Pget_virtual_count(properties, &parts) < 0;

    for (size_t i = 0; i < parts && !is_open; i++) {
        const hid_t space = H5Pget_virtual_vspace(properties, i);

        is_open = space < 0 || H5Sget_select_npoints(space) < 0;
        if (space >= 0)
            H5Sclose(space);
    }
    return is_open;
}

static bool read_layout(struct hdf5 *h5, hid_t id, hid_t properties, hid_t type, struct hdf5_dataset *dataset)
{
    dataset->layout = H5Pget_layout(properties);
    if (dataset->layout == H5D_VIRTUAL && is_open_ended(properties)) {
        dataset->type.reason = "it is virtual, as large as what lies in other datasets or files";
        return true;
    }
    if (!read_space(h5, id, dataset))
        return false;
    if (dataset->layout == H5D_VIRTUAL) {
        dataset->unread = "it is virtual: its data lie in other datasets or files";
        return true;
    }
    if (H5Pget_external_count(properties) > 0) {
        dataset->unread = "its data lie in other files, which are not read";
        return true;
    }
    if (dataset->layout != H5D_COMPACT && dataset->layout != H5D_CONTIGUOUS && dataset->layout != H5D_CHUNKED)
        return hdf5_library_fault(h5, "how its data lie cannot be read");
    if (!read_fill(h5, properties, type, dataset))
        return false;
    return dataset->layout != H5D_CHUNKED || read_chunks(h5, properties, dataset);
}

static bool keep_text(struct hdf5 *h5, const char *text, size_t most, struct name *ret)
{
    const size_t count = text ? strnlen(text, most) : 0;
    char *copy = arena_copy(&h5->arena, text, count);

    if (!copy)
        return hdf5_no_memory(h5);
    *ret = (struct name){copy, (uint32_t)count};
    return true;
}

/* The text of an attribute, if there is one of that name; .text NULL else. One of variable length lies in a heap whose
 * reading a crafted file can keep the library at for ever: only where it is needed. */
static bool read_text(struct hdf5 *h5, hid_t id, const char *name, bool may_be_variable, struct name *ret)
{
    char fixed[TEXT_MAX + 1] = "", *variable = NULL;
    hid_t attribute, type, space;
    bool is_good = true;

    if (H5Aexists(id, name) <= 0)
        return h5->rc == 0;
    attribute = H5Aopen(id, name, H5P_DEFAULT);
    type = attribute < 0 ? -1 : H5Aget_type(attribute);
    space = type < 0 ? -1 : H5Aget_space(attribute);
    if (space >= 0 && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
        const bool is_variable = H5Tis_variable_str(type) > 0;

        if (is_variable && may_be_variable) {
            is_good = H5Aread(attribute, type, &variable) >= 0 && keep_text(h5, variable, TEXT_MAX, ret);
            H5free_memory(variable);
        } else if (!is_variable && H5Tget_size(type) <= TEXT_MAX) {
            is_good = H5Aread(attribute, type, fixed) >= 0 && keep_text(h5, fixed, TEXT_MAX, ret);
        }
    }
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    if (attribute >= 0)
        H5Aclose(attribute);
    return is_good || hdf5_library_fault(h5, "an attribute cannot be read");
}

bool hdf5_describe(struct hdf5 *h5, hid_t id, struct hdf5_dataset *ret)
{
    struct hdf5_dataset dataset = {.id = id};
    const hid_t type = H5Dget_type(id), properties = H5Dget_create_plist(id);
    bool is_good = type >= 0 && properties >= 0;

    if (!is_good)
        hdf5_library_fault(h5, "its header cannot be read");
    is_good = is_good && hdf5_read_type(h5, type, HDF5_TYPE_DEPTH_MAX, &dataset.type) &&
              read_layout(h5, id, properties, type, &dataset) &&
              read_text(h5, id, "MATLAB_class", false, &dataset.matlab_class);
    if (is_good && dataset.type.is_opaque && dataset.type.bytes == 2) /* as h5py keeps bfloat16 */
        is_good = read_text(h5, id, "dtype", true, &dataset.keras_dtype);
    dataset.is_matlab_empty = is_good && H5Aexists(id, "MATLAB_empty") > 0;
    dataset.is_matlab_object = is_good && H5Aexists(id, "MATLAB_object_decode") > 0;
    if (type >= 0)
        H5Tclose(type);
    if (properties >= 0)
        H5Pclose(properties);
    if (is_good)
        *ret = dataset;
    return is_good;
}
