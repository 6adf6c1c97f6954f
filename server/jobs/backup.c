/* The rows are a snapshot (VACUUM INTO); files never change once they have their names, and a row is written after its
 * files and goes before them. So whatever a snapshot names was there at its moment, and can have gone since only
 * because its row has gone too. Files are copied before the snapshot, which takes as long as it takes, and again after
 * it, which takes only what came meanwhile; when one is missing nevertheless, the next snapshot no longer names it. */
#include "server/jobs/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/jobs/blobs.h"
#include "server/jobs/store_sqlite.h"

enum { SNAPSHOTS_MAX = 10, COPY_BYTES = 1 << 20 };

static const char *const directories[] = {"results", "uploads"};
enum { DIRECTORY_COUNT = 2 };

/* Names that rows of the snapshot promise, and whether a name is one of them. */
static const char *const promised[DIRECTORY_COUNT] = {
    "SELECT j.id || s.value FROM job j JOIN result r ON r.job = j.seq, "
    "json_each('[\".json\",\".index\",\".txt\",\".md\",\".xml\"]') s WHERE NOT r.is_inline",
    "SELECT id FROM upload",
};
static const char *const known[DIRECTORY_COUNT] = {
    "SELECT 1 FROM job j JOIN result r ON r.job = j.seq WHERE j.id = substr(?1, 1, 36) AND NOT r.is_inline",
    "SELECT 1 FROM upload WHERE id = ?1",
};

struct backup {
    const char *from;
    char *partial; /* where it grows */
    int from_fd[DIRECTORY_COUNT], to_fd[DIRECTORY_COUNT], to_root;
    struct backup_counts counts;
};

static int copy_bytes(int from, int to, uint64_t *ret_bytes, struct error *err)
{
    uint64_t total = 0;
    ssize_t got;

    /* Shares the blocks where the file system can. */
    while ((got = copy_file_range(from, NULL, to, NULL, COPY_BYTES * 64, 0)) > 0)
        total += (uint64_t)got;
    if (got < 0 && (total || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)))
        return write_error(errno, "cannot copy a file into the backup", err);
    if (got < 0) {
        char *buffer = malloc(COPY_BYTES);
        int number = 0;

        while (buffer && !number && (got = read(from, buffer, COPY_BYTES)) > 0) {
            for (ssize_t done = 0; !number && done < got;) {
                ssize_t written = write(to, buffer + done, (size_t)(got - done));

                number = written < 0 ? errno : 0;
                done += written > 0 ? written : 0;
            }
            total += (uint64_t)got;
        }
        free(buffer);
        if (!buffer)
            return error_set(err, ERROR_NO_MEMORY, "no memory to copy a file");
        if (number)
            return write_error(number, "cannot write the backup", err);
        if (got < 0)
            return error_set(err, ERROR_READ, "cannot read a file of the state directory: %s", strerrordesc_np(errno));
    }
    *ret_bytes = total;
    return 0;
}

