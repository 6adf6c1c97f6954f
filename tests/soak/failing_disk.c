/* Lets the disk fail below a running program: loaded into it by LD_PRELOAD, steered from outside through a small file.
 *   FAILING_DISK_BELOW    the directory whose files fail
 *   FAILING_DISK_CONTROL  a file of two 32-bit integers: the errno to fail with (0: none), and n: each nth call fails
 * What changes a file fails: opening one to write, writing, making durable, cutting, renaming, removing, making. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((typeof(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

struct control {
    _Atomic int32_t number, every;
};

static struct control *control;
static const char *below;
static size_t below_bytes;
static atomic_uint calls;

static __attribute__((constructor)) void find_control(void)
{
    const char *path = getenv("FAILING_DISK_CONTROL");
    int fd = path ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    below = getenv("FAILING_DISK_BELOW");
    if (mapped == MAP_FAILED || !below)
        abort(); /* a test that disturbs nothing would pass */
    below_bytes = strlen(below);
    control = mapped;
}

static bool is_below(int fd)
{
    char link[40], path[4096];
    ssize_t bytes;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    bytes = readlink(link, path, sizeof(path));
    return bytes >= (ssize_t)below_bytes && memcmp(path, below, below_bytes) == 0;
}

/* Whether this call fails now, errno set. path: relative to the directory fd, or NULL for fd itself. */
static bool fails(int fd, const char *path)
{
    int number = control ? control->number : 0, every;

    if (!number)
        return false;
    if (path && path[0] == '/' ? strncmp(path, below, below_bytes) != 0 : fd == AT_FDCWD || !is_below(fd))
        return false;
    every = control->every;
    if (every > 1 && atomic_fetch_add(&calls, 1) % (unsigned)every != 0)
        return false;
    errno = number;
    return true;
}

static bool is_writing(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        mode_t mode;                                                                                                   \
        va_start(rest, flags);                                                                                         \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                               \
        va_end(rest);                                                                                                  \
        return is_writing(flags) && fails(AT_FDCWD, path) ? -1 : REAL(name)(path, flags, mode);                        \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int fd, const char *path, int flags, ...)                                                                 \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        mode_t mode;                                                                                                   \
        va_start(rest, flags);                                                                                         \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                               \
        va_end(rest);                                                                                                  \
        return is_writing(flags) && fails(fd, path) ? -1 : REAL(name)(fd, path, flags, mode);                          \
    }
OPENAT(openat)
OPENAT(openat64)

#define CALL(result, name, failed, parameters, arguments, fd, path)                                                    \
    result name parameters                                                                                             \
    {                                                                                                                  \
        return fails(fd, path) ? failed : REAL(name) arguments;                                                        \
    }
CALL(ssize_t, write, -1, (int fd, const void *data, size_t bytes), (fd, data, bytes), fd, NULL)
CALL(ssize_t, pwrite, -1, (int fd, const void *data, size_t bytes, off_t at), (fd, data, bytes, at), fd, NULL)
CALL(ssize_t, pwrite64, -1, (int fd, const void *data, size_t bytes, off64_t at), (fd, data, bytes, at), fd, NULL)
CALL(int, fsync, -1, (int fd), (fd), fd, NULL)
CALL(int, fdatasync, -1, (int fd), (fd), fd, NULL)
CALL(int, ftruncate, -1, (int fd, off_t bytes), (fd, bytes), fd, NULL)
CALL(int, ftruncate64, -1, (int fd, off64_t bytes), (fd, bytes), fd, NULL)
CALL(int, fallocate, -1, (int fd, int mode, off_t at, off_t bytes), (fd, mode, at, bytes), fd, NULL)
CALL(int, fallocate64, -1, (int fd, int mode, off64_t at, off64_t bytes), (fd, mode, at, bytes), fd, NULL)
CALL(int, posix_fallocate, control->number, (int fd, off_t at, off_t bytes), (fd, at, bytes), fd, NULL)
CALL(int, posix_fallocate64, control->number, (int fd, off64_t at, off64_t bytes), (fd, at, bytes), fd, NULL)
CALL(int, renameat, -1, (int fd, const char *from, int to_fd, const char *to), (fd, from, to_fd, to), fd, from)
CALL(int, unlinkat, -1, (int fd, const char *path, int flags), (fd, path, flags), fd, path)
CALL(int, rename, -1, (const char *from, const char *to), (from, to), AT_FDCWD, from)
CALL(int, unlink, -1, (const char *path), (path), AT_FDCWD, path)
CALL(int, mkdir, -1, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
CALL(int, mkdirat, -1, (int fd, const char *path, mode_t mode), (fd, path, mode), fd, path)
