#include "core/format/format.h"

#include <dirent.h>

#include "tests/unit/core/io/scratch.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static struct limits limits;

static void setup(void)
{
    scratch_setup();
    limits = limits_default;
}

/* Opens name in the scratch directory ("" for the directory), as "m" or "m/name". */
static int open_model(const char *name, struct model **ret_model, struct error *err)
{
    char uri[512];
    struct place place = {.dir_fd = AT_FDCWD, .path = in_scratch(name), .uri = uri};

    snprintf(uri, sizeof(uri), "m%s%s", name[0] ? "/" : "", name);
    *ret_model = NULL;
    *err = (struct error){0};
    return model_open(&place, &limits, ret_model, err);
}

static struct model *open_good(const char *name)
{
    struct model *model;
    struct error err;

    ck_assert_msg(open_model(name, &model, &err) == 0, "%s", err.text);
    return model;
}

static void assert_refused(const char *name, int code, const char *says)
{
    struct model *model;
    struct error err;
    int rc = open_model(name, &model, &err);

    ck_assert_msg(rc == code, "%d: %s", rc, err.text);
    ck_assert_msg(strstr(err.text, says), "%s", err.text);
    ck_assert_msg(strncmp(err.text, "m", 1) == 0 && (err.text[1] == '/' || err.text[1] == ':'), "%s", err.text);
    ck_assert_ptr_null(model);
}

static void assert_warned(const struct model *model, const char *code, const char *says)
{
    for (size_t i = 0; i < model->warning_count; i++)
        if (strcmp(model->warnings[i].code, code) == 0 && strstr(model->warnings[i].message, says))
            return;
    ck_abort_msg("no warning %s: %s", code, says);
}

#define ONE(name)                                                                                                      \
    "{\"__metadata__\":{\"format\":\"pt\"},\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}"
#define SHARD_1 "model-00001-of-00002.safetensors"
#define SHARD_2 "model-00002-of-00002.safetensors"
#define INDEX   "model.safetensors.index.json"

static void write_shards(void)
{
    scratch_safetensors(SHARD_1, ONE("layers.10.w"), 4);
    scratch_safetensors(SHARD_2, ONE("layers.9.w"), 4);
}

static void write_index(const char *map)
{
    char text[4096];

    snprintf(text, sizeof(text), "{\"metadata\":{\"total_size\":8},\"weight_map\":{%s}}\n", map);
    scratch_text(INDEX, text);
}

#define WHOLE_MAP "\"layers.9.w\":\"" SHARD_2 "\",\"layers.10.w\":\"" SHARD_1 "\""

static void assert_both_shards(struct model *model, const char *uri)
{
    char file[600];

    ck_assert_uint_eq(model->file_count, 2);
    ck_assert_uint_eq(model->tensor_count, 2);
    ck_assert(name_equal(model->tensors[0].name, name_of("layers.9.w")));
    ck_assert_uint_eq(model->tensors[0].extent.source, 1);
    ck_assert_uint_eq(model->tensors[1].extent.source, 0);
    ck_assert_str_eq(model->uri, uri);
    snprintf(file, sizeof(file), "m/%s", SHARD_1);
    ck_assert_str_eq(model->files[0].source->uri, file);
    ck_assert_uint_eq(model->bytes, model->files[0].source->size + model->files[1].source->size);
    ck_assert_uint_eq(model->parameters, 8);
    ck_assert_uint_eq(model->metadata_count, 1);
    ck_assert_ptr_eq(model_find(model, name_of("layers.10.w")), &model->tensors[1]);
    ck_assert_int_eq(model_check_unchanged(model, NULL), 0);
    ck_assert_str_eq(model->format->name, "safetensors");
}

START_TEST(an_index_brings_its_shards_together)
{
    struct model *model;

    write_shards();
    write_index(WHOLE_MAP);
    scratch_text("config.json", "{\"a\": 1}");
    model = open_good("");
    assert_both_shards(model, "m");
    ck_assert_uint_eq(model->warning_count, 0);
    ck_assert_uint_eq(model->config_bytes, 8);
    ck_assert_str_eq(model->config, "{\"a\": 1}");
    model_close(model);
    model = open_good(INDEX); /* the index itself names the model as well */
    assert_both_shards(model, "m/" INDEX);
    ck_assert_uint_eq(model->config_bytes, 8);
    model_close(model);
}
END_TEST

