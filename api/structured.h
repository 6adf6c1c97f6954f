/* Structured fields (RFC 9651): the items and dictionaries that headers of uploads and submissions are. */
#ifndef API_STRUCTURED_H
#define API_STRUCTURED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum structured_kind {
    STRUCTURED_INTEGER,
    STRUCTURED_BOOLEAN, /* integer is 0 or 1 */
    STRUCTURED_STRING,  /* text as it stands between the quotes, escapes and all */
    STRUCTURED_BYTES,   /* text is the base64 between the colons */
    STRUCTURED_OTHER,   /* decimals, dates, tokens, inner lists: well formed, and of no use here */
};

struct structured_item {
    enum structured_kind kind;
    int64_t integer;
    const char *text; /* borrowed from the field */
    size_t bytes;
};

/* The whole field as one item; parameters are read over. False when it is malformed. */
bool structured_item(const char *field, struct structured_item *ret_item);

/* A member of a dictionary. */
struct structured_member {
    const char *key; /* borrowed */
    size_t key_bytes;
    struct structured_item item;
};

/* The member at *at, which moves behind it; *ret_has is false at the end. False when the field is malformed there. */
bool structured_member(const char **at, struct structured_member *ret_member, bool *ret_has);

/* Decodes base64 with its padding (RFC 4648) of exactly `size` bytes; false when it is anything else. */
bool base64_decode_exactly(const char *text, size_t bytes, unsigned char *out, size_t size);

#endif
