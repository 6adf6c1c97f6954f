/* A matrix that is turned over, by the definition alone: every size of element, tiles that are not full, destinations
 * that are streamed past the caches and such as are not. */
#include "core/decode/plane.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void fill(uint8_t *bytes, size_t count)
{
    uint64_t state = 0x9e3779b97f4a7c15;

    for (size_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(state >> 56);
    }
}

static const struct {
    uint64_t rows, columns, row_step, step; /* of the result; steps in elements */
    size_t size, shift;                     /* shift: bytes past a cache line's start */
} planes[] = {
    {1, 1, 1, 1, 4, 0},
    {3, 5, 7, 4, 2, 0},
    {64, 64, 64, 64, 2, 0},
    {130, 67, 70, 131, 4, 0},
    {1024, 1024, 1024, 1024, 4, 0},
    {1024, 1024, 1024, 1024, 4, 4},
    {1024, 1024, 1030, 1024, 4, 0},
    {1030, 1000, 1024, 1040, 4, 0},
    {2048, 1024, 1024, 2048, 2, 0},
    {2053, 1021, 1024, 2053, 2, 0},
    {2048, 2048, 2048, 2048, 1, 0},
    {512, 1024, 1024, 512, 8, 0},
    {300, 512, 512, 301, 16, 0},
};

enum { PLANES = sizeof(planes) / sizeof(planes[0]) };

START_TEST(every_element_lies_where_it_belongs)
{
    const size_t size = planes[_i].size;
    const uint64_t rows = planes[_i].rows, columns = planes[_i].columns;
    const uint64_t row_step = planes[_i].row_step, step = planes[_i].step;
    const size_t in = columns * step * size, out = rows * row_step * size;
    uint8_t *from = malloc(in), *expected = malloc(out), *base = NULL, *to;

    ck_assert(from && expected);
    ck_assert_int_eq(posix_memalign((void **)&base, 64, out + 64), 0);
    to = base + planes[_i].shift;
    fill(from, in);
    memset(base, 0xa5, out + 64);
    memset(expected, 0xa5, out);
    plane_transpose(to, row_step, from, step, rows, columns, size);
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < columns; c++)
            memcpy(expected + (r * row_step + c) * size, from + (r + c * step) * size, size);
    ck_assert_mem_eq(to, expected, out);
    free(expected);
    free(base);
    free(from);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plane");
    TCase *tcase = tcase_create("plane");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, every_element_lies_where_it_belongs, 0, PLANES);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
