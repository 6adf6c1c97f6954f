/* The walls of the command line: the same as a worker's, around the files that the user named. */
#ifndef SERVER_COMMANDS_WALLS_H
#define SERVER_COMMANDS_WALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/commands/destination.h"

enum { COMMAND_PLACES_MAX = 16384 };

/* Loads what hashing needs, as behind the walls no library can be, if these models or a digest that is asked for may
 * need it: before command_wall_in. */
void command_prepare_hashing(const char *const *models, size_t model_count, bool is_digested);

/* Walls the process in, with what the kernel offers: the models and what lies beside them may be read, the destinations
 * written. stopped runs in the handler of SIGSYS, before the process dies. Returns NULL, or what is missing of the
 * walls (static text). */
const char *command_wall_in(const char *const *models, size_t model_count, const struct destination *destinations,
                            size_t destination_count, void (*stopped)(long call));

#endif
