#include "server/http/libmicrohttpd.h"

#include <dlfcn.h>
#include <string.h>

struct libmicrohttpd libmicrohttpd;

int libmicrohttpd_load(struct error *err)
{
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    struct libmicrohttpd loaded;
    void *found;

    if (!library)
        return error_set(err, ERROR_UNSUPPORTED, "the service needs libmicrohttpd: %s", dlerror());
#define LIBMICROHTTPD_FIND(name)                                                                                       \
    found = dlsym(library, #name);                                                                                     \
    if (!found)                                                                                                        \
        return error_set(err, ERROR_UNSUPPORTED, "this libmicrohttpd has no %s", #name);                               \
    memcpy(&loaded.name, &found, sizeof(found)); /* ISO C has no cast from object to function */
    LIBMICROHTTPD_FUNCTIONS(LIBMICROHTTPD_FIND)
#undef LIBMICROHTTPD_FIND
    libmicrohttpd = loaded;
    return 0;
}
