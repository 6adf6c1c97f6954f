/* How fast each of ggml's types is decoded: bytes of values a second on one thread, best of five, from blocks that lie
 * in the cache as a unit's do. Prints "TYPE GB/s" a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/decode/ggml.h"

enum { ELEMENTS = 1 << 20, ROUNDS = 5 };

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(void)
{
    float *values = malloc(ELEMENTS * sizeof(*values));
    uint8_t *stored = malloc(ELEMENTS * 2);

    if (!values || !stored)
        return 1;
    for (size_t i = 0; i < ELEMENTS * 2; i++)
        stored[i] = (uint8_t)(i * 2654435761u >> 13);
    memset(values, 0, ELEMENTS * sizeof(*values));
    for (uint32_t number = 0; number < 64; number++) {
        const struct ggml_type *type = ggml_type_of(number);
        double best = 1e9;

        if (!type || !type->storage.decoder)
            continue;
        for (int round = 0; round < ROUNDS; round++) {
            double begun = seconds(), taken;

            type->storage.decoder->decode(&type->storage, stored, ELEMENTS / type->block, values);
            taken = seconds() - begun;
            best = taken < best ? taken : best;
        }
        printf("%s %.2f\n", type->name, ELEMENTS * sizeof(*values) / best / 1e9);
    }
    free(values);
    free(stored);
    return 0;
}
