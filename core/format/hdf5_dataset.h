/* What a dataset's header says of it, and the source that its elements are read from where they do not lie in one
 * piece. */
#ifndef CORE_FORMAT_HDF5_DATASET_H
#define CORE_FORMAT_HDF5_DATASET_H

#include "core/format/hdf5_filters.h"
#include "core/format/hdf5_library.h"
#include "core/model/dtype.h"

enum { HDF5_RANK_MAX = H5S_MAX_RANK, HDF5_TYPE_DEPTH_MAX = 8 };

/* The largest chunk that is decoded: several are held at a time. */
#define HDF5_CHUNK_BYTES_MAX (UINT64_C(64) << 20)

struct hdf5_type {
    enum dtype dtype;                       /* DTYPE_UNKNOWN: see spelled */
    const char *spelled;                    /* static; what it is then */
    const char *reason;                     /* why its bytes mean nothing to another file, NULL: they do */
    uint32_t bytes;                         /* of an element */
    bool is_swapped, is_complex, is_opaque; /* complex: pairs of dtype */
    bool is_object_reference;               /* addresses of objects, of 8 bytes */
    uint32_t rank;                          /* of arrays that are elements */
    uint64_t dims[HDF5_RANK_MAX];
};

struct hdf5_dataset {
    hid_t id;
    bool is_null; /* no elements and no shape */
    uint32_t rank;
    uint64_t dims[HDF5_RANK_MAX];
    struct hdf5_type type;
    H5D_layout_t layout;
    uint64_t chunk[HDF5_RANK_MAX], chunk_bytes;
    bool has_whole_edges; /* chunks at the edge go through no filter */
    unsigned filter_count;
    struct hdf5_filter filters[HDF5_FILTERS_MAX];
    struct name fill; /* in the arena */
    struct name matlab_class, keras_dtype;
    bool is_matlab_empty, is_matlab_object; /* object: what stands for one of #subsystem# */
    const char *unread;                     /* static; why its elements cannot be read here, NULL: they can */
};

/* Takes in what an open dataset says of itself. Other files, where its elements may lie, are not opened. */
bool hdf5_describe(struct hdf5 *h5, hid_t id, struct hdf5_dataset *ret);

bool hdf5_read_type(struct hdf5 *h5, hid_t id, unsigned depth, struct hdf5_type *ret);

/* Chunks that are there, each at its place in the grid, in row-major order. */
struct hdf5_chunk {
    uint64_t number, offset; /* in the file */
    uint32_t bytes, mask;
};

struct hdf5_chunks {
    uint32_t rank;
    uint64_t grid[HDF5_RANK_MAX]; /* chunks in each dimension */
    struct hdf5_chunk *items;     /* ascending; the heap's */
    size_t count;
};

/* Finds where a dataset's chunks lie. */
bool hdf5_read_chunks(struct hdf5 *h5, const struct hdf5_dataset *dataset, struct hdf5_chunks *ret);

/* Decoded chunks of all datasets of a file, the last used ones. */
struct hdf5_cache;
struct hdf5_cache *hdf5_cache_new(void); /* NULL: no memory */

/* A source of the elements of a dataset, in row-major order. chunks are taken; without any, all of it is fill value.
 * The cache is freed with the last source that holds it. */
int hdf5_chunked_open(struct hdf5 *h5, const struct hdf5_dataset *dataset, struct hdf5_chunks *chunks, uint64_t bytes,
                      struct hdf5_cache *cache, struct source **ret_source);
void hdf5_cache_release(struct hdf5_cache *cache);

#endif
