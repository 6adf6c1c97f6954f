/* Where a dataset's chunks lie. The library's own list takes a walk through the whole index for every entry; it finds a
 * chunk by its place at once, though, and then reads it: the driver keeps where, and reads nothing. */
#include <inttypes.h>
#include <stdlib.h>

#include "core/checked.h"
#include "core/format/hdf5_dataset.h"

/* Places of a grid that are looked at, whether there is a chunk or not: of one dataset, and of all of a file beyond
 * those for which it could hold an entry each. */
enum { PLACES_MAX = 1 << 22, PLACES_FREE = 1 << 19, ENTRY_BYTES = 8 };

static bool set_grid(struct hdf5 *h5, const struct hdf5_dataset *dataset, struct hdf5_chunks *chunks,
                     uint64_t *ret_places)
{
    uint64_t places = 1;

    for (uint32_t d = 0; d < dataset->rank; d++) {
        chunks->grid[d] = dataset->dims[d] / dataset->chunk[d] + (dataset->dims[d] % dataset->chunk[d] != 0);
        if (!checked_mul(places, chunks->grid[d], &places))
            places = UINT64_MAX;
    }
    if (places > PLACES_MAX)
        return hdf5_fault(h5, ERROR_LIMIT, "it has %" PRIu64 " chunks, the limit is %d", places, PLACES_MAX);
    h5->places += places;
    if (h5->places > PLACES_FREE + h5->bytes / ENTRY_BYTES)
        return hdf5_fault(h5, ERROR_LIMIT,
                          "it has %" PRIu64 " chunks, with those before more than such a file may have", places);
    *ret_places = places;
    return true;
}

/* bytes 0: nothing was written there. */
static bool trace_chunk(struct hdf5 *h5, const struct hdf5_dataset *dataset, const hsize_t *first,
                        struct hdf5_chunk *ret)
{
    static uint8_t untouched[1];
    hsize_t bytes = 0;
    herr_t done;

    if (H5Dget_chunk_storage_size(dataset->id, first, &bytes) < 0 || bytes == 0) {
        ret->bytes = 0;
        return h5->rc == 0;
    }
    h5->traced_bytes = 0;
    h5->is_tracing = true;
    done = H5Dread_chunk(dataset->id, H5P_DEFAULT, first, &ret->mask, untouched);
    h5->is_tracing = false;
    if (done < 0 || h5->traced_bytes != bytes)
        return hdf5_library_fault(h5, "a chunk cannot be found");
    if (bytes > UINT32_MAX)
        return hdf5_fault(h5, ERROR_UNSUPPORTED, "a chunk has %" PRIu64 " bytes", (uint64_t)bytes);
    ret->offset = h5->traced_at;
    ret->bytes = (uint32_t)bytes;
    return true;
}

bool hdf5_read_chunks(struct hdf5 *h5, const struct hdf5_dataset *dataset, struct hdf5_chunks *ret)
{
    struct hdf5_chunks chunks = {.rank = dataset->rank};
    uint64_t places = 0, place[HDF5_RANK_MAX] = {0};
    hsize_t first[HDF5_RANK_MAX], written = 0;
    const hid_t space = H5Dget_space(dataset->id);
    bool is_good = set_grid(h5, dataset, &chunks, &places);

    if (space < 0 || H5Dget_num_chunks(dataset->id, space, &written) < 0 || written > places)
        is_good = is_good && hdf5_library_fault(h5, "its chunks cannot be counted");
    if (space >= 0)
        H5Sclose(space);
    if (is_good && written) {
        chunks.items = calloc((size_t)written, sizeof(*chunks.items));
        is_good = chunks.items || hdf5_no_memory(h5);
    }
    for (uint64_t number = 0; is_good && number < places && chunks.count < written; number++) {
        struct hdf5_chunk *chunk = &chunks.items[chunks.count];

        for (uint32_t d = 0; d < dataset->rank; d++)
            first[d] = place[d] * dataset->chunk[d];
        chunk->number = number;
        is_good = trace_chunk(h5, dataset, first, chunk);
        if (is_good && chunk->bytes && dataset->filter_count == 0 && chunk->bytes != dataset->chunk_bytes)
            is_good = hdf5_fault(h5, ERROR_FORMAT, "a chunk has %" PRIu32 " bytes, its elements need %" PRIu64,
                                 chunk->bytes, dataset->chunk_bytes);
        chunks.count += chunk->bytes > 0;
        for (uint32_t d = dataset->rank; d-- > 0 && ++place[d] == chunks.grid[d];)
            place[d] = 0;
    }
    if (!is_good) {
        free(chunks.items);
        return false;
    }
    *ret = chunks;
    return true;
}
