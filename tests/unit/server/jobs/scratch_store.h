/* A store on SQLite in a scratch directory, opened for each test of a file. */
#ifndef TESTS_UNIT_SERVER_JOBS_SCRATCH_STORE_H
#define TESTS_UNIT_SERVER_JOBS_SCRATCH_STORE_H

#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#include "server/jobs/store.h"
#include "tests/unit/server/scratch.h"

static char *state_dir;
static int state_fd;
static struct job_store *store;

static inline struct job_store *open_store(uint64_t queue_limit)
{
    struct store_settings settings = {
        .state_fd = state_fd, .state_dir = state_dir, .queue_limit = queue_limit, .retention_ms = 1000};
    struct job_store *opened = NULL;
    struct error err = {0};

    ck_assert_msg(sqlite_store_open(&settings, &opened, &err) == 0, "%s", err.text);
    return opened;
}

static inline void setup(void)
{
    state_dir = scratch_new();
    state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    store = open_store(100);
}

static inline void teardown(void)
{
    store->ops->close(store);
    close(state_fd);
    scratch_remove(state_dir);
}

static inline void reopen(void)
{
    store->ops->close(store);
    store = open_store(100);
}

#endif
