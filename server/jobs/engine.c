#include "server/jobs/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/render/render.h"
#include "api/request.h"
#include "core/adapter/adapter.h"
#include "core/compare.h"
#include "core/decimal.h"
#include "core/format/format.h"
#include "server/run_report.h"
#include "server/sigbus.h"

enum { URI_BYTES = 512 };

/* One job under way: what its callbacks need. */
struct engine_run {
    const struct worker_task *task;
    struct job_progress progress; /* phases begin on the job's own thread, outside the pass, whose threads tell bytes */
    struct run_report report;
};

static void begin_phase(void *context, const char *phase)
{
    struct engine_run *run = context;

    snprintf(run->progress.phase, sizeof(run->progress.phase), "%s", phase ? phase : "");
    run_report_phase(&run->report, phase);
    worker_tell(run->task->worker, &run->progress);
}

static void tell_progress(void *context, const struct scan_progress *scan)
{
    struct engine_run *run = context;

    run->progress.bytes_done = scan->bytes_done;
    run->progress.bytes_total = scan->bytes_total;
    run->progress.tensors_done = scan->tensors_done;
    run->progress.tensors_total = scan->tensors_total;
    worker_tell(run->task->worker, &run->progress);
}

static int find_upload(const struct worker_task *task, const char *id, struct place *ret, char uri[URI_BYTES],
                       struct error *err)
{
    if (!id_is_valid(id))
        return error_set(err, ERROR_NOT_FOUND, "no such upload");
    for (size_t i = 0; i < task->upload_count; i++) {
        if (strcmp(task->uploads[i].id, id) != 0)
            continue;
        snprintf(uri, URI_BYTES, "upload:%s", task->uploads[i].name);
        *ret = (struct place){.dir_fd = task->uploads_fd, .is_confined = 1, .path = id, .uri = uri};
        return 0;
    }
    return error_set(err, ERROR_NOT_FOUND, "upload %s is gone", id);
}

static int open_place(const struct worker_task *task, const struct job_model *named, struct model **ret_model,
                      struct error *err)
{
    char uri[URI_BYTES];
    struct place place;
    int rc;

    if (named->upload)
        rc = find_upload(task, named->upload, &place, uri, err);
    else
        rc = roots_find(task->roots, named->path, &place, err);
    return rc ? rc : model_open(&place, &limits_default, ret_model, err);
}

static int put_adapter(const struct worker_task *task, const struct job_model *named, struct model *base,
                       struct error *err)
{
    struct model *adapter = NULL;
    int rc = open_place(task, named, &adapter, err);

    return rc ? rc : adapter_apply(base, adapter, err);
}

static int open_models(const struct worker_task *task, const struct job_request *request, struct model **models,
                       struct error *err)
{
    for (size_t i = 0; i < request->model_count; i++) {
        const struct job_model *named = &request->models[i];
        int rc = open_place(task, named, &models[i], err);

        if (!rc && named->adapter)
            rc = put_adapter(task, named->adapter, models[i], err);
        if (rc)
            return rc;
        if (atomic_load_explicit(task->cancel, memory_order_relaxed))
            return error_set(err, ERROR_CANCELLED, "cancelled");
    }
    return 0;
}

static int finish_output(struct output *output, struct error *err)
{
    int rc = output_finish(output, err);

    if (rc == ERROR_WRITE && output->error == EFBIG) /* the limit that wall_in set; another attempt would meet it too */
        return error_set(err, ERROR_LIMIT, "the result is larger than a file of it may be");
    return rc;
}

static int render_to(const struct renderer *renderer, const struct comparison *comparison, int fd, int index_fd,
                     struct error *err)
{
    static struct output output, index; /* 64 KiB each: not for the stack */
    struct render_options options = {0};
    int rc;

    output_init(&output, fd);
    if (index_fd >= 0) {
        output_init(&index, index_fd);
        options.index = &index;
    }
    renderer->render(comparison, &options, &output);
    rc = finish_output(&output, err);
    if (index_fd >= 0) {
        int index_rc = finish_output(&index, rc ? NULL : err);

        rc = rc ? rc : index_rc;
    }
    return rc;
}

