/* Archives of more than 4 GiB, whose members are holes: nothing of them is on a disk. What is written here is what
 * APPNOTE 4.3 and 4.5.3 say, and what Python's zipfile reads. */
#include "core/format/zip.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

enum { PIECES = 8, PIECE_BYTES = 1024 };

/* A source that is zero but for a few pieces. */
struct holes {
    struct source base;
    struct {
        uint64_t offset;
        size_t bytes;
        uint8_t data[PIECE_BYTES];
    } pieces[PIECES];
    size_t count;
};

static int holes_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    const struct holes *holes = (const struct holes *)source;

    (void)err;
    ck_assert_uint_le(offset, source->size);
    ck_assert_uint_le(bytes, source->size - offset);
    memset(buf, 0, bytes);
    for (size_t i = 0; i < holes->count; i++) {
        const uint64_t from = holes->pieces[i].offset > offset ? holes->pieces[i].offset : offset;
        const uint64_t piece_end = holes->pieces[i].offset + holes->pieces[i].bytes;
        const uint64_t to = piece_end < offset + bytes ? piece_end : offset + bytes;

        if (from < to)
            memcpy((uint8_t *)buf + (from - offset), holes->pieces[i].data + (from - holes->pieces[i].offset),
                   to - from);
    }
    return 0;
}

static const struct source_ops holes_ops = {.name = "holes", .read_at = holes_read_at};

/* Little-endian numbers of so many bytes, one behind the other, into the last piece. */
static void put(struct holes *holes, uint64_t value, size_t bytes)
{
    const size_t at = holes->count - 1;

    ck_assert_uint_le(holes->pieces[at].bytes + bytes, PIECE_BYTES);
    for (size_t i = 0; i < bytes; i++)
        holes->pieces[at].data[holes->pieces[at].bytes++] = (uint8_t)(i < sizeof(value) ? value >> 8 * i : 0);
    if (holes->base.size < holes->pieces[at].offset + holes->pieces[at].bytes)
        holes->base.size = holes->pieces[at].offset + holes->pieces[at].bytes;
}

static void begin_piece(struct holes *holes, uint64_t offset)
{
    ck_assert_uint_lt(holes->count, PIECES);
    holes->pieces[holes->count++].offset = offset;
}

struct planned {
    const char *name;
    uint64_t bytes;
    uint64_t offset;     /* of its header, as it comes to lie */
    size_t wide_lacking; /* bytes that the entry's ZIP64 field is cut by */
};

static uint64_t narrow(uint64_t value)
{
    return value < UINT32_MAX ? value : UINT32_MAX;
}

static void put_name(struct holes *holes, const char *name)
{
    for (; *name; name++)
        put(holes, (uint8_t)*name, 1);
}

static void put_member(struct holes *holes, struct planned *member)
{
    const bool is_wide = member->bytes >= UINT32_MAX;

    member->offset = holes->base.size;
    begin_piece(holes, member->offset);
    put(holes, 0x04034b50, 4);
    put(holes, 45, 2);
    put(holes, 0, 2 + 2 + 4 + 4); /* flags, stored, time, checksum */
    put(holes, narrow(member->bytes), 4);
    put(holes, narrow(member->bytes), 4);
    put(holes, strlen(member->name), 2);
    put(holes, is_wide ? 20 : 0, 2);
    put_name(holes, member->name);
    if (is_wide) {
        put(holes, 1, 2);
        put(holes, 16, 2);
        put(holes, member->bytes, 8);
        put(holes, member->bytes, 8);
    }
    holes->base.size += member->bytes;
}

