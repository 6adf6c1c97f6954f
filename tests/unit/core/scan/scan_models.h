/* Models made by hand, over memory that a test fills: no file, no format. */
#ifndef TESTS_UNIT_CORE_SCAN_SCAN_MODELS_H
#define TESTS_UNIT_CORE_SCAN_SCAN_MODELS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/scan/scan.h"

/* A source over memory, mapped or only read, that can be told to fail. */
struct test_source {
    struct source base;
    const uint8_t *data;
    uint64_t fails_from; /* reads that touch this offset or a later one fail; UINT64_MAX: none */
    int fails_with;
    atomic_int held; /* views not given back */
    atomic_size_t reads, largest;
    atomic_bool *cancels; /* set by the read number cancels_at */
    size_t cancels_at;
};

static inline int test_source_check_range(struct test_source *source, uint64_t offset, size_t bytes, struct error *err)
{
    ck_assert_uint_le(offset, source->base.size);
    ck_assert_uint_le(bytes, source->base.size - offset);
    if (++source->reads >= source->cancels_at && source->cancels)
        atomic_store(source->cancels, true);
    if (bytes > source->largest)
        source->largest = bytes;
    if (offset + bytes > source->fails_from)
        return error_set(err, (enum error_code)source->fails_with, "the device says no");
    return 0;
}

static inline int test_source_read_at(struct source *base, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    struct test_source *source = (struct test_source *)base;
    int rc = test_source_check_range(source, offset, bytes, err);

    if (rc == 0)
        memcpy(buf, source->data + offset, bytes);
    return rc;
}

static inline int test_source_map(struct source *base, uint64_t offset, size_t bytes, struct span *ret,
                                  struct error *err)
{
    struct test_source *source = (struct test_source *)base;
    int rc = test_source_check_range(source, offset, bytes, err);

    if (rc == 0) {
        /* Its own memory, so that a use after unmap shows under ASan. */
        uint8_t *copy = malloc(bytes ? bytes : 1);

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, source->data + offset, bytes);
        *ret = (struct span){.data = copy, .bytes = bytes, .mapping = copy, .mapping_bytes = bytes};
        source->held++;
    }
    return rc;
}

static inline void test_source_unmap(struct source *base, struct span *span)
{
    free(span->mapping);
    *span = (struct span){0};
    ((struct test_source *)base)->held--;
}

static inline void test_source_init(struct test_source *source, const void *data, size_t bytes, bool is_mapped)
{
    static const struct source_ops mapped = {
        .name = "test", .read_at = test_source_read_at, .map = test_source_map, .unmap = test_source_unmap};
    static const struct source_ops read = {.name = "test", .read_at = test_source_read_at};

    memset(source, 0, sizeof(*source));
    source->base.ops = is_mapped ? &mapped : &read;
    source->base.uri = (char *)(uintptr_t) "weights.bin";
    source->base.size = bytes;
    source->data = data;
    source->fails_from = UINT64_MAX;
}

enum { TEST_TENSORS = 16, TEST_MODELS = 5 };

struct test_model {
    struct model model;
    struct model_file file;
    struct test_source source;
    struct tensor tensors[TEST_TENSORS];
    uint64_t dims[TEST_TENSORS][4];
};

static inline void test_model_init(struct test_model *m, const void *data, size_t bytes, bool is_mapped)
{
    memset(m, 0, sizeof(*m));
    test_source_init(&m->source, data, bytes, is_mapped);
    m->file.source = &m->source.base;
    m->model.files = &m->file;
    m->model.file_count = 1;
    m->model.tensors = m->tensors;
}