START_TEST(shards_without_an_index_must_be_whole)
{
    struct model *model;

    write_shards();
    model = open_good("");
    assert_both_shards(model, "m");
    ck_assert_ptr_null(model->config);
    model_close(model);
    ck_assert_int_eq(unlink(in_scratch(SHARD_1)), 0);
    assert_refused("", ERROR_NO_MODEL, "shard 1 is missing");
    scratch_safetensors(SHARD_1, ONE("a"), 4);
    ck_assert_int_eq(unlink(in_scratch(SHARD_2)), 0);
    assert_refused("", ERROR_NO_MODEL, "only 1 shards of 2");
}
END_TEST

START_TEST(a_directory_with_one_file_is_that_file)
{
    struct model *model;

    scratch_safetensors("adapter_model.safetensors", ONE("a"), 4);
    scratch_text("README.md", "");
    scratch_mkdir("more.safetensors"); /* a directory is no weight file */
    model = open_good("");
    ck_assert_uint_eq(model->tensor_count, 1);
    ck_assert_uint_eq(model->warning_count, 0);
    model_close(model);
}
END_TEST

START_TEST(a_directory_with_several_files_is_ambiguous_unless_one_has_the_usual_name)
{
    struct model *model;

    scratch_safetensors("one.safetensors", ONE("a"), 4);
    scratch_safetensors("two.safetensors", ONE("b"), 4);
    assert_refused("", ERROR_NO_MODEL,
                   "m: holds 2 safetensors files and no index (one.safetensors, two.safetensors); name one");
    scratch_safetensors("model.safetensors", ONE("c"), 4);
    model = open_good("");
    ck_assert_ptr_nonnull(model_find(model, name_of("c")));
    assert_warned(model, "several-models", "only model.safetensors was read");
    model_close(model);
}
END_TEST

START_TEST(several_indexes_are_ambiguous_unless_one_has_the_usual_name)
{
    struct model *model;

    write_shards();
    scratch_text("a.safetensors.index.json", "{}");
    scratch_text("b.safetensors.index.json", "{}");
    assert_refused("", ERROR_NO_MODEL,
                   "holds 2 indexes (a.safetensors.index.json, b.safetensors.index.json); name one");
    write_index(WHOLE_MAP);
    model = open_good("");
    assert_both_shards(model, "m");
    assert_warned(model, "several-models", INDEX " was read");
    model_close(model);
}
END_TEST

START_TEST(a_directory_without_a_model_says_what_it_saw)
{
    scratch_text("config.json", "{}");
    assert_refused("", ERROR_NO_MODEL, "m: no model lies in this directory");
    scratch_text("model.onnx", "");
    assert_refused("", ERROR_NO_MODEL, "model.onnx is of a format");
}
END_TEST

START_TEST(a_directorys_names_promise_a_model)
{
    int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error err;

    ck_assert_int_eq(directory_promises_model(fd, &err), ERROR_NO_MODEL);
    scratch_text("model.safetensors", "not looked into");
    ck_assert_int_eq(directory_promises_model(fd, &err), 0);
    ck_assert_int_eq(directory_promises_model(fd, &err), 0); /* the descriptor's offset stays */
    close(fd);
}
END_TEST

