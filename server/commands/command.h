/* The program's commands: each takes its own arguments (argv[0] is the command's name) and returns the exit status. */
#ifndef SERVER_COMMANDS_COMMAND_H
#define SERVER_COMMANDS_COMMAND_H

#include <stddef.h>

enum exit_status {
    EXIT_SAME = 0,      /* identical or equivalent; success */
    EXIT_DIFFERENT = 1, /* changed or incomparable */
    EXIT_INPUT = 2,     /* usage, or an input that is missing, unreadable, malformed or changed while read */
    EXIT_DEVICE = 3,    /* a write or device error */
    EXIT_GATE = 4,      /* a gate that failed */
    EXIT_INTERRUPTED = 130,
};

struct command {
    const char *name;
    const char *arguments;
    const char *summary; /* NULL: not for people */
    int (*run)(int argc, char **argv);
};
extern const struct command commands[];
extern const size_t command_count;

int command_compare(int argc, char **argv);
int command_diffai(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_analyses(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_worker(int argc, char **argv);
int command_health(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_jobs(int argc, char **argv);
int command_man(int argc, char **argv);

#endif
