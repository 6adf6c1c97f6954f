#include "server/jobs/uuid.h"

#include <stdlib.h>
#include <sys/random.h>

void uuid_new(int64_t unix_ms, char out[JOB_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t stamp = (uint64_t)unix_ms;
    uint8_t bytes[16];
    size_t at = 0;

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        abort(); /* only before the kernel's pool is seeded, where getrandom waits instead */
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(stamp >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = digits[bytes[i] >> 4];
        out[at++] = digits[bytes[i] & 15];
    }
    out[at] = '\0';
}
