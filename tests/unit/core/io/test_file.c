#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "core/io/place.h"
#include "core/io/source.h"
#include "tests/unit/core/io/scratch.h"

static int root; /* the scratch directory */

static void setup(void)
{
    scratch_setup();
    root = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root, 0);
    scratch_text("file", "0123456789");
    scratch_mkdir("sub");
    scratch_text("sub/inner", "inner");
}

static void teardown(void)
{
    close(root);
    scratch_teardown();
}

static struct place confined(const char *path)
{
    return (struct place){.dir_fd = root, .is_confined = 1, .path = path, .uri = path};
}

static struct place plain(const char *name)
{
    const char *path = in_scratch(name);

    return (struct place){.dir_fd = AT_FDCWD, .path = path, .uri = name};
}

static struct source *open_place(struct place place)
{
    struct source *source = NULL;
    struct error err = {0};

    ck_assert_msg(file_open(&place, &source, &err) == 0, "%s", err.text);
    return source;
}

static void assert_refused(struct place place, int code, const char *says)
{
    struct source *source = (struct source *)&place;
    struct error err = {0};
    int fd = -7, is_directory;

    ck_assert_int_eq(file_open(&place, &source, &err), code);
    ck_assert_int_eq(err.code, code);
    ck_assert_ptr_eq(source, (struct source *)&place); /* untouched */
    ck_assert_msg(strstr(err.text, says), "%s", err.text);
    ck_assert_int_eq(place_open(&place, &fd, &is_directory, NULL), code);
    ck_assert_int_eq(fd, -7);
}

START_TEST(bytes_are_read_and_mapped_where_they_lie)
{
    struct source *source = open_place(plain("file"));
    struct span span = {0};
    char buf[4] = "";

    ck_assert_uint_eq(source->size, 10);
    ck_assert_int_eq(source_read_at(source, 3, buf, 3, NULL), 0);
    ck_assert_str_eq(buf, "345");
    ck_assert_int_eq(source->ops->map(source, 7, 3, &span, NULL), 0);
    ck_assert_uint_eq(span.bytes, 3);
    ck_assert_mem_eq(span.data, "789", 3);
    source->ops->unmap(source, &span);
    ck_assert_ptr_null(span.data);
    ck_assert_int_eq(source->ops->map(source, 10, 0, &span, NULL), 0);
    source->ops->unmap(source, &span);
    ck_assert_int_eq(source_check(source, NULL), 0);
    source_close(source);
}
END_TEST

START_TEST(a_range_beyond_the_end_is_malformed)
{
    struct source *source = open_place(plain("file"));
    struct span span;
    char buf[16];

    ck_assert_int_eq(source_read_at(source, 8, buf, 3, NULL), ERROR_FORMAT);
    ck_assert_int_eq(source_read_at(source, UINT64_MAX, buf, 2, NULL), ERROR_FORMAT);
    ck_assert_int_eq(source->ops->map(source, 8, 3, &span, NULL), ERROR_FORMAT);
    ck_assert_int_eq(source->ops->map(source, 1, SIZE_MAX, &span, NULL), ERROR_FORMAT);
    source_close(source);
}
END_TEST

START_TEST(a_memory_source_keeps_to_its_bytes)
{
    struct source *source;
    struct span span;
    char buf[4] = "";

    ck_assert_int_eq(memory_open("abcdef", 6, "buffer", &source, NULL), 0);
    ck_assert_int_eq(source_read_at(source, 2, buf, 3, NULL), 0);
    ck_assert_str_eq(buf, "cde");
    ck_assert_int_eq(source_read_at(source, 4, buf, 3, NULL), ERROR_FORMAT);
    ck_assert_int_eq(source->ops->map(source, 5, 1, &span, NULL), 0);
    ck_assert_mem_eq(span.data, "f", 1);
    source->ops->unmap(source, &span);
    ck_assert_int_eq(source_check(source, NULL), 0);
    source_close(source);
    source_close(NULL);
}
END_TEST

START_TEST(a_file_that_was_cut_is_noticed)
{
    struct source *source = open_place(plain("file"));
    struct error err = {0};
    struct span span;
    char buf[10];

    ck_assert_int_eq(truncate(in_scratch("file"), 4), 0);
    ck_assert_int_eq(source_read_at(source, 0, buf, 10, &err), ERROR_CHANGED);
    ck_assert_str_eq(err.text, "file: was cut from 10 to 4 bytes while it was read");
    ck_assert_int_eq(source->ops->map(source, 0, 10, &span, &err), ERROR_CHANGED);
    ck_assert_int_eq(source_check(source, &err), ERROR_CHANGED);
    source_close(source);
}
END_TEST

