/* A dataset's elements as a source, in row-major order: a range falls into boxes, a box into the chunks that it
 * touches. Chunks are decoded outside the lock, so that threads do it side by side, and the last used ones are kept:
 * neighbouring rows lie in the same chunks. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/hdf5_dataset.h"

enum { CACHE_SLOTS = 2048, NO_SLOT = CACHE_SLOTS };

#define CACHE_BYTES_MAX (UINT64_C(128) << 20)

struct slot {
    const void *owner; /* the source; NULL: free */
    uint64_t number, bytes;
    unsigned readers;
    unsigned next; /* of those whose keys fall together */
    uint8_t *data;
};

struct hdf5_cache {
    pthread_mutex_t lock;
    /* All below: guarded by lock. */
    size_t sources; /* that hold it */
    uint64_t bytes, clock;
    struct slot slots[CACHE_SLOTS];
    unsigned heads[CACHE_SLOTS]; /* by hash of owner and number */
};

struct chunked {
    struct source base;
    struct source *parent;
    uint64_t start; /* of the file in parent */
    struct hdf5_cache *cache;
    struct hdf5_chunks chunks;
    uint64_t dims[HDF5_RANK_MAX], chunk[HDF5_RANK_MAX]; /* the last one in bytes */
    uint64_t grid_steps[HDF5_RANK_MAX];
    uint64_t chunk_bytes;
    bool has_whole_edges;
    unsigned filter_count;
    struct hdf5_filter filters[HDF5_FILTERS_MAX];
    uint32_t fill_bytes; /* 0: zeros */
    uint8_t fill[];
};

struct box {
    uint64_t from[HDF5_RANK_MAX], count[HDF5_RANK_MAX];
};

/* A chunk's bytes, held until they are let go. */
struct held {
    const uint8_t *data;
    struct slot *slot; /* NULL: its own */
    uint8_t *own;
};

static void lock(struct hdf5_cache *cache)
{
    if (pthread_mutex_lock(&cache->lock))
        abort();
}

static void unlock(struct hdf5_cache *cache)
{
    if (pthread_mutex_unlock(&cache->lock))
        abort();
}

struct hdf5_cache *hdf5_cache_new(void)
{
    struct hdf5_cache *cache = calloc(1, sizeof(*cache));

    if (cache && pthread_mutex_init(&cache->lock, NULL)) {
        free(cache);
        return NULL;
    }
    if (!cache)
        return NULL;
    cache->sources = 1;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        cache->heads[i] = NO_SLOT;
    return cache;
}

static unsigned *head_of(struct hdf5_cache *cache, const void *owner, uint64_t number)
{
    const uint64_t key = ((uint64_t)(uintptr_t)owner >> 4) + number;

    return &cache->heads[(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) % CACHE_SLOTS];
}

static void drop(struct hdf5_cache *cache, struct slot *slot)
{
    unsigned *link = head_of(cache, slot->owner, slot->number);

    while (*link != slot - cache->slots)
        link = &cache->slots[*link].next;
    *link = slot->next;
    cache->bytes -= slot->bytes;
    free(slot->data);
    *slot = (struct slot){0};
}

void hdf5_cache_release(struct hdf5_cache *cache)
{
    bool is_last;

    if (!cache)
        return;
    lock(cache);
    is_last = --cache->sources == 0;
    unlock(cache);
    if (!is_last)
        return;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        free(cache->slots[i].data);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct slot *find_slot(struct hdf5_cache *cache, const struct chunked *x, uint64_t number)
{
    for (unsigned i = *head_of(cache, x, number); i != NO_SLOT; i = cache->slots[i].next)
        if (cache->slots[i].owner == x && cache->slots[i].number == number)
            return &cache->slots[i];
    return NULL;
}

/* Room for so many bytes more. What goes is any that nobody reads: where more is read again and again than there is
 * room for, the least recently used would always be the next to be wanted. NULL: all are being read. */
static struct slot *make_room(struct hdf5_cache *cache, uint64_t bytes)
{
    for (;;) {
        const uint64_t any = ++cache->clock * UINT64_C(0x9e3779b97f4a7c15) >> 32;
        struct slot *empty = NULL, *idle = NULL;

        for (size_t i = 0; i < CACHE_SLOTS && !(empty && idle); i++) {
            struct slot *slot = &cache->slots[(any + i) % CACHE_SLOTS];

            if (!slot->owner)
                empty = empty ? empty : slot;
            else if (slot->readers == 0)
                idle = idle ? idle : slot;
        }
        if (empty && cache->bytes + bytes <= CACHE_BYTES_MAX)
            return empty;
        if (!idle)
            return NULL;
        drop(cache, idle);
    }
}

static int damaged(const struct chunked *x, const struct hdf5_chunk *chunk, const char *what, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];

    return error_set(err, ERROR_FORMAT, "%s: the chunk of %" PRIu32 " bytes at offset %" PRIu64 " %s",
                     name_printable(name_of(x->base.uri), uri), chunk->bytes, x->start + chunk->offset, what);
}

