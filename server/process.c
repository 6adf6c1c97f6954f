#include "server/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* The directory lists itself, too: the descriptor that reads it. */
static uint64_t count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1;
}

static void read_memory(struct process *process)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t total, resident, page = (uint64_t)sysconf(_SC_PAGESIZE);

    if (!file)
        return;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &total, &resident) == 2) {
        process->virtual_bytes = total * page;
        process->resident_bytes = resident * page;
    }
    fclose(file);
}

void process_read(struct process *ret)
{
    struct process process = {.cpu_seconds = 0};
    struct rusage usage;
    struct rlimit limit;

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        process.cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        process.descriptor_limit = limit.rlim_cur;
    process.open_descriptors = count_descriptors();
    read_memory(&process);
    *ret = process;
}
