/* Passes over one or two tensors made in memory, for the tests of the scan. */
#ifndef TESTS_UNIT_CORE_SCAN_SCAN_RUNS_H
#define TESTS_UNIT_CORE_SCAN_SCAN_RUNS_H

#include <math.h>

#include "core/scan/decode.h"
#include "tests/unit/core/scan/scan_models.h"

enum {
    ALL_NEEDS = NEED_SIDE | NEED_DELTA | NEED_QUANTILES | NEED_SATURATION | NEED_ROW_FIT | NEED_PROFILE | NEED_ROWS |
                NEED_COLUMNS | NEED_FLIPS | NEED_DIGEST
};

static inline void fill_random(uint8_t *to, size_t bytes, uint64_t seed)
{
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word = test_random(&seed);

        memcpy(to + i, &word, 8);
    }
}

static inline void *allocate(size_t bytes)
{
    void *memory = calloc(bytes, 1);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* Normal weights of a dtype that a float converts to by cutting. */
static inline void fill_normal(enum dtype dtype, uint8_t *to, size_t elements, double mean, double std, uint64_t seed)
{
    for (size_t i = 0; i < elements; i++) {
        double value = mean + std * test_normal(&seed);
        float narrow = (float)value;

        if (dtype == DTYPE_F64)
            memcpy(to + i * 8, &value, 8);
        else if (dtype == DTYPE_F32)
            memcpy(to + i * 4, &narrow, 4);
        else
            memcpy(to + i * 2, (const uint8_t *)&narrow + 2, 2);
    }
}

static inline struct scan_result *scan_one(enum dtype dtype, const void *data, uint32_t rank, const uint64_t *dims,
                                           unsigned needs)
{
    struct test_model model;

    test_model_init(&model, data, SIZE_MAX / 2, true);
    test_model_add(&model, dtype, 0, rank, dims);
    model.source.base.size = model.tensors[0].extent.bytes;
    return test_scan((struct test_model *[]){&model}, 1, needs, 0, 2, ISA_AUTO);
}

static inline struct scan_result *scan_two(enum dtype dtype_a, const void *a, enum dtype dtype_b, const void *b,
                                           uint32_t rank, const uint64_t *dims_a, const uint64_t *dims_b,
                                           unsigned needs)
{
    struct test_model first, second;

    test_model_init(&first, a, SIZE_MAX / 2, true);
    test_model_init(&second, b, SIZE_MAX / 2, true);
    test_model_add(&first, dtype_a, 0, rank, dims_a);
    test_model_add(&second, dtype_b, 0, rank, dims_b);
    first.source.base.size = first.tensors[0].extent.bytes;
    second.source.base.size = second.tensors[0].extent.bytes;
    return test_scan((struct test_model *[]){&first, &second}, 2, needs, 0, 2, ISA_AUTO);
}

#endif
