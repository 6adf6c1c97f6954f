#include "core/format/format.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static struct limits limits;
static struct opener opener = {.limits = &limits};

static void setup(void)
{
    limits = limits_default;
}

/* Opens bytes as the file "x.safetensors", from a copy that ends where they do. */
static int open_bytes(const void *bytes, size_t count, struct model **ret_model, struct error *err)
{
    uint8_t *copy = malloc(count ? count : 1);
    struct source *source = NULL;
    int rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, count);
    *err = (struct error){0};
    *ret_model = NULL;
    ck_assert_int_eq(memory_open(copy, count, "x.safetensors", &source, err), 0);
    rc = model_open_source(&opener, source, ret_model, err);
    ck_assert_int_eq(rc == 0, *ret_model != NULL);
    if (rc) {
        ck_assert_int_eq(err->code, rc);
        ck_assert_msg(strncmp(err->text, "x.safetensors: ", 15) == 0, "%s", err->text);
        source_close(source);
    }
    free(copy); /* a model reads no weights, and what it borrows is its own */
    return rc;
}

static int open_header_bytes(const char *header, size_t bytes, size_t data_bytes, struct model **ret_model,
                             struct error *err)
{
    uint64_t length = bytes;
    uint8_t *file = calloc(1, 8 + length + data_bytes);
    int rc;

    ck_assert_ptr_nonnull(file);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    rc = open_bytes(file, 8 + length + data_bytes, ret_model, err);
    free(file);
    return rc;
}

static int open_header(const char *header, size_t data_bytes, struct model **ret_model, struct error *err)
{
    return open_header_bytes(header, strlen(header), data_bytes, ret_model, err);
}

static struct model *open_good(const char *header, size_t data_bytes)
{
    struct model *model;
    struct error err;

    ck_assert_msg(open_header(header, data_bytes, &model, &err) == 0, "%s: %s", header, err.text);
    return model;
}

/* The vectors of the reference reader's own tests, byte for byte. */
static const struct {
    const char *bytes;
    size_t count;
    int code;
    const char *says;
} vectors[] = {
    {"\x08\0\0\0\0\0\0\0{}      ", 16, 0, ""},
    {"\x06\0\0\0\0\0\0\0{}\r \t\n", 14, 0, ""},
    {"\x0a\0\0\0\0\0\0\0\t\n{}\r     ", 18, 0, ""},
    {"", 0, ERROR_FORMAT, "empty file"},
    {"\x3c\0\0\0\0\0\0\0", 8, ERROR_FORMAT, "begins with 3c 00 00"},
    {"\x3c\0\0\0\0\xff\xff\xff", 8, ERROR_FORMAT, "begins with 3c 00 00"},
    {"\x3c\0\0\0\0\xff\xff\xff{", 9, ERROR_FORMAT, "header claims 18446742974197923900 bytes, the file has 9"},
    {"\x01\0\0\0\0\0\0\0\xff", 9, ERROR_UNSUPPORTED, "no known format recognises the content (tried safetensors"},
    {"\x01\0\0\0\0\0\0\0{", 9, ERROR_FORMAT, "header: the JSON ends too early, at byte 9"},
    {"\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10, ERROR_FORMAT,
     "header claims 9223372036854775807 bytes, the file has 10"},
    {"\0\0\0\0\0\0\0\0", 8, ERROR_FORMAT, "8 bytes begins with 00"},
    {"\x02", 1, ERROR_FORMAT, "1 bytes begins with 02"},
};

START_TEST(the_reference_readers_vectors_hold)
{
    struct model *model;
    struct error err;
    int rc = open_bytes(vectors[_i].bytes, vectors[_i].count, &model, &err);

    ck_assert_msg(rc == vectors[_i].code, "%d: %s", rc, err.text);
    ck_assert_msg(strstr(err.text, vectors[_i].says), "%s", err.text);
    if (rc == 0)
        ck_assert_uint_eq(model->tensor_count, 0);
    model_close(model);
}
END_TEST

