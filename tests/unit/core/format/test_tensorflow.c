/* Checkpoints by TensorFlow itself (fixtures/twins/make_tensorflow.py) beside their twin; and indexes made up here,
 * most of which lie. */
#include "core/format/format.h"

#include <unistd.h>

#include "tests/unit/core/format/made_table.h"
#include "tests/unit/core/format/twins.h"
#include "tests/unit/core/io/scratch.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

/* Opens bytes as x.index, eight bytes of data beside it. */
static int open_table(const struct made_table *table, struct model **ret_model, struct error *err)
{
    char folder[] = "/tmp/diffaid-tensorflow-XXXXXX", path[64], data[64];
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = "x.index"};
    FILE *file;
    int rc;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/x.index", folder);
    snprintf(data, sizeof(data), "%s/x.data-00000-of-00001", folder);
    file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(table->bytes, 1, table->count, file), table->count);
    fclose(file);
    file = fopen(data, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite("01234567", 1, 8, file), 8);
    fclose(file);
    *err = (struct error){0};
    *ret_model = NULL;
    rc = model_open(&place, &limits_default, ret_model, err);
    unlink(path);
    unlink(data);
    rmdir(folder);
    return rc;
}

START_TEST(checkpoints_hold_what_their_twin_holds)
{
    static const struct {
        const char *file;
        size_t files;
    } rows[] = {{TWINS "plain.index", 2}, {TWINS "sliced.index", 3}, {TWINS "snappy.index", 2}, {TWINS "snappy", 2}};
    struct model *twin = open_path(TWINS "tensorflow.safetensors"), *model = open_path(rows[_i].file);

    ck_assert_str_eq(model->format->name, "tensorflow");
    ck_assert_uint_eq(check_twins(model, twin), twin->tensor_count);
    ck_assert_uint_eq(model_count_files(model), rows[_i].files);
    ck_assert_uint_eq(model->warning_count, 0);
    model_close(model);
    model_close(twin);
}
END_TEST

/* A directory as TensorFlow's own writers leave it: which of several checkpoints is the latest, "checkpoint" says. */
START_TEST(the_latest_of_several_checkpoints_is_read)
{
    static const struct {
        const char *state;
        const char *uri, *says;
    } rows[] = {
        {"model_checkpoint_path: \"b-2\"\nall_model_checkpoint_paths: \"b-2\"\n", "b-2.index",
         "only b-2.index was read"},
        {"model_checkpoint_path: \"/elsewhere/a-10\"\n", "a-10.index", "only a-10.index was read"},
        {"model_checkpoint_path: \"c-3\"\n", NULL, "name one"},
        {"model_checkpoint_path: \"a-10", NULL, "name one"},
        {"", NULL, "name one"},
    };
    static const char *const names[] = {"a-10", "b-2"}, *const ends[] = {".index", ".data-00000-of-00001"};
    struct place place = {.dir_fd = AT_FDCWD, .path = scratch, .uri = "m"};
    static uint8_t bytes[1 << 14];
    struct model *model = NULL;
    struct error err = {0};

    scratch_setup();
    for (int i = 0; i < 4; i++) {
        char name[64], path[512];
        size_t count;
        FILE *file;

        snprintf(path, sizeof(path), TWINS "plain%s", ends[i % 2]);
        file = fopen(path, "rb");
        ck_assert_ptr_nonnull(file);
        count = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
        snprintf(name, sizeof(name), "%s%s", names[i / 2], ends[i % 2]);
        scratch_write(name, bytes, count);
    }
    scratch_text("checkpoint", rows[_i].state);
    if (rows[_i].uri) {
        ck_assert_msg(model_open(&place, &limits_default, &model, &err) == 0, "%s", err.text);
        ck_assert_msg(strstr(model->files[0].source->uri, rows[_i].uri), "%s", model->files[0].source->uri);
        ck_assert_msg(strstr(model->warnings[0].message, rows[_i].says), "%s", model->warnings[0].message);
        model_close(model);
    } else {
        ck_assert_int_eq(model_open(&place, &limits_default, &model, &err), ERROR_NO_MODEL);
        ck_assert_msg(strstr(err.text, rows[_i].says), "%s", err.text);
    }
    scratch_teardown();
}
END_TEST

START_TEST(slices_along_other_dimensions_are_listed)
{
    struct model *model = open_path(TWINS "tiles.index");
    const struct tensor *part = model_find(model, name_of("tiles.part_1"));

    ck_assert_uint_eq(model->tensor_count, 2);
    ck_assert_ptr_nonnull(part);
    ck_assert_uint_eq(part->shape.dims[0], 40);
    ck_assert_uint_eq(part->shape.dims[1], 4);
    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].code, "sliced-variable");
    model_close(model);
}
END_TEST

