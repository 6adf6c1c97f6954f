#include "server/roots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/model/directory.h"
#include "core/model/model.h"
#include "core/name.h"
#include "core/utf8.h"

enum { ENTRIES_MAX = 100000 }; /* of one directory that are looked at; more is_cut */

int roots_add(struct roots *roots, const char *name, const char *path, int fd, struct error *err)
{
    struct root *items = reallocarray(roots->items, roots->count + 1, sizeof(*items));
    struct root root = {.name = strdup(name), .path = strdup(path), .fd = fd};

    if (items)
        roots->items = items;
    if (!items || !root.name || !root.path) {
        free(root.name);
        free(root.path);
        return error_set(err, ERROR_NO_MEMORY, "no memory for the models roots");
    }
    roots->items[roots->count++] = root;
    return 0;
}

/* NAME=DIR when what precedes the first "=" could be a name; a directory may have one in its own. */
static const char *split_setting(const char *setting, char *name, size_t size)
{
    size_t bytes = strcspn(setting, "=/");

    name[0] = '\0';
    if (setting[bytes] != '=' || bytes == 0 || bytes >= size)
        return setting;
    memcpy(name, setting, bytes);
    name[bytes] = '\0';
    return setting + bytes + 1;
}

static void name_after_directory(const char *path, char *name, size_t size)
{
    const char *slash = strrchr(path, '/');

    snprintf(name, size, "%s", slash && slash[1] ? slash + 1 : "root");
}

int roots_open(const char *const *settings, size_t count, struct roots *ret, struct error *err)
{
    struct roots roots = {0};
    int rc = 0;

    if (count > ROOTS_MAX)
        return error_set(err, ERROR_REQUEST, "%zu models roots are given, %d is the most", count, ROOTS_MAX);
    for (size_t i = 0; !rc && i < count; i++) {
        char name[256], *resolved;
        const char *path = split_setting(settings[i], name, sizeof(name));
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) {
            rc = error_set(err, ERROR_REQUEST, "models root %.400s: %s", path, strerrordesc_np(errno));
            break;
        }
        resolved = realpath(path, NULL);
        if (!name[0] && count > 1 && resolved)
            name_after_directory(resolved, name, sizeof(name));
        for (size_t j = 0; !rc && j < i; j++)
            if (strcmp(roots.items[j].name, name) == 0)
                rc = error_set(err, ERROR_REQUEST, "two models roots are called %.200s; name them: NAME=DIR", name);
        if (!rc)
            rc = roots_add(&roots, name, resolved ? resolved : "", fd, err);
        free(resolved);
        if (rc)
            close(fd);
    }
    if (rc) {
        roots_done(&roots);
        return rc;
    }
    *ret = roots;
    return 0;
}

void roots_done(struct roots *roots)
{
    for (size_t i = 0; i < roots->count; i++) {
        free(roots->items[i].name);
        free(roots->items[i].path);
        close(roots->items[i].fd);
    }
    free(roots->items);
    *roots = (struct roots){0};
}

/* The rest of path below prefix, without leading slashes; NULL when it does not lie there. */
static const char *below(const char *path, const char *prefix)
{
    size_t bytes = strlen(prefix);

    if (strncmp(path, prefix, bytes) != 0 || (path[bytes] != '/' && path[bytes] != '\0'))
        return NULL;
    path += bytes;
    while (*path == '/')
        path++;
    return path;
}

int roots_find(const struct roots *roots, const char *path, struct place *ret, struct error *err)
{
    const struct root *root = NULL;
    const char *rest = NULL;

    if (strlen(path) >= ROOT_PATH_BYTES)
        return error_set(err, ERROR_REQUEST, "a path may have %d bytes at most", ROOT_PATH_BYTES - 1);
    for (size_t i = 0; !rest && i < roots->count; i++) {
        root = &roots->items[i];
        if (path[0] == '/')
            rest = root->path[0] ? below(path, strcmp(root->path, "/") == 0 ? "" : root->path) : NULL;
        else if (roots->count == 1 && !root->name[0])
            rest = path;
        else
            rest = below(path, root->name);
    }
    if (!rest && roots->count == 1 && path[0] != '/') { /* one root that has a name: the plain path too */
        root = &roots->items[0];
        rest = path;
    }
    if (!rest && path[0] == '/')
        return error_set(err, ERROR_OUTSIDE, "the path lies below no models root");
    if (!rest)
        return error_set(err, ERROR_NOT_FOUND,
                         roots->count ? "the path names no models root" : "there is no models root");
    *ret = (struct place){.dir_fd = root->fd, .is_confined = 1, .path = rest, .uri = path};
    return 0;
}

int roots_check_model(const struct roots *roots, const char *path, struct error *err)
{
    struct place place, opened;
    int fd, is_directory, rc;

    rc = roots_find(roots, path, &place, err);
    if (rc)
        return rc;
    rc = directory_open_place(&place, &opened, &fd, &is_directory, err);
    if (rc)
        return rc;
    directory_place_done(&opened, &place);
    if (is_directory)
        rc = directory_promises_model(fd, err);
    else if (faccessat(fd, "", R_OK, AT_EMPTY_PATH | AT_EACCESS) != 0 && errno == EACCES)
        rc = error_set(err, ERROR_ACCESS, "the service may not read this file");
    close(fd);
    return rc;
}

