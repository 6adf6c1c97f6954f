/* The pass. Units are dealt in the order in which the files lie on disk and merged, pair by pair, in the order in which
 * they were dealt; how many threads there are decides who measures a unit, never what comes out.
 *
 * A task is either a run of pairs that have one unit each (a model of 300,000 small tensors must not pay for a lock
 * each), which its thread settles alone, or one unit of a large pair; of one with a side whose elements are scattered
 * over its bytes, several units, which are read in one walk. Units go through a ring of slots: one that is done waits
 * there for those before it, and none is dealt while the ring is full, so that memory stays flat.
 *
 * Where couples are asked for, the order is the canonical one of the pairs, so that a group's sums do not depend on how
 * the files are sharded; runs go through the ring too then, and bring a few couples each.
 *
 * Locks: scan.lock guards what is dealt, the ring, the first error and the progress; results of a large pair are merged
 * under it. gather.lock guards the histograms of one large pair: counts, whose order does not matter. */
#include "core/scan/scan.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/decode/decoder.h"
#include "core/scan/cache.h"
#include "core/scan/couple.h"
#include "core/scan/scanner.h"

enum {
    SLOTS_PER_THREAD = 4,
    RUN_PAIRS = 1024,
    RUN_COUPLES = 2048,
    RUN_ELEMENTS = 1 << 18,
    AHEAD_BYTES = 32 << 20, /* of scattered sides, in all threads */
    /* And where one of them is inflated, which no thread can do from the middle: fewer walks are worth more than
       threads. */
    INFLATED_AHEAD_BYTES = 128 << 20,
    INFLATED_THREADS_MAX = 8,
    PROGRESS_INTERVAL_MS = 100,
};

struct slot {
    struct yield yield;
    struct gather *gather;
    struct couple_record *couples; /* of the unit, or of a run's pairs one after the other */
    size_t first, pairs;           /* a run: order[first] …; 0 pairs: a unit */
    bool is_done;                  /* guarded by scan.lock */
};

struct scan {
    const struct scan_plan *plan;
    const struct scan_env *env;
    const struct kernels *kernels;
    struct scan_result *result;
    uint32_t *order;     /* pairs as they lie on disk, or in canonical order */
    size_t couple_total; /* of a pair; 0: not asked */
    unsigned threads;
    uint64_t units_most; /* of a task */

    pthread_mutex_t lock;
    pthread_cond_t room; /* a slot became free, or the pass stops */
    /* All below: guarded by lock. */
    struct layout dealing; /* of the pair order[next] when next_unit > 0 */
    size_t next;
    uint64_t next_unit;
    uint64_t tasks;
    struct slot *slots;
    size_t slot_count;
    uint64_t slots_taken, slots_merged;
    struct gather *gathers;
    struct gather *dealing_gather;
    bool is_stopping;
    uint64_t failed_task;
    int rc;
    struct error error;
    struct scan_progress progress;
    bool is_reporting;
    struct timespec reported;
};

/* One thread. */
struct runner {
    struct scan *scan;
    pthread_t thread;
    bool is_started;
    double wall_seconds, busy_seconds;
    struct scanner scanner;
    struct error error;
};

struct task {
    uint64_t number;
    size_t first, pairs; /* a run: order[first] … */
    uint64_t slot;       /* the first that it takes of the ring, */
    size_t slots;        /* and how many: one a unit, or one for a run's couples; 0: a run without */
};

static void must(int rc)
{
    if (rc)
        abort(); /* a lock that cannot be taken is a defect of this program */
}

struct place_on_disk {
    uint64_t offset;
    uint32_t model, source, pair;
};

static int place_compare(const void *a, const void *b)
{
    const struct place_on_disk *x = a, *y = b;

    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->pair < y->pair ? -1 : x->pair > y->pair;
}

/* How many of the group's units make a task. */
static uint64_t units_of_task(const struct scan *scan, const struct layout *layout, uint32_t g)
{
    const struct layout_group *group = &layout->group[g];
    const uint64_t elements = group->grid.unit_rows * group->grid.unit_columns;
    uint64_t bytes = 0, fair = (group->units - 1) / scan->threads + 1, most = AHEAD_BYTES / scan->threads;

    for (size_t m = 0; m < layout->models && !group->is_bytes; m++) {
        const struct tensor *tensor = layout->tensor[m];

        if (layout->group_of[m] != g || !decoder_is_scattered(tensor))
            continue;
        bytes += elements * dtype_traits(tensor->dtype)->bits / 8;
        if (!scan->plan->models[m]->files[tensor->extent.source].source->ops->map) {
            most = INFLATED_AHEAD_BYTES / (scan->threads < INFLATED_THREADS_MAX ? scan->threads : INFLATED_THREADS_MAX);
            fair = group->units;
        }
    }
    if (bytes == 0)
        return 1;
    most = most / bytes < fair ? most / bytes : fair;
    return most ? most : 1;
}

