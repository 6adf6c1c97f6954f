/* Order: limits, then Landlock, then the filter, which allows none of the calls that build the other two.
 *
 * The filter is a list of what is allowed. Anything else raises SIGSYS; the handler tells which call it was, and its
 * return to the default (SA_RESETHAND) together with a second such call ends the process. Nobody can put another
 * handler in its place: rt_sigaction of SIGSYS is not on the list. A filter cannot follow pointers, so that paths and
 * openat2's flags are Landlock's to judge; where the kernel has no Landlock, openat2 is answered ENOSYS and
 * core/io/place.c walks with openat, whose flags the filter sees. */
#include "server/jobs/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

/* What the C library, the pass and the line need, whatever the arguments are. */
static const int allowed[] = {
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(mincore),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    /* descriptors that are open */
    SCMP_SYS(close),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fstat),
    SCMP_SYS(getdents64),
    SCMP_SYS(lseek),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv2),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    /* what stands at a path: neither Landlock nor a filter can hide that */
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    /* threads */
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(membarrier),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    /* time, chance, the machine's memory (qsort asks) */
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep),
    SCMP_SYS(sysinfo),
    SCMP_SYS(time),
};

static const int replacing[] = {SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),
                                SCMP_SYS(unlinkat)};

static const int reporting[] = {SCMP_SYS(open), SCMP_SYS(readlink), SCMP_SYS(pipe), SCMP_SYS(stat)};

/* Calls that are allowed when (argument & mask) == value; several rows of one call: any of them. */
struct condition {
    int call;
    unsigned argument;
    uint64_t mask, value;
};

enum {
    WRITING = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY),
    NAMESPACES =
        CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
};
#define EXACTLY UINT64_C(0xffffffff)

static const struct condition conditions[] = {
    {SCMP_SYS(clone), 0, CLONE_THREAD | NAMESPACES, CLONE_THREAD},
    {SCMP_SYS(fcntl), 1, EXACTLY, F_DUPFD_CLOEXEC},
    {SCMP_SYS(fcntl), 1, EXACTLY, F_GETFD},
    {SCMP_SYS(fcntl), 1, EXACTLY, F_SETFD},
    {SCMP_SYS(fcntl), 1, EXACTLY, F_GETFL},
    {SCMP_SYS(ioctl), 1, EXACTLY, TCGETS},
    {SCMP_SYS(ioctl), 1, EXACTLY, TIOCGWINSZ},
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    {SCMP_SYS(openat), 2, WRITING, 0},
    {SCMP_SYS(prctl), 0, EXACTLY, PR_SET_NAME},
};

static int cannot(int rc, struct error *err)
{
    return rc == -ENOMEM ? error_set(err, ERROR_NO_MEMORY, "no memory for the filter of system calls")
                         : error_set(err, ERROR_INTERNAL, "the filter of system calls does not take effect: %s",
                                     strerrordesc_np(-rc));
}

static bool has_seccomp(void)
{
    /* With a filter that cannot be read: EFAULT says that filters are known, anything else that they are not. */
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) != 0 && errno == EFAULT;
}

static int add_list(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < count; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return rc;
}

static int add_conditions(scmp_filter_ctx filter)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        const struct condition *is = &conditions[i];

        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, is->call, 1,
                              SCMP_CMP(is->argument, SCMP_CMP_MASKED_EQ, is->mask, is->value));
    }
    return rc;
}

static int allow_when(scmp_filter_ctx filter, int call, enum scmp_compare op, uint64_t first_argument)
{
    struct scmp_arg_cmp when = {.arg = 0, .op = op, .datum_a = first_argument};

    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &when);
}

/* Those that no table holds. */
static int add_rest(scmp_filter_ctx filter, const struct sandbox *sandbox, int landlock)
{
    static const struct scmp_arg_cmp asks_own[] = {{.arg = 0, .op = SCMP_CMP_EQ}, {.arg = 2, .op = SCMP_CMP_EQ}};
    int rc = allow_when(filter, SCMP_SYS(tgkill), SCMP_CMP_EQ, (uint64_t)getpid()); /* abort, raise */

    if (!rc) /* of this process, and no new limit */
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, asks_own);
    /* SIGSYS is the highest classic signal, and the two above it are the C library's own. "Not SIGSYS" would not do:
     * the kernel looks at 32 bits of what the filter compares as 64. */
    if (!rc)
        rc = allow_when(filter, SCMP_SYS(rt_sigaction), SCMP_CMP_LT, SIGSYS);
    for (uint64_t number = SIGSYS + 1; !rc && number <= SIGSYS + 2; number++)
        rc = allow_when(filter, SCMP_SYS(rt_sigaction), SCMP_CMP_EQ, number);
    if (!rc && sandbox->line_fd >= 0)
        rc = allow_when(filter, SCMP_SYS(sendmsg), SCMP_CMP_EQ, (uint64_t)sandbox->line_fd);
    if (!rc && sandbox->line_fd >= 0)
        rc = allow_when(filter, SCMP_SYS(recvmsg), SCMP_CMP_EQ, (uint64_t)sandbox->line_fd);
    if (!rc && sandbox->may_replace)
        rc = add_list(filter, replacing, sizeof(replacing) / sizeof(replacing[0]));
    /* What a sanitizer asks for when it reports; the report matters more than the names in it. */
    for (size_t i = 0; IS_SANITIZED && !rc && i < sizeof(reporting) / sizeof(reporting[0]); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), reporting[i], 0);
    if (!rc) /* its flags lie in memory: the C library then uses clone */
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (!rc)
        rc = seccomp_rule_add(filter, landlock ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
    return rc;
}

