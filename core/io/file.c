/* Regular files. A file may be rewritten, cut or replaced while a comparison of hours reads it, so every short read and
 * every mapping looks at the size again, and check() compares what was opened with what is there now: by the open
 * descriptor (rewritten in place) and by the path (replaced by a rename, the usual way to publish a new file).
 *
 * A file counts as the same when device, inode, size and mtime are. ctime is left out on purpose: a hard link (as model
 * caches make them), a chmod or a rename moves ctime and leaves the content alone, and failing a long job for those
 * would be worse than missing a writer who puts the mtime back by hand. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/io/place.h"
#include "core/name.h"

struct file_source {
    struct source base;
    int fd;
    bool has_place;     /* false: opened from a bare descriptor */
    struct place place; /* dir_fd and path are our own copies; uri is base.uri */
};

static struct file_source *file_of(struct source *source)
{
    return (struct file_source *)source;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct identity identity_of(const struct stat *st)
{
    return (struct identity){
        .device = (uint64_t)st->st_dev,
        .inode = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = nanoseconds(st->st_mtim),
        .ctime_ns = nanoseconds(st->st_ctim),
    };
}

static int shrunk(struct source *source, uint64_t now, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];

    return error_set(err, ERROR_CHANGED, "%s: was cut from %" PRIu64 " to %" PRIu64 " bytes while it was read",
                     name_printable(name_of(source->uri), uri), source->size, now);
}

/* Whether the file still has the bytes it had when it was opened. */
static int check_size(struct source *source, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];
    struct stat st;

    if (fstat(file_of(source)->fd, &st) != 0)
        return error_set(err, ERROR_READ, "%s: %s", name_printable(name_of(source->uri), uri), strerrordesc_np(errno));
    if ((uint64_t)st.st_size < source->size)
        return shrunk(source, (uint64_t)st.st_size, err);
    return 0;
}

static int check_range(struct source *source, uint64_t offset, size_t bytes, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];

    if (offset <= source->size && bytes <= source->size - offset)
        return 0;
    return error_set(err, ERROR_FORMAT, "%s: %zu bytes at offset %" PRIu64 " lie beyond its end, %" PRIu64,
                     name_printable(name_of(source->uri), uri), bytes, offset, source->size);
}

static int file_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];
    size_t done = 0;
    int rc = check_range(source, offset, bytes, err);

    if (rc)
        return rc;
    while (done < bytes) {
        ssize_t got = pread(file_of(source)->fd, (char *)buf + done, bytes - done, (off_t)(offset + done));

        if (got < 0) {
            if (errno == EINTR)
                continue;
            return error_set(err, ERROR_READ, "%s: reading at offset %" PRIu64 " failed: %s",
                             name_printable(name_of(source->uri), uri), offset + done, strerrordesc_np(errno));
        }
        if (got == 0) {
            rc = check_size(source, err);
            if (rc)
                return rc;
            return error_set(err, ERROR_READ, "%s: ends at offset %" PRIu64 " although it has %" PRIu64 " bytes",
                             name_printable(name_of(source->uri), uri), offset + done, source->size);
        }
        done += (size_t)got;
    }
    return 0;
}

static int file_map(struct source *source, uint64_t offset, size_t bytes, struct span *ret, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    size_t before = (size_t)(offset & (page - 1));
    void *mapping;
    int rc = check_range(source, offset, bytes, err);

    if (rc == 0)
        rc = check_size(source, err); /* beyond the end of a shrunken file lies SIGBUS */
    if (rc)
        return rc;
    if (bytes == 0) {
        *ret = (struct span){.data = (const uint8_t *)""};
        return 0;
    }
    if (bytes > SIZE_MAX - before)
        return error_set(err, ERROR_NO_MEMORY, "%s: %zu bytes cannot be mapped",
                         name_printable(name_of(source->uri), uri), bytes);
    mapping = mmap(NULL, bytes + before, PROT_READ, MAP_PRIVATE, file_of(source)->fd, (off_t)(offset - before));
    if (mapping == MAP_FAILED)
        return error_set(err, errno == ENOMEM ? ERROR_NO_MEMORY : ERROR_READ, "%s: mapping %zu bytes failed: %s",
                         name_printable(name_of(source->uri), uri), bytes, strerrordesc_np(errno));
    /* Advice only: more read-ahead, pages dropped sooner. */
    (void)madvise(mapping, bytes + before, MADV_SEQUENTIAL);
    *ret = (struct span){
        .data = (const uint8_t *)mapping + before, .bytes = bytes, .mapping = mapping, .mapping_bytes = bytes + before};
    return 0;
}

static void file_unmap(struct source *source, struct span *span)
{
    (void)source;
    if (span->mapping)
        munmap(span->mapping, span->mapping_bytes);
    *span = (struct span){0};
}

/* mincore asks without reading, but of a file that the caller may not write it says that all is there. A read that may
 * not wait tells that one, too, though it sets the device to work, which may be done before the answer. */
