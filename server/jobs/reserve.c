#include "server/jobs/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char reserve_name[] = "reserve";

bool reserve_hold(const struct reserve *reserve)
{
    struct statvfs space;
    struct stat file;
    bool is_held;
    int fd;

    if (!reserve->bytes)
        return true;
    if (fstatat(reserve->dir_fd, reserve_name, &file, 0) == 0 && (uint64_t)file.st_size == reserve->bytes &&
        (uint64_t)file.st_blocks * 512 >= reserve->bytes)
        return true;
    /* Twice the size: taking the last free block would only fill the disk again. */
    if (fstatvfs(reserve->dir_fd, &space) != 0 ||
        (uint64_t)space.f_bavail * (uint64_t)space.f_frsize < 2 * reserve->bytes)
        return false;
    fd = openat(reserve->dir_fd, reserve_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    is_held = posix_fallocate(fd, 0, (off_t)reserve->bytes) == 0;
    close(fd);
    if (!is_held)
        reserve_give_up(reserve);
    return is_held;
}

void reserve_give_up(const struct reserve *reserve)
{
    unlinkat(reserve->dir_fd, reserve_name, 0);
}
