#include "server/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/log.h"

enum { RETRY_MS = 100 };

/* Makes the directory and those above it. */
static int make_directories(const char *path, struct error *err)
{
    char partial[4096];
    size_t length = strlen(path);

    if (!length || length >= sizeof(partial))
        return error_set(err, ERROR_REQUEST, "the state directory's path is empty or too long");
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST)
            return error_set(err, ERROR_WRITE, "the state directory %.300s cannot be made: %s", path,
                             strerrordesc_np(errno));
    }
    return 0;
}

static int lock(const char *path, int64_t patience_ms, struct state_dir *dir, struct error *err)
{
    int64_t until_ms = clock_steady_ms() + patience_ms;
    struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    bool is_told = false;

    dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dir->lock_fd < 0)
        return error_set(err, ERROR_WRITE, "the state directory %.300s cannot be written: %s", path,
                         strerrordesc_np(errno));
    while (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (clock_steady_ms() >= until_ms)
            return error_set(err, ERROR_BUSY, "another service uses the state directory %.300s", path);
        if (!is_told)
            LOG_LINE(LEVEL_INFO, "waiting for another service to let go of the state directory",
                     log_text("directory", path));
        is_told = true;
        nanosleep(&pause, NULL);
    }
    return 0;
}

int state_dir_open(const char *path, bool is_made, int64_t patience_ms, struct state_dir *ret, struct error *err)
{
    struct state_dir dir = {.fd = -1, .lock_fd = -1};
    int rc = is_made ? make_directories(path, err) : 0;

    if (rc)
        return rc;
    dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir.fd < 0)
        return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_WRITE,
                         "the state directory %.300s cannot be opened: %s", path, strerrordesc_np(errno));
    rc = lock(path, patience_ms, &dir, err);
    if (rc) {
        state_dir_close(&dir);
        return rc;
    }
    *ret = dir;
    return 0;
}

void state_dir_close(struct state_dir *dir)
{
    if (dir->lock_fd >= 0)
        close(dir->lock_fd);
    if (dir->fd >= 0)
        close(dir->fd);
    *dir = (struct state_dir){.fd = -1, .lock_fd = -1};
}
