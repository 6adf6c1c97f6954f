/* Memory that is taken bit by bit and given back at once: names, shapes and values of a file's header. */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/name.h"

struct arena {
    void **blocks; /* heap blocks, to be kept elsewhere or freed */
    size_t count;
    uint64_t bytes, limit; /* taken so far, and what may be */
    bool is_full;          /* something was refused for the limit */
    uint8_t *at, *end;     /* what is left of the last block */
};

/* Zeroed bytes, aligned for any type; NULL where memory or the limit is short. */
void *arena_take(struct arena *arena, size_t bytes);
void *arena_take_array(struct arena *arena, size_t count, size_t item_bytes);

/* A copy of bytes, a NUL behind it; NULL as above. */
char *arena_copy(struct arena *arena, const void *bytes, size_t count);

/* Why the arena gave NULL: ERROR_LIMIT where it is the file that asks for more than it may, else ERROR_NO_MEMORY; and
 * the same in words, behind what the memory was for. */
enum error_code arena_error(const struct arena *arena);
const char *arena_error_text(const struct arena *arena);

void arena_done(struct arena *arena);

#endif