/* Indexes that lie about shards that are fine. */
static const struct {
    const char *map;
    int code;
    const char *says;
} lying_maps[] = {
    {"\"layers.9.w\":\"" SHARD_2 "\",\"gone\":\"" SHARD_1 "\"", ERROR_FORMAT,
     "m/" INDEX ": index: tensor gone is mapped to " SHARD_1 ", which does not hold it"},
    {"\"layers.9.w\":\"" SHARD_1 "\",\"layers.10.w\":\"" SHARD_2 "\"", ERROR_FORMAT,
     "tensor layers.9.w is mapped to " SHARD_1 ", but lies in m/" SHARD_2},
    {WHOLE_MAP ",\"x\":\"model-00003-of-00003.safetensors\"", ERROR_NOT_FOUND,
     "its shard model-00003-of-00003.safetensors is missing"},
    {"\"a\":\"../" SHARD_1 "\"", ERROR_FORMAT, "no plain file name"},
    {"\"a\":\"/etc/passwd\"", ERROR_FORMAT, "no plain file name"},
    {"\"a\":\"sub/x.safetensors\"", ERROR_FORMAT, "no plain file name"},
    {"\"a\":\"..\"", ERROR_FORMAT, "no plain file name"},
    {"\"a\":\".\"", ERROR_FORMAT, "no plain file name"},
    {"\"a\":\"\"", ERROR_FORMAT, "no plain file name"},
    {"\"a\":\"x\\u0000\"", ERROR_FORMAT, "no plain file name"},
    {"\"a\":\"" INDEX "\"", ERROR_UNSUPPORTED, "no known format"},
    {WHOLE_MAP ",\"layers.9.w\":\"" SHARD_2 "\"", ERROR_FORMAT, "tensor layers.9.w is mapped twice"},
    {WHOLE_MAP ",\"layers.9.\\u0077\":\"" SHARD_2 "\"", ERROR_FORMAT, "tensor layers.9.w is mapped twice"},
    {"\"a\":7", ERROR_FORMAT, "expected a string"},
    {"\"a\":[\"" SHARD_1 "\"]", ERROR_FORMAT, "expected a string"},
    {"", ERROR_FORMAT, "weight_map is empty"},
};

START_TEST(an_index_that_lies_is_refused)
{
    write_shards();
    write_index(lying_maps[_i].map);
    assert_refused("", lying_maps[_i].code, lying_maps[_i].says);
}
END_TEST

static const struct {
    const char *text;
    int code;
    const char *says;
} broken_indexes[] = {
    {"{}", ERROR_UNSUPPORTED, "it has no weight_map"},
    {"{\"weight_map\":{}}", ERROR_FORMAT, "weight_map is empty"},
    {"{\"weight_map\":[]}", ERROR_FORMAT, "expected an object, at byte 14"},
    {"{\"weight_map\":{\"a\":\"b\"}", ERROR_FORMAT, "ends too early"},
    {"{\"weight_map\":{\"a\":\"b\"}} x", ERROR_FORMAT, "something follows"},
    {"{\"weight_map\":{\"a\":\"b\"},\"weight_map\":{\"a\":\"b\"}}", ERROR_FORMAT, "weight_map appears twice"},
    {"{\"weight_map\":{\"\xff\":\"b\"}}", ERROR_FORMAT, "not valid UTF-8"},
    {"{\"metadata\":{\"total_size\":1.},\"weight_map\":{\"a\":\"b\"}}", ERROR_FORMAT, "point"},
    {"", ERROR_FORMAT, "ends too early"},
};

START_TEST(a_broken_index_is_refused)
{
    scratch_text(INDEX, broken_indexes[_i].text);
    assert_refused("", broken_indexes[_i].code, broken_indexes[_i].says);
}
END_TEST

START_TEST(a_json_file_that_is_no_index_is_no_model)
{
    scratch_text("config.json", "{\"model_type\": \"llama\"}");
    assert_refused("config.json", ERROR_UNSUPPORTED, "m/config.json: JSON, but no index of a model");
}
END_TEST

START_TEST(tensors_that_the_index_leaves_out_take_part)
{
    struct model *model;

    write_shards();
    write_index("\"layers.9.w\":\"" SHARD_2 "\"");
    scratch_safetensors(SHARD_2,
                        "{\"layers.9.w\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                        "\"extra\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
                        8);
    model = open_good("");
    ck_assert_uint_eq(model->file_count, 1); /* the other shard is not mapped at all */
    ck_assert_uint_eq(model->tensor_count, 2);
    assert_warned(model, "extra-tensor", "tensor extra lies in m/" SHARD_2 ", but the index does not map it");
    assert_warned(model, "total-size", "claims a total_size of 8 bytes, its tensors have 4");
    ck_assert(name_equal(model->warnings[0].tensor, name_of("extra")));
    model_close(model);
}
END_TEST

START_TEST(a_tensor_in_two_shards_is_refused)
{
    scratch_safetensors(SHARD_1, ONE("same"), 4);
    scratch_safetensors(SHARD_2, ONE("same"), 4);
    assert_refused("", ERROR_FORMAT, "m: tensor same lies in both m/" SHARD_1 " and m/" SHARD_2);
}
END_TEST