static void put_entry(struct holes *holes, const struct planned *member)
{
    const uint64_t wide[] = {member->bytes, member->bytes, member->offset};
    uint64_t wide_bytes = 0;

    for (size_t i = 0; i < 3; i++)
        wide_bytes += wide[i] >= UINT32_MAX ? 8 : 0;
    wide_bytes -= member->wide_lacking;
    put(holes, 0x02014b50, 4);
    put(holes, 45, 2);
    put(holes, 45, 2);
    put(holes, 0, 2 + 2 + 4 + 4);
    put(holes, narrow(member->bytes), 4);
    put(holes, narrow(member->bytes), 4);
    put(holes, strlen(member->name), 2);
    put(holes, 6 + (wide_bytes ? 4 + wide_bytes : 0), 2);
    put(holes, 0, 2 + 2 + 2 + 4); /* comment, disk, attributes */
    put(holes, narrow(member->offset), 4);
    put_name(holes, member->name);
    put(holes, 0x4246, 2); /* somebody's field in front of it */
    put(holes, 2, 2);
    put(holes, 0, 2);
    if (wide_bytes) {
        put(holes, 1, 2);
        put(holes, wide_bytes, 2);
        for (size_t i = 0; i < 3 && wide_bytes > 0; i++)
            if (wide[i] >= UINT32_MAX) {
                put(holes, wide[i], wide_bytes < 8 ? wide_bytes : 8);
                wide_bytes -= wide_bytes < 8 ? wide_bytes : 8;
            }
    }
}

static void put_archive(struct holes *holes, struct planned *members, size_t count)
{
    uint64_t directory, end;

    *holes = (struct holes){.base = {.ops = &holes_ops, .uri = (char *)(uintptr_t) "holes.zip"}};
    for (size_t i = 0; i < count; i++)
        put_member(holes, &members[i]);
    directory = holes->base.size;
    begin_piece(holes, directory);
    for (size_t i = 0; i < count; i++)
        put_entry(holes, &members[i]);
    end = holes->base.size;
    put(holes, 0x06064b50, 4);
    put(holes, 44, 8);
    put(holes, 45, 2);
    put(holes, 45, 2);
    put(holes, 0, 4 + 4);
    put(holes, count, 8);
    put(holes, count, 8);
    put(holes, end - directory, 8);
    put(holes, directory, 8);
    put(holes, 0x07064b50, 4);
    put(holes, 0, 4);
    put(holes, end, 8);
    put(holes, 1, 4);
    put(holes, 0x06054b50, 4);
    put(holes, 0, 2 + 2);
    put(holes, count, 2);
    put(holes, count, 2);
    put(holes, end - directory, 4);
    put(holes, UINT32_MAX, 4);
    put(holes, 0, 2);
}

START_TEST(members_of_more_than_4_gib_and_behind_them_are_found)
{
    struct planned members[] = {{"a/data.pkl", 100, 0, 0},
                                {"a/data/0", 3 * GIB, 0, 0},
                                {"a/data/1", 5 * GIB, 0, 0},
                                {"a/data/2", 7, 0, 0},
                                {"a/version", 2, 0, 0}};
    const size_t count = sizeof(members) / sizeof(members[0]);
    struct holes *holes = malloc(sizeof(*holes));
    struct error err = {0};
    struct zip zip;

    ck_assert_ptr_nonnull(holes);
    put_archive(holes, members, count);
    ck_assert_msg(zip_open(&holes->base, &limits_default, &zip, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(zip.count, count);
    for (size_t i = 0; i < count; i++) {
        const struct zip_member *found = zip_find(&zip, name_of(members[i].name));
        const uint64_t header = 30 + strlen(members[i].name) + (members[i].bytes >= UINT32_MAX ? 20 : 0);

        ck_assert_ptr_nonnull(found);
        ck_assert_uint_eq(found->bytes, members[i].bytes);
        ck_assert_uint_eq(found->stored_bytes, members[i].bytes);
        ck_assert_uint_eq(found->offset, members[i].offset + header);
    }
    zip_done(&zip);
    free(holes);
}
END_TEST

START_TEST(an_entry_whose_wide_field_is_cut_is_refused)
{
    struct planned members[] = {{"a/data/0", 5 * GIB, 0, 0}, {"a/version", 2, 0, 0}};
    struct holes *holes = malloc(sizeof(*holes));
    struct error err = {0};
    struct zip zip;

    ck_assert_ptr_nonnull(holes);
    for (size_t lacking = 1; lacking <= 8; lacking++) {
        members[1].wide_lacking = lacking;
        put_archive(holes, members, 2);
        ck_assert_int_eq(zip_open(&holes->base, &limits_default, &zip, &err), ERROR_FORMAT);
        ck_assert_ptr_nonnull(strstr(err.text, "directory"));
    }
    free(holes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("zip");
    TCase *tcase = tcase_create("zip");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, members_of_more_than_4_gib_and_behind_them_are_found);
    tcase_add_test(tcase, an_entry_whose_wide_field_is_cut_is_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
