#include "core/format/sstable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/format/snappy.h"

enum { FOOTER_BYTES = 48, HANDLES_BYTES = 40, TRAILER_BYTES = 5, KEY_MAX = 65535, SNAPPY = 1 };

static const uint8_t magic[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};

/* A run of bytes that is read from front to back. */
struct run {
    const uint8_t *bytes;
    size_t count, at;
};

struct reading {
    struct source *source;
    const struct limits *limits;
    struct sstable table;
    size_t entry_room, value_room;
    struct error *err;
    size_t key_bytes;
    uint8_t key[KEY_MAX]; /* of the entry at hand */
};

bool sstable_probe(const struct head *head)
{
    return head->last_bytes >= FOOTER_BYTES && memcmp(head->last + head->last_bytes - 8, magic, sizeof(magic)) == 0;
}

static int no_memory(struct reading *r)
{
    return error_set(r->err, arena_error(&r->table.arena), "table: its keys %s", arena_error_text(&r->table.arena));
}

static bool read_varint(struct run *run, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && run->at < run->count; shift += 7) {
        const uint8_t byte = run->bytes[run->at++];

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static uint32_t le32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* CRC-32C, four bits at a time, masked as tables keep it. */
static uint32_t masked_checksum(const uint8_t *bytes, size_t count)
{
    static const uint32_t rests[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ rests[crc & 15];
        crc = crc >> 4 ^ rests[crc & 15];
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* Bytes of a block and what is behind them, its checksum held against them. */
static int read_sealed(struct reading *r, struct sstable_block block, uint8_t **ret_bytes)
{
    const uint64_t size = r->source->size;
    uint8_t *bytes;
    int rc;

    if (block.offset > size || block.bytes > size - block.offset || size - block.offset - block.bytes < TRAILER_BYTES)
        return error_set(r->err, ERROR_FORMAT,
                         "table: a block claims %" PRIu64 " bytes at offset %" PRIu64 ", the file ends at %" PRIu64,
                         block.bytes, block.offset, size);
    if (block.bytes > r->limits->header_bytes)
        return error_set(r->err, ERROR_LIMIT,
                         "table: the block at offset %" PRIu64 " claims %" PRIu64 " bytes, the limit is %" PRIu64,
                         block.offset, block.bytes, r->limits->header_bytes);
    bytes = malloc((size_t)block.bytes + TRAILER_BYTES);
    if (!bytes)
        return no_memory(r);
    rc = source_read_at(r->source, block.offset, bytes, (size_t)block.bytes + TRAILER_BYTES, r->err);
    if (rc == 0 && masked_checksum(bytes, (size_t)block.bytes + 1) != le32(bytes + block.bytes + 1))
        rc = error_set(r->err, ERROR_FORMAT, "table: the block at offset %" PRIu64 " has another checksum",
                       block.offset);
    if (rc) {
        free(bytes);
        return rc;
    }
    *ret_bytes = bytes;
    return 0;
}

static int expand(struct reading *r, struct sstable_block block, const uint8_t *bytes, uint8_t **ret_out,
                  uint64_t *ret_count)
{
    uint64_t claim;
    uint8_t *out;

    if (bytes[block.bytes] != SNAPPY)
        return error_set(r->err, ERROR_UNSUPPORTED,
                         "table: the block at offset %" PRIu64 " is compressed by method %d, not stored or by Snappy",
                         block.offset, bytes[block.bytes]);
    if (!snappy_claim(bytes, (size_t)block.bytes, &claim))
        return error_set(r->err, ERROR_FORMAT, "table: the block at offset %" PRIu64 " claims more than it can give",
                         block.offset);
    if (claim > r->limits->header_bytes)
        return error_set(r->err, ERROR_LIMIT,
                         "table: the block at offset %" PRIu64 " claims %" PRIu64 " bytes, the limit is %" PRIu64,
                         block.offset, claim, r->limits->header_bytes);
    out = malloc((size_t)claim + 1);
    if (!out)
        return no_memory(r);
    if (!snappy_expand(bytes, (size_t)block.bytes, out, (size_t)claim)) {
        free(out);
        return error_set(r->err, ERROR_FORMAT, "table: the block at offset %" PRIu64 " is damaged", block.offset);
    }
    *ret_out = out;
    *ret_count = claim;
    return 0;
}

/* The block's content, in memory that is the caller's. */
static int read_block(struct reading *r, struct sstable_block block, struct run *ret_run, uint8_t **ret_owned)
{
    uint8_t *bytes = NULL, *out = NULL;
    uint64_t count = block.bytes;
    int rc = read_sealed(r, block, &bytes);

    if (rc)
        return rc;
    if (bytes[block.bytes] != 0) {
        rc = expand(r, block, bytes, &out, &count);
        free(bytes);
        bytes = out;
    }
    if (rc)
        return rc;
    *ret_owned = bytes;
    *ret_run = (struct run){bytes, (size_t)count, 0};
    return 0;
}

static int damaged(struct reading *r, uint64_t offset, const char *what)
{
    return error_set(r->err, ERROR_FORMAT, "table: the block at offset %" PRIu64 " %s", offset, what);
}

/* Cuts the list of restarts off the block's end. */
static int cut_restarts(struct reading *r, struct run *block, uint64_t offset)
{
    uint64_t restarts;

    if (block->count < 4)
        return damaged(r, offset, "is shorter than its end");
    restarts = le32(block->bytes + block->count - 4);
    if (restarts > (block->count - 4) / 4)
        return damaged(r, offset, "claims more restarts than it has bytes");
    block->count -= (size_t)(4 + 4 * restarts);
    return 0;
}

/* The next entry: its key into r->key, which keeps what it has in common with the one before. */
static int next_entry(struct reading *r, struct run *block, uint64_t offset, struct run *ret_value)
{
    uint64_t shared, rest, value;
    size_t same, shorter;
    int order;

    if (!read_varint(block, &shared) || !read_varint(block, &rest) || !read_varint(block, &value) ||
        rest > block->count - block->at || value > block->count - block->at - rest)
        return damaged(r, offset, "has an entry that reaches beyond its end");
    if (shared > r->key_bytes || rest > KEY_MAX - shared)
        return damaged(r, offset, "has a key that shares more than there is, or is too long");
    same = (size_t)shared;
    shorter = r->key_bytes - same < rest ? r->key_bytes - same : (size_t)rest;
    order = shorter ? memcmp(block->bytes + block->at, r->key + same, shorter) : 0;
    if (r->table.count > 0 && (order < 0 || (order == 0 && same + rest <= r->key_bytes)))
        return damaged(r, offset, "has keys that are not in order");
    if (rest)
        memcpy(r->key + same, block->bytes + block->at, (size_t)rest);
    r->key_bytes = same + (size_t)rest;
    *ret_value = (struct run){block->bytes + block->at + rest, (size_t)value, 0};
    block->at += (size_t)(rest + value);
    return 0;
}

static int keep_entry(struct reading *r, const struct run *value)
{
    struct sstable *table = &r->table;
    char *key = arena_copy(&table->arena, r->key, r->key_bytes);

    if (!key)
        return no_memory(r);
    if (table->count >= 2 * r->limits->tensors)
        return error_set(r->err, ERROR_LIMIT, "table: has more than %zu entries", table->count);
    if (!array_reserve(&table->entries, sizeof(*table->entries), table->count, &r->entry_room))
        return no_memory(r);
    if (value->count > r->value_room - table->value_bytes) {
        const size_t wanted = (table->value_bytes + value->count) * 2 + 4096;
        uint8_t *grown;

        if (table->value_bytes + value->count > 2 * r->limits->header_bytes)
            return error_set(r->err, ERROR_LIMIT, "table: its values have more than %" PRIu64 " bytes",
                             2 * r->limits->header_bytes);
        grown = realloc(table->values, wanted);
        if (!grown)
            return no_memory(r);
        table->values = grown;
        r->value_room = wanted;
    }
    if (value->count)
        memcpy(table->values + table->value_bytes, value->bytes, value->count);
    table->entries[table->count++] =
        (struct sstable_entry){{key, (uint32_t)r->key_bytes}, table->value_bytes, value->count};
    table->value_bytes += value->count;
    return 0;
}

static int read_data_block(struct reading *r, struct sstable_block at)
{
    struct run block = {0}, value = {0}; /* gcc does not see that they are set */
    uint8_t *owned = NULL;
    int rc = read_block(r, at, &block, &owned);

    if (rc == 0)
        rc = cut_restarts(r, &block, at.offset);
    while (rc == 0 && block.at < block.count) {
        rc = next_entry(r, &block, at.offset, &value);
        if (rc == 0)
            rc = keep_entry(r, &value);
    }
    free(owned);
    return rc;
}

/* An entry of the index: a key that is not below the block's last, and the block's place. */
static int next_handle(struct reading *r, struct run *index, uint64_t offset, struct sstable_block *ret_block)
{
    uint64_t shared, rest, value;
    struct run handle;

    if (!read_varint(index, &shared) || !read_varint(index, &rest) || !read_varint(index, &value) ||
        rest > index->count - index->at || value > index->count - index->at - rest)
        return damaged(r, offset, "has an entry that reaches beyond its end");
    handle = (struct run){index->bytes + index->at + rest, (size_t)value, 0};
    index->at += (size_t)(rest + value);
    if (!read_varint(&handle, &ret_block->offset) || !read_varint(&handle, &ret_block->bytes))
        return damaged(r, offset, "has an entry that is no place of a block");
    return 0;
}

/* Blocks lie one behind the other. */
static int list_blocks(struct reading *r, struct run *index, uint64_t offset, struct sstable_blocks *blocks)
{
    uint64_t taken = 0;
    size_t room = 0;
    int rc = 0;

    while (rc == 0 && index->at < index->count) {
        struct sstable_block block = {0};

        if (!array_reserve(&blocks->list, sizeof(*blocks->list), blocks->count, &room))
            return no_memory(r);
        rc = next_handle(r, index, offset, &block);
        if (rc == 0 && (block.offset < taken || block.offset > UINT64_MAX - TRAILER_BYTES ||
                        block.bytes > UINT64_MAX - TRAILER_BYTES - block.offset))
            rc = damaged(r, block.offset, "lies in the one before it");
        taken = block.offset + block.bytes + TRAILER_BYTES;
        if (rc == 0)
            blocks->list[blocks->count++] = block;
    }
    return rc;
}

static int read_index(struct reading *r, struct sstable_blocks *blocks)
{
    uint8_t bytes[FOOTER_BYTES], *owned = NULL;
    struct run footer = {bytes, HANDLES_BYTES, 0}, index = {0};
    struct sstable_block meta, block;
    int rc;

    if (r->source->size < FOOTER_BYTES)
        return error_set(r->err, ERROR_FORMAT, "table: of %" PRIu64 " bytes, its footer alone has %d", r->source->size,
                         FOOTER_BYTES);
    rc = source_read_at(r->source, r->source->size - FOOTER_BYTES, bytes, FOOTER_BYTES, r->err);
    if (rc)
        return rc;
    if (!read_varint(&footer, &meta.offset) || !read_varint(&footer, &meta.bytes) ||
        !read_varint(&footer, &block.offset) || !read_varint(&footer, &block.bytes))
        return error_set(r->err, ERROR_FORMAT, "table: its footer holds no places of blocks");
    rc = read_block(r, block, &index, &owned);
    if (rc == 0)
        rc = cut_restarts(r, &index, block.offset);
    if (rc == 0)
        rc = list_blocks(r, &index, block.offset, blocks);
    free(owned);
    return rc;
}

int sstable_list(struct source *source, const struct limits *limits, struct sstable_blocks *ret_blocks,
                 struct error *err)
{
    struct sstable_blocks blocks = {0};
    struct reading r = {.source = source, .limits = limits, .err = err};
    int rc = read_index(&r, &blocks);

    if (rc) {
        free(blocks.list);
        return rc;
    }
    *ret_blocks = blocks;
    return 0;
}

int sstable_open(struct source *source, const struct limits *limits, const struct sstable_blocks *blocks,
                 struct sstable *ret_table, struct error *err)
{
    struct reading *r;
    int rc = 0;

    if (source->size > limits->header_bytes)
        return error_set(err, ERROR_LIMIT, "table: of %" PRIu64 " bytes, an index may have %" PRIu64, source->size,
                         limits->header_bytes);
    r = calloc(1, sizeof(*r));
    if (!r)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a table");
    r->source = source;
    r->limits = limits;
    r->err = err;
    r->table.arena.limit = 4 * limits->header_bytes;
    for (size_t i = 0; rc == 0 && i < blocks->count; i++)
        rc = read_data_block(r, blocks->list[i]);
    if (rc)
        sstable_done(&r->table);
    else
        *ret_table = r->table;
    free(r);
    return rc;
}

void sstable_done(struct sstable *table)
{
    free(table->entries);
    free(table->values);
    arena_done(&table->arena);
    *table = (struct sstable){0};
}
