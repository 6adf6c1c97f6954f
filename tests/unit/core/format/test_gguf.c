/* Files by gguf-py (fixtures/twins/make_gguf.py) beside their twin; and files made up here, most of which lie. */
#include "core/format/format.h"

#include <inttypes.h>

#include "tests/unit/core/format/twins.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

/* A file that is written piece by piece. */
struct made {
    uint8_t bytes[8192];
    size_t count;
};

static void put(struct made *made, const void *bytes, size_t count)
{
    ck_assert_uint_le(made->count + count, sizeof(made->bytes));
    memcpy(made->bytes + made->count, bytes, count);
    made->count += count;
}

static void put_number(struct made *made, uint64_t value, size_t bytes)
{
    put(made, &value, bytes);
}

static void put_text(struct made *made, const char *text)
{
    put_number(made, strlen(text), 8);
    put(made, text, strlen(text));
}

static void put_counts(struct made *made, uint32_t version, uint64_t tensors, uint64_t keys)
{
    *made = (struct made){.count = 0};
    put(made, "GGUF", 4);
    put_number(made, version, 4);
    put_number(made, tensors, 8);
    put_number(made, keys, 8);
}

static void put_info(struct made *made, const char *name, uint32_t rank, const uint64_t *dims, uint32_t type,
                     uint64_t offset)
{
    put_text(made, name);
    put_number(made, rank, 4);
    for (uint32_t d = 0; d < rank; d++)
        put_number(made, dims[d], 8);
    put_number(made, type, 4);
    put_number(made, offset, 8);
}

static void put_data(struct made *made, size_t bytes)
{
    static const uint8_t zeros[2048];

    put(made, zeros, (32 - made->count % 32) % 32);
    put(made, zeros, bytes);
}

/* The same; made's own bytes are read, and stay. */
static int open_made_kept(const struct made *made, struct model **ret_model, struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    struct source *source;
    int rc;

    *err = (struct error){0};
    ck_assert_int_eq(memory_open(made->bytes, made->count, "x.gguf", &source, NULL), 0);
    rc = model_open_source(&opener, source, ret_model, err);
    if (rc)
        source_close(source);
    return rc;
}

static int open_made(const struct made *made, struct model **ret_model, struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    uint8_t *copy = malloc(made->count + 1); /* ends where the file does: a sanitizer sees a byte too far */
    struct source *source;
    int rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, made->bytes, made->count);
    *err = (struct error){0};
    *ret_model = NULL;
    ck_assert_int_eq(memory_open(copy, made->count, "x.gguf", &source, NULL), 0);
    rc = model_open_source(&opener, source, ret_model, err);
    ck_assert_int_eq(rc == 0, *ret_model != NULL);
    if (rc)
        source_close(source);
    free(copy);
    return rc;
}

START_TEST(files_of_other_forms_hold_what_their_twin_holds)
{
    static const struct {
        const char *file;
        size_t tensors, files;
    } rows[] = {{"mixed.gguf", 13, 1}, {"mixed-big-endian.gguf", 10, 1}, {"split-00001-of-00003.gguf", 13, 3}};
    struct model *twin = open_path(TWINS "mixed.safetensors"), *model;
    char path[512];

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    ck_assert_uint_eq(check_twins(model, twin), rows[_i].tensors);
    ck_assert_uint_eq(model->file_count, rows[_i].files);
    ck_assert_str_eq(model->format->name, "gguf");
    model_close(model);
    model_close(twin);
}
END_TEST

static void check_key(const struct model *model, const char *key, const char *text)
{
    for (size_t i = 0; i < model->metadata_count; i++) {
        const struct metadata_entry *entry = &model->metadata[i];

        if (!name_equal(entry->key, name_of(key)))
            continue;
        ck_assert_msg(name_equal(entry->value, name_of(text)), "%s: %.*s", key, (int)entry->value.bytes,
                      entry->value.text);
        return;
    }
    ck_abort_msg("%s is missing", key);
}

