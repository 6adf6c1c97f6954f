#ifndef SERVER_COMMANDS_CHECK_CONFIG_H
#define SERVER_COMMANDS_CHECK_CONFIG_H

#include "server/config.h"

/* `diffaid serve --check-config`: prints the settings in force and what follows from them, looks at everything that
 * they name, and starts and changes nothing. Returns the exit status: 0, or 2 with each fault on standard error. */
int check_config(const struct config *config);

#endif
