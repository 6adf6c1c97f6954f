/* Keys are random, so one round of SHA-256 without salt hides them; they are compared all and in constant time, so that
 * neither a digest's bytes nor its place in the file shows. */
#include "server/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/libcrypto.h"
#include "server/log.h"
#include "server/must.h"

struct keyring {
    struct access access; /* first */
    char *path;
    pthread_rwlock_t lock;
    struct key_list keys; /* guarded by lock */
};

static void hash(const void *text, size_t bytes, unsigned char ret[KEY_DIGEST_BYTES])
{
    libcrypto()->EVP_Digest(text, bytes, ret, NULL, libcrypto()->EVP_sha256(), NULL);
}

void key_list_done(struct key_list *list)
{
    free(list->items);
    *list = (struct key_list){0};
}

bool key_name_is_good(const char *name, size_t bytes)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    if (!bytes || bytes >= CALLER_NAME_BYTES)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (!name[i] || !strchr(allowed, name[i]))
            return false;
    return true;
}

unsigned key_scopes_parse(const char *text, size_t bytes)
{
    const char *end = text + bytes;
    unsigned scopes = 0;

    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t length = comma ? (size_t)(comma - text) : (size_t)(end - text);
        unsigned index = 0;

        while (scope_names[index] &&
               (strlen(scope_names[index]) != length || memcmp(scope_names[index], text, length) != 0))
            index++;
        if (!scope_names[index])
            return 0;
        scopes |= 1u << index;
        if (!comma)
            return scopes;
        text = comma + 1;
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool parse_digest(const char *text, size_t bytes, unsigned char out[KEY_DIGEST_BYTES])
{
    if (bytes != 2 * KEY_DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < KEY_DIGEST_BYTES; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool parse_queued(const char *text, size_t bytes, uint64_t *ret_count)
{
    uint64_t count = 0;

    if (bytes < 8 || bytes > 7 + 9 || memcmp(text, "queued=", 7) != 0)
        return false;
    for (size_t i = 7; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        count = count * 10 + (uint64_t)(text[i] - '0');
    }
    *ret_count = count;
    return count > 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line [*at, end). */
static size_t next_word(const char **at, const char *end, const char **ret_word)
{
    const char *word = *at, *stop;

    while (word < end && is_blank(*word))
        word++;
    stop = word;
    while (stop < end && !is_blank(*stop))
        stop++;
    *at = stop;
    *ret_word = word;
    return (size_t)(stop - word);
}

/* ret_key's name stays empty for a line without a key. */
static int parse_line(const char *line, const char *end, unsigned number, struct key *ret_key, struct error *err)
{
    const char *at = line, *word;
    size_t bytes = next_word(&at, end, &word);

    *ret_key = (struct key){0};
    if (!bytes || *word == '#')
        return 0;
    if (!key_name_is_good(word, bytes))
        return error_set(err, ERROR_REQUEST,
                         "line %u: a key's name has 1 to %d letters, digits, dots, dashes and underscores", number,
                         CALLER_NAME_BYTES - 1);
    memcpy(ret_key->caller.name, word, bytes);
    bytes = next_word(&at, end, &word);
    if (!parse_digest(word, bytes, ret_key->digest))
        return error_set(err, ERROR_REQUEST,
                         "line %u: the SHA-256 of %s has %zu characters, or some that are no hex "
                         "digits; it takes 64",
                         number, ret_key->caller.name, bytes);
    bytes = next_word(&at, end, &word);
    ret_key->caller.scopes = key_scopes_parse(word, bytes);
    if (!ret_key->caller.scopes)
        return error_set(err, ERROR_REQUEST, "line %u: the scopes of %s are not one or more of read,submit,admin",
                         number, ret_key->caller.name);
    bytes = next_word(&at, end, &word);
    if (bytes && *word != '#' && !parse_queued(word, bytes, &ret_key->caller.queued_max))
        return error_set(err, ERROR_REQUEST, "line %u: what follows the scopes of %s is not queued=N", number,
                         ret_key->caller.name);
    if (bytes && *word != '#') {
        bytes = next_word(&at, end, &word);
        if (bytes && *word != '#')
            return error_set(err, ERROR_REQUEST, "line %u: there is more after the quota of %s", number,
                             ret_key->caller.name);
    }
    return 0;
}

static int add_key(struct key_list *list, const struct key *key, unsigned number, struct error *err)
{
    struct key *items;

    for (size_t i = 0; i < list->count; i++)
        if (memcmp(list->items[i].digest, key->digest, KEY_DIGEST_BYTES) == 0)
            return error_set(err, ERROR_REQUEST, "line %u: %s and %s have the same key", number,
                             list->items[i].caller.name, key->caller.name);
    items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (!items)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the keys");
    list->items = items;
    items[list->count++] = *key;
    return 0;
}

int key_list_parse(const char *text, size_t bytes, struct key_list *ret, struct error *err)
{
    const char *end = text + bytes;
    struct key_list list = {0};
    unsigned number = 0;
    int rc = 0;

    while (!rc && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        struct key key;

        rc = parse_line(text, stop, ++number, &key, err);
        if (!rc && key.caller.name[0])
            rc = add_key(&list, &key, number, err);
        text = newline ? newline + 1 : end;
    }
    if (!rc && !list.count)
        rc = error_set(err, ERROR_REQUEST, "it holds no key");
    if (rc) {
        key_list_done(&list);
        return rc;
    }
    *ret = list;
    return 0;
}

/* Everybody's business is only whether the file can be read by the service: hashes are no keys, yet no gift either; and
 * whoever may write it may let himself in. */
static void warn_of_mode(const char *path, mode_t mode)
{
    char octal[8];

    if (!(mode & (S_IRWXO | S_IWGRP)))
        return;
    snprintf(octal, sizeof(octal), "%04o", (unsigned)mode & 07777);
    LOG_LINE(LEVEL_WARNING, "the API keys file is open to others", log_text("file", path), log_text("mode", octal),
             log_text("advice", "chmod 600, or 640 with the service's group"));
}

static int read_keys(const char *path, struct key_list *ret, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
    struct stat stat;
    char *text = NULL;
    size_t used = 0;
    ssize_t got = 1;

    if (fd < 0 || fstat(fd, &stat) != 0) {
        rc = error_set(err, ERROR_REQUEST, "cannot read the API keys file %.200s: %s", path, strerrordesc_np(errno));
        goto out;
    }
    if (!S_ISREG(stat.st_mode)) {
        rc = error_set(err, ERROR_REQUEST, "the API keys file %.200s is not a regular file", path);
        goto out;
    }
    text = malloc(KEYS_FILE_BYTES + 1);
    if (!text) {
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for the keys");
        goto out;
    }
    while (used <= KEYS_FILE_BYTES && (got = read(fd, text + used, KEYS_FILE_BYTES + 1 - used)) > 0)
        used += (size_t)got;
    if (got < 0)
        rc = error_set(err, ERROR_REQUEST, "cannot read the API keys file %.200s: %s", path, strerrordesc_np(errno));
    else if (used > KEYS_FILE_BYTES)
        rc = error_set(err, ERROR_REQUEST, "the API keys file %.200s has more than %d bytes", path, KEYS_FILE_BYTES);
    else
        rc = error_prefix(err, key_list_parse(text, used, ret, err), "the API keys file %.200s, ", path);
    if (!rc)
        warn_of_mode(path, stat.st_mode);
out:
    free(text);
    if (fd >= 0)
        close(fd);
    return rc;
}

static bool identify(struct access *access, const char *key, size_t bytes, struct caller *ret)
{
    struct keyring *keyring = (struct keyring *)access;
    unsigned char digest[KEY_DIGEST_BYTES];
    const struct key *found = NULL;

    hash(key, bytes, digest);
    must(pthread_rwlock_rdlock(&keyring->lock));
    for (size_t i = 0; i < keyring->keys.count; i++)
        if (libcrypto()->CRYPTO_memcmp(digest, keyring->keys.items[i].digest, KEY_DIGEST_BYTES) == 0)
            found = &keyring->keys.items[i];
    if (found)
        *ret = found->caller;
    must(pthread_rwlock_unlock(&keyring->lock));
    return found != NULL;
}

int keyring_open(const char *path, struct keyring **ret, struct error *err)
{
    struct keyring *keyring = calloc(1, sizeof(*keyring));
    int rc;

    if (!keyring)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the keys");
    keyring->access.identify = identify;
    must(pthread_rwlock_init(&keyring->lock, NULL));
    keyring->path = strdup(path);
    rc = keyring->path ? keyring_reload(keyring, err) : error_set(err, ERROR_NO_MEMORY, "no memory for the keys");
    if (rc) {
        keyring_free(keyring);
        return rc;
    }
    *ret = keyring;
    return 0;
}

int keyring_reload(struct keyring *keyring, struct error *err)
{
    struct key_list keys, old;
    int rc = read_keys(keyring->path, &keys, err);

    if (rc)
        return rc;
    must(pthread_rwlock_wrlock(&keyring->lock));
    old = keyring->keys;
    keyring->keys = keys;
    must(pthread_rwlock_unlock(&keyring->lock));
    key_list_done(&old);
    return 0;
}

size_t keyring_count(struct keyring *keyring)
{
    size_t count;

    must(pthread_rwlock_rdlock(&keyring->lock));
    count = keyring->keys.count;
    must(pthread_rwlock_unlock(&keyring->lock));
    return count;
}

struct access *keyring_access(struct keyring *keyring)
{
    return keyring ? &keyring->access : NULL;
}

void keyring_free(struct keyring *keyring)
{
    if (!keyring)
        return;
    key_list_done(&keyring->keys);
    must(pthread_rwlock_destroy(&keyring->lock));
    free(keyring->path);
    free(keyring);
}

int key_make(char ret_key[KEY_TEXT_BYTES], char ret_digest[2 * KEY_DIGEST_BYTES + 1], struct error *err)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char random[KEY_TEXT_BYTES - 9], digest[KEY_DIGEST_BYTES];
    size_t used = (size_t)snprintf(ret_key, KEY_TEXT_BYTES, "diffaid_");

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_set(err, ERROR_INTERNAL, "the kernel gives no random bytes: %s", strerrordesc_np(errno));
    for (size_t i = 0; i < sizeof(random); i++)
        ret_key[used++] = alphabet[random[i] & 63];
    ret_key[used] = '\0';
    hash(ret_key, used, digest);
    for (size_t i = 0; i < KEY_DIGEST_BYTES; i++)
        snprintf(ret_digest + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
