/* What a plain C program makes of two safetensors files of one dtype: a mark to hold the pass against, by the same
 * reading (windows of 8 MiB a thread, unmapped behind the cursor). `read` looks at every byte of both; `figures` keeps
 * all sums of stats and delta in double, in loops that are left to the compiler: vectors, sums in whatever order suits
 * them (-ffast-math), no fixed lanes, no care for NaN, units or names. Prints seconds of the best of some runs.
 *
 *     bench_plain read|figures BF16|F32 THREADS RUNS A B */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW_BYTES = 8 << 20, BLOCK = 2048 };

struct figures {
    double a, b, aa, bb, ab, delta, delta_abs, delta_squares;
    float min_a, max_a, min_b, max_b, max_abs;
    int64_t zeros_a, zeros_b, changed, flips;
    uint64_t seen; /* of `read` */
};

static struct {
    int fd[2];
    uint64_t begin[2], bytes;
    int is_read, is_bf16;
    atomic_ullong next;
} job;

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t look_at(const uint8_t *from, size_t bytes)
{
    uint64_t seen[4] = {0};

    for (size_t i = 0; i + sizeof(seen) <= bytes; i += sizeof(seen))
        for (size_t lane = 0; lane < 4; lane++) {
            uint64_t word;

            memcpy(&word, from + i + lane * 8, 8);
            seen[lane] ^= word;
        }
    return seen[0] ^ seen[1] ^ seen[2] ^ seen[3];
}

#if defined(__x86_64__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_PROCESSOR
#endif

/* Three loops of one width each, which is what the compiler makes the best vectors of. */
FOR_EVERY_PROCESSOR static void add_sums(const float *restrict x, const float *restrict y, size_t n, struct figures *f)
{
    double a = 0, b = 0, aa = 0, bb = 0, ab = 0, d1 = 0, d_abs = 0, d2 = 0;

    for (size_t i = 0; i < n; i++) {
        const double va = (double)x[i], vb = (double)y[i], delta = vb - va;

        a += va;
        b += vb;
        aa += va * va;
        bb += vb * vb;
        ab += va * vb;
        d1 += delta;
        d_abs += fabs(delta);
        d2 += delta * delta;
    }
    f->a += a, f->b += b, f->aa += aa, f->bb += bb, f->ab += ab;
    f->delta += d1, f->delta_abs += d_abs, f->delta_squares += d2;
}

FOR_EVERY_PROCESSOR static void add_extremes(const float *restrict x, const float *restrict y, size_t n,
                                             struct figures *f)
{
    float min_a = f->min_a, max_a = f->max_a, min_b = f->min_b, max_b = f->max_b, max_abs = f->max_abs;

    for (size_t i = 0; i < n; i++) {
        min_a = x[i] < min_a ? x[i] : min_a;
        max_a = x[i] > max_a ? x[i] : max_a;
        min_b = y[i] < min_b ? y[i] : min_b;
        max_b = y[i] > max_b ? y[i] : max_b;
        max_abs = fabsf(y[i] - x[i]) > max_abs ? fabsf(y[i] - x[i]) : max_abs;
    }
    f->min_a = min_a, f->max_a = max_a, f->min_b = min_b, f->max_b = max_b, f->max_abs = max_abs;
}

FOR_EVERY_PROCESSOR static void add_counts(const float *restrict x, const float *restrict y, size_t n,
                                           struct figures *f)
{
    int zeros_a = 0, zeros_b = 0, changed = 0, flips = 0;

    for (size_t i = 0; i < n; i++) {
        zeros_a += x[i] == 0;
        zeros_b += y[i] == 0;
        changed += x[i] != y[i];
        flips += x[i] * y[i] < 0;
    }
    f->zeros_a += zeros_a, f->zeros_b += zeros_b, f->changed += changed, f->flips += flips;
}

static void widen(const uint8_t *from, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        uint32_t bits;

        memcpy(&half, from + i * 2, 2);
        bits = (uint32_t)half << 16;
        memcpy(to + i, &bits, 4);
    }
}

static void add_window(const uint8_t *a, const uint8_t *b, size_t bytes, struct figures *f)
{
    static _Thread_local float x[BLOCK], y[BLOCK];
    const size_t size = job.is_bf16 ? 2 : 4;

    for (size_t at = 0; at < bytes; at += BLOCK * size) {
        const size_t n = (bytes - at < BLOCK * size ? bytes - at : BLOCK * size) / size;

        if (job.is_bf16) {
            widen(a + at, n, x);
            widen(b + at, n, y);
        } else {
            memcpy(x, a + at, n * size);
            memcpy(y, b + at, n * size);
        }
        add_sums(x, y, n, f);
        add_extremes(x, y, n, f);
        add_counts(x, y, n, f);
    }
}

static void *work(void *figures)
{
    uint64_t at;

    while ((at = atomic_fetch_add(&job.next, WINDOW_BYTES)) < job.bytes) {
        const size_t bytes = job.bytes - at < WINDOW_BYTES ? (size_t)(job.bytes - at) : WINDOW_BYTES;
        uint8_t *maps[2];
        size_t before[2];

        for (int i = 0; i < 2; i++) {
            before[i] = (size_t)((job.begin[i] + at) & 4095);
            maps[i] = mmap(NULL, bytes + before[i], PROT_READ, MAP_PRIVATE, job.fd[i],
                           (off_t)(job.begin[i] + at - before[i]));
            if (maps[i] == MAP_FAILED) {
                perror("mmap");
                exit(1);
            }
        }
        if (job.is_read)
            ((struct figures *)figures)->seen ^=
                look_at(maps[0] + before[0], bytes) ^ look_at(maps[1] + before[1], bytes);
        else
            add_window(maps[0] + before[0], maps[1] + before[1], bytes, figures);
        for (int i = 0; i < 2; i++)
            munmap(maps[i], bytes + before[i]);
    }
    return NULL;
}

static void open_model(const char *path, int i)
{
    uint64_t header;
    struct stat st;

    job.fd[i] = open(path, O_RDONLY);
    if (job.fd[i] < 0 || pread(job.fd[i], &header, 8, 0) != 8 || fstat(job.fd[i], &st) != 0) {
        perror(path);
        exit(1);
    }
    job.begin[i] = 8 + header;
    job.bytes = (uint64_t)st.st_size - job.begin[i];
}

int main(int argc, char **argv)
{
    enum { THREADS_MAX = 64 };
    static struct figures figures[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    double best = INFINITY;
    long count;

    if (argc != 7) {
        fprintf(stderr, "bench_plain read|figures BF16|F32 THREADS RUNS A B\n");
        return 2;
    }
    job.is_read = strcmp(argv[1], "read") == 0;
    job.is_bf16 = strcmp(argv[2], "BF16") == 0;
    count = strtol(argv[3], NULL, 10);
    open_model(argv[5], 0);
    open_model(argv[6], 1);
    for (long run = strtol(argv[4], NULL, 10); run > 0; run--) {
        const double started = seconds();

        atomic_store(&job.next, 0);
        for (long i = 0; i < count && i < THREADS_MAX; i++)
            if (pthread_create(&threads[i], NULL, work, &figures[i]) != 0)
                return 1;
        for (long i = 0; i < count && i < THREADS_MAX; i++)
            pthread_join(threads[i], NULL);
        best = fmin(best, seconds() - started);
    }
    printf("%.6f s, %g %d\n", best, figures[0].delta_squares, (int)(figures[0].seen & 1)); /* so the work has a use */
    return 0;
}
