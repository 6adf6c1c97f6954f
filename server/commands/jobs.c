/* `diffaid jobs gc`: what the service's sweeper does every minute, done once while no service runs, and the disk space
 * given back. A running service keeps counts and files of its own in mind: nobody else may delete beside it. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/clock.h"
#include "server/commands/command.h"
#include "server/config.h"
#include "server/jobs/sweeper.h"
#include "server/state_dir.h"

extern char **environ;

static void print_usage(FILE *to)
{
    fprintf(to, "usage: diffaid jobs gc [--state-dir DIR] [--retention TIME]\n\n"
                "Removes jobs that ended, and uploads that are not in use, more than --retention ago, files that no\n"
                "record knows, and unused space in the job store, while no service uses the state directory. A\n"
                "running service does the first three by itself; there, DELETE /v1/jobs/{id} removes one early.\n\n"
                "exit status: 0, 2 for usage or no state directory there, 3 when it is in use or cannot be written\n");
}

static int64_t store_bytes(const struct config *config)
{
    char path[4096];
    struct stat stat_of;

    snprintf(path, sizeof(path), "%s/diffaid.db", config->state_dir);
    return stat(path, &stat_of) == 0 ? (int64_t)stat_of.st_size : 0;
}

static int sweep(const struct config *config, int state_fd, struct swept *ret, struct error *err)
{
    struct store_settings settings = {.state_fd = state_fd,
                                      .state_dir = config->state_dir,
                                      .queue_limit = config->queue_limit,
                                      .retention_ms = config->retention_ms};
    struct blob_store *results = NULL, *uploads = NULL;
    struct job_store *store = NULL;
    struct sweeper *sweeper = NULL;
    int rc = blob_directory_open(state_fd, "results", &results, err);

    if (!rc)
        rc = blob_directory_open(state_fd, "uploads", &uploads, err);
    if (!rc)
        rc = sqlite_store_open(&settings, &store, err);
    if (!rc)
        rc = sweeper_open(store, results, uploads, config->retention_ms, &sweeper, err);
    if (!rc) {
        sweeper_sweep_orphans(sweeper, ret);
        sweeper_sweep_expired(sweeper, clock_wall_ms(), ret);
    }
    sweeper_stop(sweeper);
    if (store)
        store->ops->close(store);
    if (results)
        results->ops->close(results);
    if (uploads)
        uploads->ops->close(uploads);
    return rc ? rc : sqlite_store_compact(config->state_dir, err);
}

static int gc(int argc, char **argv)
{
    struct state_dir state;
    struct config config;
    struct swept swept = {0};
    struct error err = {0};
    enum config_wish wish = CONFIG_RUN;
    int64_t before, after;
    int rc = config_read(argc, argv, environ, NULL, NULL, &config, &wish, &err);

    if (rc) {
        fprintf(stderr, "diffaid jobs gc: %s\n", err.text);
        return EXIT_INPUT;
    }
    if (wish != CONFIG_RUN) {
        print_usage(stdout);
        config_done(&config);
        return 0;
    }
    before = store_bytes(&config);
    rc = before ? state_dir_open(config.state_dir, false, 0, &state, &err)
                : error_set(&err, ERROR_NOT_FOUND, "%.300s holds no job store", config.state_dir);
    if (!rc) {
        rc = sweep(&config, state.fd, &swept, &err);
        state_dir_close(&state);
    } else if (rc == ERROR_BUSY) {
        error_set(&err, ERROR_BUSY, "a service uses %.300s, and removes by itself what is old; stop it first",
                  config.state_dir);
    }
    after = store_bytes(&config);
    config_done(&config);
    if (rc) {
        fprintf(stderr, "diffaid jobs gc: %s\n", err.text);
        return rc == ERROR_NOT_FOUND ? EXIT_INPUT : EXIT_DEVICE;
    }
    printf("removed %zu jobs, %zu uploads and %zu files that nobody knew; the job store has %lld bytes (%lld before)\n",
           swept.jobs, swept.uploads, swept.orphans, (long long)after, (long long)before);
    return fflush(stdout) == 0 ? 0 : EXIT_DEVICE;
}

int command_jobs(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "gc") == 0)
        return gc(argc - 1, argv + 1);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout);
        return 0;
    }
    print_usage(stderr);
    return EXIT_INPUT;
}
