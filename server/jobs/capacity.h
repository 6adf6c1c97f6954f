/* What this machine, or the part of it that a container may use, has room for. */
#ifndef SERVER_JOBS_CAPACITY_H
#define SERVER_JOBS_CAPACITY_H

#include <stdbool.h>
#include <stdint.h>

struct capacity {
    unsigned cores;        /* by affinity and cgroup quota, at least 1 */
    uint64_t memory_bytes; /* of the cgroup; 0: no limit is set */
};
/* root: "" for this machine; a directory with a tree like /sys and /proc in tests. */
void capacity_read(const char *root, struct capacity *ret);

struct capacity_plan {
    unsigned workers, threads; /* threads of each worker */
    uint64_t job_memory_bytes;
    bool is_reduced; /* fewer workers, or less memory, than was asked for: memory does not suffice */
};
/* workers and threads 0: by what there is. */
void capacity_plan(const struct capacity *capacity, uint64_t workers, uint64_t threads, uint64_t job_memory_bytes,
                   struct capacity_plan *ret);

#endif
