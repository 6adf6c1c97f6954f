/* `diffaid backup DEST`: a copy of the state directory, whether or not a service is using it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/commands/command.h"
#include "server/config.h"
#include "server/jobs/backup.h"

extern char **environ;

static void print_usage(FILE *to)
{
    fprintf(to,
            "usage: diffaid backup DEST [--state-dir DIR]\n\n"
            "Copies the state directory to DEST, which must not exist, while the service goes on. DEST holds every\n"
            "job and upload that was acknowledged before, is whole when it has its name, and is itself a state\n"
            "directory: to restore, stop the service and put DEST where --state-dir points, or start on it.\n\n"
            "exit status: 0, 2 for usage or no state directory there, 3 when it could not be written\n");
}

int command_backup(int argc, char **argv)
{
    struct config config;
    struct backup_counts counts;
    struct error err = {0};
    enum config_wish wish = CONFIG_RUN;
    int rc;

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    if (argc < 2 || argv[1][0] == '-') {
        print_usage(stderr);
        return EXIT_INPUT;
    }
    rc = config_read(argc - 1, argv + 1, environ, NULL, NULL, &config, &wish, &err);
    if (!rc) {
        rc = backup_make(config.state_dir, argv[1], &counts, &err);
        config_done(&config);
    }
    if (rc) {
        fprintf(stderr, "diffaid backup: %s\n", err.text);
        return rc == ERROR_REQUEST || rc == ERROR_NOT_FOUND ? EXIT_INPUT : EXIT_DEVICE;
    }
    printf("%s: %" PRIu64 " jobs, %" PRIu64 " uploads, %" PRIu64 " files of %" PRIu64 " bytes\n", argv[1], counts.jobs,
           counts.uploads, counts.files, counts.file_bytes);
    return fflush(stdout) == 0 ? 0 : EXIT_DEVICE;
}
