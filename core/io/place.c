/* Places in the file system. A confined place is resolved by the kernel, beneath its root (openat2): checks on the text
 * of a path have been wrong too often, and lose every race against a rename. Where openat2 is missing (old kernels,
 * old container filters) a walk component by component takes its place; it is stricter, and follows no link. */
#include "core/io/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/name.h"

int place_walk(const struct place *place, int flags)
{
    const char *path = place->path;
    int dir = openat(place->dir_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int saved;

    if (dir < 0)
        return -1;
    errno = 0;
    if (path[0] == '/') {
        errno = EXDEV;
    } else if (strlen(path) >= 4096) {
        errno = ENAMETOOLONG;
    }
    while (errno == 0) {
        char component[256];
        size_t bytes = strcspn(path, "/");
        struct stat st;
        int next;

        if (bytes >= sizeof(component)) {
            errno = ENAMETOOLONG;
            break;
        }
        memcpy(component, path, bytes);
        component[bytes] = '\0';
        path += bytes;
        path += strspn(path, "/");
        if (strcmp(component, "..") == 0) {
            errno = EXDEV;
            break;
        }
        if (*path == '\0') {
            next = openat(dir, component[0] ? component : ".", flags | O_NOFOLLOW | O_CLOEXEC);
            saved = errno;
            close(dir);
            errno = saved;
            return next;
        }
        next = openat(dir, component[0] ? component : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            break;
        close(dir);
        dir = next;
        /* O_PATH opens the link itself; the next openat would say ENOTDIR, which hides what is wrong. */
        if (fstat(dir, &st) == 0)
            errno = S_ISLNK(st.st_mode) ? ELOOP : 0;
    }
    saved = errno;
    close(dir);
    errno = saved;
    return -1;
}

int place_resolve(const struct place *place, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    const char *path = place->path;
    long fd;

    if (!place->is_confined)
        return openat(place->dir_fd, path, flags | O_CLOEXEC);
    if (path[0] == '\0')
        path = ".";
    /* EAGAIN: something was renamed while ".." was resolved, so the kernel cannot vouch for the result. */
    for (int attempt = 0; attempt < 16; attempt++) {
        fd = syscall(SYS_openat2, place->dir_fd, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return place_walk(place, flags);
    return (int)fd;
}

const char *place_kind(mode_t mode)
{
    if (S_ISFIFO(mode))
        return "a FIFO";
    if (S_ISSOCK(mode))
        return "a socket";
    if (S_ISCHR(mode))
        return "a character device";
    if (S_ISBLK(mode))
        return "a block device";
    if (S_ISDIR(mode))
        return "a directory";
    return "not a regular file";
}

int place_error(const struct place *place, int number, struct error *err)
{
    char printable[NAME_PRINTABLE_BYTES];
    const char *uri = name_printable(name_of(place->uri), printable);
    struct stat st;

    switch (number) {
    case ENOENT:
        return error_set(err, ERROR_NOT_FOUND, "%s: no such file or directory", uri);
    case ENOTDIR:
        return error_set(err, ERROR_NOT_FOUND, "%s: a part of its path is not a directory", uri);
    case ENAMETOOLONG:
        return error_set(err, ERROR_NOT_FOUND, "%s: no such file: the path is too long", uri);
    case EACCES:
    case EPERM:
        return error_set(err, ERROR_ACCESS, "%s: no permission to read it", uri);
    case ELOOP:
        if (!place->is_confined)
            return error_set(err, ERROR_NOT_FOUND, "%s: symbolic links lead in a circle", uri);
        return error_set(err, ERROR_OUTSIDE, "%s: a symbolic link that may not be followed", uri);
    case EXDEV:
    case EAGAIN:
        return error_set(err, ERROR_OUTSIDE, "%s: leads out of its root", uri);
    case ENXIO:
    case ENODEV:
        /* Sockets and devices without a driver cannot be opened at all; say what it is where that can be seen. */
        if (!place->is_confined && fstatat(place->dir_fd, place->path, &st, 0) == 0)
            return error_set(err, ERROR_NOT_REGULAR, "%s: is %s; only regular files and directories are read", uri,
                             place_kind(st.st_mode));
        return error_set(err, ERROR_NOT_REGULAR,
                         "%s: is a socket or a device; only regular files and directories are read", uri);
    case EMFILE:
    case ENFILE:
        return error_set(err, ERROR_BUSY, "%s: too many open files", uri);
    case ENOMEM:
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", uri);
    default:
        return error_set(err, ERROR_READ, "%s: cannot be opened: %s", uri, strerrordesc_np(number));
    }
}

int place_open(const struct place *place, int *ret_fd, int *ret_is_directory, struct error *err)
{
    char printable[NAME_PRINTABLE_BYTES];
    struct stat st;
    /* O_NONBLOCK: a FIFO nobody writes to must not hold the caller. */
    int fd = place_resolve(place, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    int rc;

    if (fd < 0)
        return place_error(place, errno, err);
    if (fstat(fd, &st) != 0)
        rc = place_error(place, errno, err);
    else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        rc = error_set(err, ERROR_NOT_REGULAR, "%s: is %s; only regular files and directories are read",
                       name_printable(name_of(place->uri), printable), place_kind(st.st_mode));
    else
        rc = 0;
    if (rc) {
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    *ret_is_directory = S_ISDIR(st.st_mode);
    return 0;
}
