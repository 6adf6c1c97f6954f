#include "server/webhooks/libcurl.h"

#include <dlfcn.h>
#include <string.h>

int libcurl_load(struct libcurl *ret, struct error *err)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    struct libcurl curl;
    void *found;

    if (!library)
        return error_set(err, ERROR_UNSUPPORTED, "webhooks need libcurl: %s", dlerror());
#define LIBCURL_FIND(name)                                                                                             \
    found = dlsym(library, #name);                                                                                     \
    if (!found)                                                                                                        \
        return error_set(err, ERROR_UNSUPPORTED, "this libcurl has no %s", #name);                                     \
    memcpy(&curl.name, &found, sizeof(found)); /* ISO C has no cast from object to function */
    LIBCURL_FUNCTIONS(LIBCURL_FIND)
#undef LIBCURL_FIND
    if (curl.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERROR_UNSUPPORTED, "libcurl could not be initialised");
    *ret = curl;
    return 0;
}
