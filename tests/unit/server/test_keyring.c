#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/keyring.h"
#include "tests/unit/server/scratch.h"

/* sha256sum of "s3cret" and of "hunter2", by coreutils. */
#define S3CRET  "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0"
#define HUNTER2 "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"

static char *directory;
static char path[600];

static void setup(void)
{
    directory = scratch_new();
    snprintf(path, sizeof(path), "%s/keys", directory);
}

static void teardown(void)
{
    scratch_remove(directory);
}

static void write_keys(const char *text)
{
    scratch_write(directory, "keys", text, strlen(text));
}

static bool knows(struct keyring *keyring, const char *key, struct caller *ret)
{
    struct access *access = keyring_access(keyring);

    return access->identify(access, key, strlen(key), ret);
}

START_TEST(a_key_is_known_by_its_hash)
{
    struct keyring *keyring = NULL;
    struct error err = {0};
    struct caller caller;

    write_keys("# who may\n\nci " S3CRET " read,submit queued=20 # the pipeline\r\n  ops\t" HUNTER2 " admin");
    ck_assert_msg(keyring_open(path, &keyring, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(keyring_count(keyring), 2);
    ck_assert(knows(keyring, "s3cret", &caller));
    ck_assert_str_eq(caller.name, "ci");
    ck_assert_uint_eq(caller.scopes, SCOPE_READ | SCOPE_SUBMIT);
    ck_assert_uint_eq(caller.queued_max, 20);
    ck_assert(knows(keyring, "hunter2", &caller));
    ck_assert_str_eq(caller.name, "ops");
    ck_assert_uint_eq(caller.scopes, SCOPE_ADMIN);
    ck_assert(!knows(keyring, "s3cre", &caller));
    ck_assert(!knows(keyring, S3CRET, &caller));
    ck_assert(!knows(keyring, "", &caller));
    keyring_free(keyring);
}
END_TEST

START_TEST(a_bad_file_keeps_the_old_keys)
{
    static const char *const bad[] = {"ci " HUNTER2 " reed\n", "", "# nobody\n", "ops " HUNTER2 " admin\nci"};
    struct keyring *keyring = NULL;
    struct error err = {0};
    struct caller caller;

    write_keys("ci " S3CRET " read\n");
    ck_assert_int_eq(keyring_open(path, &keyring, &err), 0);
    write_keys(bad[_i]);
    ck_assert_int_eq(keyring_reload(keyring, &err), ERROR_REQUEST);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    ck_assert(knows(keyring, "s3cret", &caller));
    ck_assert(!knows(keyring, "hunter2", &caller));
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(keyring_reload(keyring, &err), ERROR_REQUEST);
    ck_assert(knows(keyring, "s3cret", &caller));
    write_keys("ci " HUNTER2 " read\n");
    ck_assert_int_eq(keyring_reload(keyring, &err), 0);
    ck_assert(!knows(keyring, "s3cret", &caller));
    ck_assert(knows(keyring, "hunter2", &caller));
    keyring_free(keyring);
}
END_TEST

static const struct {
    const char *text, *said;
} lies[] = {
    {"ci", "the SHA-256 of ci has 0 characters"},
    {"ci s3cret read", "the SHA-256 of ci has 6 characters"},
    {"ci " S3CRET "00 read", "has 66 characters"},
    {"ci " S3CRET, "the scopes of ci are not"},
    {"ci " S3CRET " read,", "the scopes of ci are not"},
    {"ci " S3CRET " all", "the scopes of ci are not"},
    {"ci " S3CRET " read queue=1", "is not queued=N"},
    {"ci " S3CRET " read queued=", "is not queued=N"},
    {"ci " S3CRET " read queued=0", "is not queued=N"},
    {"ci " S3CRET " read queued=9999999999", "is not queued=N"},
    {"ci " S3CRET " read queued=1 more", "there is more after the quota of ci"},
    {"\nc/i " S3CRET " read", "line 2: a key's name"},
    {"a " S3CRET " read\nb " S3CRET " read", "line 2: a and b have the same key"},
};

START_TEST(a_line_that_is_wrong_is_named_and_never_shown)
{
    struct key_list list;
    struct error err = {0};

    ck_assert_int_eq(key_list_parse(lies[_i].text, strlen(lies[_i].text), &list, &err), ERROR_REQUEST);
    ck_assert_msg(strstr(err.text, lies[_i].said) != NULL, "%s", err.text);
    /* Somebody may have put the key itself where its hash belongs. */
    ck_assert_ptr_null(strstr(err.text, "s3cret"));
}
END_TEST

START_TEST(a_made_key_is_what_its_hash_says)
{
    char key[KEY_TEXT_BYTES], again[KEY_TEXT_BYTES], digest[2 * KEY_DIGEST_BYTES + 1], line[256];
    struct keyring *keyring = NULL;
    struct caller caller;

    ck_assert_int_eq(key_make(again, digest, NULL), 0);
    ck_assert_int_eq(key_make(key, digest, NULL), 0);
    ck_assert_str_ne(key, again);
    ck_assert_uint_eq(strlen(key), 8 + 43);
    snprintf(line, sizeof(line), "new %s submit\n", digest);
    write_keys(line);
    ck_assert_int_eq(keyring_open(path, &keyring, NULL), 0);
    ck_assert(knows(keyring, key, &caller));
    ck_assert(!knows(keyring, again, &caller));
    keyring_free(keyring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyring");
    TCase *tc = tcase_create("keyring");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_key_is_known_by_its_hash);
    tcase_add_loop_test(tc, a_bad_file_keeps_the_old_keys, 0, 4);
    tcase_add_loop_test(tc, a_line_that_is_wrong_is_named_and_never_shown, 0, sizeof(lies) / sizeof(lies[0]));
    tcase_add_test(tc, a_made_key_is_what_its_hash_says);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