START_TEST(the_first_version_holds_its_variables_itself)
{
    struct model *twin = open_path(TWINS "tensorflow.safetensors"), *model = open_path(TWINS "first.ckpt");
    size_t held = 0;

    ck_assert_uint_eq(model_count_files(model), 1);
    ck_assert_uint_eq(model->tensor_count, 17);
    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *a = &model->tensors[t], *b = model_find(twin, a->name);
        size_t bytes_a, bytes_b;
        uint8_t *x, *y;

        if (!b)
            continue;
        ck_assert(a->dtype == b->dtype && shape_equal(&a->shape, &b->shape));
        x = elements_of(model, a, &bytes_a);
        y = elements_of(twin, b, &bytes_b);
        ck_assert(bytes_a == bytes_b && memcmp(x, y, bytes_a) == 0);
        free(x);
        free(y);
        held++;
    }
    ck_assert_uint_eq(held, 15);
    ck_assert_ptr_nonnull(model_find(model, name_of("tiles.part_1"))); /* sliced along its second dimension */
    model_close(model);
    model_close(twin);
}
END_TEST

/* Its blocks are not held against their checksums: whatever is in them must do no harm. */
START_TEST(a_first_version_that_is_cut_or_changed_anywhere_does_no_harm)
{
    FILE *file = fopen(TWINS "first.ckpt", "rb");
    uint8_t bytes[8192];
    struct made_table table = {bytes, 0};
    struct model *model;
    struct error err;
    size_t count, refused = 0;

    ck_assert_ptr_nonnull(file);
    count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (table.count = 0; table.count < count; table.count += 7)
        ck_assert_int_lt(open_table(&table, &model, &err), 0);
    table.count = count;
    for (size_t i = 0; i < count; i++) {
        bytes[i] ^= 0x81;
        refused += open_table(&table, &model, &err) < 0;
        model_close(model);
        bytes[i] ^= 0x81;
    }
    ck_assert_uint_gt(refused, 400);
}
END_TEST

START_TEST(names_of_object_graphs_lose_their_tail)
{
    struct model *model = open_path(TWINS "object.index");

    ck_assert_ptr_nonnull(model_find(model, name_of("net.w")));
    ck_assert_ptr_nonnull(model_find(model, name_of("step")));
    ck_assert_ptr_null(model_find(model, name_of("_CHECKPOINTABLE_OBJECT_GRAPH")));
    model_close(model);
}
END_TEST

#define HEADER "\x08\x01"                  /* one shard */
#define SHAPE  "\x12\x04\x12\x02\x08\x02"  /* [2] */
#define GOOD   "\x08\x01" SHAPE "\x28\x08" /* F32 [2], 8 bytes at 0 */
#define LIE(key, header, entry, why)                                                                                   \
    {                                                                                                                  \
        key, sizeof(key) - 1, header, sizeof(header) - 1, entry, sizeof(entry) - 1, why                                \
    }
static const struct {
    const char *key;
    size_t key_bytes;
    const char *header;
    size_t header_bytes;
    const char *entry;
    size_t entry_bytes;
    const char *why; /* "": it is read */
} lies[] = {
    LIE("w", HEADER, GOOD, ""),
    LIE("w", "\x08\x00", GOOD, "x.index: its header claims 0 shards"),
    LIE("w", "\x08\x01\x10\x02", GOOD, "its header claims 1 shards of byte order 2"),
    LIE("w", "\x08\xff\xff\xff\x7f", GOOD, "claims 268435455 shards, the limit is 10000"),
    LIE("w", "\x0a\x00", GOOD, "is of no variable that the table tells of"),
    LIE("w", HEADER, "\x08\x63" SHAPE "\x28\x08", "variable w: is of the unknown dtype 99"),
    LIE("w", HEADER, "\x08\x01" SHAPE "\x18\x01\x28\x08", "lies in shard 1, the checkpoint has 1"),
    LIE("w", HEADER, "\x08\x01" SHAPE "\x28\x07", "2 elements of float32 do not take the 7 bytes it claims"),
    LIE("w", HEADER, "\x08\x01" SHAPE "\x20\x01\x28\x08", "claims 8 bytes at offset 1 of shard 0, which ends at 8"),
    LIE("w", HEADER, "\x08\x01\x12\x0d\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x28\x08",
        "its dimensions multiply to more than 2^64"),
    LIE("w", HEADER, "\x08\x01\x12\x02\x18\x01\x28\x08", "its rank is not known"),
    LIE("w", HEADER, "\x08\x01\x12\x7f", "claims 127 bytes, its message ends at"),
    LIE("\xff", HEADER, GOOD, "its name is no UTF-8"),
    LIE("w", HEADER, "\x08\x01" SHAPE "\x3a\x00", "was saved in slices, and there are none"),
    LIE("w", "\x08\x02", "\x08\x01" SHAPE "\x18\x01\x28\x08", "x.data-00001-of-00002: no such file"),
};

