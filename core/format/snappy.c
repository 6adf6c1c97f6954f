#include "core/format/snappy.h"

#include <string.h>

enum { RATIO_MAX = 64 }; /* a copy of 64 bytes takes 2 and more */

static bool read_length(const uint8_t *bytes, size_t count, uint64_t *ret_length, size_t *ret_used)
{
    uint64_t length = 0;

    for (size_t i = 0; i < count && i < 5; i++) {
        length |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            *ret_length = length;
            *ret_used = i + 1;
            return length <= UINT32_MAX;
        }
    }
    return false;
}

bool snappy_claim(const uint8_t *bytes, size_t count, uint64_t *ret_claim)
{
    uint64_t claim;
    size_t used;

    if (!read_length(bytes, count, &claim, &used) || claim / RATIO_MAX > count)
        return false;
    *ret_claim = claim;
    return true;
}

/* The next piece of the stream: so many bytes from offset bytes back; offset 0: literal ones, which follow. */
static bool next_piece(const uint8_t *bytes, size_t count, size_t *at, size_t *ret_length, size_t *ret_offset)
{
    const uint8_t tag = bytes[(*at)++];
    size_t length = 0, offset = 0, more;

    switch (tag & 3) {
    case 0:
        length = (size_t)(tag >> 2) + 1;
        more = length > 60 ? length - 60 : 0;
        if (more > count - *at)
            return false;
        if (more)
            length = 1;
        for (size_t i = 0; i < more; i++)
            length += (size_t)bytes[*at + i] << (8 * i);
        break;
    case 1:
        more = 1;
        if (more > count - *at)
            return false;
        length = (size_t)(tag >> 2 & 7) + 4;
        offset = (size_t)(tag >> 5) << 8 | bytes[*at];
        break;
    default:
        more = (tag & 3) == 2 ? 2 : 4;
        if (more > count - *at)
            return false;
        length = (size_t)(tag >> 2) + 1;
        for (size_t i = 0; i < more; i++)
            offset |= (size_t)bytes[*at + i] << (8 * i);
    }
    *at += more;
    *ret_length = length;
    *ret_offset = offset;
    return (tag & 3) == 0 || offset > 0;
}

bool snappy_expand(const uint8_t *bytes, size_t count, uint8_t *out, size_t out_bytes)
{
    uint64_t claim;
    size_t at, done = 0;

    if (!read_length(bytes, count, &claim, &at) || claim != out_bytes)
        return false;
    while (at < count) {
        size_t length, offset;

        if (!next_piece(bytes, count, &at, &length, &offset) || length > out_bytes - done || offset > done)
            return false;
        if (offset == 0) {
            if (length > count - at)
                return false;
            memcpy(out + done, bytes + at, length);
            at += length;
        } else {
            for (size_t i = 0; i < length; i++) /* may reach into what it writes */
                out[done + i] = out[done + i - offset];
        }
        done += length;
    }
    return done == out_bytes;
}
