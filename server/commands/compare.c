/* compare, inspect and diffai: the engine in this process, its result on standard output or in a file that appears
 * whole or not at all. Nothing but the result goes to standard output. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/adapter/adapter.h"
#include "core/analysis/analysis.h"
#include "core/format/format.h"
#include "server/commands/arguments.h"
#include "server/commands/command.h"
#include "server/commands/destination.h"
#include "server/commands/progress.h"
#include "server/commands/walls.h"
#include "server/run_report.h"
#include "server/sigbus.h"

/* What an interrupt must reach: the pass in its cancel flag, and the unfinished files. */
enum { TO_OUT, TO_JUNIT, DESTINATIONS };
static struct destination destinations[DESTINATIONS] = {{.fd = -1, .dir_fd = -1}, {.fd = -1, .dir_fd = -1}};
static atomic_bool is_cancelled;
static volatile sig_atomic_t is_polled; /* the flag, by the pass */

static void discard_destinations(void)
{
    for (int i = 0; i < DESTINATIONS; i++)
        destination_discard(&destinations[i]);
}

/* The pass ends soon by itself; what else runs, a library that goes round in a damaged file among it, is left at once,
 * and so is everything at the second time. */
static void on_interrupt(int number)
{
    const bool is_again = atomic_exchange_explicit(&is_cancelled, true, memory_order_relaxed);

    (void)number;
    if (is_polled && !is_again)
        return;
    discard_destinations();
    _exit(EXIT_INTERRUPTED);
}

/* In a signal handler: no stdio. */
static void on_stopped(long call)
{
    char text[] = "diffaid: ended by its sandbox (--no-sandbox works without it): system call      \n";
    char *at = text + sizeof(text) - 7; /* the blanks, for the number and its line's end */

    for (long scale = 10000; scale > 0; scale /= 10)
        if (call >= scale || scale == 1)
            *at++ = (char)('0' + call / scale % 10);
    *at++ = '\n';
    if (write(STDERR_FILENO, text, (size_t)(at - text)) < 0)
        _exit(EXIT_DEVICE);
    discard_destinations();
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

struct run {
    const struct arguments *arguments;
    const char *name; /* of the program, in messages */
    struct run_report report;
};

static void begin_phase(void *context, const char *phase)
{
    run_report_phase(&((struct run *)context)->report, phase);
}

static void write_run(void *context, struct writer *w)
{
    const struct run *run = context;
    char created[32];
    time_t now = time(NULL);
    struct tm utc;

    strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    write_object(w, "run");
    write_text(w, "created", created);
    run_report_write(&run->report, w);
    write_end(w);
}

static int exit_status_of(int code)
{
    switch ((enum error_code)code) {
    case ERROR_CANCELLED:
        return EXIT_INTERRUPTED;
    case ERROR_WRITE:
    case ERROR_NO_SPACE:
    case ERROR_READ:
    case ERROR_NO_MEMORY:
        return EXIT_DEVICE;
    default:
        return EXIT_INPUT;
    }
}

static int put_adapter(const struct arguments *a, struct model *base, struct error *err)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = a->adapter, .uri = a->adapter};
    struct model *adapter = NULL;
    int rc = model_open(&place, &limits_default, &adapter, err);

    return rc ? rc : adapter_apply(base, adapter, err);
}

static int open_models(const struct arguments *a, struct model **models, struct error *err)
{
    for (size_t i = 0; i < a->model_count; i++) {
        struct place place = {.dir_fd = AT_FDCWD, .path = a->models[i], .uri = a->models[i]};
        int rc;

        rc = model_open(&place, &limits_default, &models[i], err);
        if (rc)
            return rc;
        if (a->input_format && strcmp(models[i]->format->name, a->input_format) != 0)
            return error_set(err, ERROR_REQUEST, "%s: is %s, not %s", a->models[i], models[i]->format->name,
                             a->input_format);
    }
    return a->adapter ? put_adapter(a, models[0], err) : 0;
}

