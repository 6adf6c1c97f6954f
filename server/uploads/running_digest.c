#include "server/uploads/running_digest.h"

#include <string.h>

#include "server/libcrypto.h"

enum { BLOCK_BYTES = 64 };

void running_digest_init(struct running_digest *digest)
{
    libcrypto()->SHA256_Init(&digest->context);
    digest->bytes = 0;
}

void running_digest_add(struct running_digest *digest, const void *data, size_t bytes)
{
    libcrypto()->SHA256_Update(&digest->context, data, bytes);
    digest->bytes += bytes;
}

void running_digest_end(struct running_digest *digest, unsigned char out[32])
{
    libcrypto()->SHA256_Final(out, &digest->context);
}

static void put(unsigned char *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t take(const unsigned char *in, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

void running_digest_save(const struct running_digest *digest, unsigned char out[DIGEST_STATE_BYTES])
{
    memset(out, 0, DIGEST_STATE_BYTES);
    for (int i = 0; i < 8; i++)
        put(out + 4 * i, digest->context.h[i], 4);
    put(out + 32, digest->bytes, 8);
    memcpy(out + 40, digest->context.data, digest->bytes % BLOCK_BYTES);
}

void running_digest_restore(struct running_digest *digest, const unsigned char state[DIGEST_STATE_BYTES])
{
    running_digest_init(digest);
    for (int i = 0; i < 8; i++)
        digest->context.h[i] = (SHA_LONG)take(state + 4 * i, 4);
    digest->bytes = take(state + 32, 8);
    digest->context.Nl = (SHA_LONG)(digest->bytes << 3);
    digest->context.Nh = (SHA_LONG)(digest->bytes >> 29);
    digest->context.num = (unsigned)(digest->bytes % BLOCK_BYTES);
    memcpy(digest->context.data, state + 40, digest->context.num);
}