/* Adds the tensor whose bytes start at offset. */
static inline struct tensor *test_model_add(struct test_model *m, enum dtype dtype, uint64_t offset, uint32_t rank,
                                            const uint64_t *dims)
{
    size_t i = m->model.tensor_count++;
    struct tensor *tensor = &m->tensors[i];
    uint64_t elements = 1;

    ck_assert_uint_lt(i, TEST_TENSORS);
    for (uint32_t d = 0; d < rank; d++) {
        m->dims[i][d] = dims[d];
        elements *= dims[d];
    }
    tensor->name = name_of("layer.weight");
    tensor->dtype = dtype;
    tensor->shape = (struct shape){.dims = m->dims[i], .elements = elements, .rank = rank};
    tensor->extent = (struct extent){.offset = offset, .bytes = (elements * dtype_traits(dtype)->bits + 7) / 8};
    return tensor;
}

/* Tensor i of every model that has so many stands opposite the others' i. */
struct test_pairing {
    struct pairing pairing;
    uint32_t side[TEST_TENSORS * TEST_MODELS];
    const struct model *models[TEST_MODELS];
};

static inline void test_pairing_init(struct test_pairing *p, struct test_model *const *models, size_t count)
{
    memset(p, 0, sizeof(*p));
    p->pairing.models = count;
    p->pairing.side = p->side;
    for (size_t m = 0; m < count; m++) {
        p->models[m] = &models[m]->model;
        if (models[m]->model.tensor_count > p->pairing.pairs)
            p->pairing.pairs = models[m]->model.tensor_count;
    }
    for (size_t pair = 0; pair < p->pairing.pairs; pair++) {
        for (size_t m = 0; m < count; m++)
            p->side[pair * count + m] = pair < models[m]->model.tensor_count ? (uint32_t)pair : PAIRING_NONE;
    }
}

static inline struct scan_plan test_plan(const struct test_pairing *p, unsigned needs, double epsilon)
{
    return (struct scan_plan){.models = p->models,
                              .model_count = p->pairing.models,
                              .pairing = &p->pairing,
                              .needs = needs,
                              .epsilon = epsilon};
}

static inline struct scan_result *test_scan(struct test_model *const *models, size_t count, unsigned needs,
                                            double epsilon, unsigned threads, enum isa isa)
{
    struct scan_env env = {.threads = threads, .isa = isa};
    struct scan_result *result = NULL;
    struct test_pairing pairing;
    struct error err = {0};
    struct scan_plan plan;
    int rc;

    test_pairing_init(&pairing, models, count);
    plan = test_plan(&pairing, needs, epsilon);
    rc = scan_run(&plan, &env, &result, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    for (size_t m = 0; m < count; m++)
        ck_assert_int_eq(models[m]->source.held, 0);
    return result;
}

static inline void test_same_results(const struct scan_result *a, const struct scan_result *b)
{
    const size_t sides = a->pairs * a->models;

    ck_assert_uint_eq(a->pairs, b->pairs);
    ck_assert_mem_eq(a->sides, b->sides, sides * sizeof(*a->sides));
    ck_assert_mem_eq(a->deltas, b->deltas, a->pairs * sizeof(*a->deltas));
    ck_assert_mem_eq(a->coverage, b->coverage, a->pairs);
    if (a->quantiles)
        ck_assert_mem_eq(a->quantiles, b->quantiles, sides * sizeof(*a->quantiles));
    if (a->profiles)
        ck_assert_mem_eq(a->profiles, b->profiles, sides * sizeof(*a->profiles));
    if (a->rows)
        ck_assert_mem_eq(a->rows, b->rows, sides * sizeof(*a->rows));
    if (a->columns)
        ck_assert_mem_eq(a->columns, b->columns, sides * sizeof(*a->columns));
    if (a->flips)
        ck_assert_mem_eq(a->flips, b->flips, a->pairs * sizeof(*a->flips));
    if (a->digests)
        ck_assert_mem_eq(a->digests, b->digests, sides * sizeof(*a->digests));
}

/* A small generator with the same numbers everywhere (xorshift64*). */
static inline uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* Roughly normal, from four uniform numbers. */
static inline double test_normal(uint64_t *state)
{
    double total = 0;

    for (int i = 0; i < 4; i++)
        total += (double)(test_random(state) >> 11) * 0x1p-53 - 0.5;
    return total * 1.7320508075688772;
}

static inline int test_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
