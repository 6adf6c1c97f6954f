/* How fast the pass is: two tensors of one dtype, cut into matrices of 4096 columns, in two files that are written once
 * and then lie in the page cache. Prints GB/s of input, the best of some runs.
 *
 *     bench_scan DIRECTORY DTYPE MEGABYTES THREADS ISA NEEDS RUNS
 *
 * e.g. bench_scan /tmp/bench BF16 1024 2 auto 3 5 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/io/source.h"
#include "core/scan/scan.h"

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Weights around ±0.02: random signs and mantissas below an exponent that most weights have. */
static void fill(uint8_t *to, size_t bytes, enum dtype dtype)
{
    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word = next_random();

        if (dtype == DTYPE_BF16)
            word = (word & UINT64_C(0x81ff81ff81ff81ff)) | UINT64_C(0x3c003c003c003c00);
        else if (dtype == DTYPE_F16)
            word = (word & UINT64_C(0x8fff8fff8fff8fff)) | UINT64_C(0x2000200020002000);
        else if (dtype == DTYPE_F32)
            word = (word & UINT64_C(0x81ffffff81ffffff)) | UINT64_C(0x3c0000003c000000);
        else if (dtype == DTYPE_F64)
            word = (word & UINT64_C(0x801fffffffffffff)) | UINT64_C(0x3f80000000000000);
        else if (dtype == DTYPE_F8_E4M3 || dtype == DTYPE_F8_E5M2)
            word &= UINT64_C(0xbfbfbfbfbfbfbfbf); /* no NaN, as in weights; subnormals among the rest */
        memcpy(to + i, &word, 8);
    }
}

static int open_filled(const char *directory, const char *name, enum dtype dtype, size_t megabytes)
{
    static uint8_t chunk[1 << 20];
    char path[4096];
    struct stat st;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(path);
        exit(1);
    }
    if ((size_t)st.st_size == megabytes << 20)
        return fd;
    if (ftruncate(fd, 0) != 0)
        exit(1);
    for (size_t i = 0; i < megabytes; i++) {
        fill(chunk, sizeof(chunk), dtype);
        if (write(fd, chunk, sizeof(chunk)) != (ssize_t)sizeof(chunk)) {
            perror(path);
            exit(1);
        }
    }
    return fd;
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    struct model_file files[2];
    struct tensor tensors[2];
    struct model models[2];
    const struct model *const both[2] = {&models[0], &models[1]};
    uint32_t side[2] = {0, 0};
    struct pairing pairing = {.pairs = 1, .models = 2, .side = side};
    struct scan_env env = {0};
    struct scan_plan plan = {.models = both, .model_count = 2, .pairing = &pairing};
    struct error err = {0};
    enum dtype dtype;
    uint64_t dims[2];
    double best = 1e9;
    size_t megabytes;

    if (argc != 8) {
        fprintf(stderr, "bench_scan DIRECTORY DTYPE MEGABYTES THREADS ISA NEEDS RUNS\n");
        return 2;
    }
    dtype = dtype_by_name(name_of(argv[2]));
    megabytes = strtoul(argv[3], NULL, 10);
    env.threads = (unsigned)strtoul(argv[4], NULL, 10);
    plan.needs = (unsigned)strtoul(argv[6], NULL, 10);
    if (dtype == DTYPE_UNKNOWN || isa_by_name(argv[5], &env.isa) != 0)
        return 2;
    dims[1] = 4096;
    dims[0] = ((uint64_t)megabytes << 20) * 8 / dtype_traits(dtype)->bits / dims[1];
    for (int m = 0; m < 2; m++) {
        char name[64];
        int fd;

        snprintf(name, sizeof(name), "%s-%zu-%d.bin", argv[2], megabytes, m);
        fd = open_filled(argv[1], name, dtype, megabytes);
        memset(&models[m], 0, sizeof(models[m]));
        memset(&tensors[m], 0, sizeof(tensors[m]));
        if (file_open_descriptor(fd, name, &files[m].source, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        tensors[m].name = name_of("weight");
        tensors[m].dtype = dtype;
        tensors[m].shape = (struct shape){.dims = dims, .elements = dims[0] * dims[1], .rank = 2};
        tensors[m].extent.bytes = (uint64_t)megabytes << 20;
        models[m].files = &files[m];
        models[m].file_count = 1;
        models[m].tensors = &tensors[m];
        models[m].tensor_count = 1;
    }
    for (unsigned long run = strtoul(argv[7], NULL, 10); run > 0; run--) {
        double started = seconds(), cpu_started = cpu_seconds(), took;
        struct scan_result *result;
        struct rusage usage;

        if (scan_run(&plan, &env, &result, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        took = seconds() - started;
        if (took < best)
            best = took;
        getrusage(RUSAGE_SELF, &usage);
        printf("%6.2f GB/s  %.3f s  %.3f CPU s  relative_l2 %.6f  peak %ld MB\n",
               2.0 * (double)(megabytes << 20) / took * 1e-9, took, cpu_seconds() - cpu_started,
               delta_relative_l2(&result->deltas[0]), usage.ru_maxrss / 1024);
        scan_result_free(result);
    }
    printf("best: %s %s %u threads needs %u: %.2f GB/s\n", argv[2], argv[5], env.threads, plan.needs,
           2.0 * (double)(megabytes << 20) / best * 1e-9);
    return 0;
}