START_TEST(keys_of_every_type_are_read)
{
    static const char *const files[] = {"mixed.gguf", "mixed-big-endian.gguf", "split-00001-of-00003.gguf"};
    char path[512];
    struct model *model;

    snprintf(path, sizeof(path), TWINS "%s", files[_i]);
    model = open_path(path);
    check_key(model, "general.architecture", "llama");
    check_key(model, "t.u8", "200");
    check_key(model, "t.i8", "-5");
    check_key(model, "t.u16", "60000");
    check_key(model, "t.i16", "-30000");
    check_key(model, "t.u32", "4000000000");
    check_key(model, "t.i32", "-2000000000");
    check_key(model, "t.f32", "0.00001");
    check_key(model, "t.bool", "true");
    check_key(model, "t.text", "Ünï \"quoted\"\n");
    check_key(model, "t.u64", "18446744073709551615");
    check_key(model, "t.i64", "-4611686018427387904");
    check_key(model, "t.f64", "0.1");
    check_key(model, "t.short", "[1, -2, 3]");
    check_key(model, "t.words", "[\"a\", \"b\\\\c\", \"é\"]");
    /* SHA-256 of the type (u64 8), the count (u64 1000), and of each string's length (u64) and bytes, by hashlib. */
    check_key(
        model, "t.vocabulary",
        "[\"token0\", \"token1\", \"token2\", \"token3\", \"token4\", \"token5\", \"token6\", \"token7\", …] (1000 of "
        "text, sha256:ba8ea05ef4ae1d6ab6b527b0d1a44276bca252bc77043ef486dd26680a13c3d1)");
    model_close(model);
}
END_TEST

/* Elements are told in order, until one has no room: nothing behind that, however short. */
START_TEST(a_list_is_told_up_to_what_has_no_room)
{
    static const char end[] = "…\", …] (64 of text, sha256:";
    struct model *model;
    struct made made = {0};
    struct error err;
    struct name text = {0};

    put_counts(&made, 3, 0, 1);
    put_text(&made, "list");
    put_number(&made, 9, 4);
    put_number(&made, 8, 4);
    put_number(&made, 64, 8);
    for (int i = 0; i < 63; i++)
        put_text(&made, "sixty-four bytes of an element, one of sixty-four that a list has");
    put_text(&made, "ab");
    ck_assert_msg(open_made_kept(&made, &model, &err) == 0, "%s", err.text);
    text = model_metadata(model, name_of("list"));
    ck_assert_ptr_null(memmem(text.text, text.bytes, ", ,", 3));
    ck_assert_ptr_null(memmem(text.text, text.bytes, "\"ab\"", 4));
    ck_assert_ptr_nonnull(memmem(text.text, text.bytes, end, sizeof(end) - 1));
    model_close(model);
}
END_TEST

START_TEST(version_1_has_lengths_of_four_bytes)
{
    struct model *model = open_path(TWINS "version-1.gguf");
    const struct tensor *tensor = model_find(model, name_of("w"));
    float *values;
    size_t bytes;

    ck_assert_ptr_nonnull(tensor);
    ck_assert_uint_eq(tensor->shape.dims[0], 2);
    ck_assert_uint_eq(tensor->shape.dims[1], 3);
    values = (float *)elements_of(model, tensor, &bytes);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(values[i], (float)i);
    check_key(model, "general.name", "old");
    free(values);
    model_close(model);
}
END_TEST

START_TEST(a_part_that_is_not_the_first_is_refused)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = TWINS "split-00002-of-00003.gguf", .uri = "m"};
    struct model *model;
    struct error err;

    ck_assert_int_eq(model_open(&place, &limits_default, &model, &err), ERROR_FORMAT);
    ck_assert_str_eq(err.text, "m: is part 2 of 3; name the first");
}
END_TEST

START_TEST(a_type_that_is_not_known_is_listed_with_its_bytes)
{
    static const uint64_t dims[] = {256}, small[] = {2};
    struct model *model;
    struct made made;
    struct error err;

    put_counts(&made, 3, 2, 0);
    put_info(&made, "strange", 1, dims, 97, 0);
    put_info(&made, "known", 1, small, 0, 160);
    put_data(&made, 160 + 8);
    ck_assert_msg(open_made(&made, &model, &err) == 0, "%s", err.text);
    ck_assert_str_eq(tensor_dtype_name(model_find(model, name_of("strange"))).text, "ggml type 97");
    ck_assert_str_eq(model_find(model, name_of("strange"))->storage->reason, "unknown ggml type 97");
    ck_assert(!tensor_is_decodable(model_find(model, name_of("strange"))));
    ck_assert_uint_eq(model_find(model, name_of("strange"))->extent.bytes, 160);
    ck_assert_uint_eq(model_find(model, name_of("known"))->extent.bytes, 8);
    model_close(model);
}
END_TEST

