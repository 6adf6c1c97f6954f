/* Snappy's raw format. (github.com/google/snappy, format_description.txt.) */
#ifndef CORE_FORMAT_SNAPPY_H
#define CORE_FORMAT_SNAPPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the bytes claim to give; false where they claim nothing, or more than so many bytes can give. */
bool snappy_claim(const uint8_t *bytes, size_t count, uint64_t *ret_claim);

/* Gives exactly out_bytes, the claim. false: damaged. */
bool snappy_expand(const uint8_t *bytes, size_t count, uint8_t *out, size_t out_bytes);

#endif