#define TENSOR(name, dtype, shape, begin, end)                                                                         \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

/* Headers that are fine, if odd. */
static const struct {
    const char *header;
    size_t data_bytes, tensors;
} odd[] = {
    {"{}", 0, 0},
    {"{\"__metadata__\":null}", 0, 0},
    {"{\"__metadata__\":{}}", 0, 0},
    {"{" TENSOR("a", "I32", "[]", "0", "4") "}", 4, 1},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0, 0]}}", 0, 1},
    {"{\"a\":{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\"}}", 4, 1},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"note\":{\"x\":[1.5,-2e3,null,\"y\"]}}}", 4, 1},
    {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 1}, /* the empty name */
    {"{" TENSOR("b", "U8", "[2]", "2", "4") "," TENSOR("a", "U8", "[2]", "0", "2") "}", 4, 2},
    {"{" TENSOR("a", "U8", "[1]", "0", "1") "," TENSOR("e", "U8", "[0]", "1", "1") "," TENSOR("c", "U8", "[1]", "1",
                                                                                              "2") "}",
     2, 3},
    {"{" TENSOR("a", "F4", "[4]", "0", "2") "}", 2, 1},
    {"{" TENSOR("a", "F6_E2M3", "[4]", "0", "3") "}", 3, 1},
    {"{" TENSOR("a", "Q4_K", "[256]", "0", "144") "}", 144, 1},
    {"{" TENSOR("a", "U8", "[0,18446744073709551615]", "0", "0") "}", 0, 1},
    {"{" TENSOR("a\\u0000b", "U8", "[1]", "0", "1") "}", 1, 1},
    {"{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("__metadata", "U8", "[1]", "0", "1") "}", 1, 1},
};

START_TEST(odd_but_honest_headers_are_read)
{
    struct model *model = open_good(odd[_i].header, odd[_i].data_bytes);

    ck_assert_uint_eq(model->tensor_count, odd[_i].tensors);
    ck_assert_uint_eq(model->file_count, 1);
    ck_assert_uint_eq(model->bytes, 8 + strlen(odd[_i].header) + odd[_i].data_bytes);
    ck_assert_str_eq(model->format->name, "safetensors");
    ck_assert_int_eq(model_check_unchanged(model, NULL), 0);
    model_close(model);
}
END_TEST