START_TEST(shards_that_disagree_about_metadata_are_told_of)
{
    struct model *model;

    write_shards();
    scratch_safetensors(SHARD_2, "{\"__metadata__\":{\"format\":\"np\",\"by\":\"me\"}}", 0);
    model = open_good("");
    ck_assert_uint_eq(model->metadata_count, 2);
    ck_assert(name_equal(model->metadata[0].key, name_of("by")));
    ck_assert(name_equal(model->metadata[1].value, name_of("pt"))); /* the first shard's */
    assert_warned(model, "metadata-conflict", "format");
    model_close(model);
}
END_TEST

START_TEST(a_broken_shard_names_itself)
{
    write_shards();
    write_index(WHOLE_MAP);
    ck_assert_int_eq(truncate(in_scratch(SHARD_2), 60), 0);
    assert_refused("", ERROR_FORMAT, "m/" SHARD_2 ": header claims");
}
END_TEST

START_TEST(a_float_total_size_is_passed_over)
{
    struct model *model;

    write_shards();
    scratch_text(INDEX,
                 "{\"metadata\": {\"total_size\": 8.0, \"x\": [1]}, \"more\": null, \"weight_map\": {" WHOLE_MAP "}}");
    model = open_good("");
    ck_assert_uint_eq(model->warning_count, 0);
    model_close(model);
}
END_TEST

START_TEST(a_config_that_cannot_be_read_is_a_warning)
{
    struct model *model;

    scratch_safetensors("model.safetensors", ONE("a"), 4);
    scratch_text("config.json", "{\"long\": true}");
    limits.config_bytes = 4;
    model = open_good("");
    ck_assert_ptr_null(model->config);
    assert_warned(model, "config-unreadable", "m/config.json: a config of 14 bytes, the limit is 4");
    model_close(model);
}
END_TEST

START_TEST(limits_hold_over_all_shards)
{
    write_shards();
    limits.tensors = 1;
    assert_refused("", ERROR_LIMIT, "tensors");
    limits = limits_default;
    limits.shards = 1;
    assert_refused("", ERROR_LIMIT, "weight files");
    limits = limits_default;
    write_index(WHOLE_MAP);
    limits.index_bytes = 10;
    assert_refused(INDEX, ERROR_LIMIT, "an index of");
    limits = limits_default;
    limits.shards = 1;
    ck_assert_int_eq(unlink(in_scratch(SHARD_1)), 0);
    assert_refused("", ERROR_LIMIT, "names more than 1 files");
}
END_TEST

/* Names and shapes may take so much memory for a header of so many bytes: beyond that it is the file that is at fault.
 */
START_TEST(a_file_that_asks_for_more_memory_than_it_may_meets_a_limit)
{
    static const struct {
        const char *file;
        uint64_t header_bytes;
    } rows[] = {{"matlab.mat", 16}, {"model.tflite", 40}, {"arrays.npz", 16},
                {"fortran.npy", 8}, {"state.msgpack", 8}, {"raw.onnx", 8}};
    char path[512];
    const struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = "m"};
    struct model *model = NULL;
    struct error err = {0};
    int rc;

    snprintf(path, sizeof(path), FIXTURES "/twins/%s", rows[_i].file);
    limits.header_bytes = rows[_i].header_bytes;
    rc = model_open(&place, &limits, &model, &err);
    ck_assert_msg(rc == ERROR_LIMIT && strstr(err.text, "take more memory than such a file may"), "%d: %s", rc,
                  err.text);
}
END_TEST