/* Of chunks at the edge a part lies outside the dataset. */
static bool is_at_edge(const struct chunked *x, uint64_t number)
{
    for (uint32_t d = 0; d < x->chunks.rank; d++) {
        const uint64_t place = number / x->grid_steps[d];

        number %= x->grid_steps[d];
        if (x->chunk[d] > x->dims[d] - place * x->chunk[d])
            return true;
    }
    return false;
}

static int decode_chunk(const struct chunked *x, const struct hdf5_chunk *chunk, uint8_t **ret_data, struct error *err)
{
    uint8_t *data = malloc((size_t)chunk->bytes + 1);
    uint64_t bytes = chunk->bytes;
    const char *fault = NULL;
    int rc;

    if (!data)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a chunk");
    rc = source_read_at(x->parent, x->start + chunk->offset, data, chunk->bytes, err);
    if (rc == 0) {
        const uint32_t mask = x->has_whole_edges && is_at_edge(x, chunk->number) ? UINT32_MAX : chunk->mask;

        rc = hdf5_unfilter(x->filters, x->filter_count, mask, x->chunk_bytes, &data, &bytes, &fault);
        if (rc)
            rc = fault ? damaged(x, chunk, fault, err) : error_set(err, rc, "no memory for a chunk");
    }
    if (rc) {
        free(data);
        return rc;
    }
    *ret_data = data;
    return 0;
}

static void keep(const struct chunked *x, const struct hdf5_chunk *chunk, struct held *held)
{
    struct hdf5_cache *cache = x->cache;
    struct slot *slot;

    lock(cache);
    slot = find_slot(cache, x, chunk->number) ? NULL : make_room(cache, x->chunk_bytes);
    if (slot) {
        unsigned *head = head_of(cache, x, chunk->number);

        *slot = (struct slot){.owner = x,
                              .number = chunk->number,
                              .bytes = x->chunk_bytes,
                              .readers = 1,
                              .next = *head,
                              .data = held->own};
        *head = (unsigned)(slot - cache->slots);
        cache->bytes += x->chunk_bytes;
        held->slot = slot;
        held->own = NULL;
    }
    unlock(cache);
}

static int hold(const struct chunked *x, const struct hdf5_chunk *chunk, struct held *held, struct error *err)
{
    int rc;

    *held = (struct held){0};
    lock(x->cache);
    held->slot = find_slot(x->cache, x, chunk->number);
    if (held->slot) {
        held->slot->readers++;
        held->data = held->slot->data;
    }
    unlock(x->cache);
    if (held->slot)
        return 0;
    rc = decode_chunk(x, chunk, &held->own, err);
    if (rc)
        return rc;
    held->data = held->own;
    keep(x, chunk, held);
    return 0;
}

static void let_go(const struct chunked *x, struct held *held)
{
    if (held->slot) {
        lock(x->cache);
        held->slot->readers--;
        unlock(x->cache);
    }
    free(held->own);
}