/* Headers that lie, and the word of the message that names the lie. */
static const struct {
    const char *header;
    size_t data_bytes;
    int code;
    const char *says;
} lies[] = {
    /* offsets */
    {"{" TENSOR("a", "F32", "[2]", "0", "8") "}", 7, ERROR_FORMAT, "tensor a: data_offsets [0, 8] lie beyond the end"},
    {"{" TENSOR("a", "F32", "[2]", "0", "8") "}", 6, ERROR_FORMAT, "6 bytes of data: it is cut short"},
    {"{" TENSOR("a", "F32", "[2]", "0", "8") "}", 9, ERROR_FORMAT, "1 bytes follow the last tensor"},
    {"{}", 1, ERROR_FORMAT, "1 bytes follow the last tensor, which ends at offset 10"},
    {"{" TENSOR("a", "F32", "[1]", "4", "0") "}", 4, ERROR_FORMAT,
     "tensor a: data_offsets [4, 0] end before they begin"},
    {"{" TENSOR("a", "F32", "[1]", "4", "8") "}", 8, ERROR_FORMAT,
     "tensor a: begins at 4 of the data and leaves a hole of 4"},
    {"{" TENSOR("a", "U8", "[2]", "0", "2") "," TENSOR("b", "U8", "[2]", "3", "5") "}", 5, ERROR_FORMAT,
     "tensor b: begins at 3 of the data and leaves a hole of 1"},
    {"{" TENSOR("a", "U8", "[4]", "0", "4") "," TENSOR("b", "U8", "[4]", "2", "6") "}", 6, ERROR_FORMAT,
     "tensor b: begins at 2 of the data and overlaps tensor a, which ends at 4"},
    {"{" TENSOR("a", "U8", "[4]", "0", "4") "," TENSOR("b", "U8", "[4]", "0", "4") "}", 4, ERROR_FORMAT, "overlaps"},
    {"{" TENSOR("a", "U8", "[4]", "0", "4") "," TENSOR("b", "U8", "[1]", "1", "2") "}", 4, ERROR_FORMAT, "overlaps"},
    {"{" TENSOR("a", "U8", "[1]", "0", "18446744073709551615") "}", 1, ERROR_FORMAT, "beyond the end"},
    {"{" TENSOR("a", "U8", "[1]", "0", "18446744073709551616") "}", 1, ERROR_FORMAT, "does not fit 64 bits"},
    {"{" TENSOR("a", "U8", "[1]", "-0", "1") "}", 1, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "U8", "[1]", "0.0", "1") "}", 1, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "U8", "[1]", "0", "1e0") "}", 1, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "U8", "[1]", "\"0\"", "1") "}", 1, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "U8", "[1]", "0", "1,1") "}", 1, ERROR_FORMAT, "more than two"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, ERROR_FORMAT, "fewer than two"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[]}}", 1, ERROR_FORMAT, "fewer than two"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":{\"0\":1}}}", 1, ERROR_FORMAT, "expected an array"},
    {"{" TENSOR("a", "Q4_K", "[256]", "0", "144") "}", 143, ERROR_FORMAT, "beyond the end"},
    {"{" TENSOR("a", "Q4_K", "[256]", "0", "144") "}", 145, ERROR_FORMAT, "follow the last"},
    /* shapes and sizes */
    {"{" TENSOR("a", "F32", "[3]", "0", "8") "}", 8, ERROR_FORMAT, "are 8 bytes, but its shape in F32 takes 12"},
    {"{" TENSOR("a", "F64", "[]", "0", "4") "}", 4, ERROR_FORMAT, "are 4 bytes, but its shape in F64 takes 8"},
    {"{" TENSOR("a", "F32", "[2,18446744073709551614]", "0", "16") "}", 16, ERROR_FORMAT, "product of its shape"},
    {"{" TENSOR("a", "F32", "[2,9223372036854775807]", "0", "16") "}", 16, ERROR_FORMAT, "size in bits"},
    {"{" TENSOR("a", "F32", "[18446744073709551615]", "0", "16") "}", 16, ERROR_FORMAT, "size in bits"},
    {"{" TENSOR("a", "Q4_K", "[2,18446744073709551614]", "0", "16") "}", 16, ERROR_FORMAT, "product of its shape"},
    {"{" TENSOR("a", "F32", "[-1]", "0", "4") "}", 4, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "F32", "[1.0]", "0", "4") "}", 4, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "F32", "[01]", "0", "4") "}", 4, ERROR_FORMAT, "leading zero"},
    {"{" TENSOR("a", "F32", "[18446744073709551616]", "0", "4") "}", 4, ERROR_FORMAT, "does not fit 64 bits"},
    {"{" TENSOR("a", "F32", "[null]", "0", "4") "}", 4, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "F32", "[[1]]", "0", "4") "}", 4, ERROR_FORMAT, "non-negative integer"},
    {"{" TENSOR("a", "F32", "1", "0", "4") "}", 4, ERROR_FORMAT, "expected an array"},
    {"{" TENSOR("a", "F32", "[1", "0", "4") "}", 4, ERROR_FORMAT, ""},
    {"{" TENSOR("a", "F4", "[3]", "0", "2") "}", 2, ERROR_FORMAT, "3 elements of F4 do not fill whole bytes"},
    {"{" TENSOR("a", "F6_E3M2", "[2]", "0", "2") "}", 2, ERROR_FORMAT, "do not fill whole bytes"},
    /* keys that appear twice */
    {"{" TENSOR("a", "U8", "[1]", "0", "1") "," TENSOR("a", "U8", "[1]", "1", "2") "}", 2, ERROR_FORMAT,
     "tensor a: its name appears twice"},
    {"{" TENSOR("a", "U8", "[1]", "0", "1") "," TENSOR("\\u0061", "U8", "[1]", "1", "2") "}", 2, ERROR_FORMAT,
     "tensor a: its name appears twice"},
    {"{" TENSOR("a", "U8", "[1]", "0", "1") "," TENSOR("a", "U8", "[1]", "0", "1") "}", 1, ERROR_FORMAT, "twice"},
    {"{" TENSOR("\\u00e9", "U8", "[0]", "0", "0") "," TENSOR("\xc3\xa9", "U8", "[0]", "0", "0") "}", 0, ERROR_FORMAT,
     "twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, ERROR_FORMAT, "__metadata__ appears twice"},
    {"{\"__metadata__\":null,\"__metadata__\":null}", 0, ERROR_FORMAT, "__metadata__ appears twice"},
    {"{\"__metadata__\":{},\"\\u005f_metadata__\":{}}", 0, ERROR_FORMAT, "__metadata__ appears twice"},
    {"{\"__metadata__\":{\"k\":\"1\",\"\\u006b\":\"2\"}}", 0, ERROR_FORMAT, "key k appears twice"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERROR_FORMAT,
     "appears twice"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERROR_FORMAT, "appears twice"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"data\\u005foffsets\":[0,1]}}", 1, ERROR_FORMAT,
     "appears twice"},
    /* entries */
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERROR_FORMAT, "tensor a: has no dtype"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, ERROR_FORMAT, "tensor a: has no shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, ERROR_FORMAT, "tensor a: has no data_offsets"},
    {"{\"a\":{}}", 0, ERROR_FORMAT, "has no dtype"},
    {"{\"a\":[\"U8\",[1],[0,1]]}", 1, ERROR_FORMAT, "tensor a: expected an object"},
    {"{\"a\":null}", 0, ERROR_FORMAT, "tensor a: expected an object"},
    {"{\"a\":\"b\"}", 0, ERROR_FORMAT, "tensor a: expected an object"},
    {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERROR_FORMAT, "expected a string"},
    {"{\"a\":{\"dtype\":null,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ERROR_FORMAT, "expected a string"},
    /* metadata */
    {"{\"__metadata__\":{\"k\":1}}", 0, ERROR_FORMAT, "__metadata__: expected a string"},
    {"{\"__metadata__\":{\"k\":null}}", 0, ERROR_FORMAT, "expected a string"},
    {"{\"__metadata__\":{\"k\":{\"x\":\"y\"}}}", 0, ERROR_FORMAT, "expected a string"},
    {"{\"__metadata__\":[]}", 0, ERROR_FORMAT, "expected an object"},
    {"{\"__metadata__\":\"x\"}", 0, ERROR_FORMAT, "expected an object"},
    {"{\"__metadata__\":nul}", 0, ERROR_FORMAT, "expected a value"},
    /* JSON */
    {"{", 0, ERROR_FORMAT, "ends too early, at byte 9"},
    {"{}x", 0, ERROR_FORMAT, "something follows the JSON, at byte 10"},
    {"{}{}", 0, ERROR_FORMAT, "something follows"},
    {"{\"a\xff\":{}}", 0, ERROR_FORMAT, "not valid UTF-8, at byte 11"},
    {"{\"\xed\xa0\x80\":{}}", 0, ERROR_FORMAT, "not valid UTF-8"},
    {"{\"\\ud800\":{}}", 0, ERROR_FORMAT, "surrogate"},
    {"{" TENSOR("a", "U8", "[1]", "0", "1") ",}", 1, ERROR_FORMAT, "expected a key"},
};

START_TEST(lies_are_refused_by_name)
{
    struct model *model;
    struct error err;
    int rc = open_header(lies[_i].header, lies[_i].data_bytes, &model, &err);

    ck_assert_msg(rc == lies[_i].code, "%s: %d: %s", lies[_i].header, rc, err.text);
    ck_assert_msg(strstr(err.text, lies[_i].says), "%s: %s", lies[_i].header, err.text);
}
END_TEST

START_TEST(ten_tensors_at_one_place_are_refused)
{
    char header[4096] = "{";
    struct model *model;
    struct error err;

    for (int i = 0; i < 10; i++)
        sprintf(header + strlen(header), "%s\"weight_%d\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0, 16]}",
                i ? "," : "", i);
    strcat(header, "}");
    ck_assert_int_eq(open_header(header, 16, &model, &err), ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "tensor weight_1: begins at 0 of the data and overlaps tensor weight_0"));
}
END_TEST

