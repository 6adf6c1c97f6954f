/* Digest fields (RFC 9530) and their hexadecimal form. */
#ifndef API_DIGEST_H
#define API_DIGEST_H

#include <stdbool.h>

enum { SHA256_HEX_BYTES = 65 }; /* with its NUL */

/* The sha-256 that Repr-Digest or Content-Digest announces, each NULL when not sent; "" when none does. Other
 * algorithms are not looked at. False when a field is malformed or the two contradict each other. */
bool digest_read(const char *repr_digest, const char *content_digest, char ret_hex[SHA256_HEX_BYTES]);

void sha256_spell(const unsigned char digest[32], char out[SHA256_HEX_BYTES]);

#endif
