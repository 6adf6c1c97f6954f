#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/multipart_header.h"

#define TYPE "multipart/form-data; boundary=XyZ"

/* What was read, as text: [name|filename|type]data. */
static char seen[4096];

static int on_begin(void *context, const struct multipart_part *part)
{
    (void)context;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "[%s|%s%s|%s]", part->name,
             part->has_filename ? "" : "none", part->filename, part->type);
    return 0;
}

static int on_data(void *context, const char *data, size_t bytes)
{
    (void)context;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%.*s", (int)bytes, data);
    return 0;
}

static int on_end(void *context)
{
    (void)context;
    strncat(seen, ".", sizeof(seen) - strlen(seen) - 1);
    return 0;
}

static int read_in(const char *body, size_t step, struct error *err)
{
    static const struct multipart_events events = {on_begin, on_data, on_end};
    struct multipart *multipart;
    size_t bytes = strlen(body);
    int rc = 0;

    seen[0] = '\0';
    ck_assert_int_eq(multipart_new(TYPE, &events, NULL, &multipart, err), 0);
    for (size_t at = 0; !rc && at < bytes; at += step)
        rc = multipart_feed(multipart, body + at, bytes - at < step ? bytes - at : step, err);
    if (!rc)
        rc = multipart_end(multipart, err);
    multipart_free(multipart);
    return rc;
}

#define FIELD(name)     "Content-Disposition: form-data; name=\"" name "\"\r\n"
#define FILE_PART(file) "Content-Disposition: form-data; name=\"models\"; " file "\r\n"

static const struct {
    const char *body, *seen;
} good[] = {
    {"--XyZ--\r\n", ""},
    {"--XyZ--", ""},
    {"\r\n--XyZ--", ""},
    {"--XyZ\r\n" FIELD("a") "\r\nx\r\n--XyZ--\r\n", "[a|none|]x."},
    {"--XyZ\r\n" FIELD("a") "\r\n\r\n--XyZ--\r\n", "[a|none|]."},
    {"--XyZ\r\n" FIELD("a") "\r\n--XyZ--\r\n", "[a|none|]."},
    {"--XyZ\r\n" FIELD("a") "\r\n--Xy\r\n--XyZ--\r\n", "[a|none|]--Xy."},
    {"--XyZ\r\n" FIELD("a") "\r\n\r\n\r\n--XyZ--", "[a|none|]\r\n."},
    {"--XyZ \t\r\n" FIELD("a") "\r\nx\r\n--XyZ\r\n" FIELD("b") "\r\ny\r\n--XyZ--", "[a|none|]x.[b|none|]y."},
    /* Nearly a boundary. */
    {"--XyZ\r\n" FIELD("a") "\r\n\r\r\n-\r\n--Xy\r\n--\r\r\n--XyZ--", "[a|none|]\r\r\n-\r\n--Xy\r\n--\r."},
    {"--XyZ\r\n" FIELD("a") "\r\nx--XyZ in the middle --XyZ\n--XyZ\r--XyZ\r\n--XyZ--",
     "[a|none|]x--XyZ in the middle --XyZ\n--XyZ\r--XyZ."},
    /* Files, as curl, browsers and RFC 8187 name them. */
    {"--XyZ\r\n" FILE_PART("filename=\"m.bin\"") "Content-Type: Application/Octet-Stream; x=y\r\n\r\nd\r\n--XyZ--",
     "[models|m.bin|application/octet-stream]d."},
    {"--XyZ\r\n" FILE_PART("filename=\"a\\\"b\\\\c.bin\"") "\r\nd\r\n--XyZ--", "[models|a\"b\\c.bin|]d."},
    {"--XyZ\r\n" FILE_PART("filename=\"C:\\dir\\m.bin\"") "\r\nd\r\n--XyZ--", "[models|C:\\dir\\m.bin|]d."},
    {"--XyZ\r\n" FILE_PART("filename=\"a;b=c.bin\"") "\r\nd\r\n--XyZ--", "[models|a;b=c.bin|]d."},
    {"--XyZ\r\n" FILE_PART("filename=\"\xc3\xa4.bin\"") "\r\nd\r\n--XyZ--", "[models|\xc3\xa4.bin|]d."},
    {"--XyZ\r\n" FILE_PART("filename=\"a.bin\"; filename*=UTF-8''%c3%A4.bin") "\r\nd\r\n--XyZ--",
     "[models|\xc3\xa4.bin|]d."},
    {"--XyZ\r\n" FILE_PART("filename*=utf-8'de'%c3%A4.bin; filename=a") "\r\nd\r\n--XyZ--", "[models|\xc3\xa4.bin|]d."},
    {"--XyZ\r\n" FILE_PART("filename=\"\"") "\r\nd\r\n--XyZ--", "[models||]d."},
    {"--XyZ\r\ncontent-disposition:form-data;NAME=a\r\nX-Other: y\r\nContent-Transfer-Encoding: "
     "binary\r\n\r\nd\r\n--XyZ--",
     "[a|none|]d."},
};

START_TEST(parts_are_read_however_the_body_is_cut)
{
    struct error err = {.code = ERROR_NONE};

    for (size_t step = 1; step < 60; step++) {
        ck_assert_msg(read_in(good[_i].body, step, &err) == 0, "%s: %s", good[_i].body, err.text);
        ck_assert_str_eq(seen, good[_i].seen);
    }
}
END_TEST