START_TEST(a_file_cut_at_any_byte_is_refused)
{
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"}," TENSOR("a", "F32", "[2]", "0", "8") "," TENSOR(
        "b\\n", "BF16", "[3]", "8", "14") "}  ";
    uint8_t file[8 + sizeof(header) - 1 + 14] = {sizeof(header) - 1};
    struct model *model;
    struct error err;

    memcpy(file + 8, header, sizeof(header) - 1);
    for (size_t cut = 0; cut < sizeof(file); cut++) {
        int rc = open_bytes(file, cut, &model, &err);

        ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "cut to %zu bytes: %d", cut, rc);
    }
    ck_assert_int_eq(open_bytes(file, sizeof(file), &model, &err), 0);
    model_close(model);
}
END_TEST

START_TEST(any_flipped_byte_of_the_header_harms_nobody)
{
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"}," TENSOR("a", "F32", "[2]", "0", "8") "," TENSOR(
        "b\\u0041", "XX", "[]", "8", "14") "}";
    char bent[sizeof(header)];
    struct model *model;
    struct error err;

    for (size_t at = 0; at < sizeof(header) - 1; at++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bent, header, sizeof(header));
            bent[at] = (char)(bent[at] ^ (1 << bit));
            if (open_header_bytes(bent, sizeof(header) - 1, 14, &model, &err) == 0)
                model_close(model);
        }
}
END_TEST