/* The pairs by the place of their first side, and what is to be read of them. */
static int scan_sort(struct scan *scan, struct error *err)
{
    const size_t pairs = scan->plan->pairing->pairs, models = scan->plan->model_count;
    struct place_on_disk *places = calloc(pairs ? pairs : 1, sizeof(*places));

    scan->order = calloc(pairs ? pairs : 1, sizeof(*scan->order));
    if (!places || !scan->order) {
        free(places);
        return error_set(err, ERROR_NO_MEMORY, "no memory to order %zu tensors", pairs);
    }
    for (size_t pair = 0; pair < pairs; pair++) {
        places[pair] = (struct place_on_disk){.model = UINT32_MAX, .pair = (uint32_t)pair};
        layout_of(&scan->dealing, scan->plan, pair);
        scan->progress.bytes_total += scan->dealing.bytes;
        for (uint32_t g = 0; g < scan->dealing.group_count && !scan->dealing.is_whole; g++) {
            const uint64_t units = units_of_task(scan, &scan->dealing, g);

            scan->units_most = units > scan->units_most ? units : scan->units_most;
        }
        for (size_t m = models; m-- > 0;) {
            const struct tensor *tensor = scan->dealing.tensor[m];

            if (tensor) {
                places[pair].model = (uint32_t)m;
                places[pair].source = tensor->extent.source;
                places[pair].offset = tensor->extent.offset;
            }
        }
    }
    scan->progress.tensors_total = pairs;
    if (!scan->couple_total)
        qsort(places, pairs, sizeof(*places), place_compare);
    for (size_t i = 0; i < pairs; i++)
        scan->order[i] = places[i].pair;
    free(places);
    return 0;
}

static bool is_cancelled(const struct scan *scan)
{
    return scan->env->cancel && atomic_load_explicit(scan->env->cancel, memory_order_relaxed);
}

/* Called with the lock held. The task that was dealt first decides which error is told: all before it were dealt too,
 * and are finished before the pass ends. */
static void scan_fail(struct scan *scan, uint64_t task, int rc, const struct error *error)
{
    if (!scan->rc || task < scan->failed_task) {
        scan->rc = rc;
        scan->failed_task = task;
        scan->error = *error;
    }
    scan->is_stopping = true;
    must(pthread_cond_broadcast(&scan->room));
}

static uint64_t pair_elements(const struct layout *layout)
{
    uint64_t elements = 0;

    for (size_t g = 0; g < layout->group_count; g++)
        elements += layout->group[g].is_bytes ? layout->group[g].bytes / 4 : layout->group[g].shape->elements;
    return elements;
}

static struct slot *slot_at(const struct scan *scan, uint64_t number)
{
    return &scan->slots[number % scan->slot_count];
}

/* As many whole pairs as make a unit's worth of work. */
static void deal_run(struct scan *scan, struct task *task)
{
    uint64_t elements = 0;
    size_t most = RUN_PAIRS;

    if (scan->couple_total)
        most = scan->couple_total < RUN_COUPLES ? RUN_COUPLES / scan->couple_total : 1;
    if (most > RUN_PAIRS)
        most = RUN_PAIRS;
    task->first = scan->next;
    while (scan->next < scan->plan->pairing->pairs && scan->next - task->first < most) {
        if (scan->next > task->first)
            layout_of(&scan->dealing, scan->plan, scan->order[scan->next]);
        if (!scan->dealing.is_whole)
            break;
        elements += pair_elements(&scan->dealing);
        if (elements > RUN_ELEMENTS && scan->next > task->first)
            break;
        scan->next++;
    }
    task->pairs = scan->next - task->first;
    if (task->slots) {
        slot_at(scan, task->slot)->first = task->first;
        slot_at(scan, task->slot)->pairs = task->pairs;
    }
}

static int deal_gather(struct scan *scan, size_t pair, struct error *err)
{
    struct gather *gather;
    int rc;

    scan->dealing_gather = NULL;
    if (!gather_is_needed(scan->plan->needs))
        return 0;
    rc = gather_new(scan->plan->model_count, &gather, err);
    if (rc)
        return rc;
    gather->next = scan->gathers;
    scan->gathers = scan->dealing_gather = gather;
    return gather_begin(gather, scan->plan, &scan->dealing, pair, err);
}