static int render(const struct worker_task *task, const struct comparison *comparison, struct error *err)
{
    static const struct renderer *const others[REPRESENTATION_COUNT] = {[REPRESENTATION_TEXT] = &text_renderer,
                                                                        [REPRESENTATION_MARKDOWN] = &markdown_renderer,
                                                                        [REPRESENTATION_JUNIT] = &junit_renderer};
    int rc = render_to(&json_renderer, comparison, task->outputs[REPRESENTATION_JSON],
                       task->outputs[REPRESENTATION_INDEX], err);

    for (int i = REPRESENTATION_TEXT; !rc && i < REPRESENTATION_COUNT; i++)
        if (task->outputs[i] >= 0)
            rc = render_to(others[i], comparison, task->outputs[i], -1, err);
    return rc;
}

/* Pages that read as zeros went into the figures: whether the file changed or the device failed. */
static int check_pages(struct model *const *models, size_t count, struct error *err)
{
    if (!sigbus_was_caught())
        return 0;
    for (size_t i = 0; i < count; i++) {
        int rc = model_check_unchanged(models[i], err);

        if (rc)
            return rc;
    }
    return error_set(err, ERROR_READ, "the device failed to read a part of a model's file");
}

/* {verdict, because, headline, relative_l2}: what a person wants to know first, without fetching the result. */
static char *describe_summary(const struct comparison *comparison)
{
    struct json_object *root = json_object_new_object();
    double relative_l2 = delta_relative_l2(&comparison->total);
    char headline[512], number[DECIMAL_BYTES], *text;

    comparison_headline(comparison, headline, sizeof(headline));
    json_object_object_add(root, "verdict", json_object_new_string(verdict_names[comparison->verdict]));
    if (comparison->because)
        json_object_object_add(root, "because", json_object_new_string(comparison->because));
    json_object_object_add(root, "headline", json_object_new_string(headline));
    if (comparison->total.finite && isfinite(relative_l2)) {
        decimal_write(relative_l2, number);
        json_object_object_add(root, "relative_l2", json_object_new_double_s(relative_l2, number));
    }
    text = strdup(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(root);
    return text;
}

static int compare(struct engine_run *run, const struct job_request *request, struct worker_report *ret_report,
                   struct error *err)
{
    const struct worker_task *task = run->task;
    struct compare_env env = {
        .scan = {.threads = task->threads,
                 .cache_bytes = task->cache_bytes,
                 .cancel = task->cancel,
                 .progress = tell_progress,
                 .progress_context = run},
        .phase = begin_phase,
        .phase_context = run,
    };
    struct model *models[REQUEST_MODELS_MAX] = {0};
    struct comparison *comparison = NULL;
    const char *isa = getenv("DIFFAID_ISA");
    int rc = isa && *isa ? isa_by_name(isa, &env.scan.isa) : 0;

    if (rc)
        return error_set(err, ERROR_INTERNAL, "DIFFAID_ISA names no instruction set of this processor");
    sigbus_forget();
    run_report_begin(&run->report, task->threads, env.scan.isa);
    begin_phase(run, "open");
    rc = open_models(task, request, models, err);
    if (!rc)
        rc = compare_run(&request->compare, models, request->model_count, &env, &comparison, err);
    if (!rc)
        rc = check_pages(models, request->model_count, err);
    if (!rc) {
        begin_phase(run, "write");
        rc = render(task, comparison, err);
    }
    if (!rc) {
        run_report_phase(&run->report, NULL);
        if (comparison->scan)
            run->report.pass = comparison->scan->pass;
        ret_report->run = run_report_json(&run->report);
    }
    if (!rc && request->model_count > 1)
        ret_report->summary = describe_summary(comparison);
    comparison_free(comparison);
    for (size_t i = 0; i < request->model_count; i++)
        model_close(models[i]);
    return rc;
}

static int engine_run(const struct worker_task *task, struct worker_report *ret_report, struct error *err)
{
    struct engine_run run = {.task = task};
    struct request_faults faults = {.count = 0};
    struct job_request *request;
    int rc;

    if (!task->request) {
        struct job_model model = {.path = (char *)task->path};
        struct job_request inspection = {.models = &model, .model_count = 1};

        options_init(&inspection.compare.options);
        inspection.compare.options.headers_only = true;
        rc = compare(&run, &inspection, ret_report, err);
        options_done(&inspection.compare.options);
        return rc;
    }
    rc = job_request_parse(task->request, strlen(task->request), &request, &faults, err);
    if (rc)
        return rc;
    rc = compare(&run, request, ret_report, err);
    job_request_free(request);
    return rc;
}

const struct worker_engine comparison_engine = {.run = engine_run};