START_TEST(every_dtype_has_its_size)
{
    static const unsigned bits[DTYPE_COUNT] = {
        [DTYPE_BOOL] = 8, [DTYPE_F4] = 4,      [DTYPE_F6_E2M3] = 6,     [DTYPE_F6_E3M2] = 6, [DTYPE_U8] = 8,
        [DTYPE_I8] = 8,   [DTYPE_F8_E5M2] = 8, [DTYPE_F8_E4M3] = 8,     [DTYPE_F8_E8M0] = 8, [DTYPE_F8_E4M3FNUZ] = 8,
        [DTYPE_I16] = 16, [DTYPE_U16] = 16,    [DTYPE_F8_E5M2FNUZ] = 8, [DTYPE_F16] = 16,    [DTYPE_BF16] = 16,
        [DTYPE_I32] = 32, [DTYPE_U32] = 32,    [DTYPE_F32] = 32,        [DTYPE_C64] = 64,    [DTYPE_F64] = 64,
        [DTYPE_I64] = 64, [DTYPE_U64] = 64,    [DTYPE_C128] = 128,
    };
    char header[256];
    struct model *model;
    struct error err;

    snprintf(header, sizeof(header), "{\"a\":{\"dtype\":\"%s\",\"shape\":[2,4],\"data_offsets\":[0,%u]}}",
             dtype_traits((enum dtype)_i)->name, bits[_i]);
    model = open_good(header, bits[_i]);
    ck_assert_int_eq(model->tensors[0].dtype, _i);
    ck_assert_uint_eq(model->tensors[0].extent.bytes, bits[_i]);
    ck_assert_ptr_null(model->tensors[0].storage);
    ck_assert(tensor_is_decodable(&model->tensors[0]));
    model_close(model);
    snprintf(header, sizeof(header), "{\"a\":{\"dtype\":\"%s\",\"shape\":[2,4],\"data_offsets\":[0,%u]}}",
             dtype_traits((enum dtype)_i)->name, bits[_i] + 1);
    ck_assert_int_eq(open_header(header, bits[_i] + 1, &model, &err), ERROR_FORMAT);
}
END_TEST