static const struct {
    const char *body, *fault;
} bad[] = {
    {"", "ends before"},
    {"--XyZ", "ends before"},
    {"--XyZ-", "ends before"},
    {"--XyZ\r\n" FIELD("a") "\r\nx", "ends before"},
    {"--XyZ\r\n" FIELD("a") "\r\nx\r\n--XyZ\r\n", "ends before"},
    {"preamble\r\n--XyZ--", "does not begin"},
    {"\r\n\r\n--XyZ--", "does not begin"},
    {"--Xyz--", "does not begin"},
    {"--XyZ\n" FIELD("a") "\r\nx\r\n--XyZ--", "not followed by CR LF"},
    {"--XyZ\rx", "not followed by CR LF"},
    {"--XyZ-x", "not followed by CR LF"},
    {"--XyZ\r\n" FIELD("a") "\r\nx\r\n--XyZZ--", "not followed by CR LF"},
    {"--XyZ--\r\nepilogue", "follows the last"},
    {"--XyZ\r\n\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\nContent-Disposition: form-data; name=a b\r\n\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\n" FIELD("a") FIELD("b") "\r\nx\r\n--XyZ--", "twice"},
    {"--XyZ\r\nContent-Disposition: form-data;\n name=a\r\n\r\nx\r\n--XyZ--", "CR LF"},
    {"--XyZ\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\nx\r\n--XyZ--", "NAME: VALUE"},
    {"--XyZ\r\nContent-Disposition : form-data; name=a\r\n\r\nx\r\n--XyZ--", "NAME: VALUE"},
    {"--XyZ\r\n" FIELD("a\x01") "\r\nx\r\n--XyZ--", "control character"},
    {"--XyZ\r\n" FIELD("a") "Content-Transfer-Encoding: base64\r\n\r\nx\r\n--XyZ--", "Transfer-Encoding"},
    {"--XyZ\r\n" FIELD("a") "Repr-Digest: sha-256=x\r\n\r\nx\r\n--XyZ--", "digest"},
    {"--XyZ\r\n" FILE_PART("filename*=ISO-8859-1''%e4") "\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\n" FILE_PART("filename*=UTF-8''%00") "\r\nx\r\n--XyZ--", "Content-Disposition"},
    {"--XyZ\r\n" FILE_PART("filename*=UTF-8''%4") "\r\nx\r\n--XyZ--", "Content-Disposition"},
};

START_TEST(malformed_bodies_are_refused_however_they_are_cut)
{
    for (size_t step = 1; step < 60; step++) {
        struct error err = {.code = ERROR_NONE};

        ck_assert_msg(read_in(bad[_i].body, step, &err) == ERROR_REQUEST, "%s", bad[_i].body);
        ck_assert_msg(strstr(err.text, bad[_i].fault) != NULL, "%s: %s", bad[_i].body, err.text);
    }
}
END_TEST

START_TEST(names_and_headers_have_a_limit)
{
    static char body[20000];
    struct error err;
    int used;

    for (int bytes = 255; bytes <= 256; bytes++) {
        snprintf(body, sizeof(body),
                 "--XyZ\r\nContent-Disposition: form-data; name=a; filename=%0*d\r\n\r\n\r\n--XyZ--", bytes, 0);
        ck_assert_int_eq(read_in(body, 1000, &err), bytes == 255 ? 0 : ERROR_REQUEST);
    }
    used = snprintf(body, sizeof(body), "--XyZ\r\n" FIELD("a"));
    while (used < 9000)
        used += snprintf(body + used, sizeof(body) - (size_t)used, "X-Filler: %0100d\r\n", 0);
    ck_assert_int_eq(read_in(body, 1000, &err), ERROR_REQUEST);
    ck_assert_ptr_nonnull(strstr(err.text, "8192 bytes"));
}
END_TEST

static const struct {
    const char *type, *boundary; /* NULL: refused */
} types[] = {
    {"multipart/form-data; boundary=XyZ", "XyZ"},
    {"Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b:c\"", "a b:c"},
    {"multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678901234567890",
     "1234567890123456789012345678901234567890123456789012345678901234567890"},
    {"multipart/form-data", NULL},
    {"multipart/form-data; boundary=", NULL},
    {"multipart/form-data; boundary=\"\"", NULL},
    {"multipart/form-data; boundary=\"a \"", NULL},
    {"multipart/form-data; boundary=\"a", NULL},
    {"multipart/form-data; boundary=a; boundary=b", NULL},
    {"multipart/form-data; boundary=\"a\\\\b\"", NULL},
    {"multipart/form-data; boundary=a@b", NULL},
    {"multipart/form-data; boundary=12345678901234567890123456789012345678901234567890123456789012345678901", NULL},
};

START_TEST(the_boundary_is_read_or_refused)
{
    char out[MULTIPART_BOUNDARY_MAX];
    size_t bytes = multipart_boundary(types[_i].type, out);

    ck_assert(multipart_is(types[_i].type));
    ck_assert_uint_eq(bytes, types[_i].boundary ? strlen(types[_i].boundary) : 0);
    if (bytes)
        ck_assert_mem_eq(out, types[_i].boundary, bytes);
}
END_TEST

START_TEST(other_types_are_no_forms)
{
    ck_assert(!multipart_is(NULL));
    ck_assert(!multipart_is("multipart/mixed; boundary=a"));
    ck_assert(!multipart_is("multipart/form-data-x; boundary=a"));
    ck_assert(!multipart_is("application/json"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("multipart");
    TCase *tc = tcase_create("multipart");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tc, parts_are_read_however_the_body_is_cut, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tc, malformed_bodies_are_refused_however_they_are_cut, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tc, names_and_headers_have_a_limit);
    tcase_add_loop_test(tc, the_boundary_is_read_or_refused, 0, sizeof(types) / sizeof(types[0]));
    tcase_add_test(tc, other_types_are_no_forms);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