/* What cannot be a model, said before anything is opened for it. */
static int check_names(const struct arguments *a, struct error *err)
{
    for (size_t i = 0; i < a->model_count; i++) {
        if (strcmp(a->models[i], "-") == 0)
            return error_set(
                err, ERROR_REQUEST,
                "-: a model cannot be read from a pipe, because weights are read at random; save it first");
        if (a->models[i][0] == '\0')
            return error_set(err, ERROR_REQUEST, "an empty path names no model");
    }
    return 0;
}

/* The result takes its file's place: that must not be a file of a model, by whatever name. */
static int check_out(const struct arguments *a, const char *path, struct model *const *models, struct error *err)
{
    struct stat out, named;

    if (!path || stat(path, &out) != 0)
        return 0;
    for (size_t i = 0; i < a->model_count; i++) {
        bool is_input = stat(a->models[i], &named) == 0 && named.st_dev == out.st_dev && named.st_ino == out.st_ino &&
                        S_ISREG(named.st_mode);

        for (size_t j = 0; j < models[i]->file_count; j++) {
            const struct identity *identity = &models[i]->files[j].source->identity;

            is_input |= identity->device == out.st_dev && identity->inode == out.st_ino;
        }
        if (is_input)
            return error_set(err, ERROR_REQUEST, "%s: is a file of the model %s and stays as it is", path,
                             a->models[i]);
    }
    return 0;
}

static int render_to(struct destination *destination, const struct renderer *renderer,
                     const struct comparison *comparison, const struct render_options *options, struct error *err)
{
    static struct output output; /* 64 KB: not for the stack */
    int rc;

    output_init(&output, destination->fd);
    renderer->render(comparison, options, &output);
    rc = output_finish(&output, err);
    if (rc)
        return error_prefix(err, rc, "%s: ", destination->path ? destination->path : "standard output");
    return destination_commit(destination, err);
}

static int render(struct run *run, const struct comparison *comparison, struct error *err)
{
    const struct arguments *a = run->arguments;
    struct render_options options = {
        .is_quiet = a->is_quiet,
        .is_brief = a->is_brief,
        .is_verbose = a->is_verbose,
        .is_color = !a->is_colorless && !getenv("NO_COLOR") && !a->out && isatty(STDOUT_FILENO),
        .run = write_run,
        .run_context = run,
    };
    int rc;

    if (comparison->scan)
        run->report.pass = comparison->scan->pass;
    begin_phase(run, "write");
    rc = render_to(&destinations[TO_OUT], a->renderer, comparison, &options, err);
    if (rc == 0 && a->junit)
        rc = render_to(&destinations[TO_JUNIT], &junit_renderer, comparison, &options, err);
    begin_phase(run, NULL);
    if (a->has_timings)
        run_report_print(&run->report, stderr);
    return rc;
}

/* Walls, and a word about them only where the user asked for one. */
static void wall_in(const struct arguments *a, const char *name)
{
    const char *named[MODELS_MAX + 1];
    size_t count = a->model_count;
    const char *missing;

    memcpy(named, a->models, count * sizeof(*named));
    if (a->adapter)
        named[count++] = a->adapter;
    if (a->is_unwalled) {
        fprintf(stderr, "%s: --no-sandbox: nothing confines what reads the models\n", name);
        return;
    }
    command_prepare_hashing(named, count, a->request.options.digest);
    missing = command_wall_in(named, count, destinations, DESTINATIONS, on_stopped);
    if (missing && a->is_verbose)
        fprintf(stderr, "%s: the sandbox is not whole: %s\n", name, missing);
}

static int compare(struct run *run, uint64_t cache_bytes, struct model **models, struct comparison **ret_comparison,
                   struct error *err)
{
    const struct arguments *a = run->arguments;
    struct compare_env env = {.phase = begin_phase, .phase_context = run};
    struct progress_bar bar;
    int rc;

