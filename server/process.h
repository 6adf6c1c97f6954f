/* What the kernel says of this process. */
#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include <stdint.h>

/* Each is 0 where /proc does not tell. */
struct process {
    double cpu_seconds; /* user and system, workers not included */
    uint64_t resident_bytes, virtual_bytes, open_descriptors, descriptor_limit;
};
void process_read(struct process *ret);

#endif
