/* Each wall is tried from inside: a child process builds the walls with the very function that workers use and makes
 * one system call that it may not make. How the child ended, and which call its handler was told of, or the error that
 * the call got, is what the wall is held against. What Landlock is to refuse is tried without walls too: a wall that
 * holds what would have failed anyway proves nothing. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/jobs/sandbox.h"
#include "tests/unit/server/scratch.h"

/* Fixed, so that the table below can name them. */
enum { ROOT_FD = 100, OUTSIDE_FD, LINE_FD, OTHER_FD, TOLD_FD, WRITTEN_FD };
enum { CROSSED = 0, NOT_BUILT = 250, NOT_AS_BEFORE = 251 };
enum { THE_PARENT = 0x7eadbeef, FILE_BYTES = 1000 };

static char *scratch;
static int told[2]; /* what the handler says */
static bool has_landlock;

static char page[65536] __attribute__((aligned(65536)));
static struct iovec one_byte = {page, 1};
static struct msghdr message = {.msg_iov = &one_byte, .msg_iovlen = 1};
static struct sockaddr_in discard = {.sin_family = AF_INET};
static char *program[] = {(char *)"true", NULL};
static struct rlimit lower = {1, 1};
static struct open_how to_write = {.flags = O_WRONLY}, to_make = {.flags = O_WRONLY | O_CREAT, .mode = 0600},
                       to_read = {.flags = O_RDONLY};
static long ignoring[4] = {1};

enum end { SIGNALLED, KILLED, REFUSED };

struct attempt {
    const char *what;
    enum end end; /* REFUSED: by Landlock */
    long call, arguments[6];
};

