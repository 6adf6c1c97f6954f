#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/jobs/capacity.h"
#include "server/jobs/sweeper.h"
#include "tests/unit/server/scratch.h"

static const uint64_t gib = UINT64_C(1) << 30;
static char *root;

static void setup(void)
{
    root = scratch_new();
}

static void teardown(void)
{
    scratch_remove(root);
}

static void put(const char *path, const char *text)
{
    char partial[1024];

    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/')
            continue;
        snprintf(partial, sizeof(partial), "%s%.*s", root, (int)i, path);
        mkdir(partial, 0700);
    }
    scratch_write(root, path, text, strlen(text));
}

START_TEST(limits_of_every_level_of_cgroup_v2_hold)
{
    struct capacity capacity;

    put("/proc/self/cgroup", "0::/kubepods/pod1/c1\n");
    put("/sys/fs/cgroup/kubepods/pod1/c1/memory.max", "max\n");
    put("/sys/fs/cgroup/kubepods/pod1/memory.max", "2147483648\n");
    put("/sys/fs/cgroup/kubepods/memory.max", "8589934592\n");
    put("/sys/fs/cgroup/kubepods/pod1/cpu.max", "50000 100000\n");
    put("/sys/fs/cgroup/kubepods/cpu.max", "max 100000\n");
    capacity_read(root, &capacity);
    ck_assert_uint_eq(capacity.memory_bytes, 2 * gib);
    ck_assert_uint_eq(capacity.cores, 1);
}
END_TEST

START_TEST(a_container_that_sees_its_own_group_as_the_root_is_limited)
{
    struct capacity capacity;

    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "1073741824\n");
    capacity_read(root, &capacity);
    ck_assert_uint_eq(capacity.memory_bytes, gib);
}
END_TEST

START_TEST(cgroup_v1_is_read_too)
{
    struct capacity capacity;

    put("/proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n");
    put("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "1073741824\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
    capacity_read(root, &capacity);
    ck_assert_uint_eq(capacity.memory_bytes, gib);
    ck_assert_uint_eq(capacity.cores, 1);
}
END_TEST

START_TEST(a_machine_without_limits_has_none)
{
    struct capacity capacity;

    capacity_read(root, &capacity);
    ck_assert_uint_eq(capacity.memory_bytes, 0);
    ck_assert_uint_ge(capacity.cores, 1);
}
END_TEST

struct planning {
    unsigned cores;
    uint64_t memory, workers, threads, job_memory;
    unsigned expected_workers, expected_threads;
    uint64_t expected_memory;
    bool is_reduced;
};
static const struct planning plannings[] = {
    {8, 0, 0, 0, UINT64_C(4) << 30, 2, 4, UINT64_C(4) << 30, false},
    {1, 0, 0, 0, UINT64_C(4) << 30, 1, 1, UINT64_C(4) << 30, false},
    {8, 0, 4, 0, UINT64_C(4) << 30, 4, 2, UINT64_C(4) << 30, false},
    {2, 0, 8, 0, UINT64_C(4) << 30, 8, 1, UINT64_C(4) << 30, false},
    {8, 0, 4, 7, UINT64_C(4) << 30, 4, 7, UINT64_C(4) << 30, false},
    {8, UINT64_C(9) << 30, 4, 0, UINT64_C(4) << 30, 2, 4, UINT64_C(4) << 30, true},
    {8, UINT64_C(9) << 30, 2, 0, UINT64_C(4) << 30, 2, 4, UINT64_C(4) << 30, false},
    {4, UINT64_C(1) << 30, 2, 0, UINT64_C(4) << 30, 1, 4, (UINT64_C(1) << 30) - (200 << 20), true},
    {4, UINT64_C(100) << 20, 2, 0, UINT64_C(4) << 30, 1, 4, UINT64_C(256) << 20, true},
};

START_TEST(workers_fit_into_memory_and_threads_into_cores)
{
    const struct planning *p = &plannings[_i];
    struct capacity capacity = {.cores = p->cores, .memory_bytes = p->memory};
    struct capacity_plan plan;

    capacity_plan(&capacity, p->workers, p->threads, p->job_memory, &plan);
    ck_assert_uint_eq(plan.workers, p->expected_workers);
    ck_assert_uint_eq(plan.threads, p->expected_threads);
    ck_assert_uint_eq(plan.job_memory_bytes, p->expected_memory);
    ck_assert_int_eq(plan.is_reduced, p->is_reduced);
}
END_TEST

START_TEST(a_clock_that_jumped_deletes_nothing_for_a_day)
{
    const int64_t hour = 3600000, day = 24 * hour, wall = INT64_C(1700000000000);
    struct clock_guard guard;

    clock_guard_init(&guard, wall, 0);
    ck_assert(clock_guard_agrees(&guard, wall + day, day));
    ck_assert(clock_guard_agrees(&guard, wall + day + hour / 2, day)); /* a leap, a slow correction */
    ck_assert(!clock_guard_agrees(&guard, wall + 400 * day, 2 * day));
    ck_assert(!clock_guard_agrees(&guard, wall + 400 * day + hour, 2 * day + hour));
    ck_assert(!clock_guard_agrees(&guard, wall + 2 * day + 2 * hour, 2 * day + 2 * hour)); /* put right: a jump again */
    ck_assert(!clock_guard_agrees(&guard, wall + 3 * day, 3 * day));
    ck_assert(clock_guard_agrees(&guard, wall + 3 * day + 2 * hour, 3 * day + 2 * hour));
}
END_TEST

START_TEST(the_page_cache_is_crowded_by_a_quarter_of_the_memory_at_most)
{
    struct capacity container = {.cores = 1, .memory_bytes = gib / 4}, machine = {.cores = 1};

    ck_assert_uint_eq(capacity_cache_bytes(&container, CACHE_AUTO), gib / 16);
    ck_assert_uint_gt(capacity_cache_bytes(&machine, CACHE_AUTO), 0);
    ck_assert_uint_eq(capacity_cache_bytes(&machine, CACHE_KEEP), UINT64_MAX);
    ck_assert_uint_eq(capacity_cache_bytes(&machine, CACHE_RELEASE), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("capacity");
    TCase *tcase = tcase_create("capacity");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, limits_of_every_level_of_cgroup_v2_hold);
    tcase_add_test(tcase, a_container_that_sees_its_own_group_as_the_root_is_limited);
    tcase_add_test(tcase, cgroup_v1_is_read_too);
    tcase_add_test(tcase, a_machine_without_limits_has_none);
    tcase_add_loop_test(tcase, workers_fit_into_memory_and_threads_into_cores, 0,
                        sizeof(plannings) / sizeof(plannings[0]));
    tcase_add_test(tcase, the_page_cache_is_crowded_by_a_quarter_of_the_memory_at_most);
    tcase_add_test(tcase, a_clock_that_jumped_deletes_nothing_for_a_day);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