START_TEST(a_lie_is_refused_with_what_is_true)
{
    struct made_table table = {(uint8_t[512]){0}, 0};
    struct model *model;
    struct error err;
    int rc;

    table_entry(&table, "", 0, lies[_i].header, lies[_i].header_bytes);
    table_entry(&table, lies[_i].key, lies[_i].key_bytes, lies[_i].entry, lies[_i].entry_bytes);
    table_restarts(&table);
    table_finish(&table, 0);
    rc = open_table(&table, &model, &err);
    ck_assert_msg((rc == 0) == (lies[_i].why[0] == '\0'), "%d: %s", rc, err.text);
    ck_assert_msg(strstr(err.text, lies[_i].why), "%s", err.text);
    model_close(model);
}
END_TEST

START_TEST(a_table_that_lies_is_refused)
{
    static const struct {
        const char *block;
        size_t bytes;
        uint8_t kind;
        const char *why;
    } rows[] = {
        {"\0\0\2\x08\1\0\0\0\0\xff\xff\0\0", 13, 0, "claims more restarts than it has bytes"},
        {"\0\0\x7f\x08\1\0\0\0\0\1\0\0\0", 13, 0, "has an entry that reaches beyond its end"},
        {"\1\0\2\x08\1\0\0\0\0\1\0\0\0", 13, 0, "has a key that shares more than there is"},
        {"\0\1\0b\0\1\0a\0\0\0\0\1\0\0\0", 16, 0, "has keys that are not in order"},
        {"\0\1\0b\0\1\0b\0\0\0\0\1\0\0\0", 16, 0, "has keys that are not in order"},
        {"\1", 1, 0, "is shorter than its end"},
        {"abc", 3, 7, "is compressed by method 7"},
        {"\xff\xff\xff\xff\x0f", 5, 1, "claims more than it can give"},
        {"\x08\x01\x05\x00", 4, 1, "is damaged"}, /* a copy from before its start */
        {"\x08\xf0\xff", 3, 1, "is damaged"},     /* literal bytes that are not there */
        {"\0\1\0w\0\0\0\0\1\0\0\0", 12, 0, "its index has no header"},
    };
    struct made_table table = {(uint8_t[512]){0}, 0};
    struct model *model;
    struct error err;

    table_put(&table, rows[_i].block, rows[_i].bytes);
    table_finish(&table, rows[_i].kind);
    ck_assert_int_lt(open_table(&table, &model, &err), 0);
    ck_assert_msg(strstr(err.text, rows[_i].why), "%s", err.text);
}
END_TEST

START_TEST(an_index_that_is_cut_or_changed_anywhere_is_refused)
{
    FILE *file = fopen(TWINS "object.index", "rb");
    uint8_t bytes[1024];
    struct made_table table = {bytes, 0};
    struct model *model;
    struct error err;
    size_t count;

    ck_assert_ptr_nonnull(file);
    count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (table.count = 0; table.count < count; table.count++)
        ck_assert_int_lt(open_table(&table, &model, &err), 0);
    for (size_t i = 0; i < count - 48; i++) { /* blocks: their checksums see it; the metaindex nobody reads */
        bytes[i] ^= 1;
        ck_assert_msg(open_table(&table, &model, &err) < 0 || i >= 190, "byte %zu", i);
        model_close(model);
        bytes[i] ^= 1;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tensorflow");
    TCase *tcase = tcase_create("tensorflow");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, checkpoints_hold_what_their_twin_holds, 0, 4);
    tcase_add_loop_test(tcase, the_latest_of_several_checkpoints_is_read, 0, 5);
    tcase_add_test(tcase, slices_along_other_dimensions_are_listed);
    tcase_add_test(tcase, the_first_version_holds_its_variables_itself);
    tcase_add_test(tcase, a_first_version_that_is_cut_or_changed_anywhere_does_no_harm);
    tcase_add_test(tcase, names_of_object_graphs_lose_their_tail);
    tcase_add_loop_test(tcase, a_lie_is_refused_with_what_is_true, 0, COUNT(lies));
    tcase_add_loop_test(tcase, a_table_that_lies_is_refused, 0, 11);
    tcase_add_test(tcase, an_index_that_is_cut_or_changed_anywhere_is_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
