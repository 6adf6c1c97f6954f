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

/* What a comparison leaves in the page cache (scan_env.cache_bytes): everything, nothing, or as much as does not crowd
 * out other programs, a quarter of the memory. */
enum cache_policy { CACHE_AUTO, CACHE_KEEP, CACHE_RELEASE };
extern const char *const cache_policy_names[]; /* in this order; NULL-terminated */
uint64_t capacity_cache_bytes(const struct capacity *capacity, enum cache_policy policy);

struct capacity_plan {
    unsigned workers, threads; /* threads of each worker */
    uint64_t job_memory_bytes;
    bool is_reduced; /* fewer workers, or less memory, than was asked for: memory does not suffice */
};
/* workers and threads 0: by what there is. */
void capacity_plan(const struct capacity *capacity, uint64_t workers, uint64_t threads, uint64_t job_memory_bytes,
                   struct capacity_plan *ret);

#endif
