/* libcrypto, loaded when something is first to be hashed: linked, its twenty thousand relocations took a third of the
 * time from exec to the first byte read. */
#ifndef CORE_LIBCRYPTO_H
#define CORE_LIBCRYPTO_H

#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and those beside it, see server/uploads/running_digest.h */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "core/error.h"

#define LIBCRYPTO_FUNCTIONS(X)                                                                                         \
    X(CRYPTO_memcmp)                                                                                                   \
    X(EVP_Digest)                                                                                                      \
    X(EVP_DigestFinal_ex)                                                                                              \
    X(EVP_DigestInit_ex)                                                                                               \
    X(EVP_DigestUpdate)                                                                                                \
    X(EVP_EncodeBlock)                                                                                                 \
    X(EVP_MD_CTX_free)                                                                                                 \
    X(EVP_MD_CTX_new)                                                                                                  \
    X(EVP_MD_fetch)                                                                                                    \
    X(EVP_MD_free)                                                                                                     \
    X(EVP_sha256)                                                                                                      \
    X(HMAC)                                                                                                            \
    X(OPENSSL_init_crypto)                                                                                             \
    X(SHA256_Final)                                                                                                    \
    X(SHA256_Init)                                                                                                     \
    X(SHA256_Update)

struct libcrypto {
#define LIBCRYPTO_FIELD(name) __typeof__(&(name)) name;
    LIBCRYPTO_FUNCTIONS(LIBCRYPTO_FIELD)
#undef LIBCRYPTO_FIELD
};

/* Finds its functions; the library stays. A process that is to wall itself in does so once before: what is loaded
 * already needs no file. */
int libcrypto_load(struct libcrypto *ret, struct error *err);

#endif
