/* One attempt at a job: send it, listen, settle. What a worker says decides nothing that it may not decide: its files
 * are measured and its words are looked up in a table. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/jobs/death.h"
#include "server/jobs/job_error.h"
#include "server/jobs/results.h"
#include "server/jobs/slot.h"
#include "server/log.h"
#include "server/must.h"

enum word { WORD_DONE, WORD_FAILED, WORD_GONE };

/* How a conversation with a worker ended. */
struct ending {
    enum word word;
    bool is_killed;   /* gone: by us, because it did not hear */
    bool is_nonsense; /* gone: by us, for what it sent */
    int status;       /* gone: as waitpid has it */
    long call;        /* gone: the system call that it died of, as it told; -1: it did not */
    int code;         /* failed */
    char detail[ERROR_TEXT_BYTES];
    char *run, *summary; /* done: JSON, owned, or NULL */
};

static void tell_changed(struct slot *slot, const char *id, bool is_progress)
{
    const struct dispatcher_settings *settings = &slot->dispatcher->settings;

    if (settings->changed)
        settings->changed(settings->context, id, is_progress);
}

static enum stop_reason reason_of(struct slot *slot)
{
    enum stop_reason reason;

    must(pthread_mutex_lock(&slot->dispatcher->lock));
    reason = slot->stop;
    must(pthread_mutex_unlock(&slot->dispatcher->lock));
    return reason;
}

static void copy_phase(struct slot *slot, char out[sizeof(((struct job_progress *)NULL)->phase)])
{
    must(pthread_mutex_lock(&slot->dispatcher->lock));
    memcpy(out, slot->progress.phase, sizeof(slot->progress.phase));
    must(pthread_mutex_unlock(&slot->dispatcher->lock));
}

static int send_run(struct slot *slot, const struct job_claim *claim, const struct result_files *files,
                    struct error *err)
{
    struct json_object *message = message_new("run"), *uploads = json_object_new_object();
    int rc;

    if (!message || !uploads) {
        json_object_put(message);
        json_object_put(uploads);
        return error_set(err, ERROR_NO_MEMORY, "no memory for a message");
    }
    message_add_u64(message, "serial", ++slot->serial);
    message_add_text(message, "request", claim->request);
    for (size_t i = 0; i < claim->upload_count; i++)
        message_add_text(uploads, claim->uploads[i].id, claim->uploads[i].name);
    json_object_object_add(message, "uploads", uploads);
    rc = channel_send(&slot->child.channel, message, files->fds, REPRESENTATION_COUNT, err);
    json_object_put(message);
    return rc;
}

static void take_progress(struct slot *slot, struct json_object *message)
{
    struct job_progress progress = {
        .bytes_done = message_u64(message, "bytes_done"),
        .bytes_total = message_u64(message, "bytes_total"),
        .tensors_done = message_u64(message, "tensors_done"),
        .tensors_total = message_u64(message, "tensors_total"),
    };
    const char *phase = message_text(message, "phase");

    /* Letters only: it is shown as it is. */
    for (size_t i = 0; phase[i] >= 'a' && phase[i] <= 'z' && i + 1 < sizeof(progress.phase); i++)
        progress.phase[i] = phase[i];
    /* Only this thread writes the slot's progress. What a worker takes back is not counted again. */
    if (progress.bytes_done > slot->progress.bytes_done)
        job_counters_add(&slot->dispatcher->counters.scanned_bytes, progress.bytes_done - slot->progress.bytes_done);
    if (progress.tensors_done > slot->progress.tensors_done)
        job_counters_add(&slot->dispatcher->counters.scanned_tensors,
                         progress.tensors_done - slot->progress.tensors_done);
    must(pthread_mutex_lock(&slot->dispatcher->lock));
    slot->progress = progress;
    slot->changes++;
    must(pthread_mutex_unlock(&slot->dispatcher->lock));
    tell_changed(slot, slot->id, true); /* written by this thread only */
}

