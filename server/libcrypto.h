/* libcrypto as the service has it: loaded once, when it starts. */
#ifndef SERVER_LIBCRYPTO_H
#define SERVER_LIBCRYPTO_H

#include "core/libcrypto.h"

/* Its functions. Ends the process where there is no libcrypto: what starts says so first, by libcrypto_load. */
const struct libcrypto *libcrypto(void);

#endif
