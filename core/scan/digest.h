/* The fingerprint of a tensor's stored bytes:
 *
 *     SHA-256(dtype name, "[", dims joined by ",", "]\n", SHA-256(bytes of unit 0), SHA-256(bytes of unit 1), …)
 *
 * Units are those of the pass (unit.h): a tensor of rank ≥ 2 whose last dimension is c ≤ 2^20 is cut into runs of
 * r = ⌊2^20 ÷ c⌋ rows of that dimension, r rounded down to a multiple of 8 where it is above 8; every other tensor into
 * runs of 2^20 elements, which end at the ends of its rows too. Elements of less than a byte take the bytes they touch.
 * Tensors that cannot be decoded are cut every 4 MiB. Where a file only moves elements (a view, the other byte order),
 * bytes are those of the elements in order, little-endian; where it encodes them in blocks, those of the blocks. The
 * bytes of a tensor that was made of several are theirs, one behind the other, B in all: the unit of elements [a, b) of
 * n takes [⌊aB ÷ n⌋, ⌊bB ÷ n⌋). */
#ifndef CORE_SCAN_DIGEST_H
#define CORE_SCAN_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/model/tensor.h"

enum { DIGEST_BYTES = 32 };

struct digest; /* one computation at a time */

int digest_new(struct digest **ret_digest, struct error *err);
void digest_free(struct digest *digest);

/* Of one unit. Errors: ERROR_NO_MEMORY. */
int digest_unit(struct digest *digest, const void *data, size_t bytes, uint8_t ret[DIGEST_BYTES], struct error *err);

/* Of a sequence of digests alone; ends like a tensor's. */
int digest_begin_plain(struct digest *digest, struct error *err);

/* Of any bytes, between digest_begin_plain and digest_end. */
int digest_add(struct digest *digest, const void *data, size_t bytes, struct error *err);

/* Of a tensor, from its units' digests in order. */
int digest_begin(struct digest *digest, const struct tensor *tensor, struct error *err);
int digest_add_unit(struct digest *digest, const uint8_t unit[DIGEST_BYTES], struct error *err);
int digest_end(struct digest *digest, uint8_t ret[DIGEST_BYTES], struct error *err);

#endif