/* An object that the message holds, as text; NULL when it does not, or without memory. */
static char *copy_object(struct json_object *message, const char *member)
{
    struct json_object *object;
    const char *text;

    if (!json_object_object_get_ex(message, member, &object) || !json_object_is_type(object, json_type_object))
        return NULL;
    text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    return text ? strdup(text) : NULL;
}

/* True when the message ends the conversation. */
static bool take_message(struct slot *slot, struct json_object *message, struct ending *ending)
{
    const char *type = message_text(message, "type");

    if (strcmp(type, "progress") == 0) {
        take_progress(slot, message);
        return false;
    }
    if (strcmp(type, "stopped") == 0) { /* in the middle of dying: the line closes next */
        ending->call = (long)(message_u64(message, "call") & 0x7fffffff);
        return false;
    }
    if (strcmp(type, "done") == 0) {
        ending->word = WORD_DONE;
        ending->run = copy_object(message, "run");
        ending->summary = copy_object(message, "summary");
        return true;
    }
    ending->word = WORD_FAILED;
    if (strcmp(type, "failed") == 0) {
        ending->code = job_error_code(message_text(message, "code"));
        snprintf(ending->detail, sizeof(ending->detail), "%s", message_text(message, "detail"));
    } else {
        ending->code = ERROR_INTERNAL;
        snprintf(ending->detail, sizeof(ending->detail), "the worker said what is no answer");
    }
    return true;
}

static enum worker_death how_it_died(const struct ending *ending)
{
    return ending->is_nonsense ? WORKER_DEATH_NONSENSE : worker_death_of_status(ending->status);
}

static void end_child(struct slot *slot, struct ending *ending, bool is_killed)
{
    enum worker_death death;

    ending->word = WORD_GONE;
    ending->is_killed = is_killed;
    if (is_killed || ending->is_nonsense)
        kill(slot->child.pid, SIGKILL);
    child_reap(&slot->child, &ending->status);
    death = !is_killed                         ? how_it_died(ending)
            : reason_of(slot) == STOP_DEADLINE ? WORKER_DEATH_DEADLINE
                                               : WORKER_DEATH_STOP;
    job_counters_add(&slot->dispatcher->counters.worker_deaths[death], 1);
    atomic_fetch_sub(&slot->dispatcher->ready, 1);
}

static void tell_cancel(struct slot *slot)
{
    struct json_object *message = message_new("cancel");

    if (message)
        message_add_u64(message, "serial", slot->serial);
    channel_send(&slot->child.channel, message, NULL, 0, NULL); /* one that is gone is noticed by its line */
    json_object_put(message);
}

