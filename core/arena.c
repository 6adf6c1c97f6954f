#include "core/arena.h"

#include <stdlib.h>
#include <string.h>

#include "core/checked.h"

enum { BLOCK_BYTES = 65536, ALIGNMENT = 16 };

static uint8_t *add_block(struct arena *arena, size_t bytes)
{
    void **grown = reallocarray(arena->blocks, arena->count + 1, sizeof(*grown));
    uint8_t *block;

    if (!grown)
        return NULL;
    arena->blocks = grown;
    block = calloc(1, bytes);
    if (block)
        grown[arena->count++] = block;
    return block;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    uint8_t *taken;

    if (bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes > arena->limit - arena->bytes) {
        arena->is_full = true;
        return NULL;
    }
    if (bytes > BLOCK_BYTES / 4) {
        taken = add_block(arena, bytes);
    } else {
        if ((size_t)(arena->end - arena->at) < bytes) {
            uint8_t *block = add_block(arena, BLOCK_BYTES);

            if (!block)
                return NULL;
            arena->at = block;
            arena->end = block + BLOCK_BYTES;
        }
        taken = arena->at;
        arena->at += bytes;
    }
    if (taken)
        arena->bytes += bytes;
    return taken;
}

void *arena_take_array(struct arena *arena, size_t count, size_t item_bytes)
{
    uint64_t bytes;

    if (!checked_mul(count, item_bytes, &bytes))
        return NULL;
    return arena_take(arena, bytes);
}

char *arena_copy(struct arena *arena, const void *bytes, size_t count)
{
    char *copy = count < SIZE_MAX ? arena_take(arena, count + 1) : NULL;

    if (copy && count)
        memcpy(copy, bytes, count);
    return copy;
}

enum error_code arena_error(const struct arena *arena)
{
    return arena->is_full ? ERROR_LIMIT : ERROR_NO_MEMORY;
}

const char *arena_error_text(const struct arena *arena)
{
    return arena->is_full ? "take more memory than such a file may" : "find no memory";
}

void arena_done(struct arena *arena)
{
    for (size_t i = 0; i < arena->count; i++)
        free(arena->blocks[i]);
    free(arena->blocks);
    *arena = (struct arena){0};
}