    begin_phase(run, "open");
    rc = check_names(a, err);
    if (!rc)
        rc = destination_open(&destinations[TO_OUT], a->out, err);
    if (!rc && a->junit)
        rc = destination_open(&destinations[TO_JUNIT], a->junit, err);
    if (rc)
        return rc;
    wall_in(a, run->name);
    rc = open_models(a, models, err);
    if (!rc)
        rc = check_out(a, a->out, models, err);
    if (!rc)
        rc = check_out(a, a->junit, models, err);
    if (rc)
        return rc;
    env.scan.threads = run->report.threads;
    env.scan.cancel = &is_cancelled;
    env.scan.isa = run->report.isa;
    env.scan.cache_bytes = cache_bytes;
    progress_bar_init(&bar);
    if (a->has_progress || (!a->is_quiet && isatty(STDERR_FILENO))) {
        env.scan.progress = progress_bar_update;
        env.scan.progress_context = &bar;
    }
    is_polled = 1;
    rc = compare_run(&a->request, models, a->model_count, &env, ret_comparison, err);
    is_polled = 0;
    progress_bar_clear(&bar);
    if (rc == 0 && sigbus_was_caught())
        rc = error_set(err, ERROR_READ, "the device failed to read a part of a model's file");
    return rc;
}

static int begin_run(struct run *run, const struct capacity *capacity, struct error *err)
{
    const char *name = getenv("DIFFAID_ISA");
    enum isa isa = ISA_AUTO;

    if (name && *name && isa_by_name(name, &isa))
        return error_set(err, ERROR_REQUEST, "DIFFAID_ISA=%.40s names no instruction set of this processor", name);
    run_report_begin(&run->report, run->arguments->threads ? run->arguments->threads : capacity->cores, isa);
    return 0;
}

static bool is_expected(const struct arguments *a, const struct comparison *comparison)
{
    return !a->has_expected_digest || memcmp(a->expected_digest, comparison->fingerprint.digest, DIGEST_BYTES) == 0;
}

static int run_command(enum personality personality, const char *name, int argc, char **argv)
{
    struct error error = {0};
    struct arguments arguments;
    struct model *models[MODELS_MAX] = {0};
    struct comparison *comparison = NULL;
    struct run run = {.arguments = &arguments, .name = name};
    struct capacity capacity;
    int rc, status = EXIT_SAME;

    rc = arguments_parse(&arguments, personality, argc, argv, &error);
    if (rc == 0 && arguments.is_help) {
        arguments_print_help(personality);
        arguments_done(&arguments);
        return EXIT_SAME;
    }
    if (rc == 0) {
        catch_interrupts();
        sigbus_guard();
        capacity_read("", &capacity);
        rc = begin_run(&run, &capacity, &error);
    }
    if (rc == 0)
        rc = compare(&run, capacity_cache_bytes(&capacity, arguments.cache), models, &comparison, &error);
    if (rc == 0)
        rc = render(&run, comparison, &error);
    if (rc) {
        fprintf(stderr, "%s: %s\n", name, error.text);
        status = exit_status_of(rc);
    } else if (comparison->gate) {
        status = comparison->gate->passed ? EXIT_SAME : EXIT_GATE;
    } else if (comparison->model_count > 1 &&
               (comparison->verdict == VERDICT_CHANGED || comparison->verdict == VERDICT_INCOMPARABLE)) {
        status = EXIT_DIFFERENT;
    }
    if (rc == 0 && status == EXIT_SAME && !is_expected(&arguments, comparison)) {
        fprintf(stderr, "%s: %s: the digest is another than expected\n", name, arguments.models[0]);
        status = EXIT_DIFFERENT;
    }
    discard_destinations();
    comparison_free(comparison);
    for (size_t i = 0; i < MODELS_MAX; i++)
        model_close(models[i]);
    arguments_done(&arguments);
    return status;
}

int command_compare(int argc, char **argv)
{
    return run_command(PERSONALITY_COMPARE, "diffaid", argc, argv);
}

int command_inspect(int argc, char **argv)
{
    return run_command(PERSONALITY_INSPECT, "diffaid", argc, argv);
}

int command_diffai(int argc, char **argv)
{
    return run_command(PERSONALITY_DIFFAI, "diffai", argc, argv);
}
