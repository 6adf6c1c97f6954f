/* A model's files are found while it is opened, and its headers are parsed then: the walls must stand before. So what
 * may be read is the directory of each model that was named, and, as model caches keep nothing there but symbolic links
 * to elsewhere, the files that those name. */
#include "server/commands/walls.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/libcrypto.h"
#include "server/jobs/sandbox.h"

/* Leak checks and coverage counts are made at the end, by means that the walls deny. */
#if defined(__SANITIZE_ADDRESS__) || defined(DIFFAID_COVERAGE)
enum { IS_CHECKED_AT_END = 1 };
#else
enum { IS_CHECKED_AT_END = 0 };
#endif

struct places {
    struct landlock_place *items;
    size_t count;
};

/* Takes fd; −1 is nothing. Beyond the most, what is left out cannot be read, and opening the model says so. */
static void add(struct places *places, int fd, unsigned rights)
{
    if (fd >= 0 && places->count < COMMAND_PLACES_MAX)
        places->items[places->count++] = (struct landlock_place){fd, rights};
    else if (fd >= 0)
        close(fd);
}

static void add_links(struct places *places, int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    struct stat st;

    while (dir && (entry = readdir(dir)) != NULL)
        if ((entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) && fstatat(dir_fd, entry->d_name, &st, 0) == 0 &&
            S_ISREG(st.st_mode))
            add(places, openat(dir_fd, entry->d_name, O_PATH | O_CLOEXEC), LANDLOCK_READ);
    if (dir)
        closedir(dir);
}

/* The directory that path lies in, or that it is. */
static int open_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *parent;

    if (fd >= 0)
        return fd;
    parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    fd = parent ? open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    free(parent);
    return fd;
}

/* "/dev/stdin" and the like: what lies beside them belongs to no model. */
static bool is_descriptor(const char *path)
{
    return strncmp(path, "/dev/std", 8) == 0 || strncmp(path, "/dev/fd/", 8) == 0 || strncmp(path, "/proc/", 6) == 0;
}

static void add_model(struct places *places, const char *path)
{
    int directory = is_descriptor(path) ? -1 : open_directory(path);

    add(places, open(path, O_PATH | O_CLOEXEC), LANDLOCK_READ);
    if (directory >= 0)
        add_links(places, directory);
    add(places, directory, LANDLOCK_READ);
}

/* Long arrays of GGUF files are told by their digest; a directory may hold such files, and what is no file cannot be
 * looked at twice. */
static bool may_be_gguf(const char *path)
{
    char start[4] = "";
    struct stat st;
    bool is_other;
    int fd;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return true;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    is_other = fd >= 0 && pread(fd, start, sizeof(start), 0) == sizeof(start) && memcmp(start, "GGUF", 4) != 0;
    if (fd >= 0)
        close(fd);
    return !is_other;
}

void command_prepare_hashing(const char *const *models, size_t model_count, bool is_digested)
{
    struct libcrypto crypto;

    for (size_t i = 0; !is_digested && i < model_count; i++)
        is_digested = may_be_gguf(models[i]);
    if (is_digested)
        libcrypto_load(&crypto, NULL); /* what then needs it says what is missing */
}

const char *command_wall_in(const char *const *models, size_t model_count, const struct destination *destinations,
                            size_t destination_count, void (*stopped)(long call))
{
    struct places places = {.items = calloc(COMMAND_PLACES_MAX, sizeof(*places.items))};
    struct sandbox sandbox = {.line_fd = -1, .stopped = stopped};
    struct walls walls = {0};

    if (IS_CHECKED_AT_END) {
        free(places.items);
        return "this build checks itself at its end";
    }
    if (!places.items)
        return "there is no memory for its rules";
    for (size_t i = 0; landlock_version() && i < model_count; i++)
        add_model(&places, models[i]);
    for (size_t i = 0; i < destination_count; i++) {
        sandbox.may_replace = sandbox.may_replace || destinations[i].dir_fd >= 0;
        if (destinations[i].dir_fd >= 0)
            add(&places, dup(destinations[i].dir_fd), LANDLOCK_REPLACE);
    }
    sandbox.places = places.items;
    sandbox.place_count = places.count;
    sandbox_enter(&sandbox, &walls, NULL);
    for (size_t i = 0; i < places.count; i++)
        close(places.items[i].fd);
    free(places.items);
    if (!walls.has_seccomp)
        return walls.landlock_version ? "the kernel offers no seccomp"
                                      : "the kernel offers neither seccomp nor Landlock";
    return walls.landlock_version ? NULL : "the kernel offers no Landlock";
}