START_TEST(a_file_that_was_rewritten_or_grew_is_noticed)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    struct source *source = open_place(plain("file"));
    struct error err = {0};

    ck_assert_int_eq(utimensat(AT_FDCWD, in_scratch("file"), times, 0), 0); /* what a write does, at a time we choose */
    ck_assert_int_eq(source_check(source, &err), ERROR_CHANGED);
    ck_assert_msg(strstr(err.text, "was written to"), "%s", err.text);
    ck_assert_int_eq(truncate(in_scratch("file"), 40), 0);
    ck_assert_int_eq(source_check(source, &err), ERROR_CHANGED);
    ck_assert_msg(strstr(err.text, "grew from 10 to 40"), "%s", err.text);
    source_close(source);
}
END_TEST

START_TEST(a_file_that_was_replaced_or_removed_is_noticed)
{
    struct place places[2] = {plain("file"), confined("file")};
    struct source *source = open_place(places[_i]);
    struct error err = {0};

    scratch_text("new", "0123456789");
    ck_assert_int_eq(rename(in_scratch("new"), in_scratch("file")), 0);
    ck_assert_int_eq(source_check(source, &err), ERROR_CHANGED);
    ck_assert_msg(strstr(err.text, "was replaced"), "%s", err.text);
    ck_assert_int_eq(unlink(in_scratch("file")), 0);
    ck_assert_int_eq(source_check(source, &err), ERROR_CHANGED);
    ck_assert_msg(strstr(err.text, "was removed"), "%s", err.text);
    source_close(source);
}
END_TEST

START_TEST(a_hard_link_or_a_chmod_is_no_change)
{
    struct source *source = open_place(plain("file"));

    ck_assert_int_eq(link(in_scratch("file"), in_scratch("cached")), 0);
    ck_assert_int_eq(chmod(in_scratch("file"), 0600), 0);
    ck_assert_int_eq(source_check(source, NULL), 0);
    source_close(source);
}
END_TEST

START_TEST(the_roots_descriptor_may_be_closed_after_opening)
{
    int copy = fcntl(root, F_DUPFD_CLOEXEC, 0);
    struct place place = confined("file");
    struct source *source;

    place.dir_fd = copy;
    source = open_place(place);
    close(copy);
    ck_assert_int_eq(source_check(source, NULL), 0);
    source_close(source);
}
END_TEST

START_TEST(a_descriptor_makes_a_source)
{
    int fd = open(in_scratch("file"), O_RDONLY | O_CLOEXEC), dir = open(scratch, O_RDONLY | O_CLOEXEC);
    struct source *source;

    ck_assert_int_eq(file_open_descriptor(dir, "dir", &source, NULL), ERROR_NOT_REGULAR);
    close(dir);
    ck_assert_int_eq(file_open_descriptor(fd, "upload", &source, NULL), 0);
    ck_assert_uint_eq(source->size, 10);
    ck_assert_int_eq(unlink(in_scratch("file")), 0);
    ck_assert_int_eq(source_check(source, NULL), 0); /* nobody said where it lay */
    source_close(source);
}
END_TEST

enum { PAGES = 512, PAGE_BYTES = 4096 };

static unsigned resident_pages(const char *path)
{
    unsigned char residence[PAGES] = {0};
    unsigned count = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *mapping = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

    ck_assert_ptr_ne(mapping, MAP_FAILED);
    ck_assert_int_eq(mincore(mapping, PAGES * PAGE_BYTES, residence), 0);
    munmap(mapping, PAGES * PAGE_BYTES);
    close(fd);
    for (size_t i = 0; i < PAGES; i++)
        count += residence[i] & 1;
    return count;
}

