#include "server/commands/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_write(const char *path, int number, struct error *err)
{
    if (number == EINTR)
        return error_set(err, ERROR_CANCELLED, "%s: cancelled", path);
    return error_set(err, ERROR_WRITE, "%s: cannot be written: %s", path, strerror(number));
}

/* The directory of destination->final, which is cut and put together again. */
static int open_directory(struct destination *destination, struct error *err)
{
    char *slash = strrchr(destination->final, '/');
    int fd;

    if (!slash) {
        fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    } else {
        *slash = '\0';
        fd = open(slash == destination->final ? "/" : destination->final, O_PATH | O_DIRECTORY | O_CLOEXEC);
        *slash = '/';
    }
    if (fd < 0)
        return cannot_write(destination->path, errno, err);
    destination->dir_fd = fd;
    return 0;
}

static int open_temporary(struct destination *destination, struct error *err)
{
    int rc;

    /* A symbolic link stays one: the file that it names is replaced, not the link. */
    if (!realpath(destination->path, destination->final) &&
        (size_t)snprintf(destination->final, sizeof(destination->final), "%s", destination->path) >=
            sizeof(destination->final))
        return error_set(err, ERROR_WRITE, "%s: path is too long", destination->path);
    rc = open_directory(destination, err);
    if (rc)
        return rc;
    snprintf(destination->temporary, sizeof(destination->temporary), "%s.%ld.tmp", destination->final, (long)getpid());
    destination->fd = open(destination->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (destination->fd >= 0)
        return 0;
    rc = cannot_write(destination->path, errno, err);
    destination->temporary[0] = '\0';
    return rc;
}

int destination_open(struct destination *destination, const char *path, struct error *err)
{
    struct stat status;

    destination->path = path;
    if (!path) {
        destination->fd = STDOUT_FILENO;
        return 0;
    }
    if (stat(path, &status) != 0 || S_ISREG(status.st_mode))
        return open_temporary(destination, err);
    destination->fd = open(path, O_WRONLY | O_CLOEXEC);
    return destination->fd < 0 ? cannot_write(path, errno, err) : 0;
}

int destination_commit(struct destination *destination, struct error *err)
{
    int rc = 0;

    if (!destination->path)
        return 0;
    if (close(destination->fd) != 0)
        rc = cannot_write(destination->path, errno, err);
    destination->fd = -1;
    if (!rc && destination->temporary[0] && rename(destination->temporary, destination->final) != 0)
        rc = cannot_write(destination->path, errno, err);
    if (!rc)
        destination->temporary[0] = '\0';
    return rc;
}

void destination_discard(const struct destination *destination)
{
    if (destination->temporary[0])
        unlink(destination->temporary);
}
