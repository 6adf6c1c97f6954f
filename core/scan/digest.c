/* SHA-256 by OpenSSL's libcrypto, which has the processor's own instructions for it. Its configuration file is not
 * read: the pass runs where files cannot be opened any more. */
#include "core/scan/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/libcrypto.h"

struct digest {
    struct libcrypto crypto;
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

static int failed(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "no memory for a SHA-256 digest");
}

void digest_free(struct digest *digest)
{
    if (!digest)
        return;
    digest->crypto.EVP_MD_CTX_free(digest->context);
    digest->crypto.EVP_MD_free(digest->algorithm);
    free(digest);
}

int digest_new(struct digest **ret_digest, struct error *err)
{
    struct digest *digest = calloc(1, sizeof(*digest));
    int rc;

    if (!digest)
        return failed(err);
    rc = libcrypto_load(&digest->crypto, err);
    if (rc) {
        free(digest);
        return rc;
    }
    digest->crypto.OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    digest->algorithm = digest->crypto.EVP_MD_fetch(NULL, "SHA256", NULL);
    digest->context = digest->crypto.EVP_MD_CTX_new();
    if (!digest->algorithm || !digest->context) {
        digest_free(digest);
        return failed(err);
    }
    *ret_digest = digest;
    return 0;
}

int digest_unit(struct digest *digest, const void *data, size_t bytes, uint8_t ret[DIGEST_BYTES], struct error *err)
{
    if (!digest->crypto.EVP_DigestInit_ex(digest->context, digest->algorithm, NULL) ||
        !digest->crypto.EVP_DigestUpdate(digest->context, data, bytes) ||
        !digest->crypto.EVP_DigestFinal_ex(digest->context, ret, NULL))
        return failed(err);
    return 0;
}

int digest_begin_plain(struct digest *digest, struct error *err)
{
    return digest->crypto.EVP_DigestInit_ex(digest->context, digest->algorithm, NULL) ? 0 : failed(err);
}

int digest_add(struct digest *digest, const void *data, size_t bytes, struct error *err)
{
    return digest->crypto.EVP_DigestUpdate(digest->context, data, bytes) ? 0 : failed(err);
}

int digest_begin(struct digest *digest, const struct tensor *tensor, struct error *err)
{
    const struct name dtype = tensor_dtype_name(tensor);
    bool is_fine = digest->crypto.EVP_DigestInit_ex(digest->context, digest->algorithm, NULL) &&
                   digest->crypto.EVP_DigestUpdate(digest->context, dtype.text, dtype.bytes) &&
                   digest->crypto.EVP_DigestUpdate(digest->context, "[", 1);

    for (uint32_t d = 0; is_fine && d < tensor->shape.rank; d++) {
        char text[32];
        int length = snprintf(text, sizeof(text), d ? ",%" PRIu64 : "%" PRIu64, tensor->shape.dims[d]);

        is_fine = digest->crypto.EVP_DigestUpdate(digest->context, text, (size_t)length);
    }
    return is_fine && digest->crypto.EVP_DigestUpdate(digest->context, "]\n", 2) ? 0 : failed(err);
}

int digest_add_unit(struct digest *digest, const uint8_t unit[DIGEST_BYTES], struct error *err)
{
    return digest->crypto.EVP_DigestUpdate(digest->context, unit, DIGEST_BYTES) ? 0 : failed(err);
}

int digest_end(struct digest *digest, uint8_t ret[DIGEST_BYTES], struct error *err)
{
    return digest->crypto.EVP_DigestFinal_ex(digest->context, ret, NULL) ? 0 : failed(err);
}