static int add_entry(struct model_list *list, size_t *capacity, const char *name, struct error *err)
{
    if (list->count == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 64;
        struct model_entry *entries = reallocarray(list->entries, more, sizeof(*entries));

        if (!entries)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a listing of %zu entries", more);
        list->entries = entries;
        *capacity = more;
    }
    list->entries[list->count] = (struct model_entry){.path = strdup(name)};
    if (!list->entries[list->count].path)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a listing");
    list->count++;
    return 0;
}

static int compare_entries(const void *left, const void *right)
{
    const struct model_entry *a = left, *b = right;

    return name_compare_natural(name_of(a->path), name_of(b->path));
}

/* All names worth showing, unsorted. */
static int read_names(int fd, struct model_list *list, struct error *err)
{
    int readable = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = readable < 0 ? NULL : fdopendir(readable);
    struct dirent *entry;
    size_t capacity = 0;
    int rc = 0;

    if (!dir) {
        rc = error_set(err, errno == EACCES ? ERROR_ACCESS : ERROR_READ, "the directory cannot be listed: %s",
                       strerrordesc_np(errno));
        if (readable >= 0)
            close(readable);
        return rc;
    }
    while (!rc && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || !utf8_is_valid(entry->d_name, strlen(entry->d_name)))
            continue;
        if (list->count == ENTRIES_MAX) {
            list->is_cut = true;
            break;
        }
        rc = add_entry(list, &capacity, entry->d_name, err);
    }
    closedir(dir);
    return rc;
}

/* Fills the entry whose path is still its name in dir_fd; false when it is not to be shown. root_fd and directory:
 * where a link is resolved from. */
static bool describe(const struct place *directory, int dir_fd, struct model_entry *entry)
{
    char below_root[ROOT_PATH_BYTES + 256];
    struct stat st;
    int fd = -1, is_directory;

    if (fstatat(dir_fd, entry->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (S_ISLNK(st.st_mode)) {
        struct place place = *directory;

        snprintf(below_root, sizeof(below_root), "%s%s%s", directory->path, *directory->path ? "/" : "", entry->path);
        place.path = below_root;
        if (place_open(&place, &fd, &is_directory, NULL) != 0)
            return false;
        if (fstat(fd, &st) != 0) {
            close(fd);
            return false;
        }
    }
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        entry->is_directory = S_ISDIR(st.st_mode);
        entry->is_model = !entry->is_directory;
        entry->bytes = entry->is_directory ? 0 : (uint64_t)st.st_size;
        entry->modify_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        if (entry->is_directory && fd < 0)
            fd = openat(dir_fd, entry->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (entry->is_directory && fd >= 0)
            entry->is_model = directory_promises_model(fd, NULL) == 0;
    }
    if (fd >= 0)
        close(fd);
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

/* Prefixes each entry's name with the directory's path as the request spelt it. */
static int spell_paths(struct model_list *list, const char *path, struct error *err)
{
    size_t bytes = strlen(path);

    while (bytes && path[bytes - 1] == '/')
        bytes--;
    if (!bytes && path[0] != '/')
        return 0;
    for (size_t i = 0; i < list->count; i++) {
        char *spelt;

        if (asprintf(&spelt, "%.*s/%s", (int)bytes, path, list->entries[i].path) < 0)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a listing");
        free(list->entries[i].path);
        list->entries[i].path = spelt;
    }
    return 0;
}

static int list_roots(const struct roots *roots, struct model_list *ret, struct error *err)
{
    struct model_list list = {0};
    size_t capacity = 0;
    int rc = 0;

    for (size_t i = 0; !rc && i < roots->count; i++) {
        rc = add_entry(&list, &capacity, roots->items[i].name, err);
        if (!rc)
            list.entries[i].is_directory = true;
    }
    if (rc) {
        model_list_done(&list);
        return rc;
    }
    *ret = list;
    return 0;
}

int roots_list(const struct roots *roots, const char *path, size_t limit, struct model_list *ret, struct error *err)
{
    struct model_list list = {0};
    struct place place;
    size_t shown = 0;
    int fd, is_directory, rc;

    if (!path)
        path = "";
    if (!*path && roots->count != 1)
        return list_roots(roots, ret, err);
    rc = roots_find(roots, path, &place, err);
    if (rc)
        return rc;
    rc = place_open(&place, &fd, &is_directory, err);
    if (rc)
        return rc;
    if (!is_directory)
        rc = error_set(err, ERROR_REQUEST, "%.400s is not a directory", path);
    else
        rc = read_names(fd, &list, err);
    if (!rc && list.count)
        qsort(list.entries, list.count, sizeof(*list.entries), compare_entries);
    for (size_t i = 0; !rc && i < list.count; i++) {
        struct model_entry *entry = &list.entries[i];

        if (shown == limit) { /* the rest is only counted out, not looked at */
            list.is_cut = true;
            free(entry->path);
        } else if (describe(&place, fd, entry)) {
            list.entries[shown++] = *entry;
        } else {
            free(entry->path);
        }
    }
    close(fd);
    if (!rc) {
        list.count = shown;
        rc = spell_paths(&list, path, err);
    }
    if (rc) {
        model_list_done(&list);
        return rc;
    }
    *ret = list;
    return 0;
}
