/* The API keys of --api-keys-file. A line is
 *     NAME SHA256 SCOPES [queued=N]
 * with the key's SHA-256 as 64 hex digits and scopes as read,submit,admin; # starts a comment. Two keys may have one
 * name, so that a new one can be handed out before the old one goes: they own the same jobs. */
#ifndef SERVER_KEYRING_H
#define SERVER_KEYRING_H

#include "api/access.h"

enum { KEY_DIGEST_BYTES = 32, KEYS_FILE_BYTES = 1 << 20, KEY_TEXT_BYTES = 52 };

struct key {
    struct caller caller;
    unsigned char digest[KEY_DIGEST_BYTES];
};

struct key_list {
    struct key *items; /* owned */
    size_t count;
};
void key_list_done(struct key_list *list);

/* The whole file's text, of at least one key. ERROR_REQUEST names the line and never shows what may be a key. */
int key_list_parse(const char *text, size_t bytes, struct key_list *ret, struct error *err);

bool key_name_is_good(const char *name, size_t bytes);
/* "read,submit" into bits; 0 when malformed. */
unsigned key_scopes_parse(const char *text, size_t bytes);

/* A new key, "diffaid_…" of 256 random bits, and its SHA-256 in hex. */
int key_make(char ret_key[KEY_TEXT_BYTES], char ret_digest[2 * KEY_DIGEST_BYTES + 1], struct error *err);

struct keyring;

/* Reads the file; what is wrong with its mode is told to the log. */
int keyring_open(const char *path, struct keyring **ret, struct error *err);
/* Reads it again; on failure the keys stay as they were. */
int keyring_reload(struct keyring *keyring, struct error *err);
size_t keyring_count(struct keyring *keyring);
struct access *keyring_access(struct keyring *keyring);
void keyring_free(struct keyring *keyring); /* NULL is fine */

#endif