static bool file_is_cached(struct source *source, uint64_t offset)
{
    struct span page;
    unsigned char residence = 1;
    char byte;
    struct iovec one = {.iov_base = &byte, .iov_len = 1};

    if (file_map(source, offset, 1, &page, NULL))
        return true;
    (void)mincore(page.mapping, 1, &residence);
    file_unmap(source, &page);
    if (!(residence & 1))
        return false;
    return preadv2(file_of(source)->fd, &one, 1, (off_t)offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static void file_advise(struct source *source, uint64_t offset, uint64_t bytes, enum source_advice advice)
{
    /* One call starts no more than the device's largest request, whatever it is asked for. */
    enum { REQUEST_BYTES = 128 << 10 };
    const int fd = file_of(source)->fd;

    if (advice == SOURCE_DONE_WITH) {
        (void)posix_fadvise(fd, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
        return;
    }
    for (uint64_t at = 0; at < bytes; at += REQUEST_BYTES)
        (void)posix_fadvise(fd, (off_t)(offset + at), REQUEST_BYTES, POSIX_FADV_WILLNEED);
}

/* What stands at the path now. Returns 0 or an errno. O_PATH: needs no right to read, and opens no device. */
static int stat_place(const struct place *place, struct stat *ret)
{
    int fd, number = 0;

    if (!place->is_confined)
        return fstatat(place->dir_fd, place->path, ret, 0) == 0 ? 0 : errno;
    fd = place_resolve(place, O_PATH);
    if (fd < 0)
        return errno;
    if (fstat(fd, ret) != 0)
        number = errno;
    close(fd);
    return number;
}

static int file_check(struct source *source, struct error *err)
{
    struct file_source *file = file_of(source);
    const struct identity *was = &source->identity;
    char printable[NAME_PRINTABLE_BYTES];
    const char *uri = name_printable(name_of(source->uri), printable);
    struct identity now;
    struct stat st;
    int number;

    if (fstat(file->fd, &st) != 0)
        return error_set(err, ERROR_READ, "%s: %s", uri, strerrordesc_np(errno));
    now = identity_of(&st);
    if (now.size < was->size)
        return shrunk(source, now.size, err);
    if (now.size != was->size)
        return error_set(err, ERROR_CHANGED, "%s: grew from %" PRIu64 " to %" PRIu64 " bytes while it was read", uri,
                         was->size, now.size);
    if (now.mtime_ns != was->mtime_ns)
        return error_set(err, ERROR_CHANGED, "%s: was written to while it was read", uri);
    if (!file->has_place)
        return 0;
    number = stat_place(&file->place, &st);
    if (number == ENOENT || number == ENOTDIR || number == ELOOP || number == EXDEV)
        return error_set(err, ERROR_CHANGED, "%s: was removed or renamed while it was read", uri);
    /* Anything else (a sandbox that forbids the question, no permission any more) is no sign of a change. */
    if (number == 0 && ((uint64_t)st.st_dev != was->device || (uint64_t)st.st_ino != was->inode))
        return error_set(err, ERROR_CHANGED, "%s: was replaced by another file while it was read", uri);
    return 0;
}

static void file_close(struct source *source)
{
    struct file_source *file = file_of(source);

    if (file->fd >= 0)
        close(file->fd);
    if (file->has_place) {
        if (file->place.dir_fd >= 0)
            close(file->place.dir_fd);
        free((char *)file->place.path);
    }
    free(source->uri);
    free(file);
}

static const struct source_ops file_ops = {
    .name = "file",
    .read_at = file_read_at,
    .map = file_map,
    .unmap = file_unmap,
    .is_cached = file_is_cached,
    .advise = file_advise,
    .check = file_check,
    .close = file_close,
};

int file_open_descriptor(int fd, const char *uri, struct source **ret_source, struct error *err)
{
    char printable[NAME_PRINTABLE_BYTES];
    struct file_source *file;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return error_set(err, ERROR_READ, "%s: %s", name_printable(name_of(uri), printable), strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_NOT_REGULAR, "%s: is %s; only regular files are read here",
                         name_printable(name_of(uri), printable), place_kind(st.st_mode));
    file = calloc(1, sizeof(*file));
    if (file)
        file->base.uri = strdup(uri);
    if (!file || !file->base.uri) {
        free(file);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    file->base.ops = &file_ops;
    file->base.identity = identity_of(&st);
    file->base.size = file->base.identity.size;
    file->fd = fd;
    *ret_source = &file->base;
    return 0;
}

/* Keeps place with the file, so that check() can ask who stands there later. */
static int keep_place(struct file_source *file, const struct place *place, struct error *err)
{
    struct place kept = *place;

    kept.uri = file->base.uri;
    kept.path = strdup(place->path);
    if (!kept.path)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    /* AT_FDCWD needs no descriptor; anything else is the caller's and may be closed before we ask. */
    if (place->dir_fd != AT_FDCWD) {
        kept.dir_fd = fcntl(place->dir_fd, F_DUPFD_CLOEXEC, 0);
        if (kept.dir_fd < 0) {
            free((char *)kept.path);
            return place_error(place, errno, err);
        }
    }
    file->place = kept;
    file->has_place = true;
    return 0;
}

int file_open(const struct place *place, struct source **ret_source, struct error *err)
{
    struct source *source = NULL;
    int fd, is_directory;
    int rc = place_open(place, &fd, &is_directory, err);

    if (rc)
        return rc;
    rc = file_open_descriptor(fd, place->uri, &source, err);
    if (rc) {
        close(fd);
        return rc;
    }
    rc = keep_place(file_of(source), place, err);
    if (rc) {
        source_close(source);
        return rc;
    }
    *ret_source = source;
    return 0;
}
