/* MATLAB 7.3's cells and arrays of structs: datasets of references to objects in the group #refs#. Each object is
 * listed once, under the first name that leads to it: a small file cannot ask for an endless list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/format/hdf5_walk.h"

bool hdf5_matlab_is_empty(struct hdf5_walk *walk, struct hdf5_dataset *dataset)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } classes[] = {{"double", DTYPE_F64}, {"single", DTYPE_F32}, {"int8", DTYPE_I8},     {"uint8", DTYPE_U8},
                   {"int16", DTYPE_I16},  {"uint16", DTYPE_U16}, {"int32", DTYPE_I32},   {"uint32", DTYPE_U32},
                   {"int64", DTYPE_I64},  {"uint64", DTYPE_U64}, {"logical", DTYPE_BOOL}};
    const uint64_t rank =
        dataset->rank == 1 && dataset->type.dtype == DTYPE_U64 && !dataset->type.is_swapped ? dataset->dims[0] : 0;
    uint64_t dims[HDF5_RANK_MAX], elements = 1;
    struct hdf5 *h5 = &walk->h5;
    struct extent extent;
    size_t at = 0;

    while (at < sizeof(classes) / sizeof(classes[0]) && !name_equal(dataset->matlab_class, name_of(classes[at].name)))
        at++;
    if (at == sizeof(classes) / sizeof(classes[0]))
        return true;
    if (rank > 0 && rank <= HDF5_RANK_MAX) {
        if (!hdf5_place(walk, dataset, rank * 8, &extent))
            return true;
        h5->rc = source_read_at(walk->model->files[extent.source].source, extent.offset, dims, rank * 8, h5->err);
        if (h5->rc)
            return true;
    }
    dataset->type = (struct hdf5_type){.dtype = classes[at].dtype, .bytes = dtype_traits(classes[at].dtype)->bits / 8};
    dataset->is_null = true; /* where its dimensions say something else */
    if (rank == 0 || rank > HDF5_RANK_MAX)
        return false;
    for (uint64_t d = 0; d < rank; d++)
        elements = dims[d] ? elements : 0;
    if (elements)
        return false;
    dataset->is_null = false;
    dataset->rank = (uint32_t)rank;
    for (uint64_t d = 0; d < rank; d++)
        dataset->dims[rank - 1 - d] = dims[d];
    return false;
}

/* NAME{3}, or of STRUCT.FIELD STRUCT(3).FIELD; in the arena. */
static struct name element_name(struct hdf5_walk *walk, struct name name, bool is_cell, uint64_t number)
{
    const char *dot = is_cell ? NULL : memrchr(name.text, '.', name.bytes);
    const int before = (int)(dot ? dot - name.text : name.bytes);
    char *text = NULL, *kept = NULL;
    const int bytes =
        dot ? asprintf(&text, "%.*s(%" PRIu64 ")%.*s", before, name.text, number, (int)name.bytes - before, dot)
            : asprintf(&text, "%.*s{%" PRIu64 "}", before, name.text, number);

    if (bytes >= 0) {
        kept = arena_copy(&walk->h5.arena, text, (size_t)bytes);
        free(text);
    }
    if (!kept)
        hdf5_no_memory(&walk->h5);
    return (struct name){kept, kept ? (uint32_t)bytes : 0};
}

/* What was found out of a reference, beside the addresses that were walked: to open it again and again takes long. */
#define FOLLOWED (UINT64_C(1) << 62)
#define EMPTY    (UINT64_C(1) << 63) /* one array that is empty stands for all that are */

static bool follow_again(struct hdf5_walk *walk, struct name name)
{
    return hdf5_left_out(walk, name, "it leads to what is listed already", (struct name){0});
}

static bool follow(struct hdf5_walk *walk, struct name name, hobj_ref_t reference)
{
    bool is_again = false, is_known, is_empty = false, is_good;
    H5O_info_t info;
    hid_t id;

    if (hdf5_has_entered(walk, reference | EMPTY))
        return true;
    if (hdf5_has_entered(walk, reference | FOLLOWED))
        return follow_again(walk, name);
    id = H5Rdereference2(walk->h5.file, H5P_DEFAULT, H5R_OBJECT, &reference);
    if (id < 0)
        return hdf5_library_fault(&walk->h5, "it refers to what cannot be opened");
    is_good = H5Oget_info2(id, &info, H5O_INFO_BASIC) >= 0 ||
              hdf5_library_fault(&walk->h5, "it refers to what cannot be opened");
    if (is_good && H5Iget_type(id) == H5I_DATASET) {
        is_good = hdf5_enter(walk, info.addr, &is_again);
        is_empty = H5Aexists(id, "MATLAB_empty") > 0;
    }
    is_good = is_good && hdf5_enter(walk, reference | (is_empty ? EMPTY : FOLLOWED), &is_known);
    if (is_good && !is_again)
        is_good = hdf5_visit(walk, name, id, info.addr);
    else if (is_good && !is_empty)
        is_good = follow_again(walk, name);
    H5Oclose(id);
    return is_good;
}

bool hdf5_matlab_references(struct hdf5_walk *walk, struct name name, const struct hdf5_dataset *dataset)
{
    const bool is_cell = name_equal(dataset->matlab_class, name_of("cell"));
    struct hdf5 *h5 = &walk->h5;
    uint64_t count = 1, bytes;
    struct extent extent;
    hobj_ref_t *references;
    bool is_good = true;

    if (!is_cell && (dataset->matlab_class.text || !memchr(name.text, '.', name.bytes)))
        return hdf5_left_out(walk, name, "references", (struct name){0});
    if (walk->depth > h5->limits->nesting)
        return hdf5_fault(h5, ERROR_LIMIT, "its cells are nested more than %u deep, the limit", h5->limits->nesting);
    for (uint32_t d = 0; d < dataset->rank; d++)
        if (!checked_mul(count, dataset->dims[d], &count))
            count = UINT64_MAX;
    if (count > h5->limits->tensors - walk->references)
        return hdf5_fault(h5, ERROR_LIMIT, "its cells hold more than %" PRIu64 " arrays, the limit",
                          h5->limits->tensors);
    walk->references += count;
    bytes = count * sizeof(*references);
    if (count == 0)
        return true;
    if (!hdf5_place(walk, dataset, bytes, &extent))
        return false;
    references = malloc(bytes);
    if (!references)
        return hdf5_no_memory(h5);
    h5->rc = source_read_at(walk->model->files[extent.source].source, extent.offset, references, bytes, h5->err);
    if (h5->rc)
        is_good = false;
    for (uint64_t i = 0; is_good && i < count; i++) {
        const struct name inner = references[i] ? element_name(walk, name, is_cell, i + 1) : (struct name){0};

        if (references[i]) /* else it was never written */
            is_good = inner.text && follow(walk, inner, references[i]);
    }
    free(references);
    return is_good;
}
