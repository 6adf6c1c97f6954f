/* Lets allocations fail in a running `diffaid serve`: loaded into it by LD_PRELOAD, steered from outside through a
 * small file. Its workers have a limit of their own and are left alone. FAILING_MALLOC_CONTROL  a file of one 32-bit
 * integer n: each nth allocation fails; 0: none */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

static _Atomic int32_t *control;
static atomic_uint calls;

static __attribute__((constructor)) void find_control(int argc, char **argv)
{
    const char *path = getenv("FAILING_MALLOC_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    if (mapped == MAP_FAILED)
        abort(); /* a test that disturbs nothing would pass */
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        control = mapped;
}

static int fails(void)
{
    int32_t every = control ? *control : 0;

    if (every <= 0 || atomic_fetch_add(&calls, 1) % (unsigned)every != 0)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t bytes)
{
    return fails() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __libc_realloc(old, bytes);
}
