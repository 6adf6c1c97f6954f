#include "server/commands/command.h"

const struct command commands[] = {
    {"compare", "A B [C...]", "what changed between models", command_compare},
    {"inspect", "A", "what a model holds, from its headers alone", command_inspect},
    {"serve", "", "the HTTP service", command_serve},
    {"analyses", "[NAME]", "what can be measured, with options", command_analyses},
    {"health", "", "exit 0 when the service is ready", command_health},
    {"keys", "new NAME", "an API key for the service", command_keys},
    {"backup", "DEST", "a copy of the service's state, while it runs", command_backup},
    {"jobs", "gc", "remove what is old while no service runs", command_jobs},
    {"man", "", "this program's manual page, for man -l -", command_man},
    {"worker", "", NULL, command_worker},
};
const size_t command_count = sizeof(commands) / sizeof(commands[0]);
