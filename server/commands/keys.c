/* `diffaid keys new`: a key for --api-keys-file. The key itself is shown this once and stored nowhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/commands/command.h"
#include "server/keyring.h"

static void print_usage(FILE *to)
{
    fprintf(to, "usage: diffaid keys new NAME [--scope read,submit,admin] [--queued N]\n\n"
                "Prints a new API key, which is stored nowhere, and below it the line for the file that\n"
                "`diffaid serve --api-keys-file` reads (again at each SIGHUP).\n\n"
                "  --scope LIST   what the key may do [read,submit]: read what it owns, submit jobs and\n"
                "                 uploads, admin for everything of everybody\n"
                "  --queued N     jobs of this name that may wait at once; more get 429\n\n"
                "exit status: 0, or 2 for usage\n");
}

struct wish {
    const char *name, *scopes, *queued;
};

static bool read_wish(int argc, char **argv, struct wish *ret)
{
    *ret = (struct wish){.scopes = "read,submit"};
    if (argc < 3 || strcmp(argv[1], "new") != 0)
        return false;
    for (int i = 2; i < argc; i++) {
        const char **value = strcmp(argv[i], "--scope") == 0    ? &ret->scopes
                             : strcmp(argv[i], "--queued") == 0 ? &ret->queued
                                                                : NULL;

        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (value || argv[i][0] == '-' || ret->name)
            return false;
        else
            ret->name = argv[i];
    }
    return ret->name != NULL;
}

int command_keys(int argc, char **argv)
{
    char key[KEY_TEXT_BYTES], digest[2 * KEY_DIGEST_BYTES + 1], line[512];
    struct key_list check;
    struct error err = {0};
    struct wish wish;

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    if (!read_wish(argc, argv, &wish)) {
        print_usage(stderr);
        return EXIT_INPUT;
    }
    if (key_make(key, digest, &err)) {
        fprintf(stderr, "diffaid keys: %s\n", err.text);
        return EXIT_DEVICE;
    }
    snprintf(line, sizeof(line), "%.100s %s %.100s%s%.100s", wish.name, digest, wish.scopes,
             wish.queued ? " queued=" : "", wish.queued ? wish.queued : "");
    if (key_list_parse(line, strlen(line), &check, &err)) { /* whatever the file would refuse */
        fprintf(stderr, "diffaid keys: %s\n", err.text);
        return EXIT_INPUT;
    }
    key_list_done(&check);
    printf("%s\n%s\n", key, line);
    if (fflush(stdout) != 0)
        return EXIT_DEVICE;
    fprintf(stderr, "The first line is the key, to be kept secret; the second goes into the --api-keys-file.\n");
    return 0;
}