START_TEST(a_model_says_what_its_header_says)
{
    struct model *model = open_good("{\"__metadata__\":{\"z\":\"1\",\"format\":\"p\\u0074\"},"
                                    "\"layers.10.w\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
                                    "\"layers.2.w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                                    "\"s\\u00e9\":{\"dtype\":\"NEW9\",\"shape\":[5],\"data_offsets\":[16,19]}}",
                                    19);
    const struct tensor *two = &model->tensors[0], *ten = &model->tensors[1], *odd_one = &model->tensors[2];
    uint64_t data = model->bytes - 19;

    ck_assert_uint_eq(model->tensor_count, 3);
    ck_assert(name_equal(two->name, name_of("layers.2.w"))); /* natural order */
    ck_assert(name_equal(ten->name, name_of("layers.10.w")));
    ck_assert(name_equal(odd_one->name, name_of("s\xc3\xa9")));
    ck_assert_uint_eq(two->shape.rank, 0);
    ck_assert_uint_eq(two->shape.elements, 1);
    ck_assert_uint_eq(ten->shape.rank, 2);
    ck_assert_uint_eq(ten->shape.dims[0], 2);
    ck_assert_uint_eq(ten->shape.dims[1], 3);
    ck_assert_uint_eq(ten->shape.elements, 6);
    ck_assert_uint_eq(ten->extent.offset, data + 4);
    ck_assert_uint_eq(ten->extent.bytes, 12);
    ck_assert_uint_eq(model->parameters, 12);
    ck_assert_int_eq(odd_one->dtype, DTYPE_UNKNOWN);
    ck_assert(!tensor_is_decodable(odd_one));
    ck_assert(name_equal(tensor_dtype_name(odd_one), name_of("NEW9")));
    ck_assert(name_equal(tensor_dtype_name(ten), name_of("BF16")));
    ck_assert_ptr_eq(model_find(model, name_of("layers.10.w")), ten);
    ck_assert_ptr_null(model_find(model, name_of("layers.1.w")));
    ck_assert_uint_eq(model->metadata_count, 2);
    ck_assert(name_equal(model->metadata[0].key, name_of("format")));
    ck_assert(name_equal(model->metadata[0].value, name_of("pt")));
    ck_assert_str_eq(model->uri, "x.safetensors");
    ck_assert_uint_eq(model->warning_count, 0);
    model_close(model);
}
END_TEST

START_TEST(whitespace_before_the_header_is_worth_a_warning)
{
    struct model *model = open_good(" \n{}  ", 0);

    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].code, "header-whitespace");
    ck_assert_str_eq(model->warnings[0].message, "x.safetensors: its header begins with whitespace");
    model_close(model);
}
END_TEST

START_TEST(a_page_of_whitespace_before_the_header_is_accepted)
{
    enum { PADDING = 10000 };
    char *header = malloc(PADDING + 3);
    struct model *model;

    memset(header, ' ', PADDING);
    memcpy(header + PADDING, "{}", 3);
    model = open_good(header, 0);
    model_close(model);
    free(header);
}
END_TEST