START_TEST(tensors_without_elements_and_files_without_tensors_are_fine)
{
    static const uint64_t none[] = {0, 4}, one[] = {3};
    struct model *model;
    struct made made;
    struct error err;

    put_counts(&made, 3, 0, 0);
    ck_assert_msg(open_made(&made, &model, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(model->tensor_count, 0);
    model_close(model);
    put_counts(&made, 2, 3, 0);
    put_info(&made, "none", 2, none, 12, 0);
    put_info(&made, "one", 1, one, 0, 0);
    put_info(&made, "scalar", 0, NULL, 0, 32);
    put_data(&made, 36);
    ck_assert_msg(open_made(&made, &model, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(model->tensor_count, 3);
    ck_assert_uint_eq(model->tensors[2].shape.elements, 1);
    model_close(model);
}
END_TEST

enum lie {
    VERSION_0,
    VERSION_4,
    MANY_TENSORS,
    MANY_KEYS,
    EMPTY_KEY,
    KEY_TWICE,
    VALUE_TYPE,
    STRING_BEYOND,
    ARRAY_BEYOND,
    ARRAY_TYPE,
    ARRAY_DEEP,
    BOOL_OF_TWO,
    ALIGNMENT_ODD,
    ALIGNMENT_TYPE,
    ALIGNMENT_ZERO,
    ALIGNMENT_TEXT,
    NAME_TWICE,
    RANK_5,
    NEGATIVE_DIM,
    OVERFLOW,
    NO_WHOLE_BLOCK,
    OFFSET_HOLE,
    OFFSET_OVERLAP,
    DATA_CUT,
    SPLIT_BEYOND,
    LIES,
};

static const struct {
    int code;
    const char *says;
} refusals[LIES] = {
    [VERSION_0] = {ERROR_UNSUPPORTED, "is GGUF of version 0"},
    [VERSION_4] = {ERROR_UNSUPPORTED, "is GGUF of version 4, known are 1 to 3"},
    [MANY_TENSORS] = {ERROR_FORMAT, "claims 18446744073709551615 tensors, the file has 24 bytes"},
    [MANY_KEYS] = {ERROR_FORMAT, "claims 4294967296 keys"},
    [EMPTY_KEY] = {ERROR_FORMAT, "key 0 is empty"},
    [KEY_TWICE] = {ERROR_FORMAT, "the key k appears twice"},
    [VALUE_TYPE] = {ERROR_FORMAT, "the key k has a value of type 13, which GGUF does not have"},
    [STRING_BEYOND] = {ERROR_FORMAT, "a value at offset 45 claims 1099511627776 bytes, the file has"},
    [ARRAY_BEYOND] = {ERROR_FORMAT, "claims 268435456 elements of type u32"},
    [ARRAY_TYPE] = {ERROR_FORMAT, "an array's elements are of type 99"},
    [ARRAY_DEEP] = {ERROR_LIMIT, "nested more than 8 deep"},
    [BOOL_OF_TWO] = {ERROR_FORMAT, "the key k has a bool of value 2"},
    [ALIGNMENT_ODD] = {ERROR_FORMAT, "general.alignment must be a power of two as u32, not 24"},
    [ALIGNMENT_TYPE] = {ERROR_FORMAT, "general.alignment must be a power of two as u32, not 32"},
    [ALIGNMENT_ZERO] = {ERROR_FORMAT, "general.alignment must be a power of two as u32, not 0"},
    [ALIGNMENT_TEXT] = {ERROR_FORMAT, "general.alignment must be a power of two as u32, not \\x1b[2J"},
    [NAME_TWICE] = {ERROR_FORMAT, "tensor w appears twice"},
    [RANK_5] = {ERROR_FORMAT, "tensor w claims 5 dimensions, GGUF has at most 4"},
    [NEGATIVE_DIM] = {ERROR_FORMAT, "tensor w has a negative dimension, -1"},
    [OVERFLOW] = {ERROR_FORMAT, "tensor w: its dimensions multiply to more than 2^63"},
    [NO_WHOLE_BLOCK] = {ERROR_FORMAT, "tensor w: its rows of 100 elements are no whole blocks of Q4_K, 256 elements"},
    [OFFSET_HOLE] = {ERROR_FORMAT, "tensor v claims the offset 64, its place is 32"},
    [OFFSET_OVERLAP] = {ERROR_FORMAT, "tensor v claims the offset 0, its place is 32"},
    [DATA_CUT] = {ERROR_FORMAT, "tensor v needs 16 bytes at offset 32 of the data, the file ends at 47 of it"},
    [SPLIT_BEYOND] = {ERROR_FORMAT, "is split 3 (split.no) of 2"},
};

static void put_key(struct made *made, const char *key, uint32_t type, uint64_t value, size_t bytes)
{
    put_text(made, key);
    put_number(made, type, 4);
    put_number(made, value, bytes);
}

static void put_two(struct made *made, const char *second, uint64_t offset, size_t data)
{
    static const uint64_t four[] = {4};

    put_counts(made, 3, 2, 0);
    put_info(made, "w", 1, four, 0, 0);
    put_info(made, second, 1, four, 0, offset);
    put_data(made, data);
}

static void put_one(struct made *made, uint32_t rank, const uint64_t *dims, uint32_t type)
{
    put_counts(made, 3, 1, 0);
    put_info(made, "w", rank, dims, type, 0);
    put_data(made, 64);
}

static void make_lie(struct made *made, enum lie lie)
{
    static const uint64_t ones[] = {1, 1, 1, 1, 1}, minus[] = {UINT64_MAX}, hundred[] = {100};
    static const uint64_t wide[] = {1ULL << 40, 1ULL << 40};

    put_counts(made, 3, 0, 1);
    switch (lie) {
    case VERSION_0:
        put_counts(made, 0, 0, 0);
        break;
    case VERSION_4:
        put_counts(made, 4, 0, 0);
        break;
    case MANY_TENSORS:
        put_counts(made, 3, UINT64_MAX, 0);
        break;
    case MANY_KEYS:
        put_counts(made, 3, 0, 1ULL << 32);
        break;
    case EMPTY_KEY:
        put_key(made, "", 0, 1, 1);
        break;
    case KEY_TWICE:
        put_counts(made, 3, 0, 2);
        put_key(made, "k", 0, 1, 1);
        put_key(made, "k", 0, 1, 1);
        break;
    case VALUE_TYPE:
        put_key(made, "k", 13, 1, 1);
        break;
    case STRING_BEYOND:
        put_key(made, "k", 8, 1ULL << 40, 8);
        break;
    case ARRAY_BEYOND:
        put_key(made, "k", 9, 4, 4);
        put_number(made, 1ULL << 28, 8);
        break;
    case ARRAY_TYPE:
        put_key(made, "k", 9, 99, 4);
        put_number(made, 1, 8);
        break;
    case ARRAY_DEEP:
        put_key(made, "k", 9, 9, 4);
        for (int i = 0; i < 12; i++) {
            put_number(made, 1, 8);
            put_number(made, 9, 4);
        }
        put_number(made, 0, 8);
        put_data(made, 64);
        break;
    case BOOL_OF_TWO:
        put_key(made, "k", 7, 2, 1);
        break;
    case ALIGNMENT_ODD:
        put_key(made, "general.alignment", 4, 24, 4);
        break;
    case ALIGNMENT_TYPE:
        put_key(made, "general.alignment", 10, 32, 8);
        break;
    case ALIGNMENT_ZERO:
        put_key(made, "general.alignment", 4, 0, 4);
        break;
    case ALIGNMENT_TEXT: /* which would clear a terminal */
        put_text(made, "general.alignment");
        put_number(made, 8, 4);
        put_text(made, "\x1b[2J");
        break;
    case NAME_TWICE:
        put_two(made, "w", 32, 48);
        break;
    case RANK_5:
        put_one(made, 5, ones, 0);
        break;
    case NEGATIVE_DIM:
        put_one(made, 1, minus, 0);
        break;
    case OVERFLOW:
        put_one(made, 2, wide, 0);
        break;
    case NO_WHOLE_BLOCK:
        put_one(made, 1, hundred, 12);
        break;
    case OFFSET_HOLE:
        put_two(made, "v", 64, 96);
        break;
    case OFFSET_OVERLAP:
        put_two(made, "v", 0, 48);
        break;
    case DATA_CUT:
        put_two(made, "v", 32, 47);
        break;
    case SPLIT_BEYOND:
        put_counts(made, 3, 0, 2);
        put_key(made, "split.no", 2, 3, 2);
        put_key(made, "split.count", 2, 2, 2);
        break;
    case LIES:
        break;
    }
}

START_TEST(a_file_that_lies_is_refused_in_the_formats_words)
{
    struct model *model;
    struct made made;
    struct error err;
    int rc;

    make_lie(&made, (enum lie)_i);
    rc = open_made(&made, &model, &err);
    ck_assert_msg(rc == refusals[_i].code, "%d: %s", rc, err.text);
    ck_assert_msg(strncmp(err.text, "x.gguf: ", 8) == 0 && strstr(err.text, refusals[_i].says), "%s", err.text);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    struct made whole, cut;
    struct model *model;
    struct error err;

    put_counts(&whole, 3, 2, 3);
    put_key(&whole, "a", 4, 7, 4);
    put_key(&whole, "b", 9, 8, 4);
    put_number(&whole, 2, 8);
    put_text(&whole, "one");
    put_text(&whole, "two");
    put_text(&whole, "c");
    put_number(&whole, 8, 4);
    put_text(&whole, "three");
    put_info(&whole, "w", 2, (const uint64_t[]){4, 2}, 0, 0);
    put_info(&whole, "v", 1, (const uint64_t[]){32}, 8, 32);
    put_data(&whole, 32 + 34);
    ck_assert_msg(open_made(&whole, &model, &err) == 0, "%s", err.text);
    model_close(model);
    for (cut = whole; cut.count-- > 0;) {
        int rc = open_made(&cut, &model, &err);

        ck_assert_msg(rc == ERROR_FORMAT || (cut.count < 4 && rc == ERROR_UNSUPPORTED), "%zu bytes: %d %s", cut.count,
                      rc, err.text);
    }
}
END_TEST

/* One NVFP4 block a row, all codes 2 (E2M1: 1), all scales 0x38 (UE4M3: 1); two rows, or a stack of two matrices. */
START_TEST(nvfp4_is_multiplied_by_its_partner)
{
    static const struct {
        uint32_t rank;
        uint64_t scales;
        const char *partner;
        float first, second;
    } rows[] = {{2, 1, "a.scale", 0.5f, 0.5f},
                {3, 2, "a.scale", 0.5f, 3.0f},
                {3, 3, "a.scale", 1.0f, 1.0f}, /* one for each of three matrices, where there are two */
                {2, 1, "b.scale", 1.0f, 1.0f}};
    static const float scales[3] = {0.5f, 3.0f, 7.0f};
    const uint64_t dims[3] = {64, rows[_i].rank == 2 ? 2 : 1, 2};
    struct made made;
    struct model *model;
    struct error err;
    float values[128];
    uint8_t block[36];

    put_counts(&made, 3, 2, 0);
    put_info(&made, "a.weight", rows[_i].rank, dims, 40, 0);
    put_info(&made, rows[_i].partner, 1, &rows[_i].scales, 0, 96);
    put_data(&made, 0);
    memset(block, 0x38, 4);
    memset(block + 4, 0x22, 32);
    put(&made, block, sizeof(block));
    put(&made, block, sizeof(block));
    put_data(&made, 0);
    put(&made, scales, rows[_i].scales * sizeof(float));
    ck_assert_msg(open_made_kept(&made, &model, &err) == 0, "%s", err.text);
    ck_assert_int_eq(decoder_read(model, model_find(model, name_of("a.weight")), 0, 128, values, &err), 0);
    for (int i = 0; i < 128; i++)
        ck_assert_float_eq(values[i], i < 64 ? rows[_i].first : rows[_i].second);
    model_close(model);
}
END_TEST

START_TEST(the_magic_of_big_endian_files_is_known)
{
    size_t count;
    FILE *file = fopen(TWINS "version-1.gguf", "rb");
    struct made made = {0};
    struct model *model;
    struct error err;

    ck_assert_ptr_nonnull(file);
    count = fread(made.bytes, 1, sizeof(made.bytes), file);
    fclose(file);
    made.count = count;
    memcpy(made.bytes, "FUGG", 4);
    ck_assert_int_eq(open_made(&made, &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "its version is of the other byte order"), "%s", err.text);
    file = fopen(TWINS "mixed-big-endian.gguf", "rb");
    ck_assert_ptr_nonnull(file);
    made.count = fread(made.bytes, 1, 200, file);
    fclose(file);
    memcpy(made.bytes, "FUGG", 4);
    ck_assert_int_eq(open_made(&made, &model, &err), ERROR_FORMAT); /* cut short, but known as what it is */
    ck_assert_msg(strstr(err.text, "claims 10 tensors, the file has 200 bytes"), "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tcase = tcase_create("gguf");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tcase, files_of_other_forms_hold_what_their_twin_holds, 0, 3);
    tcase_add_loop_test(tcase, keys_of_every_type_are_read, 0, 3);
    tcase_add_test(tcase, a_list_is_told_up_to_what_has_no_room);
    tcase_add_test(tcase, version_1_has_lengths_of_four_bytes);
    tcase_add_test(tcase, a_part_that_is_not_the_first_is_refused);
    tcase_add_test(tcase, a_type_that_is_not_known_is_listed_with_its_bytes);
    tcase_add_test(tcase, tensors_without_elements_and_files_without_tensors_are_fine);
    tcase_add_loop_test(tcase, a_file_that_lies_is_refused_in_the_formats_words, 0, LIES);
    tcase_add_test(tcase, a_file_cut_anywhere_is_refused);
    tcase_add_loop_test(tcase, nvfp4_is_multiplied_by_its_partner, 0, 4);
    tcase_add_test(tcase, the_magic_of_big_endian_files_is_known);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