START_TEST(asking_what_is_cached_reads_nothing)
{
    static const char zeros[PAGES * PAGE_BYTES];
    struct source *source;
    int fd;

    scratch_write("large", zeros, sizeof(zeros));
    source = open_place(plain("large"));
    for (uint64_t i = 0; i < PAGES; i++)
        ck_assert(source->ops->is_cached(source, i * PAGE_BYTES));
    fd = open(in_scratch("large"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(fdatasync(fd), 0);
    ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    /* Files in memory never leave. */
    if (resident_pages(in_scratch("large")) == 0)
        for (uint64_t i = 0; i < PAGES; i++) {
            ck_assert(!source->ops->is_cached(source, i * PAGE_BYTES));
            ck_assert_uint_eq(resident_pages(in_scratch("large")), 0);
        }
    source_close(source);
}
END_TEST

START_TEST(what_is_missing_is_not_found)
{
    static char long_name[5000];

    memset(long_name, 'a', sizeof(long_name) - 1);
    assert_refused(plain("nothing"), ERROR_NOT_FOUND, "nothing: no such file");
    assert_refused(confined("nothing"), ERROR_NOT_FOUND, "no such file");
    assert_refused(plain("file/inner"), ERROR_NOT_FOUND, "not a directory");
    assert_refused(confined(long_name), ERROR_NOT_FOUND, "too long");
}
END_TEST

START_TEST(a_fifo_is_refused_without_waiting)
{
    ck_assert_int_eq(mkfifo(in_scratch("pipe"), 0600), 0);
    assert_refused(plain("pipe"), ERROR_NOT_REGULAR, "pipe: is a FIFO; only regular files and directories are read");
    assert_refused(confined("pipe"), ERROR_NOT_REGULAR, "is a FIFO");
}
END_TEST

START_TEST(a_device_and_a_socket_are_refused)
{
    struct place device = {.dir_fd = AT_FDCWD, .path = "/dev/zero", .uri = "/dev/zero"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_scratch("sock"));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_refused(device, ERROR_NOT_REGULAR, "is a character device");
    assert_refused(plain("sock"), ERROR_NOT_REGULAR, "is a socket");
    assert_refused(confined("sock"), ERROR_NOT_REGULAR, "socket");
    close(fd);
}
END_TEST

START_TEST(a_directory_is_a_place_but_no_file)
{
    struct place sub = confined("sub"), all = confined("");
    struct source *source;
    int fd, is_directory = 0;

    ck_assert_int_eq(place_open(&sub, &fd, &is_directory, NULL), 0);
    ck_assert_int_ne(is_directory, 0);
    close(fd);
    ck_assert_int_eq(place_open(&all, &fd, &is_directory, NULL), 0);
    ck_assert_int_ne(is_directory, 0);
    close(fd);
    ck_assert_int_eq(file_open(&sub, &source, NULL), ERROR_NOT_REGULAR);
}
END_TEST

START_TEST(a_file_without_permission_is_refused)
{
    if (geteuid() == 0)
        return; /* root may read everything */
    ck_assert_int_eq(chmod(in_scratch("file"), 0), 0);
    assert_refused(plain("file"), ERROR_ACCESS, "file: no permission");
}
END_TEST

static const char *const ways_out[] = {"../file",      "sub/../../x", "/etc/passwd", "link_out", "link_absolute",
                                       "link_up/file", "sub/up/file", "proc/self",   ".."};

static void make_ways_out(void)
{
    ck_assert_int_eq(symlink("../../../etc/passwd", in_scratch("link_out")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", in_scratch("link_absolute")), 0);
    ck_assert_int_eq(symlink("..", in_scratch("link_up")), 0);
    ck_assert_int_eq(symlink("../..", in_scratch("sub/up")), 0);
    ck_assert_int_eq(symlink("/proc", in_scratch("proc")), 0);
}

START_TEST(no_path_leads_out_of_its_root)
{
    make_ways_out();
    assert_refused(confined(ways_out[_i]), ERROR_OUTSIDE, "");
}
END_TEST

START_TEST(a_link_within_the_root_is_followed)
{
    struct source *source;

    ck_assert_int_eq(symlink("sub/inner", in_scratch("link")), 0);
    source = open_place(confined("link"));
    ck_assert_uint_eq(source->size, 5);
    source_close(source);
}
END_TEST

START_TEST(the_walk_without_openat2_is_stricter)
{
    struct place place = confined(ways_out[_i]);

    make_ways_out();
    ck_assert_int_eq(place_walk(&place, O_RDONLY), -1);
    ck_assert_msg(errno == EXDEV || errno == ELOOP, "%s: %s", ways_out[_i], strerror(errno));
}
END_TEST

START_TEST(the_walk_without_openat2_finds_files)
{
    struct place found[] = {confined("file"), confined("sub/inner"), confined("./sub//inner"), confined(""),
                            confined("sub/")};
    struct place missing = confined("sub/none"), through_file = confined("file/x");

    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        int fd = place_walk(&found[i], O_RDONLY);

        ck_assert_msg(fd >= 0, "%s: %s", found[i].path, strerror(errno));
        close(fd);
    }
    ck_assert_int_eq(place_walk(&missing, O_RDONLY), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(place_walk(&through_file, O_RDONLY), -1);
    ck_assert_int_eq(errno, ENOTDIR);
}
END_TEST

static atomic_bool is_over;

/* Swaps a directory of the root with a link that leads out of it, as fast as it can. */
static void *swap(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over))
        syscall(SYS_renameat2, root, "root/door", root, "root/trap", RENAME_EXCHANGE);
    return NULL;
}

START_TEST(no_race_against_a_rename_leads_out)
{
    struct place place = {.is_confined = 1, .path = "door/secret", .uri = "door/secret"};
    int opened = 0, refused = 0;
    pthread_t thread;

    scratch_mkdir("root");
    scratch_mkdir("root/door");
    scratch_mkdir("outside");
    scratch_text("root/door/secret", "in");
    scratch_text("outside/secret", "outside");
    ck_assert_int_eq(symlink("../outside", in_scratch("root/trap")), 0);
    place.dir_fd = open(in_scratch("root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    atomic_store(&is_over, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, swap, NULL), 0);
    for (int i = 0; i < 1000000 && (i < 20000 || !opened || !refused); i++) {
        int is_walk = i % 2;
        int fd = is_walk ? place_walk(&place, O_RDONLY) : place_resolve(&place, O_RDONLY);
        struct stat st;

        if (fd < 0) {
            ck_assert_msg(errno == EXDEV || errno == ELOOP || errno == EAGAIN || errno == ENOENT, "%s",
                          strerror(errno));
            refused++;
            continue;
        }
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_int_eq(st.st_size, 2);
        close(fd);
        opened++;
    }
    atomic_store(&is_over, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    close(place.dir_fd);
    ck_assert_int_gt(opened, 0);
    ck_assert_int_gt(refused, 0);
}
END_TEST

START_TEST(messages_escape_odd_bytes_of_a_name)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = "/nowhere", .uri = "a\x1b[31m\xff"};
    struct source *source;
    struct error err;

    ck_assert_int_eq(file_open(&place, &source, &err), ERROR_NOT_FOUND);
    ck_assert_str_eq(err.text, "a\\x1b[31m\\xff: no such file or directory");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("io/file");
    TCase *tests = tcase_create("file");
    SRunner *runner;
    int failed;
    int ways = sizeof(ways_out) / sizeof(ways_out[0]);

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, bytes_are_read_and_mapped_where_they_lie);
    tcase_add_test(tests, a_range_beyond_the_end_is_malformed);
    tcase_add_test(tests, a_memory_source_keeps_to_its_bytes);
    tcase_add_test(tests, a_file_that_was_cut_is_noticed);
    tcase_add_test(tests, a_file_that_was_rewritten_or_grew_is_noticed);
    tcase_add_loop_test(tests, a_file_that_was_replaced_or_removed_is_noticed, 0, 2);
    tcase_add_test(tests, a_hard_link_or_a_chmod_is_no_change);
    tcase_add_test(tests, the_roots_descriptor_may_be_closed_after_opening);
    tcase_add_test(tests, a_descriptor_makes_a_source);
    tcase_add_test(tests, asking_what_is_cached_reads_nothing);
    tcase_add_test(tests, what_is_missing_is_not_found);
    tcase_add_test(tests, a_fifo_is_refused_without_waiting);
    tcase_add_test(tests, a_device_and_a_socket_are_refused);
    tcase_add_test(tests, a_directory_is_a_place_but_no_file);
    tcase_add_test(tests, a_file_without_permission_is_refused);
    tcase_add_loop_test(tests, no_path_leads_out_of_its_root, 0, ways);
    tcase_add_test(tests, a_link_within_the_root_is_followed);
    tcase_add_loop_test(tests, the_walk_without_openat2_is_stricter, 0, ways);
    tcase_add_test(tests, the_walk_without_openat2_finds_files);
    tcase_add_test(tests, no_race_against_a_rename_leads_out);
    tcase_add_test(tests, messages_escape_odd_bytes_of_a_name);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