START_TEST(a_name_of_10000_bytes_is_a_name)
{
    enum { BYTES = 10000 };
    char *name = malloc(BYTES + 1), *header = malloc(BYTES + 200);
    struct model *model;
    struct error err;

    memset(name, 'x', BYTES);
    name[BYTES] = '\0';
    sprintf(header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    model = open_good(header, 1);
    ck_assert_ptr_nonnull(model_find(model, name_of(name)));
    model_close(model);
    ck_assert_int_eq(open_header(header, 0, &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "…") && strstr(err.text, "(10000 bytes)"), "%s", err.text);
    ck_assert_ptr_nonnull(strstr(err.text, "beyond the end"));
    free(header);
    free(name);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    char header[2000] = "{\"a\":{\"x\":";
    struct model *model;
    struct error err;

    memset(header + strlen(header), '[', 900);
    ck_assert_int_eq(open_header(header, 0, &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "tensor a: JSON is nested too deeply"), "%s", err.text);
}
END_TEST

START_TEST(limits_are_kept)
{
    static const char two[] = "{" TENSOR("a", "U8", "[0]", "0", "0") "," TENSOR("b", "U8", "[0]", "0", "0") "}";
    static const char metadata[] = "{\"__metadata__\":{\"a\":\"\",\"b\":\"\"}}";
    char shape[512] = "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0],\"shape\":[0";
    struct model *model;
    struct error err;

    limits.tensors = 1;
    ck_assert_int_eq(open_header(two, 0, &model, &err), ERROR_LIMIT);
    limits.tensors = 2;
    ck_assert_int_eq(open_header(two, 0, &model, &err), 0);
    model_close(model);
    limits.metadata = 1;
    ck_assert_int_eq(open_header(metadata, 0, &model, &err), ERROR_LIMIT);
    limits.header_bytes = sizeof(two) - 1;
    ck_assert_int_eq(open_header(two, 0, &model, &err), 0);
    model_close(model);
    limits.header_bytes--;
    ck_assert_int_eq(open_header(two, 0, &model, &err), ERROR_LIMIT);
    ck_assert_msg(strstr(err.text, "bytes, the limit is"), "%s", err.text);
    limits = limits_default;
    for (int i = 0; i < 64; i++)
        strcat(shape, ",1");
    strcat(shape, "]}}");
    ck_assert_int_eq(open_header(shape, 0, &model, &err), ERROR_LIMIT);
}
END_TEST

/* What is handed over by mistake, and what the message should say of it. */
static const struct {
    const char *bytes;
    const char *says;
} mistakes[] = {
    {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "it looks like a Git LFS pointer"},
    {"PK\x03\x04 and so on", "it looks like a ZIP archive"},
    {"\x80\x05\x95 and so on", "it looks like a Python pickle"},
    {"lmgg and so on", "it looks like a GGML file"},
    {"<!DOCTYPE html><title>404</title>", "it looks like an HTML page"},
    {"some text of any kind", "a safetensors file begins with the length of its header"},
    {"{\"abcd\":{\"efgh\":1}}", "a safetensors file begins"}, /* JSON whose ninth byte is a brace */
};

START_TEST(what_is_no_model_is_told_what_it_looks_like)
{
    struct model *model;
    struct error err;

    ck_assert_int_eq(open_bytes(mistakes[_i].bytes, strlen(mistakes[_i].bytes), &model, &err), ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, mistakes[_i].says), "%s", err.text);
    ck_assert_msg(strstr(err.text, "tried safetensors"), "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format/safetensors");
    TCase *tests = tcase_create("safetensors");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_loop_test(tests, the_reference_readers_vectors_hold, 0, COUNT(vectors));
    tcase_add_loop_test(tests, odd_but_honest_headers_are_read, 0, COUNT(odd));
    tcase_add_loop_test(tests, lies_are_refused_by_name, 0, COUNT(lies));
    tcase_add_test(tests, ten_tensors_at_one_place_are_refused);
    tcase_add_test(tests, a_file_cut_at_any_byte_is_refused);
    tcase_add_test(tests, any_flipped_byte_of_the_header_harms_nobody);
    tcase_add_loop_test(tests, every_dtype_has_its_size, DTYPE_UNKNOWN + 1, DTYPE_COUNT);
    tcase_add_test(tests, a_model_says_what_its_header_says);
    tcase_add_test(tests, whitespace_before_the_header_is_worth_a_warning);
    tcase_add_test(tests, a_page_of_whitespace_before_the_header_is_accepted);
    tcase_add_test(tests, a_name_of_10000_bytes_is_a_name);
    tcase_add_test(tests, deep_nesting_is_refused);
    tcase_add_test(tests, limits_are_kept);
    tcase_add_loop_test(tests, what_is_no_model_is_told_what_it_looks_like, 0, COUNT(mistakes));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