static const struct hdf5_chunk *find_chunk(const struct chunked *x, uint64_t number)
{
    size_t low = 0, high = x->chunks.count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (x->chunks.items[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->chunks.count && x->chunks.items[low].number == number ? &x->chunks.items[low] : NULL;
}

/* count bytes of fill values, from byte at of a row on. */
static void fill(const struct chunked *x, uint64_t at, uint64_t count, uint8_t *out)
{
    if (x->fill_bytes == 0) {
        memset(out, 0, count);
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        out[i] = x->fill[(at + i) % x->fill_bytes];
}

/* Where a position lies, in bytes, from an array's first one. */
static uint64_t flat(uint32_t rank, const uint64_t *dims, const uint64_t *at)
{
    uint64_t sum = 0;

    for (uint32_t d = 0; d < rank; d++)
        sum = sum * dims[d] + at[d];
    return sum;
}

/* What a box has of the chunk that begins at corner. out is where byte first of the dataset goes. */
static int copy_from_chunk(const struct chunked *x, const struct box *box, const uint64_t *corner, uint64_t first,
                           uint8_t *out, struct error *err)
{
    const uint32_t rank = x->chunks.rank, last = rank - 1;
    uint64_t from[HDF5_RANK_MAX], end[HDF5_RANK_MAX], at[HDF5_RANK_MAX], number = 0;
    const struct hdf5_chunk *chunk;
    struct held held = {0};
    bool is_whole;
    uint32_t d;
    int rc = 0;

    for (d = 0; d < rank; d++) {
        const uint64_t box_end = box->from[d] + box->count[d], room = box_end - corner[d];

        from[d] = box->from[d] > corner[d] ? box->from[d] : corner[d];
        end[d] = room > x->chunk[d] ? corner[d] + x->chunk[d] : box_end;
        at[d] = from[d];
        number += corner[d] / x->chunk[d] * x->grid_steps[d];
    }
    chunk = find_chunk(x, number);
    is_whole = x->chunk_bytes <= HDF5_CHUNK_BYTES_MAX; /* larger ones have no filters and are read in parts */
    if (chunk && is_whole)
        rc = hold(x, chunk, &held, err);
    while (rc == 0) {
        const uint64_t count = end[last] - from[last];
        uint8_t *to = out + (flat(rank, x->dims, at) - first);
        uint64_t within[HDF5_RANK_MAX], offset;

        for (d = 0; d < rank; d++)
            within[d] = at[d] - corner[d];
        offset = flat(rank, x->chunk, within);
        if (!chunk)
            fill(x, at[last], count, to);
        else if (is_whole)
            memcpy(to, held.data + offset, count);
        else
            rc = source_read_at(x->parent, x->start + chunk->offset + offset, to, count, err);
        for (d = last; d-- > 0;) {
            if (++at[d] < end[d])
                break;
            at[d] = from[d];
        }
        if (d == UINT32_MAX)
            break;
    }
    let_go(x, &held);
    return rc;
}

static int copy_box(const struct chunked *x, const struct box *box, uint64_t first, uint8_t *out, struct error *err)
{
    const uint32_t rank = x->chunks.rank;
    uint64_t corner[HDF5_RANK_MAX];
    uint32_t d;
    int rc;

    for (d = 0; d < rank; d++)
        corner[d] = box->from[d] / x->chunk[d] * x->chunk[d];
    do {
        rc = copy_from_chunk(x, box, corner, first, out, err);
        for (d = rank; d-- > 0;) {
            const uint64_t end = box->from[d] + box->count[d];

            if (end - corner[d] > x->chunk[d]) {
                corner[d] += x->chunk[d];
                break;
            }
            corner[d] = box->from[d] / x->chunk[d] * x->chunk[d];
        }
    } while (rc == 0 && d != UINT32_MAX);
    return rc;
}

/* Bytes [at, at + count) of what lies in dimensions d and below, box->from saying where in those above. */
static int copy_range(const struct chunked *x, uint32_t d, struct box *box, uint64_t at, uint64_t count, uint64_t first,
                      uint8_t *out, struct error *err)
{
    uint64_t inner = 1, skipped, whole;
    int rc = 0;

    for (uint32_t i = d + 1; i < x->chunks.rank; i++)
        inner *= x->dims[i];
    skipped = at % inner;
    if (skipped) {
        const uint64_t n = count < inner - skipped ? count : inner - skipped;

        box->from[d] = at / inner;
        box->count[d] = 1;
        rc = copy_range(x, d + 1, box, skipped, n, first, out, err);
        at += n;
        count -= n;
    }
    whole = count / inner;
    if (rc == 0 && whole) {
        box->from[d] = at / inner;
        box->count[d] = whole;
        for (uint32_t i = d + 1; i < x->chunks.rank; i++) {
            box->from[i] = 0;
            box->count[i] = x->dims[i];
        }
        rc = copy_box(x, box, first, out, err);
        at += whole * inner;
        count -= whole * inner;
    }
    if (rc == 0 && count) {
        box->from[d] = at / inner;
        box->count[d] = 1;
        rc = copy_range(x, d + 1, box, 0, count, first, out, err);
    }
    return rc;
}

static int chunked_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    const struct chunked *x = (const struct chunked *)source;
    struct box box = {0};

    if (offset > source->size || bytes > source->size - offset)
        return error_set(err, ERROR_FORMAT, "%zu bytes at offset %" PRIu64 " lie beyond the end of a dataset, %" PRIu64,
                         bytes, offset, source->size);
    return bytes ? copy_range(x, 0, &box, offset, bytes, offset, buf, err) : 0;
}

static int chunked_check(struct source *source, struct error *err)
{
    (void)source; /* the parent is asked itself */
    (void)err;
    return 0;
}

static void chunked_close(struct source *source)
{
    struct chunked *x = (struct chunked *)source;

    lock(x->cache);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (x->cache->slots[i].owner == x)
            drop(x->cache, &x->cache->slots[i]);
    unlock(x->cache);
    hdf5_cache_release(x->cache);
    free(x->chunks.items);
    free(source->uri);
    free(x);
}

int hdf5_chunked_open(struct hdf5 *h5, const struct hdf5_dataset *dataset, struct hdf5_chunks *chunks, uint64_t bytes,
                      struct hdf5_cache *cache, struct source **ret_source)
{
    static const struct source_ops ops = {
        .name = "chunked", .read_at = chunked_read_at, .check = chunked_check, .close = chunked_close};
    const uint32_t fill_bytes = dataset->fill.bytes == dataset->type.bytes ? dataset->fill.bytes : 0;
    struct chunked *x = calloc(1, sizeof(*x) + fill_bytes);
    uint64_t step = 1;
    uint32_t last;

    if (!x)
        return error_set(h5->err, ERROR_NO_MEMORY, "out of memory for the model");
    x->base =
        (struct source){.ops = &ops, .uri = strdup(h5->source->uri), .size = bytes, .identity = h5->source->identity};
    if (!x->base.uri) {
        free(x);
        return error_set(h5->err, ERROR_NO_MEMORY, "out of memory for the model");
    }
    x->parent = h5->source;
    x->start = h5->start;
    x->chunks = *chunks;
    *chunks = (struct hdf5_chunks){0};
    if (x->chunks.rank == 0) { /* a scalar */
        x->chunks.rank = 1;
        x->dims[0] = x->chunk[0] = x->chunks.grid[0] = 1;
    }
    last = x->chunks.rank - 1;
    x->chunk_bytes = 1;
    for (uint32_t d = 0; d <= last && dataset->rank; d++) {
        x->dims[d] = dataset->dims[d];
        x->chunk[d] = dataset->layout == H5D_CHUNKED ? dataset->chunk[d] : dataset->dims[d];
    }
    x->dims[last] *= dataset->type.bytes;
    x->chunk[last] *= dataset->type.bytes;
    for (uint32_t d = last + 1; d-- > 0;) {
        x->chunk_bytes *= x->chunk[d];
        x->grid_steps[d] = step;
        step *= x->chunks.grid[d];
    }
    x->has_whole_edges = dataset->has_whole_edges;
    x->filter_count = dataset->filter_count;
    memcpy(x->filters, dataset->filters, sizeof(x->filters));
    x->fill_bytes = fill_bytes;
    if (fill_bytes)
        memcpy(x->fill, dataset->fill.text, fill_bytes);
    x->cache = cache;
    lock(cache);
    cache->sources++;
    unlock(cache);
    *ret_source = &x->base;
    return 0;
}
