/* The structures and constants are written out: <linux/landlock.h> of Debian 12 ends at version 2, and what the running
 * kernel knows is not what the machine that built this knew. */
#include "server/jobs/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h, LANDLOCK_ACCESS_FS_* */
enum fs {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_FIFO = 1 << 10,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,    /* version 2 */
    FS_TRUNCATE = 1 << 14, /* 3 */
    FS_IOCTL_DEV = 1 << 15 /* 5 */
};
enum {
    FS_VERSION_1 = (1 << 13) - 1,
    FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
    NET_BIND_AND_CONNECT_TCP = 3,    /* 4 */
    SCOPE_ABSTRACT_UNIX_SIGNALS = 3, /* 6 */
    CREATE_VERSION = 1,
    RULE_PATH_BENEATH = 1
};

struct ruleset {
    uint64_t fs, net, scoped;
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

    return version > 0 ? (int)version : 0;
}

static uint64_t fs_of(unsigned rights)
{
    uint64_t fs = 0;

    if (rights & LANDLOCK_READ)
        fs |= FS_READ_FILE | FS_READ_DIR;
    if (rights & LANDLOCK_REPLACE)
        fs |= FS_REMOVE_FILE | FS_MAKE_REG;
    if (rights & LANDLOCK_WRITE)
        fs |= FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_FILE | FS_REMOVE_DIR | FS_MAKE_REG | FS_MAKE_DIR | FS_REFER;
    return fs;
}

static int add_place(int ruleset_fd, const struct landlock_place *place, uint64_t handled, struct error *err)
{
    struct path_beneath rule = {.allowed = fs_of(place->rights) & handled, .parent_fd = place->fd};
    struct stat st;

    if (fstat(place->fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed &= FS_OF_FILES;
    if (rule.allowed && syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) != 0)
        return error_set(err, ERROR_INTERNAL, "Landlock takes no rule for a directory: %s", strerrordesc_np(errno));
    return 0;
}

int landlock_confine(const struct landlock_place *places, size_t count, bool is_writing_only, struct error *err)
{
    int version = landlock_version(), fd, rc = 0;
    struct ruleset ruleset = {.fs = FS_VERSION_1};
    size_t size = version >= 6 ? sizeof(ruleset) : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);

    if (!version)
        return 0;
    ruleset.fs |= version >= 2 ? FS_REFER : 0;
    ruleset.fs |= version >= 3 ? FS_TRUNCATE : 0;
    ruleset.fs |= version >= 5 ? FS_IOCTL_DEV : 0;
    if (is_writing_only) {
        ruleset.fs &= ~(uint64_t)(FS_EXECUTE | FS_READ_FILE | FS_READ_DIR | FS_IOCTL_DEV);
    } else {
        ruleset.net = version >= 4 ? NET_BIND_AND_CONNECT_TCP : 0;
        ruleset.scoped = version >= 6 ? SCOPE_ABSTRACT_UNIX_SIGNALS : 0;
    }
    fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (fd < 0)
        return error_set(err, ERROR_INTERNAL, "Landlock makes no rules: %s", strerrordesc_np(errno));
    for (size_t i = 0; !rc && i < count; i++)
        rc = add_place(fd, &places[i], ruleset.fs, err);
    if (!rc && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
        rc = error_set(err, ERROR_INTERNAL, "Landlock does not take effect: %s", strerrordesc_np(errno));
    close(fd);
    return rc;
}
