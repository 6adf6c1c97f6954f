/* Tables of one data block, sealed as LevelDB seals them: content is the caller's, and may lie. */
#ifndef TESTS_UNIT_CORE_FORMAT_MADE_TABLE_H
#define TESTS_UNIT_CORE_FORMAT_MADE_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct made_table {
    uint8_t *bytes; /* room for what is put in, and 128 more */
    size_t count;
};

static void table_put(struct made_table *table, const void *bytes, size_t count)
{
    if (count)
        memcpy(table->bytes + table->count, bytes, count);
    table->count += count;
}

static void table_varint(struct made_table *table, uint64_t value)
{
    for (; value > 127; value >>= 7)
        table_put(table, (uint8_t[]){(uint8_t)(value | 128)}, 1);
    table_put(table, (uint8_t[]){(uint8_t)value}, 1);
}

static void table_le32(struct made_table *table, uint32_t value)
{
    table_put(table, (uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)},
              4);
}

/* The block from at on gets its kind and its checksum, bit by bit. */
static void table_seal(struct made_table *table, size_t at, uint8_t kind)
{
    uint32_t crc = UINT32_MAX;

    table_put(table, &kind, 1);
    for (size_t i = at; i < table->count; i++) {
        crc ^= table->bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    table_le32(table, (crc >> 15 | crc << 17) + 0xa282ead8u);
}

static inline void table_entry(struct made_table *table, const char *key, size_t key_bytes, const void *value,
                               size_t value_bytes)
{
    table_varint(table, 0);
    table_varint(table, key_bytes);
    table_varint(table, value_bytes);
    table_put(table, key, key_bytes);
    table_put(table, value, value_bytes);
}

static inline void table_restarts(struct made_table *table)
{
    table_le32(table, 0);
    table_le32(table, 1);
}

/* What has been put in is the data block, restarts too. */
static void table_finish(struct made_table *table, uint8_t kind)
{
    static const uint8_t magic[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb}, zeros[40];
    const size_t block = table->count;
    size_t index, footer;

    table_seal(table, 0, kind);
    index = table->count;
    table_varint(table, 0);
    table_varint(table, 1);
    {
        struct made_table handle = {(uint8_t[20]){0}, 0};

        table_varint(&handle, 0);
        table_varint(&handle, block);
        table_varint(table, handle.count);
        table_put(table, "~", 1);
        table_put(table, handle.bytes, handle.count);
    }
    table_le32(table, 0);
    table_le32(table, 1);
    footer = table->count;
    table_seal(table, index, 0);
    {
        const size_t at = table->count;

        table_varint(table, 0); /* nobody asks for the metaindex */
        table_varint(table, 0);
        table_varint(table, index);
        table_varint(table, footer - index);
        table_put(table, zeros, sizeof(zeros) - (table->count - at));
    }
    table_put(table, magic, sizeof(magic));
}

#endif
