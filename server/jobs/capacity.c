/* Limits may be set at any level above us, so every directory from ours up to the root of the hierarchy is looked at
 * and the smallest one holds. A container usually sees its own group as the root. */
#include "server/jobs/capacity.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, SERVICE_MEMORY = 200 << 20, WORKERS_MAX = 256 };

static const uint64_t job_memory_least = 256u << 20;

const char *const cache_policy_names[] = {"auto", "keep", "release", NULL};

uint64_t capacity_cache_bytes(const struct capacity *capacity, enum cache_policy policy)
{
    enum { SHARE = 4 };
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    if (policy != CACHE_AUTO)
        return policy == CACHE_KEEP ? UINT64_MAX : 0;
    if (capacity->memory_bytes && capacity->memory_bytes < memory)
        memory = capacity->memory_bytes;
    return memory / SHARE;
}

static bool read_line(const char *root, const char *path, char *out, size_t size)
{
    char full[PATH_BYTES + 256];
    FILE *file;
    bool is_read;

    if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full))
        return false;
    file = fopen(full, "re");
    if (!file)
        return false;
    is_read = fgets(out, (int)size, file) != NULL;
    fclose(file);
    return is_read;
}

/* Our group in that controller's hierarchy: the third field of a line of /proc/self/cgroup. */
static void find_group(const char *root, const char *controller, char out[PATH_BYTES])
{
    char full[PATH_BYTES], line[PATH_BYTES];
    FILE *file;

    out[0] = '\0';
    snprintf(full, sizeof(full), "%s/proc/self/cgroup", root);
    file = fopen(full, "re");
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        names++;
        if (!*controller && !*names) {
            snprintf(out, PATH_BYTES, "%s", group);
            break;
        }
        for (; *controller && *names; names += strcspn(names, ",") + (names[strcspn(names, ",")] == ','))
            if (strcspn(names, ",") == strlen(controller) && strncmp(names, controller, strlen(controller)) == 0)
                snprintf(out, PATH_BYTES, "%s", group);
    }
    fclose(file);
}

/* Calls take for the file in our group's directory and in each one above. */
static void each_level(const char *root, const char *mount, const char *controller, const char *file,
                       void (*take)(void *context, const char *root, const char *directory, const char *line),
                       void *context)
{
    char group[PATH_BYTES], directory[2 * PATH_BYTES], path[2 * PATH_BYTES + 64], line[256];

    find_group(root, controller, group);
    for (;;) {
        char *slash = strrchr(group, '/');

        snprintf(directory, sizeof(directory), "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
        snprintf(path, sizeof(path), "%s/%s", directory, file);
        if (read_line(root, path, line, sizeof(line)))
            take(context, root, directory, line);
        if (!slash)
            break;
        *slash = '\0';
    }
}

static void take_memory(void *context, const char *root, const char *directory, const char *line)
{
    struct capacity *capacity = context;
    uint64_t bytes = strtoull(line, NULL, 10);

    (void)root;
    (void)directory;
    /* "max" reads as 0; v1 says nearly 2^63 for no limit. */
    if (bytes && bytes < UINT64_C(1) << 60 && (!capacity->memory_bytes || bytes < capacity->memory_bytes))
        capacity->memory_bytes = bytes;
}

static void take_quota(struct capacity *capacity, int64_t quota, int64_t period)
{
    int64_t cores;

    if (quota <= 0 || period <= 0)
        return;
    cores = quota / period + (quota % period != 0);
    if (cores < capacity->cores)
        capacity->cores = (unsigned)cores;
}

static void take_cpu_v2(void *context, const char *root, const char *directory, const char *line)
{
    char *end;
    int64_t quota = strtoll(line, &end, 10); /* "max 100000" reads as 0 */

    (void)root;
    (void)directory;
    take_quota(context, quota, strtoll(end, NULL, 10));
}

static void take_cpu_v1(void *context, const char *root, const char *directory, const char *line)
{
    char path[2 * PATH_BYTES + 64], period[64];

    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
    if (read_line(root, path, period, sizeof(period)))
        take_quota(context, strtoll(line, NULL, 10), strtoll(period, NULL, 10));
}

void capacity_read(const char *root, struct capacity *ret)
{
    struct capacity capacity = {.cores = 1};
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;

    if (online > 0)
        capacity.cores = (unsigned)online;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        capacity.cores = (unsigned)CPU_COUNT(&set);
    each_level(root, "/sys/fs/cgroup", "", "cpu.max", take_cpu_v2, &capacity);
    each_level(root, "/sys/fs/cgroup", "", "memory.max", take_memory, &capacity);
    each_level(root, "/sys/fs/cgroup/cpu", "cpu", "cpu.cfs_quota_us", take_cpu_v1, &capacity);
    each_level(root, "/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", take_memory, &capacity);
    *ret = capacity;
}

void capacity_plan(const struct capacity *capacity, uint64_t workers, uint64_t threads, uint64_t job_memory_bytes,
                   struct capacity_plan *ret)
{
    /* Two workers hide each other's opening and rendering; beyond that a pass has use for every core. */
    uint64_t wanted = workers ? workers : capacity->cores < 2 ? 1 : 2;
    struct capacity_plan plan = {.job_memory_bytes = job_memory_bytes};

    if (wanted > WORKERS_MAX)
        wanted = WORKERS_MAX;
    if (capacity->memory_bytes) {
        uint64_t room = capacity->memory_bytes > SERVICE_MEMORY ? capacity->memory_bytes - SERVICE_MEMORY : 0;
        uint64_t fitting = room / job_memory_bytes;

        if (fitting < wanted) {
            plan.is_reduced = true;
            wanted = fitting ? fitting : 1;
            if (!fitting)
                plan.job_memory_bytes = room > job_memory_least ? room : job_memory_least;
        }
    }
    plan.workers = (unsigned)wanted;
    plan.threads = (unsigned)(threads ? threads : capacity->cores / wanted ? capacity->cores / wanted : 1);
    *ret = plan;
}