static int deal_units(struct scan *scan, struct task *task, struct error *err)
{
    const size_t pair = scan->order[scan->next];

    if (scan->next_unit == 0) {
        int rc;

        scan_result_begin(scan->result, &scan->dealing, pair);
        rc = deal_gather(scan, pair, err);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < task->slots; i++) {
        struct slot *slot = slot_at(scan, task->slot + i);

        slot->yield.pair = pair;
        slot->yield.unit = scan->next_unit++;
        slot->yield.following = task->slots - 1 - i;
        slot->yield.is_last = scan->next_unit == scan->dealing.units;
        slot->yield.couples = scan->couple_total && scan->plan->groups[pair] != GROUP_NONE ? slot->couples : NULL;
        slot->gather = scan->dealing_gather;
        slot->pairs = 0;
    }
    if (scan->next_unit == scan->dealing.units) {
        scan->next++;
        scan->next_unit = 0;
    }
    task->pairs = 0;
    return 0;
}

/* How many slots the next task takes. */
static size_t slots_wanted(const struct scan *scan)
{
    uint64_t unit = scan->next_unit, units;
    uint32_t g;

    if (scan->dealing.is_whole)
        return scan->couple_total ? 1 : 0;
    g = layout_group_of_unit(&scan->dealing, &unit);
    units = units_of_task(scan, &scan->dealing, g);
    return (size_t)(units < scan->dealing.group[g].units - unit ? units : scan->dealing.group[g].units - unit);
}

/* The next task, or false when there is none (or none any more). Waits for room in the ring. */
static bool scan_deal(struct scan *scan, struct task *task)
{
    struct error error = {0};
    bool has_task = false;

    must(pthread_mutex_lock(&scan->lock));
    while (!scan->is_stopping && scan->next < scan->plan->pairing->pairs) {
        int rc = 0;

        if (scan->next_unit == 0)
            layout_of(&scan->dealing, scan->plan, scan->order[scan->next]);
        task->slot = scan->slots_taken;
        task->slots = slots_wanted(scan);
        if (scan->slots_taken - scan->slots_merged + task->slots > scan->slot_count) {
            must(pthread_cond_wait(&scan->room, &scan->lock));
            continue;
        }
        for (; scan->slots_taken < task->slot + task->slots; scan->slots_taken++)
            slot_at(scan, scan->slots_taken)->is_done = false;
        if (scan->dealing.is_whole)
            deal_run(scan, task);
        else
            rc = deal_units(scan, task, &error);
        task->number = scan->tasks++;
        if (rc)
            scan_fail(scan, task->number, rc, &error);
        has_task = rc == 0;
        break;
    }
    must(pthread_mutex_unlock(&scan->lock));
    return has_task;
}

static void merge_couples(struct scan *scan, const struct slot *slot)
{
    if (slot->pairs == 0 && slot->yield.couples)
        scan_result_add_couples(scan->result, scan->plan, slot->yield.pair, slot->couples);
    for (size_t i = 0; i < slot->pairs; i++)
        scan_result_add_couples(scan->result, scan->plan, scan->order[slot->first + i],
                                slot->couples + i * scan->couple_total);
}

static void take_off(struct gather **list, struct gather *gather)
{
    while (*list != gather)
        list = &(*list)->next;
    *list = gather->next;
}

/* Merges the units that are done, up to the first that is not. Tensors that have got all of theirs are taken off and
 * given to the caller, to be settled outside the lock. Called with the lock held. */
static int scan_merge(struct scan *scan, struct gather **landed, struct error *err)
{
    bool has_room = false;
    int rc = 0;

    while (rc == 0 && scan->slots_merged < scan->slots_taken) {
        struct slot *slot = slot_at(scan, scan->slots_merged);

        if (!slot->is_done)
            break;
        merge_couples(scan, slot);
        if (slot->pairs == 0) {
            scan_result_add(scan->result, &slot->yield);
            if (slot->gather)
                rc = gather_join(slot->gather, &slot->yield, err);
            scan->progress.tensors_done += slot->yield.is_last;
        }
        if (slot->pairs == 0 && slot->yield.is_last && slot->gather) {
            take_off(&scan->gathers, slot->gather);
            slot->gather->next = *landed;
            *landed = slot->gather;
        }
        scan->slots_merged++;
        has_room = true;
    }
    if (has_room)
        must(pthread_cond_broadcast(&scan->room));
    return rc;
}

/* Nobody else touches the records of a pair whose units are all merged. */
static int settle_landed(struct scan *scan, struct gather *landed, struct error *err)
{
    int rc = 0;

    while (landed) {
        struct gather *gather = landed;

        landed = gather->next;
        if (rc == 0)
            rc = gather_settle(gather, scan->result, err);
        gather_free(gather);
    }
    return rc;
}