#define BY(end, call, ...)                                                                                             \
    {                                                                                                                  \
#call "(" #__VA_ARGS__ ")", end, SYS_##call,                                                                   \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
static const struct attempt attempts[] = {
    /* the network, and other sockets than the line */
    BY(SIGNALLED, socket, AF_INET, SOCK_STREAM, 0),
    BY(SIGNALLED, socket, AF_UNIX, SOCK_STREAM, 0),
    BY(SIGNALLED, socketpair, AF_UNIX, SOCK_STREAM, 0, (long)page),
    BY(SIGNALLED, connect, LINE_FD, (long)&discard, sizeof(discard)),
    BY(SIGNALLED, bind, LINE_FD, (long)&discard, sizeof(discard)),
    BY(SIGNALLED, sendto, LINE_FD, (long)page, 1, 0, 0, 0),
    BY(SIGNALLED, sendmsg, OTHER_FD, (long)&message, 0),
    BY(SIGNALLED, recvmsg, OTHER_FD, (long)&message, MSG_DONTWAIT),
    /* programs and processes */
    BY(SIGNALLED, execve, (long)"/bin/true", (long)program, 0),
    BY(SIGNALLED, execveat, AT_FDCWD, (long)"/bin/true", (long)program, 0, 0),
    BY(SIGNALLED, clone, SIGCHLD, 0, 0, 0, 0),
    BY(SIGNALLED, clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0),
    BY(SIGNALLED, clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER, 0, 0, 0, 0),
    /* files beyond the root */
    BY(REFUSED, openat, AT_FDCWD, (long)"/etc/passwd", O_RDONLY),
    BY(REFUSED, openat, AT_FDCWD, (long)"/", O_RDONLY | O_DIRECTORY),
    BY(REFUSED, openat, AT_FDCWD, (long)"/proc/self/environ", O_RDONLY),
    BY(REFUSED, openat, AT_FDCWD, (long)"/proc/self/mem", O_RDONLY),
    BY(REFUSED, openat, AT_FDCWD, (long)"/proc/self/fd/101/file", O_RDONLY),
    BY(REFUSED, openat, AT_FDCWD, (long)"/proc/self/root/etc/passwd", O_RDONLY),
    BY(REFUSED, openat, ROOT_FD, (long)"../outside/file", O_RDONLY),
    BY(REFUSED, openat, ROOT_FD, (long)"leading-out", O_RDONLY),
    BY(REFUSED, openat, OUTSIDE_FD, (long)"file", O_RDONLY),
    BY(REFUSED, openat2, ROOT_FD, (long)"../outside/file", (long)&to_read, sizeof(to_read)),
    /* files beneath it, for more than reading */
    BY(REFUSED, openat2, ROOT_FD, (long)"file", (long)&to_write, sizeof(to_write)),
    BY(REFUSED, openat2, ROOT_FD, (long)"new", (long)&to_make, sizeof(to_make)),
    BY(SIGNALLED, openat, ROOT_FD, (long)"file", O_WRONLY),
    BY(SIGNALLED, openat, ROOT_FD, (long)"file", O_RDWR),
    BY(SIGNALLED, openat, ROOT_FD, (long)"file", O_RDONLY | O_TRUNC),
    BY(SIGNALLED, openat, ROOT_FD, (long)"new", O_RDONLY | O_CREAT, 0600),
    BY(SIGNALLED, openat, ROOT_FD, (long)".", O_RDWR | O_TMPFILE, 0600),
    BY(SIGNALLED, unlinkat, ROOT_FD, (long)"file", 0),
    BY(SIGNALLED, renameat, ROOT_FD, (long)"file", ROOT_FD, (long)"other"),
    BY(SIGNALLED, linkat, ROOT_FD, (long)"file", ROOT_FD, (long)"other", 0),
    BY(SIGNALLED, symlinkat, (long)"/etc", ROOT_FD, (long)"other"),
    BY(SIGNALLED, mkdirat, ROOT_FD, (long)"other", 0700),
    BY(SIGNALLED, mknodat, ROOT_FD, (long)"other", S_IFIFO | 0600, 0),
    BY(SIGNALLED, truncate, (long)"/tmp/none", 0),
    BY(SIGNALLED, ftruncate, WRITTEN_FD, 0),
    BY(SIGNALLED, fchmodat, ROOT_FD, (long)"file", 0777),
    BY(SIGNALLED, fchownat, ROOT_FD, (long)"file", 0, 0, 0),
    BY(SIGNALLED, utimensat, ROOT_FD, (long)"file", 0, 0),
    BY(SIGNALLED, setxattr, (long)"/tmp/none", (long)"user.x", (long)"x", 1, 0),
    BY(SIGNALLED, fchdir, OUTSIDE_FD),
    BY(SIGNALLED, chroot, (long)"/tmp"),
    BY(SIGNALLED, memfd_create, (long)"x", 0),
    BY(SIGNALLED, name_to_handle_at, ROOT_FD, (long)"file", (long)page, (long)page + 512, 0),
    BY(SIGNALLED, open_by_handle_at, ROOT_FD, (long)page, O_RDONLY),
    /* other processes */
    BY(SIGNALLED, ptrace, PTRACE_ATTACH, THE_PARENT, 0, 0),
    BY(SIGNALLED, ptrace, PTRACE_TRACEME, 0, 0, 0),
    BY(SIGNALLED, process_vm_readv, THE_PARENT, (long)&one_byte, 1, (long)&one_byte, 1, 0),
    BY(SIGNALLED, pidfd_open, THE_PARENT, 0),
    BY(SIGNALLED, kill, THE_PARENT, SIGTERM),
    BY(SIGNALLED, kill, 0, SIGWINCH),
    BY(SIGNALLED, tgkill, THE_PARENT, THE_PARENT, SIGTERM),
    BY(SIGNALLED, fcntl, LINE_FD, F_SETOWN, THE_PARENT),
    BY(SIGNALLED, prlimit64, THE_PARENT, RLIMIT_NOFILE, 0, (long)page),
    /* code made of data */
    BY(SIGNALLED, mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
    BY(SIGNALLED, mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, WRITTEN_FD, 0),
    BY(SIGNALLED, mprotect, (long)page, 4096, PROT_READ | PROT_EXEC),
    BY(SIGNALLED, pkey_mprotect, (long)page, 4096, PROT_READ | PROT_EXEC, -1),
    /* the walls themselves */
    BY(SIGNALLED, rt_sigaction, SIGSYS, (long)ignoring, 0, 8),
    BY(SIGNALLED, rt_sigaction, (1L << 32) | SIGSYS, (long)ignoring, 0, 8),
    BY(SIGNALLED, prlimit64, 0, RLIMIT_NOFILE, (long)&lower, 0),
    BY(SIGNALLED, prctl, PR_SET_DUMPABLE, 1, 0, 0, 0),
    BY(SIGNALLED, prctl, PR_SET_SECCOMP, 2, (long)page, 0, 0),
    BY(SIGNALLED, seccomp, 1, 0, (long)page),
    BY(SIGNALLED, setuid, 0),
    /* the rest of the kernel */
    BY(SIGNALLED, personality, 0),
    BY(SIGNALLED, keyctl, 0, -3, 0),
    BY(SIGNALLED, bpf, 0, 0, 0),
    BY(SIGNALLED, mount, (long)"none", (long)"/tmp/none", (long)"tmpfs", 0, 0),
    BY(SIGNALLED, unshare, CLONE_NEWUSER),
    BY(SIGNALLED, setns, LINE_FD, 0),
    BY(SIGNALLED, io_uring_setup, 1, (long)page),
    BY(SIGNALLED, userfaultfd, 0),
    BY(SIGNALLED, perf_event_open, (long)page, 0, -1, -1, 0),
    BY(SIGNALLED, ioctl, WRITTEN_FD, TIOCSTI, (long)"x"),
    BY(SIGNALLED, inotify_init1, 0),
    BY(SIGNALLED, getppid, 0),
#ifdef __x86_64__
    {"getppid of the x32 table", KILLED, 0x40000000 | SYS_getppid, {0}},
#endif
};

static void tell(long call)
{
    if (write(TOLD_FD, &call, sizeof(call)) < 0)
        _exit(NOT_AS_BEFORE);
}

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "model", 5), 5);
    close(fd);
}

