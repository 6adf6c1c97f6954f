/* What a model of very many small tensors costs: 300,000 F32 vectors of 16 elements, two models, all in memory.
 *
 *     bench_scan_small THREADS NEEDS */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/io/source.h"
#include "core/scan/scan.h"

enum { TENSORS = 300000, ELEMENTS = 16 };

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    static const uint64_t dims[] = {ELEMENTS};
    static struct tensor tensors[2][TENSORS];
    static uint32_t side[2 * TENSORS];
    static float values[2][TENSORS * ELEMENTS];
    struct model models[2] = {{0}, {0}};
    struct model_file files[2] = {{0}, {0}};
    const struct model *const both[2] = {&models[0], &models[1]};
    struct pairing pairing = {.pairs = TENSORS, .models = 2, .side = side};
    struct scan_plan plan = {.models = both, .model_count = 2, .pairing = &pairing};
    struct scan_env env = {0};

    if (argc != 3) {
        fprintf(stderr, "bench_scan_small THREADS NEEDS\n");
        return 2;
    }
    env.threads = (unsigned)strtoul(argv[1], NULL, 10);
    plan.needs = (unsigned)strtoul(argv[2], NULL, 10);
    for (int m = 0; m < 2; m++) {
        for (uint32_t i = 0; i < TENSORS; i++) {
            tensors[m][i] = (struct tensor){.name = name_of("weight"),
                                            .dtype = DTYPE_F32,
                                            .shape = {.dims = dims, .elements = ELEMENTS, .rank = 1},
                                            .extent = {.offset = (uint64_t)i * ELEMENTS * 4, .bytes = ELEMENTS * 4}};
            side[2 * i + (uint32_t)m] = i;
        }
        for (size_t i = 0; i < TENSORS * ELEMENTS; i++)
            values[m][i] = (float)((i * 2654435761u) % 1000) * 0.001f + (float)m * 0.01f;
        if (memory_open(values[m], sizeof(values[m]), "memory", &files[m].source, NULL) != 0)
            return 1;
        models[m].files = &files[m];
        models[m].tensors = tensors[m];
        models[m].tensor_count = TENSORS;
    }
    for (int run = 0; run < 3; run++) {
        double started = seconds();
        struct scan_result *result;

        if (scan_run(&plan, &env, &result, NULL) != 0)
            return 1;
        printf("%.3f s\n", seconds() - started);
        scan_result_free(result);
    }
    return 0;
}