static int64_t milliseconds_since(const struct timespec *then, const struct timespec *now)
{
    return ((int64_t)now->tv_sec - then->tv_sec) * 1000 + (now->tv_nsec - then->tv_nsec) / 1000000;
}

/* Tells the progress, one thread at a time, outside the lock: the callback may take its time. */
static void scan_report(struct scan *scan)
{
    struct scan_progress progress;
    struct timespec now;

    if (!scan->env->progress)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    must(pthread_mutex_lock(&scan->lock));
    if (scan->is_reporting || milliseconds_since(&scan->reported, &now) < PROGRESS_INTERVAL_MS) {
        must(pthread_mutex_unlock(&scan->lock));
        return;
    }
    scan->is_reporting = true;
    scan->reported = now;
    progress = scan->progress;
    must(pthread_mutex_unlock(&scan->lock));
    scan->env->progress(scan->env->progress_context, &progress);
    must(pthread_mutex_lock(&scan->lock));
    scan->is_reporting = false;
    must(pthread_mutex_unlock(&scan->lock));
}

static int check_cancel(const struct scan *scan, struct error *err)
{
    return is_cancelled(scan) ? error_set(err, ERROR_CANCELLED, "cancelled") : 0;
}

static int run_unit(struct runner *runner, struct slot *slot, struct error *err)
{
    int rc = check_cancel(runner->scan, err);

    if (rc)
        return rc;
    layout_of(&runner->scanner.layout, runner->scan->plan, slot->yield.pair);
    return scanner_measure_unit(&runner->scanner, &slot->yield, slot->gather, err);
}

/* Whole pairs: nobody else touches their records. */
static int run_pairs(struct runner *runner, const struct task *task, uint64_t *ret_bytes, struct error *err)
{
    const struct scan *scan = runner->scan;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < task->pairs; i++) {
        const size_t pair = scan->order[task->first + i];
        struct couple_record *couples = NULL;

        if (task->slots && scan->plan->groups[pair] != GROUP_NONE)
            couples = slot_at(scan, task->slot)->couples + i * scan->couple_total;
        rc = check_cancel(scan, err);
        if (rc)
            break;
        layout_of(&runner->scanner.layout, scan->plan, pair);
        rc = scanner_measure_pair(&runner->scanner, pair, couples, ret_bytes, err);
    }
    return rc;
}