static void keep_as(int number, int fd)
{
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dup2(fd, number), number);
    close(fd);
}

static const char *below(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/%s", scratch, name);
    return path;
}

static void setup(void)
{
    int pair[2];

    has_landlock = landlock_version() > 0;
    scratch = scratch_new();
    ck_assert_int_eq(mkdir(below("root"), 0755), 0);
    ck_assert_int_eq(mkdir(below("outside"), 0755), 0);
    make_file(below("root/file"));
    make_file(below("outside/file"));
    keep_as(ROOT_FD, open(below("root"), O_PATH | O_DIRECTORY));
    keep_as(OUTSIDE_FD, open(below("outside"), O_PATH | O_DIRECTORY));
    keep_as(WRITTEN_FD, open(below("outside/written"), O_RDWR | O_CREAT, 0644));
    ck_assert_int_eq(symlinkat("file", ROOT_FD, "link"), 0);
    ck_assert_int_eq(symlinkat("../outside/file", ROOT_FD, "leading-out"), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    keep_as(LINE_FD, pair[0]);
    keep_as(OTHER_FD, pair[1]);
    ck_assert_int_eq(pipe(told), 0);
    keep_as(TOLD_FD, told[1]);
}

static void teardown(void)
{
    scratch_remove(scratch);
}

static void enter(enum sandbox_mode mode)
{
    struct landlock_place places[] = {{ROOT_FD, LANDLOCK_READ}};
    struct sandbox sandbox = {.mode = mode,
                              .places = places,
                              .place_count = 1,
                              .line_fd = LINE_FD,
                              .file_bytes = FILE_BYTES,
                              .stopped = tell};
    struct walls walls;
    struct error err;

    if (sandbox_enter(&sandbox, &walls, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        _exit(NOT_BUILT);
    }
    if (!walls.has_no_new_privs || walls.has_seccomp != (mode != SANDBOX_OFF) || walls.file_bytes != FILE_BYTES)
        _exit(NOT_BUILT);
}

static long argument_of(const struct attempt *attempt, size_t i, pid_t parent)
{
    return attempt->arguments[i] == THE_PARENT ? parent : attempt->arguments[i];
}

/* How a child ends that makes the attempt: as waitpid has it; its exit status is the call's errno. */
static int try_in_child(const struct attempt *attempt, enum sandbox_mode mode)
{
    pid_t parent = getpid(), child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        long rc;

        enter(mode);
        rc = syscall(attempt->call, argument_of(attempt, 0, parent), argument_of(attempt, 1, parent),
                     argument_of(attempt, 2, parent), argument_of(attempt, 3, parent), argument_of(attempt, 4, parent),
                     argument_of(attempt, 5, parent));
        _exit(rc < 0 ? errno : CROSSED);
    }
    close(TOLD_FD);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

START_TEST(no_wall_is_crossed)
{
    const struct attempt *attempt = &attempts[_i];
    long call = -1;
    int status;

    if (attempt->end == REFUSED && !has_landlock && attempt->call != SYS_openat2)
        return; /* there is no such wall on this kernel: status and log say so */
    status = try_in_child(attempt, SANDBOX_AUTO);
    if (attempt->end == REFUSED) {
        ck_assert_msg(WIFEXITED(status), "%s: ended with %x", attempt->what, status);
        ck_assert_msg(WEXITSTATUS(status) == (has_landlock ? EACCES : ENOSYS), "%s: %s", attempt->what,
                      strerror(WEXITSTATUS(status)));
        return;
    }
    ck_assert_msg(WIFSIGNALED(status), "%s: %s", attempt->what, strerror(WEXITSTATUS(status)));
    ck_assert_msg(WTERMSIG(status) == SIGSYS, "%s: %s", attempt->what, strsignal(WTERMSIG(status)));
    if (read(told[0], &call, sizeof(call)) == 0)
        call = -1;
    ck_assert_msg(call == (attempt->end == SIGNALLED ? attempt->call : -1), "%s: told of call %ld", attempt->what,
                  call);
}
END_TEST

START_TEST(what_landlock_refuses_is_there_without_it)
{
    int status;

    if (attempts[_i].end != REFUSED)
        return;
    status = try_in_child(&attempts[_i], SANDBOX_OFF);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == CROSSED, "%s: %x", attempts[_i].what, status);
}
END_TEST

static void *add_one(void *number)
{
    ++*(int *)number;
    return NULL;
}

static int compare_ints(const void *left, const void *right)
{
    const int *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

/* What a job does; 0 or the line of what failed. */
static int work(void)
{
    enum { MANY = 1 << 20 };
    struct open_how beneath = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    struct timespec nap = {.tv_nsec = 1};
    int fd, number = 0, *numbers;
    struct stat st;
    pthread_t thread;
    time_t now = time(NULL);
    struct tm tm;
    char *mapping;
    DIR *dir;

    for (int i = 0; i < 8; i++)
        if (pthread_create(&thread, NULL, add_one, &number) != 0 || pthread_join(thread, NULL) != 0)
            return __LINE__;
    if (number != 8)
        return __LINE__;
    numbers = calloc(MANY, sizeof(*numbers));
    if (!numbers)
        return __LINE__;
    for (int i = 0; i < MANY; i++)
        numbers[i] = MANY - i;
    qsort(numbers, MANY, sizeof(*numbers), compare_ints);
    number = numbers[0];
    free(numbers);
    if (number != 1)
        return __LINE__;
    fd = has_landlock ? (int)syscall(SYS_openat2, ROOT_FD, "link", &beneath, sizeof(beneath))
                      : openat(ROOT_FD, "link", O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return __LINE__;
    mapping = mmap(NULL, 5, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED || memcmp(mapping, "model", 5) != 0)
        return __LINE__;
    if (fcntl(fd, F_DUPFD_CLOEXEC, 0) < 0 || munmap(mapping, 5) != 0 || close(fd) != 0)
        return __LINE__;
    fd = openat(ROOT_FD, ".", O_RDONLY | O_DIRECTORY);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir || !readdir(dir) || closedir(dir) != 0)
        return __LINE__;
    if (sendmsg(LINE_FD, &message, MSG_NOSIGNAL) != 1 || !gmtime_r(&now, &tm) || nanosleep(&nap, NULL) != 0)
        return __LINE__;
    if (isatty(WRITTEN_FD) || write(WRITTEN_FD, page, FILE_BYTES) != FILE_BYTES)
        return __LINE__;
    if (write(WRITTEN_FD, page, 1) != -1 || errno != EFBIG)
        return __LINE__;
    return 0;
}

/* Ends a child that did its part; what it says of itself goes to standard error. */
static void in_child(enum sandbox_mode mode, int (*part)(void), int *ret_status)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int line;

        enter(mode);
        line = part();
        if (line)
            dprintf(STDERR_FILENO, "line %d: %s\n", line, strerror(errno));
        _exit(line ? NOT_AS_BEFORE : 0);
    }
    ck_assert_int_eq(waitpid(child, ret_status, 0), child);
}

