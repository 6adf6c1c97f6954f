/* The fingerprint of one model's values, to be kept and checked later: the same for any order of the tensors in the
 * file, any sharding and any metadata; another when a name, a dtype, a shape or a byte of a tensor is another.
 *
 *     SHA-256(SHA-256(name 0), digest 0, SHA-256(name 1), digest 1, …)
 *
 * over the tensors that the selection takes, in natural order of their names (name_compare_natural); digests are those
 * of scan/digest.h. */
#ifndef CORE_FINGERPRINT_H
#define CORE_FINGERPRINT_H

#include <stdint.h>

#include "core/error.h"
#include "core/scan/digest.h"

struct comparison;

struct fingerprint {
    uint8_t digest[DIGEST_BYTES];
    uint64_t tensors;
};

/* "sha256:" and 64 hexadecimal digits, terminated. */
enum { FINGERPRINT_TEXT_BYTES = 7 + 2 * DIGEST_BYTES + 1 };
void fingerprint_text(const uint8_t digest[DIGEST_BYTES], char out[FINGERPRINT_TEXT_BYTES]);

/* Reads what fingerprint_text wrote; whatever follows a space (a line kept from a listing) is passed over.
 * ERROR_REQUEST when it is none. */
int fingerprint_parse(const char *text, uint8_t ret[DIGEST_BYTES], struct error *err);

/* Of a profile whose pass had NEED_DIGEST. Errors: ERROR_NO_MEMORY. */
int fingerprint_of(const struct comparison *comparison, struct fingerprint *ret, struct error *err);

#endif