static int filter_calls(const struct sandbox *sandbox, int landlock, struct error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    int rc;

    if (!filter)
        return cannot(-ENOMEM, err);
    rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!rc) /* the sanitizers have threads already */
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Older kernels would slow every load after a store down; what is walled in here guesses no secrets of its own. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (!rc)
        rc = add_list(filter, allowed, sizeof(allowed) / sizeof(allowed[0]));
    if (!rc)
        rc = add_conditions(filter);
    if (!rc)
        rc = add_rest(filter, sandbox, landlock);
    if (!rc)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc ? cannot(rc, err) : 0;
}

static void (*tell_stopped)(long call);

static void on_stopped(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (tell_stopped)
        tell_stopped(info->si_syscall);
    /* SIGSYS is blocked here and its handler reset: the kernel ends the process by it. */
    getppid();
    _exit(128 + SIGSYS);
}

static void catch_stopped(void (*stopped)(long call))
{
    struct sigaction action = {.sa_sigaction = on_stopped, .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND)};

    tell_stopped = stopped;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSYS, &action, NULL);
}

/* Lowers a limit; one that is lower already stays. Returns what holds then, 0 for no limit. */
static uint64_t limit(int resource, uint64_t most)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return 0;
    if (most && most < now.rlim_max)
        now.rlim_max = most;
    if (most && now.rlim_cur > now.rlim_max)
        now.rlim_cur = now.rlim_max;
    if (most)
        setrlimit((__rlimit_resource_t)resource, &now);
    return now.rlim_cur == RLIM_INFINITY ? 0 : now.rlim_cur;
}

static void set_limits(const struct sandbox *sandbox, struct walls *walls)
{
    struct rlimit none = {0};

    setrlimit(RLIMIT_CORE, &none); /* it would hold the models */
    /* The sanitizers' shadows take terabytes of address space. */
    walls->memory_bytes = limit(RLIMIT_AS, IS_SANITIZED ? 0 : sandbox->memory_bytes);
    walls->file_bytes = limit(RLIMIT_FSIZE, sandbox->file_bytes);
    walls->files = limit(RLIMIT_NOFILE, sandbox->files);
    if (sandbox->file_bytes)
        signal(SIGXFSZ, SIG_IGN); /* write says EFBIG then */
}

void sandbox_probe(struct walls *ret_walls)
{
    *ret_walls = (struct walls){.has_seccomp = has_seccomp(), .landlock_version = landlock_version()};
}

int sandbox_enter(const struct sandbox *sandbox, struct walls *ret_walls, struct error *err)
{
    struct walls walls = {0}, offered;
    int rc = 0;

    tzset();
    set_limits(sandbox, &walls);
    walls.has_no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    sandbox_probe(&offered);
    if (sandbox->mode == SANDBOX_REQUIRE && (!offered.has_seccomp || !offered.landlock_version))
        return error_set(err, ERROR_REQUEST, "the sandbox is required and the kernel has no %s here",
                         offered.has_seccomp ? "Landlock" : "seccomp");
    if (sandbox->mode != SANDBOX_OFF && offered.landlock_version) {
        rc = landlock_confine(sandbox->places, sandbox->place_count, false, err);
        walls.landlock_version = rc ? 0 : offered.landlock_version;
    }
    if (sandbox->mode != SANDBOX_OFF && offered.has_seccomp) {
        int filter_rc;

        catch_stopped(sandbox->stopped);
        filter_rc = filter_calls(sandbox, walls.landlock_version, rc ? NULL : err);
        walls.has_seccomp = filter_rc == 0;
        rc = rc ? rc : filter_rc;
    }
    *ret_walls = walls;
    return rc;
}

struct json_object *walls_describe(const struct walls *walls)
{
    struct json_object *described = json_object_new_object();

    if (!described)
        return NULL;
    json_object_object_add(described, "no_new_privs", json_object_new_boolean(walls->has_no_new_privs));
    json_object_object_add(described, "seccomp", json_object_new_boolean(walls->has_seccomp));
    json_object_object_add(described, "landlock", json_object_new_int(walls->landlock_version));
    json_object_object_add(described, "memory_bytes", json_object_new_uint64(walls->memory_bytes));
    json_object_object_add(described, "file_bytes", json_object_new_uint64(walls->file_bytes));
    json_object_object_add(described, "files", json_object_new_uint64(walls->files));
    return described;
}

static uint64_t number_of(struct json_object *described, const char *key)
{
    struct json_object *value;

    return json_object_object_get_ex(described, key, &value) ? json_object_get_uint64(value) : 0;
}

void walls_read(struct json_object *described, struct walls *ret)
{
    *ret = (struct walls){0};
    if (!json_object_is_type(described, json_type_object))
        return;
    ret->has_no_new_privs = number_of(described, "no_new_privs") == 1;
    ret->has_seccomp = number_of(described, "seccomp") == 1;
    ret->landlock_version = (int)(number_of(described, "landlock") & 0xffff);
    ret->memory_bytes = number_of(described, "memory_bytes");
    ret->file_bytes = number_of(described, "file_bytes");
    ret->files = number_of(described, "files");
}