/* Hands in what a task, or a unit of one, brought; slot is NULL where it took none. */
static void run_done(struct runner *runner, const struct task *task, struct slot *slot, uint64_t bytes, int rc)
{
    struct scan *scan = runner->scan;
    struct gather *landed = NULL;

    must(pthread_mutex_lock(&scan->lock));
    if (rc == 0) {
        scan->progress.bytes_done += bytes;
        scan->progress.tensors_done += task->pairs;
        if (slot) {
            slot->is_done = true;
            rc = scan_merge(scan, &landed, &runner->error);
        }
    }
    if (rc)
        scan_fail(scan, task->number, rc, &runner->error);
    must(pthread_mutex_unlock(&scan->lock));
    rc = settle_landed(scan, landed, &runner->error);
    if (rc) {
        must(pthread_mutex_lock(&scan->lock));
        scan_fail(scan, task->number, rc, &runner->error);
        must(pthread_mutex_unlock(&scan->lock));
    }
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(struct runner *runner)
{
    struct scan *scan = runner->scan;
    struct task task;

    runner->wall_seconds = -seconds_of(CLOCK_MONOTONIC);
    runner->busy_seconds = -seconds_of(CLOCK_THREAD_CPUTIME_ID);
    while (scan_deal(scan, &task)) {
        uint64_t bytes = 0;
        int rc = 0;

        runner->error = (struct error){0};
        if (task.pairs > 0) {
            rc = run_pairs(runner, &task, &bytes, &runner->error);
            run_done(runner, &task, task.slots ? slot_at(scan, task.slot) : NULL, bytes, rc);
            scan_report(scan);
        }
        for (size_t i = 0; rc == 0 && task.pairs == 0 && i < task.slots; i++) {
            struct slot *slot = slot_at(scan, task.slot + i);

            rc = run_unit(runner, slot, &runner->error);
            run_done(runner, &task, slot, slot->yield.bytes, rc);
            scan_report(scan);
        }
    }
    runner->wall_seconds += seconds_of(CLOCK_MONOTONIC);
    runner->busy_seconds += seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

static void *runner_thread(void *runner)
{
    run(runner);
    return NULL;
}

static int slot_init(struct scan *scan, struct slot *slot, struct error *err)
{
    const size_t couples = scan->couple_total > RUN_COUPLES ? scan->couple_total : RUN_COUPLES;
    int rc = yield_init(&slot->yield, scan->plan->model_count, err);

    if (rc || !scan->couple_total)
        return rc;
    slot->couples = calloc(couples, sizeof(*slot->couples));
    return slot->couples ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for %zu couples of models", couples);
}

static int scan_init(struct scan *scan, struct error *err)
{
    const unsigned threads = scan->threads;
    int rc;

    if (scan->plan->needs & NEED_COUPLES)
        scan->couple_total = couple_count(scan->plan->model_count);
    rc = layout_init(&scan->dealing, scan->plan->model_count, err);
    if (rc == 0)
        rc = scan_sort(scan, err);
    if (rc)
        return rc;
    scan->slot_count = threads * (scan->units_most > 1 ? 2 * (size_t)scan->units_most : SLOTS_PER_THREAD);
    scan->slots = calloc(scan->slot_count, sizeof(*scan->slots));
    if (!scan->slots)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu units", scan->slot_count);
    for (size_t i = 0; rc == 0 && i < scan->slot_count; i++)
        rc = slot_init(scan, &scan->slots[i], err);
    return rc;
}

static void scan_done(struct scan *scan)
{
    while (scan->gathers) {
        struct gather *gather = scan->gathers;

        scan->gathers = gather->next;
        gather_free(gather);
    }
    for (size_t i = 0; scan->slots && i < scan->slot_count; i++) {
        yield_done(&scan->slots[i].yield);
        free(scan->slots[i].couples);
    }
    free(scan->slots);
    free(scan->order);
    layout_done(&scan->dealing);
}

/* Threads that cannot be started are done without: at worst, the calling one does it all. */
static void scan_work(struct runner *runners, unsigned threads)
{
    for (unsigned i = 1; i < threads; i++)
        runners[i].is_started = pthread_create(&runners[i].thread, NULL, runner_thread, &runners[i]) == 0;
    run(&runners[0]);
    for (unsigned i = 1; i < threads; i++) {
        if (runners[i].is_started)
            must(pthread_join(runners[i].thread, NULL));
    }
}

static struct scan_pass pass_of(const struct scan *scan, const struct runner *runners, unsigned threads)
{
    struct scan_pass pass = {.bytes = scan->progress.bytes_done};
    double wall = 0, busy = 0;

    for (unsigned i = 0; i < threads; i++) {
        wall += runners[i].wall_seconds;
        busy += runners[i].busy_seconds;
        if (runners[i].wall_seconds > pass.seconds)
            pass.seconds = runners[i].wall_seconds;
    }
    if (wall > busy)
        pass.waiting_share = (wall - busy) / wall;
    return pass;
}

int scan_run(const struct scan_plan *plan, const struct scan_env *env, struct scan_result **ret_result,
             struct error *err)
{
    const unsigned threads = env->threads ? env->threads : 1;
    struct scan scan = {.plan = plan, .env = env, .threads = threads, .kernels = kernels_of(env->isa)};
    struct runner *runners = NULL;
    int rc;

    must(pthread_mutex_init(&scan.lock, NULL));
    must(pthread_cond_init(&scan.room, NULL));
    clock_gettime(CLOCK_MONOTONIC, &scan.reported);
    rc = scan_result_new(plan, &scan.result, err);
    if (rc == 0)
        rc = scan_init(&scan, err);
    if (rc)
        goto out;
    runners = calloc(threads, sizeof(*runners));
    if (!runners) {
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for %u threads", threads);
        goto out;
    }
    for (unsigned i = 0; i < threads; i++) {
        runners[i].scan = &scan;
        rc = scanner_init(&runners[i].scanner, plan, scan.kernels, scan.result, err);
        if (rc)
            goto out;
    }
    cache_plan(plan, env);
    scan_work(runners, threads);
    if (scan.rc) {
        rc = scan.rc;
        if (err)
            *err = scan.error;
        goto out;
    }
    if (env->progress)
        env->progress(env->progress_context, &scan.progress);
    scan.result->pass = pass_of(&scan, runners, threads);
    *ret_result = scan.result;
    scan.result = NULL;
out:
    for (unsigned i = 0; runners && i < threads; i++)
        if (runners[i].scan)
            scanner_done(&runners[i].scanner);
    free(runners);
    scan_done(&scan);
    scan_result_free(scan.result);
    must(pthread_cond_destroy(&scan.room));
    must(pthread_mutex_destroy(&scan.lock));
    return rc;
}
