/* At most two thirds full, linear probing; a slot keeps half of the hash, so that other names' bytes, which lie all
 * over a header, are hardly ever looked at in vain. The hash is salted for each index: names come from files, and a
 * file must not be able to choose names that all collide. */
#include "core/model/name_index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct slot {
    uint32_t record; /* + 1; 0: empty */
    uint32_t tag;    /* the hash's upper half */
};

struct name_index {
    size_t mask;
    uint64_t salt[2];
    struct slot slots[];
};

struct name_index *name_index_new(size_t capacity)
{
    struct name_index *index;
    size_t slots = 16;

    while (slots / 3 * 2 < capacity)
        slots *= 2;
    index = calloc(1, sizeof(*index) + slots * sizeof(index->slots[0]));
    if (!index)
        return NULL;
    index->mask = slots - 1;
    if (getrandom(index->salt, sizeof(index->salt), GRND_NONBLOCK) != (ssize_t)sizeof(index->salt)) {
        struct timespec now = {0};

        clock_gettime(CLOCK_MONOTONIC, &now); /* early boot: weaker, still not in the file's hands */
        index->salt[0] = (uint64_t)now.tv_nsec * 0x9E3779B97F4A7C15u;
        index->salt[1] = (uint64_t)(uintptr_t)index;
    }
    return index;
}

void name_index_free(struct name_index *index)
{
    free(index);
}

/* Folds the 128-bit product: every bit of both factors reaches the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t salted_hash(const struct name_index *index, struct name name)
{
    uint64_t hash = index->salt[0] ^ name.bytes, word;
    uint32_t at = 0;

    for (; name.bytes - at >= 8; at += 8) {
        memcpy(&word, name.text + at, 8);
        hash = fold(hash ^ word, index->salt[1] | 1) + 0x9E3779B97F4A7C15u;
    }
    word = 0;
    if (name.bytes > at)
        memcpy(&word, name.text + at, name.bytes - at);
    return fold(hash ^ word, index->salt[1] | 1);
}

static struct name record_name(struct name_records records, uint32_t at)
{
    return *(const struct name *)(const void *)((const char *)records.first + at * records.stride);
}

/* The slot that holds name, or the empty one where it belongs. */
static size_t find_slot(const struct name_index *index, struct name_records records, struct name name,
                        uint32_t *ret_tag)
{
    uint64_t hash = salted_hash(index, name);
    size_t slot = (size_t)hash & index->mask;
    uint32_t tag = (uint32_t)(hash >> 32);

    while (index->slots[slot].record &&
           (index->slots[slot].tag != tag || !name_equal(record_name(records, index->slots[slot].record - 1), name)))
        slot = (slot + 1) & index->mask;
    *ret_tag = tag;
    return slot;
}

uint32_t name_index_find(const struct name_index *index, struct name_records records, struct name name)
{
    uint32_t tag;

    return index->slots[find_slot(index, records, name, &tag)].record - 1; /* an empty slot wraps to NAME_INDEX_NONE */
}

uint32_t name_index_add(struct name_index *index, struct name_records records, uint32_t at)
{
    uint32_t tag;
    size_t slot = find_slot(index, records, record_name(records, at), &tag);

    if (index->slots[slot].record)
        return index->slots[slot].record - 1;
    index->slots[slot] = (struct slot){at + 1, tag};
    return at;
}
