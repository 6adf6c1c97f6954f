/* Opens models while the nth allocation fails, for every n: an error each time, no crash and nothing left behind. The
 * program's own malloc family counts and fails; under a sanitizer that family is the sanitizer's, and the walk is left
 * out. */
#include "core/format/format.h"
#include "core/model/align.h"
#include "tests/unit/core/io/scratch.h"
#include "tests/unit/failing_malloc.h"

#ifdef HAS_SANITIZER

int main(void)
{
    puts("left out: the allocator is the sanitizer's");
    return 0;
}

#else

static int open_and_pair(const char *name, struct error *err)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = in_scratch(name), .uri = "m"};
    struct pairing *pairing = NULL;
    struct model *model = NULL;
    const struct model *both[2];
    int rc = model_open(&place, &limits_default, &model, err);

    if (rc == 0) {
        both[0] = both[1] = model;
        rc = pairing_align(both, 2, &pairing, err);
    }
    pairing_free(pairing);
    model_close(model);
    return rc;
}

/* Lets one allocation after the other fail until the work goes through. */
static void walk(const char *name)
{
    long n = 0;
    int rc;

    do {
        struct error err = {0};

        live = 0;
        countdown = n++;
        is_counting = true;
        rc = open_and_pair(name, &err);
        is_counting = false;
        ck_assert_msg(live == 0, "%s: %ld blocks are left when allocation %ld fails: %s", name, live, n - 1, err.text);
        /* minizip does not tell short memory from a damaged archive. */
        ck_assert_msg(rc == 0 || rc == ERROR_NO_MEMORY || strstr(err.text, ": ZIP: "), "%s: allocation %ld: %d: %s",
                      name, n - 1, rc, err.text);
        /* A failure that does no harm (an advice, a config) may pass; then the countdown was reached all the same. */
    } while (rc != 0 || countdown < 0);
    ck_assert_int_gt(n, 5);
}

#define TENSORS                                                                                                        \
    "\"b.10\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"                                                \
    "\"b.9\":{\"dtype\":\"NEW\",\"shape\":[2,2],\"data_offsets\":[4,8]}"

START_TEST(a_file_opens_or_reports_short_memory)
{
    scratch_safetensors("one", " {\"__metadata__\":{\"b\":\"1\",\"a\":\"2\"}," TENSORS "}", 8);
    walk("one");
}
END_TEST

START_TEST(a_sharded_model_opens_or_reports_short_memory)
{
    scratch_safetensors("model-00001-of-00002.safetensors", "{\"__metadata__\":{\"a\":\"1\"}," TENSORS "}", 8);
    scratch_safetensors(
        "model-00002-of-00002.safetensors",
        " {\"__metadata__\":{\"a\":\"2\"},\"c\":{\"dtype\":\"NEW\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2);
    scratch_text("config.json", "{}");
    walk("");
    scratch_text("model.safetensors.index.json",
                 "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"b.9\":\"model-00001-of-00002.safetensors\","
                 "\"c\":\"model-00002-of-00002.safetensors\"}}");
    walk("");
    walk("model.safetensors.index.json");
}
END_TEST

static void copy_to_scratch(const char *fixture, const char *name)
{
    static uint8_t bytes[1 << 16];
    FILE *from = fopen(fixture, "rb"), *to = fopen(in_scratch(name), "wb");
    size_t count;

    ck_assert(from && to);
    count = fread(bytes, 1, sizeof(bytes), from);
    ck_assert_uint_eq(fwrite(bytes, 1, count, to), count);
    fclose(from);
    fclose(to);
}

START_TEST(files_of_other_formats_open_or_report_short_memory)
{
    static const char *const fixtures[] = {
        "version-1.gguf", "state-deflated.pt", "state-legacy.pt",  "checkpoint.ckpt", "quantised.pt",
        "state-tar.pt",   "exported.pt2",      "exported-old.pt2", "groups.ckpt",     "state-pieces.msgpack",
        "first.ckpt",     "arrays.pt",         "arrays-5.pt",      "parts.pt",        "graph.pb"};
    char path[512];

    snprintf(path, sizeof(path), FIXTURES "/twins/%s", fixtures[_i]);
    copy_to_scratch(path, "other");
    walk("other");
}
END_TEST

START_TEST(a_checkpoint_with_data_beside_it_opens_or_reports_short_memory)
{
    static const char *const files[] = {"sliced.index", "sliced.data-00000-of-00002", "sliced.data-00001-of-00002"};

    for (int i = 0; i < 3; i++) {
        char path[512];

        snprintf(path, sizeof(path), FIXTURES "/twins/%s", files[i]);
        copy_to_scratch(path, files[i]);
    }
    walk(_i ? "" : "sliced.index");
}
END_TEST

START_TEST(a_distributed_checkpoint_opens_or_reports_short_memory)
{
    static const char *const files[] = {".metadata", "__0_0.distcp", "__1_0.distcp"};

    for (int i = 0; i < 3; i++) {
        char path[512];

        snprintf(path, sizeof(path), FIXTURES "/twins/distributed/%s", files[i]);
        copy_to_scratch(path, files[i]);
    }
    walk("");
}
END_TEST

START_TEST(packed_weights_open_or_report_short_memory)
{
    static const char *const fixtures[] = {"gptq_v2", "bnb_nf4", "hqq_int4_axis1", "torchao_int8"};
    char path[512];

    snprintf(path, sizeof(path), FIXTURES "/packed/%s/model.safetensors", fixtures[_i]);
    copy_to_scratch(path, "packed");
    scratch_text("config.json",
                 "{\"quantization_config\":{\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq_v2\"}}");
    walk("packed");
}
END_TEST

START_TEST(a_lie_is_refused_or_memory_is_short)
{
    struct error err;
    int rc;

    scratch_safetensors("lie", "{" TENSORS ",\"x\":{}}", 8);
    for (long n = 0; n < 20; n++) {
        live = 0;
        countdown = n;
        is_counting = true;
        rc = open_and_pair("lie", &err);
        is_counting = false;
        ck_assert_int_eq(live, 0);
        ck_assert(rc == ERROR_NO_MEMORY || rc == ERROR_FORMAT);
    }
    ck_assert_int_eq(rc, ERROR_FORMAT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format/no_memory");
    TCase *tests = tcase_create("no_memory");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60); /* thousands of openings */
    tcase_add_checked_fixture(tests, scratch_setup, scratch_teardown);
    tcase_add_test(tests, a_file_opens_or_reports_short_memory);
    tcase_add_test(tests, a_sharded_model_opens_or_reports_short_memory);
    tcase_add_loop_test(tests, files_of_other_formats_open_or_report_short_memory, 0, 15);
    tcase_add_loop_test(tests, a_checkpoint_with_data_beside_it_opens_or_reports_short_memory, 0, 2);
    tcase_add_test(tests, a_distributed_checkpoint_opens_or_reports_short_memory);
    tcase_add_loop_test(tests, packed_weights_open_or_report_short_memory, 0, 4);
    tcase_add_test(tests, a_lie_is_refused_or_memory_is_short);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
