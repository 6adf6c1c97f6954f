#include "core/scan/unit.h"
#include "tests/unit/core/scan/scan_models.h"

struct shape_row {
    uint32_t rank;
    uint64_t dims[4];
    uint64_t units;
};

static const struct shape_row rows[] = {
    {0, {0}, 1},
    {1, {1}, 1},
    {1, {1 << 20}, 1},
    {1, {(1 << 20) + 1}, 2},
    {2, {3, 5}, 1},
    {2, {1024, 1024}, 1},
    {2, {1025, 1024}, 2},
    {2, {3, (1 << 20)}, 3},
    {2, {3, (1 << 20) + 1}, 6},
    {3, {7, 100, 4096}, 3},
    {4, {2, 3, 4, 131073}, 4},
    {2, {9, 524288}, 5},
    {2, {0, 5}, 0},
    {3, {UINT64_C(1) << 40, UINT64_C(1) << 40, 0}, 0},
    {2, {1000003, 3}, 3},
};

static struct shape shape_of(const struct shape_row *row)
{
    struct shape shape = {.dims = row->dims, .rank = row->rank, .elements = 1};

    for (uint32_t d = 0; d < row->rank; d++)
        shape.elements *= row->dims[d];
    return shape;
}

START_TEST(units_follow_one_another_and_cover_the_tensor)
{
    const struct shape shape = shape_of(&rows[_i]);
    struct grid grid;
    uint64_t next = 0;

    grid_of(&shape, &grid);
    ck_assert_uint_eq(grid.units, rows[_i].units);
    for (uint64_t unit = 0; unit < grid.units; unit++) {
        struct box box;

        grid_box(&grid, unit, &box);
        ck_assert_uint_eq(box_first(&grid, &box), next);
        ck_assert_uint_gt(box_elements(&box), 0);
        ck_assert_uint_le(box_elements(&box), UNIT_ELEMENTS);
        ck_assert(box.rows == 1 || box.columns == grid.columns);
        next += box_elements(&box);
    }
    ck_assert_uint_eq(next, shape.elements);
}
END_TEST

START_TEST(cuts_do_not_depend_on_the_leading_dimension)
{
    const uint64_t longer[] = {5000, 1000}, shorter[] = {3001, 1000}, other[] = {5000, 1001};
    const struct shape a = {.dims = longer, .elements = 5000000, .rank = 2},
                       b = {.dims = shorter, .elements = 3001000, .rank = 2},
                       c = {.dims = other, .elements = 5005000, .rank = 2};
    struct grid grid_a, grid_b;
    struct box box_a, box_b;

    ck_assert(shapes_share_grid(&a, &b));
    ck_assert(!shapes_share_grid(&a, &c));
    grid_of(&a, &grid_a);
    grid_of(&b, &grid_b);
    for (uint64_t unit = 0; unit < grid_b.units; unit++) {
        grid_box(&grid_a, unit, &box_a);
        grid_box(&grid_b, unit, &box_b);
        ck_assert_uint_eq(box_first(&grid_a, &box_a), box_first(&grid_b, &box_b));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unit");
    TCase *tcase = tcase_create("unit");

    tcase_add_loop_test(tcase, units_follow_one_another_and_cover_the_tensor, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tcase, cuts_do_not_depend_on_the_leading_dimension);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