START_TEST(a_job_can_be_done_within_the_walls)
{
    int status;

    in_child(_i ? SANDBOX_REQUIRE : SANDBOX_AUTO, work, &status);
    ck_assert_msg(status == 0, "ended with %x", status);
}
END_TEST

static int give_up(void)
{
    abort();
}

START_TEST(a_defect_ends_the_process_as_ever)
{
    int status;

    in_child(SANDBOX_AUTO, give_up, &status);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
END_TEST

static void *make_socket(void *unused)
{
    socket(AF_INET, SOCK_STREAM, 0);
    return unused;
}

static int make_socket_in_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, make_socket, NULL) == 0)
        pthread_join(thread, NULL);
    return __LINE__;
}

START_TEST(a_thread_that_began_later_has_the_same_walls)
{
    int status;

    in_child(SANDBOX_AUTO, make_socket_in_thread, &status);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

/* A handler that is blocked cannot be kept from its duty by blocking the signal. */
static int make_socket_deaf(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    make_socket(NULL);
    return __LINE__;
}

START_TEST(blocking_the_signal_does_not_help)
{
    int status;

    in_child(SANDBOX_AUTO, make_socket_deaf, &status);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

static int write_within(void)
{
    struct landlock_place places[] = {{ROOT_FD, LANDLOCK_WRITE}};
    pid_t child;
    int status;

    if (landlock_confine(places, 1, true, NULL) != 0)
        return __LINE__;
    if (openat(OUTSIDE_FD, "file", O_WRONLY) >= 0 || errno != EACCES)
        return __LINE__;
    if (openat(OUTSIDE_FD, "new", O_RDONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
        return __LINE__;
    if (unlinkat(OUTSIDE_FD, "file", 0) == 0 || errno != EACCES)
        return __LINE__;
    if (renameat(ROOT_FD, "file", OUTSIDE_FD, "other") == 0)
        return __LINE__;
    if (openat(ROOT_FD, "new", O_RDWR | O_CREAT, 0600) < 0 || renameat(ROOT_FD, "new", ROOT_FD, "other") != 0 ||
        unlinkat(ROOT_FD, "other", 0) != 0 || mkdirat(ROOT_FD, "directory", 0700) != 0)
        return __LINE__;
    if (openat(OUTSIDE_FD, "file", O_RDONLY) < 0 || socket(AF_INET, SOCK_STREAM, 0) < 0)
        return __LINE__;
    child = fork();
    if (child == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : __LINE__;
}

START_TEST(walls_of_writing_leave_the_rest_free)
{
    int status;

    if (!has_landlock)
        return;
    in_child(SANDBOX_OFF, write_within, &status);
    ck_assert_msg(status == 0, "ended with %x", status);
}
END_TEST

START_TEST(walls_are_told_as_they_stand)
{
    struct walls walls = {.has_no_new_privs = true,
                          .has_seccomp = true,
                          .landlock_version = 7,
                          .memory_bytes = 1ULL << 40,
                          .file_bytes = 5,
                          .files = 6},
                 read;
    struct json_object *described = walls_describe(&walls);

    walls_read(described, &read);
    json_object_put(described);
    ck_assert(read.has_no_new_privs && read.has_seccomp);
    ck_assert_int_eq(read.landlock_version, 7);
    ck_assert_uint_eq(read.memory_bytes, 1ULL << 40);
    ck_assert_uint_eq(read.file_bytes, 5);
    ck_assert_uint_eq(read.files, 6);
    walls_read(NULL, &read);
    ck_assert(!read.has_no_new_privs && !read.has_seccomp && !read.landlock_version);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *tcase = tcase_create("sandbox");
    SRunner *runner = srunner_create(suite);
    int count = sizeof(attempts) / sizeof(attempts[0]), failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, no_wall_is_crossed, 0, count);
    tcase_add_loop_test(tcase, what_landlock_refuses_is_there_without_it, 0, count);
    tcase_add_loop_test(tcase, a_job_can_be_done_within_the_walls, 0, landlock_version() ? 2 : 1);
    tcase_add_test(tcase, a_defect_ends_the_process_as_ever);
    tcase_add_test(tcase, a_thread_that_began_later_has_the_same_walls);
    tcase_add_test(tcase, blocking_the_signal_does_not_help);
    tcase_add_test(tcase, walls_of_writing_leave_the_rest_free);
    tcase_add_test(tcase, walls_are_told_as_they_stand);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
