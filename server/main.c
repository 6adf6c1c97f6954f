/* The program's door: finds the command by name. Called as diffai, it is the comparison with the seed's flags. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "server/commands/command.h"

enum { MAPPED_FROM_BYTES = 1 << 20 };

static void print_usage(FILE *to)
{
    fprintf(to,
            "diffaid %s: tells what changed between machine-learning models\n\nusage: diffaid COMMAND [ARGUMENTS]\n\n",
            DIFFAID_VERSION);
    for (size_t i = 0; i < command_count; i++)
        if (commands[i].summary)
            fprintf(to, "  diffaid %-9s%-11s%s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fprintf(to, "  diffai A B          the same comparison, with the flags and the output of diffai\n\n"
                "`diffaid COMMAND --help` tells the rest.\n"
                "exit status: 0 identical or equivalent, 1 changed or incomparable, 2 usage or bad input,\n"
                "             3 write or device error, 4 gate failed (0 when a gate passes), 130 interrupted\n");
}

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = argc > 0 ? (slash ? slash + 1 : argv[0]) : "diffaid";

    /* Left to itself, malloc keeps what is freed of ever larger blocks: a tenth of what 300,000 tensors take. */
    mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
    if (strcmp(name, "diffai") == 0)
        return command_diffai(argc, argv);
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_INPUT;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("diffaid %s\n", DIFFAID_VERSION);
        return 0;
    }
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "diffaid: unknown command \"%s\"; diffaid --help lists them\n", argv[1]);
    return EXIT_INPUT;
}