/* A file that is there already is whole: the backup is this process's own. */
static int copy_file(struct backup *backup, int directory, const char *name, struct error *err)
{
    uint64_t bytes = 0;
    int from, to, rc;

    if (faccessat(backup->to_fd[directory], name, F_OK, 0) == 0)
        return 0;
    from = openat(backup->from_fd[directory], name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return errno == ENOENT ? 0
                               : error_set(err, ERROR_READ, "cannot read %s/%.100s of the state directory: %s",
                                           directories[directory], name, strerrordesc_np(errno));
    to = openat(backup->to_fd[directory], name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0) {
        close(from);
        return write_error(errno, "cannot write the backup", err);
    }
    rc = copy_bytes(from, to, &bytes, err);
    if (!rc && fsync(to) != 0)
        rc = write_error(errno, "cannot make the backup durable", err);
    close(from);
    close(to);
    if (rc)
        return rc;
    backup->counts.files++;
    backup->counts.file_bytes += bytes;
    return 0;
}

static bool is_ours(const char *name)
{
    const char *suffix = strrchr(name, '.');
    char id[JOB_ID_BYTES];

    snprintf(id, sizeof(id), "%s", name);
    return id_is_valid(id) && !(suffix && strcmp(suffix, ".tmp") == 0);
}

static int copy_files(struct backup *backup, struct error *err)
{
    for (int d = 0; d < DIRECTORY_COUNT; d++) {
        struct blob_names names = {0};
        int rc = blob_names_read(backup->from_fd[d], &names, err);

        for (size_t i = 0; !rc && i < names.count; i++)
            if (is_ours(names.items[i]))
                rc = copy_file(backup, d, names.items[i], err);
        blob_names_done(&names);
        if (rc)
            return rc;
    }
    return 0;
}

static int open_database(const char *directory, sqlite3 **ret, struct error *err)
{
    char *path = NULL;
    int rc = 0;

    *ret = NULL;
    if (asprintf(&path, "%s/diffaid.db", directory) < 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a path");
    if (access(path, F_OK) != 0)
        rc = error_set(err, ERROR_NOT_FOUND, "%.300s holds no job store: %s", directory, strerrordesc_np(errno));
    else if (sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        rc = error_set(err, ERROR_READ, "the job store in %.300s cannot be opened", directory);
    else
        sqlite3_busy_timeout(*ret, 10000);
    free(path);
    return rc;
}

static int database_error(sqlite3 *db, struct error *err)
{
    int code = sqlite3_errcode(db) & 0xff;

    if (code == SQLITE_FULL || sqlite3_system_errno(db) == ENOSPC)
        return error_set(err, ERROR_NO_SPACE, "the disk of the backup is full");
    if (code == SQLITE_NOMEM)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the snapshot");
    return error_set(err, ERROR_WRITE, "the snapshot could not be made: %s", sqlite3_errmsg(db));
}

/* The first column of the first row. */
static int read_number(sqlite3 *db, const char *sql, int64_t *ret, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
        rc = database_error(db, err);
    else
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc;
}

static int make_durable(const char *directory, const char *name, struct error *err)
{
    char *path = NULL;
    int fd, rc = 0;

    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a path");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        rc = write_error(errno, "cannot make the backup durable", err);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

static int take_snapshot(struct backup *backup, struct error *err)
{
    sqlite3_stmt *vacuum = NULL;
    sqlite3 *db = NULL;
    char *path = NULL;
    int64_t version = 0;
    int rc = open_database(backup->from, &db, err);

    if (!rc)
        rc = read_number(db, "PRAGMA user_version", &version, err);
    if (!rc && version > SCHEMA_VERSION)
        rc = error_set(err, ERROR_CONFLICT, "a newer diffaid wrote %.300s (schema %" PRId64 ", this one knows %d)",
                       backup->from, version, SCHEMA_VERSION);
    if (!rc && asprintf(&path, "%s/diffaid.db", backup->partial) < 0)
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for a path");
    if (!rc) {
        unlink(path);
        if (sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &vacuum, NULL) != SQLITE_OK ||
            sqlite3_bind_text(vacuum, 1, path, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(vacuum) != SQLITE_DONE)
            rc = database_error(db, err);
    }
    sqlite3_finalize(vacuum);
    sqlite3_close(db);
    free(path);
    return rc ? rc : make_durable(backup->partial, "diffaid.db", err);
}

/* How many files that the snapshot promises are missing. */
static int count_missing(struct backup *backup, sqlite3 *db, uint64_t *ret_missing, struct error *err)
{
    *ret_missing = 0;
    for (int d = 0; d < DIRECTORY_COUNT; d++) {
        sqlite3_stmt *rows = NULL;
        int step = sqlite3_prepare_v2(db, promised[d], -1, &rows, NULL) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;

        while (step == SQLITE_ROW && (step = sqlite3_step(rows)) == SQLITE_ROW) {
            const char *name = (const char *)sqlite3_column_text(rows, 0);

            *ret_missing += !name || faccessat(backup->to_fd[d], name, F_OK, 0) != 0;
        }
        if (step != SQLITE_DONE)
            database_error(db, err);
        sqlite3_finalize(rows);
        if (step != SQLITE_DONE)
            return ERROR_WRITE;
    }
    return 0;
}

/* Copies of what has been deleted since, or came after the snapshot. */
static int remove_unknown(struct backup *backup, sqlite3 *db, struct error *err)
{
    for (int d = 0; d < DIRECTORY_COUNT; d++) {
        struct blob_names names = {0};
        sqlite3_stmt *row = NULL;
        int rc = blob_names_read(backup->to_fd[d], &names, err);

        if (!rc && sqlite3_prepare_v2(db, known[d], -1, &row, NULL) != SQLITE_OK)
            rc = database_error(db, err);
        for (size_t i = 0; !rc && i < names.count; i++) {
            sqlite3_bind_text(row, 1, names.items[i], -1, SQLITE_STATIC);
            if (sqlite3_step(row) == SQLITE_DONE && unlinkat(backup->to_fd[d], names.items[i], 0) == 0)
                backup->counts.files--;
            sqlite3_reset(row);
        }
        sqlite3_finalize(row);
        blob_names_done(&names);
        if (rc)
            return rc;
        if (fsync(backup->to_fd[d]) != 0)
            return write_error(errno, "cannot make the backup durable", err);
    }
    return 0;
}

/* One snapshot and what it takes; *ret_is_whole says whether another is needed. */
static int round_of(struct backup *backup, bool *ret_is_whole, struct error *err)
{
    uint64_t missing = 0;
    sqlite3 *db = NULL;
    int64_t jobs = 0, uploads = 0;
    int rc = take_snapshot(backup, err);

    if (!rc)
        rc = copy_files(backup, err);
    if (!rc)
        rc = open_database(backup->partial, &db, err);
    /* Its bytes go on growing: whoever sends it begins anew. */
    if (!rc && sqlite3_exec(db, "DELETE FROM upload WHERE NOT is_complete", NULL, NULL, NULL) != SQLITE_OK)
        rc = database_error(db, err);
    if (!rc)
        rc = count_missing(backup, db, &missing, err);
    if (!rc && !missing)
        rc = remove_unknown(backup, db, err);
    if (!rc)
        rc = read_number(db, "SELECT count(*) FROM job", &jobs, err);
    if (!rc)
        rc = read_number(db, "SELECT count(*) FROM upload", &uploads, err);
    sqlite3_close(db);
    if (rc)
        return rc;
    backup->counts.jobs = (uint64_t)jobs;
    backup->counts.uploads = (uint64_t)uploads;
    *ret_is_whole = missing == 0;
    return 0;
}

static int open_directories(struct backup *backup, struct error *err)
{
    int from = open(backup->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    backup->to_root = open(backup->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0)
        rc = error_set(err, ERROR_NOT_FOUND, "the state directory %.300s cannot be opened: %s", backup->from,
                       strerrordesc_np(errno));
    for (int d = 0; !rc && d < DIRECTORY_COUNT; d++) {
        backup->from_fd[d] = openat(from, directories[d], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (backup->from_fd[d] < 0)
            rc = error_set(err, ERROR_NOT_FOUND, "%.300s is no state directory: %s: %s", backup->from, directories[d],
                           strerrordesc_np(errno));
        else if (mkdirat(backup->to_root, directories[d], 0700) != 0 ||
                 (backup->to_fd[d] = openat(backup->to_root, directories[d], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            rc = write_error(errno, "cannot make the backup's directories", err);
    }
    if (from >= 0)
        close(from);
    return rc;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* The last step: under its name it is whole. */
static int publish(struct backup *backup, const char *to, struct error *err)
{
    char parent[4096];
    char *slash;
    size_t length = strlen(to);

    if (length >= sizeof(parent))
        return error_set(err, ERROR_REQUEST, "the backup's path is too long");
    if (fsync(backup->to_root) != 0 || renameat2(AT_FDCWD, backup->partial, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
        return write_error(errno, "cannot give the backup its name", err);
    memcpy(parent, to, length + 1);
    slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = '\0';
    return make_durable(slash ? parent : ".", "", err);
}

int backup_make(const char *from, const char *to, struct backup_counts *ret, struct error *err)
{
    struct backup backup = {.from = from, .from_fd = {-1, -1}, .to_fd = {-1, -1}, .to_root = -1};
    bool is_whole = false, is_made = false;
    size_t length = strlen(to);
    int rc;

    while (length > 1 && to[length - 1] == '/')
        length--;
    if (!length || access(to, F_OK) == 0)
        return error_set(err, ERROR_REQUEST, "%.300s is there already: a backup takes a new name", to);
    if (asprintf(&backup.partial, "%.*s.partial", (int)length, to) < 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a path");
    is_made = mkdir(backup.partial, 0700) == 0;
    if (!is_made)
        rc = errno == EEXIST ? error_set(err, ERROR_REQUEST,
                                         "%.300s is there: another backup is under way, or was killed; then remove it",
                                         backup.partial)
                             : write_error(errno, "cannot make the backup's directory", err);
    else
        rc = open_directories(&backup, err);
    if (!rc)
        rc = copy_files(&backup, err);
    for (int i = 0; !rc && !is_whole && i < SNAPSHOTS_MAX; i++)
        rc = round_of(&backup, &is_whole, err);
    if (!rc && !is_whole)
        rc = error_set(err, ERROR_READ, "files that rows name are missing from %.300s", from);
    if (!rc) {
        char name[4096];

        snprintf(name, sizeof(name), "%.*s", (int)length, to);
        rc = publish(&backup, name, err);
    }
    for (int d = 0; d < DIRECTORY_COUNT; d++) {
        if (backup.from_fd[d] >= 0)
            close(backup.from_fd[d]);
        if (backup.to_fd[d] >= 0)
            close(backup.to_fd[d]);
    }
    if (backup.to_root >= 0)
        close(backup.to_root);
    if (rc && is_made)
        nftw(backup.partial, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(backup.partial);
    if (rc)
        return rc;
    *ret = backup.counts;
    return 0;
}