START_TEST(a_shard_that_leads_out_of_its_root_is_refused)
{
    struct place place = {.is_confined = 1, .path = "model", .uri = "m"};
    struct model *model;
    struct error err;

    scratch_mkdir("root");
    scratch_mkdir("root/model");
    scratch_safetensors("outside.safetensors", ONE("a"), 4);
    ck_assert_int_eq(symlink("../../outside.safetensors", in_scratch("root/model/model.safetensors")), 0);
    place.dir_fd = open(in_scratch("root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(model_open(&place, &limits, &model, &err), ERROR_OUTSIDE);
    ck_assert_ptr_nonnull(strstr(err.text, "m/model.safetensors"));
    scratch_safetensors("root/blob", ONE("a"), 4);
    ck_assert_int_eq(unlink(in_scratch("root/model/model.safetensors")), 0);
    ck_assert_int_eq(symlink("../blob", in_scratch("root/model/model.safetensors")), 0); /* as hub caches link */
    ck_assert_msg(model_open(&place, &limits, &model, &err) == 0, "%s", err.text);
    model_close(model);
    close(place.dir_fd);
}
END_TEST

START_TEST(a_fifo_among_the_shards_is_refused)
{
    write_index(WHOLE_MAP);
    scratch_safetensors(SHARD_2, ONE("layers.9.w"), 4);
    ck_assert_int_eq(mkfifo(in_scratch(SHARD_1), 0600), 0);
    assert_refused("", ERROR_NOT_REGULAR, "m/" SHARD_1 ": is a FIFO");
}
END_TEST

START_TEST(the_index_of_a_root_itself_is_found)
{
    struct place place = {.is_confined = 1, .path = "", .uri = "models"};
    struct model *model;
    struct error err;

    write_shards();
    write_index(WHOLE_MAP);
    place.dir_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_msg(model_open(&place, &limits, &model, &err) == 0, "%s", err.text);
    ck_assert_str_eq(model->files[1].source->uri, "models/" SHARD_2);
    close(place.dir_fd);
    ck_assert_int_eq(model_check_unchanged(model, NULL), 0);
    model_close(model);
}
END_TEST

START_TEST(a_shard_replaced_meanwhile_is_noticed)
{
    struct model *model;
    struct error err;

    write_shards();
    model = open_good("");
    ck_assert_int_eq(unlink(in_scratch(SHARD_2)), 0);
    ck_assert_int_eq(model_check_unchanged(model, &err), ERROR_CHANGED);
    ck_assert_ptr_nonnull(strstr(err.text, "m/" SHARD_2));
    model_close(model);
}
END_TEST

/* Every file of fixtures/bad is a lie of its own (make_bad.py says which). */
START_TEST(every_bad_fixture_is_refused)
{
    DIR *dir = opendir(FIXTURES "/bad");
    struct dirent *entry;
    int refused = 0;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir))) {
        struct place place = {.dir_fd = AT_FDCWD, .uri = entry->d_name};
        struct model *model;
        struct error err;
        char path[1024];
        int rc;

        if (!strstr(entry->d_name, ".safetensors"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", FIXTURES "/bad", entry->d_name);
        place.path = path;
        rc = model_open(&place, &limits, &model, &err);
        ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%s: %d", entry->d_name, rc);
        ck_assert_msg(strncmp(err.text, entry->d_name, strlen(entry->d_name)) == 0, "%s", err.text);
        refused++;
    }
    closedir(dir);
    ck_assert_int_ge(refused, 10);
}
END_TEST

/* fixtures/good was written by the safetensors library, and expected.tsv says what that library read back:
 * path, tensor, dtype, shape, first byte of the data, bytes. */
START_TEST(good_fixtures_are_read_as_the_library_reads_them)
{
    FILE *expected = fopen(FIXTURES "/good/expected.tsv", "r");
    char line[4096], last[256] = "", path[1024];
    struct model *model = NULL;
    size_t tensors = 0, models = 0;

    ck_assert_ptr_nonnull(expected);
    while (fgets(line, sizeof(line), expected)) {
        char file[256], name[512], dtype[32], shape[256], dims[256] = "";
        unsigned long long offset, bytes;
        const struct tensor *tensor;
        struct error err;

        if (line[0] == '#')
            continue;
        ck_assert_int_eq(sscanf(line, "%255[^\t]\t%511[^\t]\t%31[^\t]\t%255[^\t]\t%llu\t%llu", file, name, dtype, shape,
                                &offset, &bytes),
                         6);
        if (strcmp(file, last) != 0) {
            struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = file};

            if (model)
                ck_assert_uint_eq(model->tensor_count, tensors);
            model_close(model);
            snprintf(path, sizeof(path), "%s/%s", FIXTURES "/good", file);
            ck_assert_msg(model_open(&place, &limits, &model, &err) == 0, "%s", err.text);
            strcpy(last, file);
            tensors = 0;
            models++;
        }
        tensors++;
        tensor = model_find(model, name_of(name));
        ck_assert_msg(tensor != NULL, "%s: %s", file, name);
        ck_assert_msg(name_equal(tensor_dtype_name(tensor), name_of(dtype)), "%s: %s", file, name);
        for (uint32_t i = 0; i < tensor->shape.rank; i++)
            sprintf(dims + strlen(dims), "%s%llu", i ? "," : "", (unsigned long long)tensor->shape.dims[i]);
        ck_assert_str_eq(dims[0] ? dims : "-", shape);
        ck_assert_uint_eq(tensor->extent.offset, offset);
        ck_assert_uint_eq(tensor->extent.bytes, bytes);
    }
    ck_assert_uint_eq(model->tensor_count, tensors);
    model_close(model);
    fclose(expected);
    ck_assert_uint_ge(models, 8);
}
END_TEST

