#include "server/libcrypto.h"

#include <pthread.h>
#include <stdlib.h>

static struct libcrypto loaded;

static void load(void)
{
    if (libcrypto_load(&loaded, NULL))
        abort();
}

const struct libcrypto *libcrypto(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (pthread_once(&once, load))
        abort();
    return &loaded;
}
