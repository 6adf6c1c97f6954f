#include "core/libcrypto.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

int libcrypto_load(struct libcrypto *ret, struct error *err)
{
    struct libcrypto loaded;
    void *library, *found;

    errno = 0;
    library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library && errno == ENOMEM)
        return error_set(err, ERROR_NO_MEMORY, "no memory to load libcrypto");
    if (!library)
        return error_set(err, ERROR_UNSUPPORTED, "hashing needs libcrypto: %s", dlerror());
#define LIBCRYPTO_FIND(name)                                                                                           \
    found = dlsym(library, #name);                                                                                     \
    if (!found)                                                                                                        \
        return error_set(err, ERROR_UNSUPPORTED, "this libcrypto has no %s", #name);                                   \
    memcpy(&loaded.name, &found, sizeof(found)); /* ISO C has no cast from object to function */
    LIBCRYPTO_FUNCTIONS(LIBCRYPTO_FIND)
#undef LIBCRYPTO_FIND
    *ret = loaded;
    return 0;
}