/* DIFFAID_MODELS names a directory of model directories: whatever lies there opens, or is no model. */
START_TEST(real_models_open)
{
    const char *models = getenv("DIFFAID_MODELS");
    DIR *dir = models ? opendir(models) : NULL;
    struct dirent *entry;
    int opened = 0;

    if (!models)
        return;
    ck_assert_msg(dir != NULL, "%s", models);
    while ((entry = readdir(dir))) {
        struct place place = {.dir_fd = AT_FDCWD, .uri = entry->d_name};
        char path[1024];
        struct model *model;
        struct error err;
        int rc;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", models, entry->d_name);
        place.path = path;
        rc = model_open(&place, &limits, &model, &err);
        if (rc == ERROR_NO_MODEL || rc == ERROR_UNSUPPORTED)
            continue;
        ck_assert_msg(rc == 0, "%s", err.text);
        ck_assert_int_eq(model_check_unchanged(model, NULL), 0);
        model_close(model);
        opened++;
    }
    closedir(dir);
    printf("%d models of %s opened\n", opened, models);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format/model_open");
    TCase *tests = tcase_create("model_open");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, scratch_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_index_brings_its_shards_together);
    tcase_add_test(tests, shards_without_an_index_must_be_whole);
    tcase_add_test(tests, a_directory_with_one_file_is_that_file);
    tcase_add_test(tests, a_directory_with_several_files_is_ambiguous_unless_one_has_the_usual_name);
    tcase_add_test(tests, several_indexes_are_ambiguous_unless_one_has_the_usual_name);
    tcase_add_test(tests, a_directory_without_a_model_says_what_it_saw);
    tcase_add_test(tests, a_directorys_names_promise_a_model);
    tcase_add_loop_test(tests, an_index_that_lies_is_refused, 0, COUNT(lying_maps));
    tcase_add_loop_test(tests, a_broken_index_is_refused, 0, COUNT(broken_indexes));
    tcase_add_test(tests, a_json_file_that_is_no_index_is_no_model);
    tcase_add_test(tests, tensors_that_the_index_leaves_out_take_part);
    tcase_add_test(tests, a_tensor_in_two_shards_is_refused);
    tcase_add_test(tests, shards_that_disagree_about_metadata_are_told_of);
    tcase_add_test(tests, a_broken_shard_names_itself);
    tcase_add_test(tests, a_float_total_size_is_passed_over);
    tcase_add_test(tests, a_config_that_cannot_be_read_is_a_warning);
    tcase_add_test(tests, limits_hold_over_all_shards);
    tcase_add_loop_test(tests, a_file_that_asks_for_more_memory_than_it_may_meets_a_limit, 0, 6);
    tcase_add_test(tests, a_shard_that_leads_out_of_its_root_is_refused);
    tcase_add_test(tests, a_fifo_among_the_shards_is_refused);
    tcase_add_test(tests, the_index_of_a_root_itself_is_found);
    tcase_add_test(tests, a_shard_replaced_meanwhile_is_noticed);
    tcase_add_test(tests, every_bad_fixture_is_refused);
    tcase_add_test(tests, good_fixtures_are_read_as_the_library_reads_them);
    tcase_add_test(tests, real_models_open);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
