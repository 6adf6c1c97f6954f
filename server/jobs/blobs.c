#include "server/jobs/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void blob_names_done(struct blob_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct blob_names){0};
}

int write_error(int number, const char *doing, struct error *err)
{
    if (number == ENOSPC || number == EDQUOT)
        return error_set(err, ERROR_NO_SPACE, "the disk of the state directory is full");
    return error_set(err, ERROR_WRITE, "%s: %s", doing, strerrordesc_np(number));
}

static int directory_create(struct blob_store *store, const char *name, int *ret_fd, struct error *err)
{
    int fd = openat(store->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return write_error(errno, "cannot make a file in the state directory", err);
    *ret_fd = fd;
    return 0;
}

static int directory_commit(struct blob_store *store, const struct blob_move *moves, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (fsync(moves[i].fd) != 0)
            return write_error(errno, "cannot make a file of the state directory durable", err);
    for (size_t i = 0; i < count; i++)
        if (renameat(store->dir_fd, moves[i].from, store->dir_fd, moves[i].to) != 0)
            return write_error(errno, "cannot rename a file of the state directory", err);
    if (fsync(store->dir_fd) != 0)
        return write_error(errno, "cannot make the state directory durable", err);
    return 0;
}

static int open_file(struct blob_store *store, const char *name, int mode, int *ret_fd, uint64_t *ret_bytes,
                     struct error *err)
{
    const enum error_code trouble = mode == O_RDONLY ? ERROR_READ : ERROR_WRITE;
    int fd = openat(store->dir_fd, name, mode | O_NOFOLLOW | O_CLOEXEC);
    struct stat file;

    if (fd < 0)
        return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : trouble,
                         "a file of the state directory cannot be opened: %s", strerrordesc_np(errno));
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
        close(fd);
        return error_set(err, trouble, "a file of the state directory is not what was written");
    }
    *ret_fd = fd;
    *ret_bytes = (uint64_t)file.st_size;
    return 0;
}

static int directory_open(struct blob_store *store, const char *name, int *ret_fd, uint64_t *ret_bytes,
                          struct error *err)
{
    return open_file(store, name, O_RDONLY, ret_fd, ret_bytes, err);
}

static int directory_reopen(struct blob_store *store, const char *name, int *ret_fd, uint64_t *ret_bytes,
                            struct error *err)
{
    return open_file(store, name, O_RDWR, ret_fd, ret_bytes, err);
}

static void directory_remove(struct blob_store *store, const char *name)
{
    unlinkat(store->dir_fd, name, 0);
}

int blob_names_read(int dir_fd, struct blob_names *ret, struct error *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct blob_names names = {0};
    struct dirent *entry;
    size_t capacity = 0;

    if (!dir) {
        error_set(err, ERROR_READ, "the state directory cannot be listed: %s", strerrordesc_np(errno));
        if (fd >= 0)
            close(fd);
        return ERROR_READ;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (names.count == capacity) {
            size_t more = capacity ? capacity * 2 : 64;
            char **items = reallocarray(names.items, more, sizeof(*items));

            if (!items)
                break;
            names.items = items;
            capacity = more;
        }
        names.items[names.count] = strdup(entry->d_name);
        if (!names.items[names.count])
            break;
        names.count++;
    }
    closedir(dir);
    if (entry) {
        blob_names_done(&names);
        return error_set(err, ERROR_NO_MEMORY, "no memory to list the state directory");
    }
    *ret = names;
    return 0;
}

static int directory_names(struct blob_store *store, struct blob_names *ret, struct error *err)
{
    return blob_names_read(store->dir_fd, ret, err);
}

static uint64_t directory_free_bytes(struct blob_store *store)
{
    struct statvfs space;

    if (fstatvfs(store->dir_fd, &space) != 0)
        return UINT64_MAX;
    return (uint64_t)space.f_bavail * (uint64_t)space.f_frsize;
}

static void directory_close(struct blob_store *store)
{
    if (store) {
        close(store->dir_fd);
        free(store);
    }
}

static const struct blob_store_ops directory_ops = {
    .create = directory_create,
    .commit = directory_commit,
    .open = directory_open,
    .reopen = directory_reopen,
    .remove = directory_remove,
    .names = directory_names,
    .free_bytes = directory_free_bytes,
    .close = directory_close,
};

int blob_directory_open(int state_fd, const char *name, struct blob_store **ret_store, struct error *err)
{
    struct blob_store *store;
    int fd;

    if (mkdirat(state_fd, name, 0700) != 0 && errno != EEXIST)
        return write_error(errno, "cannot make a directory in the state directory", err);
    fd = openat(state_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, ERROR_READ, "%s in the state directory cannot be opened: %s", name,
                         strerrordesc_np(errno));
    store = malloc(sizeof(*store));
    if (!store) {
        close(fd);
        return error_set(err, ERROR_NO_MEMORY, "no memory for the state directory");
    }
    *store = (struct blob_store){.ops = &directory_ops, .dir_fd = fd};
    *ret_store = store;
    return 0;
}
