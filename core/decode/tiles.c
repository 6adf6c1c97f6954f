/* Rows that one tile holds whole are read as they lie; of a band of several tiles, as many rows of each as a small
 * buffer takes, so that a range costs few reads. */
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"

enum { BUFFER_BYTES = 1 << 20 };

/* The last tile that begins at or before the place. */
static size_t tile_of(const struct tiles *tiles, uint64_t row, uint64_t column)
{
    size_t low = 0, high = tiles->count;

    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        const struct tile *tile = &tiles->list[middle];

        if (row >= tile->row + tile->rows || (row >= tile->row && column >= tile->column))
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int read_run(const struct model *model, const struct tensor *tensor, const struct tile *tile, uint64_t row,
                    uint64_t column, uint64_t elements, void *out, struct error *err)
{
    const size_t size = dtype_traits(tensor->dtype)->bits / 8;
    const uint64_t first = (row - tile->row) * tile->columns + (column - tile->column);

    return source_read_at(model->files[tensor->extent.source + tile->source].source, tile->offset + first * size, out,
                          elements * size, err);
}

/* count whole rows from `row` on, of the band that tile is the first of. */
static int read_rows(const struct model *model, const struct tensor *tensor, size_t at, uint64_t row, uint64_t count,
                     uint8_t *out, struct error *err)
{
    const struct tiles *tiles = tensor->storage->parameters;
    const size_t size = dtype_traits(tensor->dtype)->bits / 8;
    const uint64_t band = tiles->list[at].row;
    uint8_t *buffer = malloc(BUFFER_BYTES);
    int rc = 0;

    if (!buffer)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a tensor in tiles");
    for (; rc == 0 && at < tiles->count && tiles->list[at].row == band; at++) {
        const struct tile *tile = &tiles->list[at];
        const uint64_t bytes = tile->columns * size, most = bytes < BUFFER_BYTES ? BUFFER_BYTES / bytes : 0;

        for (uint64_t done = 0; rc == 0 && done < count;) {
            const uint64_t n = most == 0 ? 1 : count - done < most ? count - done : most;
            uint8_t *to = out + (done * tiles->columns + tile->column) * size;

            rc = read_run(model, tensor, tile, row + done, tile->column, n * tile->columns, most ? buffer : to, err);
            for (uint64_t i = 0; rc == 0 && most && i < n; i++)
                memcpy(to + i * tiles->columns * size, buffer + i * bytes, bytes);
            done += n;
        }
    }
    free(buffer);
    return rc;
}

static int read_tiles(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                      void *out, struct error *err)
{
    const struct tiles *tiles = tensor->storage->parameters;
    const size_t size = dtype_traits(tensor->dtype)->bits / 8;
    uint8_t *to = out;
    int rc = 0;

    while (rc == 0 && elements > 0) {
        const uint64_t row = first / tiles->columns, column = first % tiles->columns;
        const size_t at = tile_of(tiles, row, column);
        const struct tile *tile = &tiles->list[at];
        uint64_t n;

        if (tile->columns == tiles->columns) {
            n = (tile->row + tile->rows - row) * tile->columns - column;
            n = n < elements ? n : elements;
            rc = read_run(model, tensor, tile, row, column, n, to, err);
        } else if (column == 0 && elements >= tiles->columns) {
            n = tile->row + tile->rows - row;
            n = n < elements / tiles->columns ? n : elements / tiles->columns;
            rc = read_rows(model, tensor, at, row, n, to, err);
            n *= tiles->columns;
        } else {
            n = tile->column + tile->columns - column;
            n = n < elements ? n : elements;
            rc = read_run(model, tensor, tile, row, column, n, to, err);
        }
        first += n;
        elements -= (size_t)n;
        to += n * size;
    }
    return rc;
}

void tiles_settle(struct tiles *tiles, struct tile *list, struct tensor *tensor)
{
    const size_t size = dtype_traits(tensor->dtype)->bits / 8;
    struct extent *extent = &tensor->extent;
    uint64_t end = 0;

    extent->source = UINT32_MAX;
    extent->offset = UINT64_MAX;
    for (size_t i = 0; i < tiles->count; i++)
        extent->source = list[i].source < extent->source ? list[i].source : extent->source;
    for (size_t i = 0; i < tiles->count; i++) {
        const uint64_t tile_end = list[i].offset + list[i].rows * list[i].columns * size;

        list[i].source -= extent->source;
        if (list[i].source > 0)
            continue;
        extent->offset = list[i].offset < extent->offset ? list[i].offset : extent->offset;
        end = tile_end > end ? tile_end : end;
    }
    tiles->list = list;
    tiles->reach = end - extent->offset;
}

const struct decoder decoder_tiles = {.name = "tiles", .read = read_tiles};
