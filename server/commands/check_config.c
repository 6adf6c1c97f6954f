/* Every check runs, so that one call shows all there is to mend. A service may be running on the same state directory
 * meanwhile: nothing is locked, opened for writing or made. */
#include "server/commands/check_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cors.h"
#include "server/commands/command.h"
#include "server/endpoint.h"
#include "server/jobs/capacity.h"
#include "server/keyring.h"
#include "server/roots.h"

/* The directory itself, or the nearest one above it that is there: where the first one would be made. */
static int check_state_dir(const char *path, struct error *err)
{
    char at[4096];
    struct stat stat_at;

    if (!*path || strlen(path) >= sizeof(at))
        return error_set(err, ERROR_REQUEST, "the state directory's path is empty or too long");
    memcpy(at, path, strlen(path) + 1);
    while (stat(at, &stat_at) != 0) {
        char *slash = strrchr(at, '/');

        if (errno != ENOENT)
            return error_set(err, ERROR_WRITE, "the state directory %.300s cannot be reached: %s", path,
                             strerrordesc_np(errno));
        if (!slash)
            memcpy(at, ".", 2);
        else if (slash == at)
            memcpy(at, "/", 2);
        else
            *slash = '\0';
    }
    if (!S_ISDIR(stat_at.st_mode))
        return error_set(err, ERROR_WRITE, "the state directory %.300s: %.300s is no directory", path, at);
    if (access(at, W_OK | X_OK) != 0)
        return error_set(err, ERROR_WRITE, "the state directory %.300s cannot be written: %s", path,
                         strerrordesc_np(errno));
    return 0;
}

static int check_roots(const struct config *config, size_t *ret_count, struct error *err)
{
    struct roots roots;
    int rc = roots_open((const char *const *)config->models_roots.items, config->models_roots.count, &roots, err);

    if (rc)
        return rc;
    *ret_count = roots.count;
    roots_done(&roots);
    return 0;
}

static int check_keys(const char *path, size_t *ret_count, struct error *err)
{
    struct keyring *keyring;
    int rc;

    if (!*path)
        return 0;
    rc = keyring_open(path, &keyring, err);
    if (rc)
        return rc;
    *ret_count = keyring_count(keyring);
    keyring_free(keyring);
    return 0;
}

static void print_plan(const struct config *config)
{
    struct capacity_plan plan;
    struct capacity capacity;

    capacity_read("", &capacity);
    capacity_plan(&capacity, config->workers, config->threads, config->job_memory_bytes, &plan);
    printf("\n# makes: %u workers of %u threads and %" PRIu64 " bytes of memory each, on %u cores", plan.workers,
           plan.threads, plan.job_memory_bytes, capacity.cores);
    if (capacity.memory_bytes)
        printf(" and %" PRIu64 " bytes%s", capacity.memory_bytes, plan.is_reduced ? ", less than was asked for" : "");
    printf("\n");
}

static unsigned tell(int rc, const struct error *err)
{
    if (!rc)
        return 0;
    fprintf(stderr, "diffaid serve: %s\n", err->text);
    return 1;
}

int check_config(const struct config *config)
{
    struct endpoint endpoint;
    struct error err = {0};
    size_t roots = 0, keys = 0;
    unsigned faults = 0;
    int rc;

    printf("# diffaid %s\n", DIFFAID_VERSION);
    config_print(config, stdout);
    print_plan(config);
    faults += tell(endpoint_main(config, &endpoint, &err), &err);
    rc = endpoint_admin(config, &endpoint, &err);
    faults += tell(rc == ERROR_NOT_FOUND ? 0 : rc, &err);
    faults += tell(
        cors_origins_check((const char *const *)config->cors_origins.items, config->cors_origins.count, &err), &err);
    faults += tell(check_roots(config, &roots, &err), &err);
    faults += tell(check_state_dir(config->state_dir, &err), &err);
    faults += tell(check_keys(config->api_keys_file, &keys, &err), &err);
    if (faults)
        return EXIT_INPUT;
    printf("# found: %zu models roots, %zu API keys\n", roots, keys);
    return fflush(stdout) == 0 ? 0 : EXIT_DEVICE;
}