static void drain(int event_fd)
{
    uint64_t count;

    while (read(event_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

/* Reads what there is. True when the conversation is over. */
static bool listen_once(struct slot *slot, struct ending *ending)
{
    for (;;) {
        struct json_object *message;
        struct error err;
        bool is_over;
        int rc = channel_receive(&slot->child.channel, false, &message, &err);

        if (rc) {
            ending->is_nonsense = rc == ERROR_FORMAT;
            if (ending->is_nonsense)
                LOG_LINE(LEVEL_ERROR, "worker ended: it sent nonsense", log_text("detail", err.text));
            end_child(slot, ending, false);
            return true;
        }
        if (!message)
            return false;
        is_over = take_message(slot, message, ending);
        json_object_put(message);
        if (is_over)
            return true;
    }
}

static void converse(struct slot *slot, struct ending *ending)
{
    int64_t deadline_ms = clock_steady_ms() + slot->dispatcher->settings.job_timeout_ms, kill_at_ms = INT64_MAX;
    bool is_told = false;

    for (;;) {
        struct pollfd lines[2] = {{.fd = slot->child.channel.fd, .events = POLLIN},
                                  {.fd = slot->event_fd, .events = POLLIN}};
        int64_t now_ms = clock_steady_ms(), until_ms;

        if (now_ms >= deadline_ms) {
            must(pthread_mutex_lock(&slot->dispatcher->lock));
            slot_stop(slot, STOP_DEADLINE);
            must(pthread_mutex_unlock(&slot->dispatcher->lock));
            deadline_ms = INT64_MAX;
        }
        if (!is_told && reason_of(slot) != STOP_NONE) {
            tell_cancel(slot);
            is_told = true;
            kill_at_ms = now_ms + STOP_PATIENCE_MS;
        }
        if (now_ms >= kill_at_ms) {
            end_child(slot, ending, true);
            return;
        }
        until_ms = deadline_ms < kill_at_ms ? deadline_ms : kill_at_ms;
        if (poll(lines, 2, until_ms - now_ms > 60000 ? 60000 : (int)(until_ms - now_ms)) < 0)
            continue;
        if (lines[1].revents)
            drain(slot->event_fd);
        if (lines[0].revents && listen_once(slot, ending))
            return;
    }
}

static void log_state(struct slot *slot, const struct job_claim *claim, enum job_state state, const char *cause)
{
    char trace_id[TRACE_ID_BYTES];

    trace_id_of(claim->traceparent, trace_id);
    LOG_LINE(LEVEL_INFO, "job", log_text("job", claim->id), log_text("state", job_state_names[state]),
             log_u64("attempt", claim->attempt), log_text("cause", cause),
             log_text("trace_id", *trace_id ? trace_id : NULL));
    tell_changed(slot, claim->id, false);
}

/* True when the job ended as end says. */
static bool finish(struct slot *slot, const struct job_claim *claim, struct job_end *end, const char *cause)
{
    struct job_store *store = slot->dispatcher->settings.store;
    enum job_state state;
    struct error err = {0};
    int rc;

    must(pthread_mutex_lock(&slot->dispatcher->lock));
    end->progress = slot->progress;
    must(pthread_mutex_unlock(&slot->dispatcher->lock));
    rc = store->ops->finish(store, claim->id, claim->token, end, &state, &err);

    if (rc && rc != ERROR_CONFLICT)
        LOG_LINE(LEVEL_ERROR, "job's end could not be written; it will run again", log_text("job", claim->id),
                 log_text("detail", err.text));
    else if (!rc)
        log_state(slot, claim, state, cause);
    if (rc || state != JOB_SUCCEEDED)
        result_remove(slot->dispatcher->settings.results, claim->id);
    return !rc && state == end->state;
}

static void fail(struct slot *slot, const struct job_claim *claim, enum problem problem, const char *detail,
                 const char *cause)
{
    char *error = job_error_text(problem, detail);
    struct job_end end = {.state = JOB_FAILED, .error = error};

    if (finish(slot, claim, &end, cause))
        job_counters_add(&slot->dispatcher->counters.failures[problem], 1);
    free(error);
}

static void release(struct slot *slot, const struct job_claim *claim, enum release_cause why, const char *cause)
{
    struct job_store *store = slot->dispatcher->settings.store;
    enum job_state state;
    struct error err = {0};
    int rc =
        store->ops->release(store, claim->id, claim->token, why, why == RELEASE_CRASHED ? cause : NULL, &state, &err);

    if (!rc && state == JOB_FAILED)
        job_counters_add(&slot->dispatcher->counters.failures[PROBLEM_INTERRUPTED], 1);
    if (!rc)
        log_state(slot, claim, state, cause);
    else if (rc != ERROR_CONFLICT)
        LOG_LINE(LEVEL_ERROR, "job could not be given back; it will run again after a restart",
                 log_text("job", claim->id), log_text("detail", err.text));
}

/* The job stopped because somebody asked. False: nobody did. */
static bool settle_stop(struct slot *slot, const struct job_claim *claim, enum release_cause released)
{
    struct job_end cancelled = {.state = JOB_CANCELLED};
    char detail[128];

    switch (reason_of(slot)) {
    case STOP_NONE:
        return false;
    case STOP_RELEASE:
        release(slot, claim, released, "the service ends");
        break;
    case STOP_DEADLINE:
        snprintf(detail, sizeof(detail), "the attempt passed its deadline of %.4g s (--job-timeout)",
                 (double)slot->dispatcher->settings.job_timeout_ms / 1000);
        fail(slot, claim, PROBLEM_DEADLINE_EXCEEDED, detail, "deadline");
        break;
    case STOP_CANCEL:
        finish(slot, claim, &cancelled, NULL);
        break;
    case STOP_FORGET:
        break;
    }
    return true;
}

/* One more attempt is used up: another one, or the end. code: the error it told, or 0. is_hopeless: another would end
 * the same way. */
static void settle_crash(struct slot *slot, const struct job_claim *claim, int code, const char *crash,
                         const char *detail, bool is_hopeless)
{
    LOG_LINE(LEVEL_WARNING, "attempt failed", log_text("job", claim->id), log_u64("attempt", claim->attempt),
             log_text("cause", crash), log_text("detail", detail));
    if (is_hopeless || claim->crashes + 1 >= CRASHES_MAX)
        fail(slot, claim, code ? job_problem_of(code) : PROBLEM_WORKER_CRASHED, detail, crash);
    else
        release(slot, claim, RELEASE_CRASHED, crash);
}

static void fail_for_memory(struct slot *slot, const struct job_claim *claim, const char *told)
{
    uint64_t limit_bytes = slot->dispatcher->settings.child.memory_bytes;
    char detail[ERROR_TEXT_BYTES + 128];

    if (limit_bytes)
        snprintf(detail, sizeof(detail), "%s; a job's memory limit is %.4g GiB of address space (--job-memory)", told,
                 (double)limit_bytes / (1 << 30));
    else
        snprintf(detail, sizeof(detail), "%s", told);
    fail(slot, claim, job_problem_of(ERROR_NO_MEMORY), detail, error_code_name(ERROR_NO_MEMORY));
}

static void settle_failed(struct slot *slot, const struct job_claim *claim, const struct ending *ending)
{
    struct job_store *store = slot->dispatcher->settings.store;
    char crash[CRASH_TEXT_BYTES];

    switch (ending->code) {
    case ERROR_CANCELLED:
        if (!settle_stop(slot, claim, RELEASE_INTERRUPTED))
            fail(slot, claim, PROBLEM_INTERNAL, "the worker stopped without being asked", "cancelled");
        return;
    case ERROR_NO_SPACE:
        store->ops->report_full(store);
        release(slot, claim, RELEASE_INTERRUPTED, "the disk is full");
        return;
    case ERROR_READ:
    case ERROR_WRITE:
        snprintf(crash, sizeof(crash), "%s", error_code_name(ending->code));
        settle_crash(slot, claim, ending->code, crash, ending->detail, false);
        return;
    case ERROR_NO_MEMORY:
        fail_for_memory(slot, claim, ending->detail);
        return;
    default:
        fail(slot, claim, job_problem_of(ending->code), ending->detail, error_code_name(ending->code));
    }
}

static void settle_gone(struct slot *slot, const struct job_claim *claim, const struct ending *ending)
{
    char phase[sizeof(((struct job_progress *)NULL)->phase)], crash[CRASH_TEXT_BYTES], how[128], detail[256];
    char short_form[24];
    enum worker_death death = how_it_died(ending);

    if (ending->is_killed || reason_of(slot) >= STOP_DEADLINE) {
        settle_stop(slot, claim, RELEASE_INTERRUPTED);
        return;
    }
    copy_phase(slot, phase);
    if (!phase[0])
        snprintf(phase, sizeof(phase), "start");
    death_abbreviate(ending->status, ending->call, short_form, sizeof(short_form));
    death_describe(death, ending->status, ending->call, how, sizeof(how));
    snprintf(crash, sizeof(crash), "%s in %s", death == WORKER_DEATH_NONSENSE ? "nonsense" : short_form, phase);
    snprintf(detail, sizeof(detail), "the job's process %s, in phase %s of attempt %u", how, phase, claim->attempt);
    /* What killed it from outside may not be there the next time; a defect that shows twice in one place is one. */
    settle_crash(slot, claim, 0, crash, detail,
                 (death == WORKER_DEATH_CRASH || death == WORKER_DEATH_SANDBOX) &&
                     strcmp(crash, claim->last_crash) == 0);
}

static void settle_done(struct slot *slot, const struct job_claim *claim, struct result_files *files,
                        const struct ending *ending)
{
    struct job_end end = {.state = JOB_SUCCEEDED, .summary = ending->summary, .run = ending->run};
    struct ending failed = {.word = WORD_FAILED};
    struct error err = {0};
    int rc = result_files_settle(files, &end, &err);

    if (!rc) {
        finish(slot, claim, &end, NULL);
        return;
    }
    if (rc == ERROR_NO_MEMORY) { /* ours: the job kept to its own limit */
        release(slot, claim, RELEASE_INTERRUPTED, "the service had no memory for its result");
        return;
    }
    failed.code = rc;
    snprintf(failed.detail, sizeof(failed.detail), "%s", err.text);
    settle_failed(slot, claim, &failed);
}

/* A wish that was noted between the claim and the moment this slot became visible. */
static void catch_up(struct slot *slot, const struct job_claim *claim)
{
    struct job_store *store = slot->dispatcher->settings.store;
    struct job job;
    int rc = store->ops->get(store, claim->id, &job, NULL);

    must(pthread_mutex_lock(&slot->dispatcher->lock));
    if (rc == ERROR_NOT_FOUND)
        slot_stop(slot, STOP_FORGET);
    else if (!rc && job.cancel_requested)
        slot_stop(slot, STOP_CANCEL);
    must(pthread_mutex_unlock(&slot->dispatcher->lock));
    if (!rc)
        job_done(&job);
}

void attempt_run(struct slot *slot, const struct job_claim *claim)
{
    struct dispatcher *dispatcher = slot->dispatcher;
    struct ending ending = {.call = -1};
    struct result_files files;
    int64_t start_ns = clock_steady_ns();
    struct error err = {0};
    int rc;

    log_state(slot, claim, JOB_RUNNING, NULL);
    job_counters_add(&dispatcher->counters.attempts, 1);
    if (claim->attempt == 1)
        histogram_observe(&dispatcher->counters.wait, (clock_wall_ms() - claim->create_ms) * 1000000);
    catch_up(slot, claim);
    if (settle_stop(slot, claim, RELEASE_UNTOUCHED))
        return;
    rc = result_files_open(dispatcher->settings.results, claim->id, claim->attempt, &files, &err);
    if (rc) {
        ending = (struct ending){.word = WORD_FAILED, .code = rc};
        snprintf(ending.detail, sizeof(ending.detail), "%s", err.text);
        settle_failed(slot, claim, &ending);
        return;
    }
    rc = send_run(slot, claim, &files, &err);
    if (rc) {
        end_child(slot, &ending, true);
        release(slot, claim, RELEASE_UNTOUCHED, "its worker was gone");
    } else {
        converse(slot, &ending);
        switch (ending.word) {
        case WORD_DONE:
            settle_done(slot, claim, &files, &ending);
            break;
        case WORD_FAILED:
            settle_failed(slot, claim, &ending);
            break;
        case WORD_GONE:
            settle_gone(slot, claim, &ending);
            break;
        }
    }
    histogram_observe(&dispatcher->counters.attempt, clock_steady_ns() - start_ns);
    free(ending.run);
    free(ending.summary);
    result_files_done(&files);
}
