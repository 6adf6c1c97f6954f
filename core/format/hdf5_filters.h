/* The filters that chunks of HDF5 datasets go through. */
#ifndef CORE_FORMAT_HDF5_FILTERS_H
#define CORE_FORMAT_HDF5_FILTERS_H

#include <stdint.h>

enum { HDF5_FILTERS_MAX = 8 };

struct hdf5_filter {
    unsigned id;
    uint32_t parameter; /* the first */
};

/* Why those filters cannot be undone here; NULL: they can. */
const char *hdf5_filters_reason(const struct hdf5_filter *filters, unsigned count);

/* Undoes the filters of a chunk, those in mask apart. data, of *bytes, is of the heap and is replaced. ERROR_NO_MEMORY,
 * or ERROR_FORMAT with *ret_fault, which follows "the chunk". */
int hdf5_unfilter(const struct hdf5_filter *filters, unsigned count, uint32_t mask, uint64_t chunk_bytes,
                  uint8_t **data, uint64_t *bytes, const char **ret_fault);

#endif
