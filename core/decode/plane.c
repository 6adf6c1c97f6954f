/* A tile at a time, by way of a copy: lines of a large matrix lie a power of two apart and put each other out of the
 * cache, so that each is read once and written once, whole. Within a tile, 16 bytes of as many lines are turned in
 * registers; what is left over at the edges goes element by element. */
#include "core/decode/plane.h"

#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum {
    LINE_BYTES = 128, /* of a tile, before and after */
    CACHE_LINE_BYTES = 64,
    STREAM_BYTES = 2 << 20, /* from which on what is written would not stay in a core's cache */
};

typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));

#define LOW_2(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_2(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_4(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)

/* A square of lines `count` wide: one round of it interleaves line i with line i + count / 2, and after log2(count)
 * rounds the square is turned over. Steps are in bytes. */
#define DEFINE_TURN(name, type, count, rounds, low, high)                                                              \
    static inline void name(uint8_t *to, size_t to_step, const uint8_t *from, size_t from_step)                        \
    {                                                                                                                  \
        type lines[count], turned[count];                                                                              \
                                                                                                                       \
        for (int i = 0; i < (count); i++)                                                                              \
            memcpy(&lines[i], from + (size_t)i * from_step, sizeof(type));                                             \
        for (int round = 0; round < (rounds); round++) {                                                               \
            for (int i = 0; i < (count) / 2; i++) {                                                                    \
                turned[2 * i] = low(lines[i], lines[i + (count) / 2]);                                                 \
                turned[2 * i + 1] = high(lines[i], lines[i + (count) / 2]);                                            \
            }                                                                                                          \
            memcpy(lines, turned, sizeof(lines));                                                                      \
        }                                                                                                              \
        for (int i = 0; i < (count); i++)                                                                              \
            memcpy(to + (size_t)i * to_step, &lines[i], sizeof(type));                                                 \
    }

DEFINE_TURN(turn_2, u16x8, 8, 3, LOW_2, HIGH_2)
DEFINE_TURN(turn_4, u32x4, 4, 2, LOW_4, HIGH_4)

static inline void turn_elements(uint8_t *to, size_t to_step, const uint8_t *from, size_t from_step, uint64_t rows,
                                 uint64_t columns, size_t size)
{
    for (uint64_t c = 0; c < columns; c++)
        for (uint64_t r = 0; r < rows; r++)
            memcpy(to + r * to_step + c * size, from + c * from_step + r * size, size);
}

/* Past the caches: a line that is written whole need not be fetched first. to lies at a cache line's start. */
static inline void stream(uint8_t *to, const uint8_t *from)
{
#if defined(__x86_64__)
    for (size_t i = 0; i < LINE_BYTES; i += sizeof(__m128i))
        _mm_stream_si128((__m128i *)(to + i), _mm_load_si128((const __m128i *)(from + i)));
#else
    memcpy(to, from, LINE_BYTES);
#endif
}

/* One copy of this for each size: where it is a constant, the branches fall away. */
static inline void turn_tile(uint8_t *to, size_t to_step, const uint8_t *from, size_t from_step, uint64_t rows,
                             uint64_t columns, size_t size, bool is_streamed)
{
    const uint64_t side = size == 2 || size == 4 ? 16 / size : 1;
    const uint64_t whole_rows = side > 1 ? rows - rows % side : 0, whole_columns = columns - columns % side;
    _Alignas(CACHE_LINE_BYTES) uint8_t tile[LINE_BYTES * LINE_BYTES];

    for (uint64_t c = 0; c < columns; c++)
        for (size_t i = 0; i < LINE_BYTES; i += CACHE_LINE_BYTES)
            __builtin_prefetch(from + c * from_step + LINE_BYTES + i);
    for (uint64_t c = 0; whole_rows > 0 && c < whole_columns; c += side)
        for (uint64_t r = 0; r < whole_rows; r += side) {
            uint8_t *out = tile + r * LINE_BYTES + c * size;
            const uint8_t *in = from + c * from_step + r * size;

            if (size == 2)
                turn_2(out, LINE_BYTES, in, from_step);
            else
                turn_4(out, LINE_BYTES, in, from_step);
        }
    turn_elements(tile + whole_rows * LINE_BYTES, LINE_BYTES, from + whole_rows * size, from_step, rows - whole_rows,
                  columns, size);
    turn_elements(tile + whole_columns * size, LINE_BYTES, from + whole_columns * from_step, from_step, whole_rows,
                  columns - whole_columns, size);
    for (uint64_t r = 0; r < rows; r++) {
        if (columns * size == LINE_BYTES && is_streamed)
            stream(to + r * to_step, tile + r * LINE_BYTES);
        else if (columns * size == LINE_BYTES)
            memcpy(to + r * to_step, tile + r * LINE_BYTES, LINE_BYTES);
        else
            memcpy(to + r * to_step, tile + r * LINE_BYTES, columns * size);
    }
}

static inline void turn(uint8_t *to, uint64_t row_step, const uint8_t *from, uint64_t step, uint64_t rows,
                        uint64_t columns, size_t size)
{
    const uint64_t side = LINE_BYTES / size;
    const bool is_streamed =
        ((uintptr_t)to | row_step * size) % CACHE_LINE_BYTES == 0 && rows * row_step * size >= STREAM_BYTES;

    for (uint64_t c = 0; c < columns; c += side)
        for (uint64_t r = 0; r < rows; r += side)
            turn_tile(to + (r * row_step + c) * size, row_step * size, from + (r + c * step) * size, step * size,
                      rows - r < side ? rows - r : side, columns - c < side ? columns - c : side, size, is_streamed);
#if defined(__x86_64__)
    if (is_streamed)
        _mm_sfence(); /* whoever reads it may be another thread */
#endif
}

void plane_transpose(uint8_t *to, uint64_t row_step, const uint8_t *from, uint64_t step, uint64_t rows,
                     uint64_t columns, size_t size)
{
    if (size == 2)
        turn(to, row_step, from, step, rows, columns, 2);
    else if (size == 4)
        turn(to, row_step, from, step, rows, columns, 4);
    else if (size == 8)
        turn(to, row_step, from, step, rows, columns, 8);
    else if (size == 16)
        turn(to, row_step, from, step, rows, columns, 16);
    else
        turn(to, row_step, from, step, rows, columns, 1);
}
