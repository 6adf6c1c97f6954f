/* The pass. Units are dealt in the order in which the files lie on disk and merged, pair by pair, in the order in which
 * they were dealt; how many threads there are decides who measures a unit, never what comes out.
 *
 * A task is either a run of pairs that have one unit each (a model of 300,000 small tensors must not pay for a lock
 * each), which its thread settles alone, or one unit of a large pair. The latter go through a ring of slots: a unit
 * that is done waits there for those before it, and no unit is dealt while the ring is full, so that memory stays flat.
 *
 * Locks: scan.lock guards what is dealt, the ring, the first error and the progress; results of a large pair are merged
 * under it. flight.lock guards the histograms of one large pair: counts, whose order does not matter. */
#include "core/scan/scan.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/scan/layout.h"
#include "core/scan/measure.h"
#include "core/scan/quantile.h"
#include "core/scan/window.h"

enum {
    SLOTS_PER_THREAD = 4,
    RUN_PAIRS = 1024,
    RUN_ELEMENTS = 1 << 18,
    PROGRESS_INTERVAL_MS = 100,
};

/* Histograms of a pair whose units are being measured. */
struct flight {
    struct flight *next;
    size_t pair;
    pthread_mutex_t lock;
    uint64_t **bins; /* [model] guarded by lock; NULL: no histogram */
    size_t models;
};

/* What one unit yields. */
struct yield {
    size_t pair;
    uint64_t unit;             /* of the pair, over all its groups */
    uint64_t first;            /* flat index of its first element */
    uint64_t bytes;            /* read for it */
    struct side_record *sides; /* [model]; elements 0: not in this unit */
    struct delta_record delta;
    bool has_delta;
    bool is_last; /* of the pair */
};

struct slot {
    struct yield yield;
    struct flight *flight;
    bool is_done; /* guarded by scan.lock */
};

struct scan {
    const struct scan_plan *plan;
    const struct scan_env *env;
    const struct kernels *kernels;
    struct scan_result *result;
    uint32_t *order; /* pairs as they lie on disk */

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
    struct flight *flights;
    struct flight *dealing_flight;
    bool is_stopping;
    uint64_t failed_task;
    int rc;
    struct error error;
    struct scan_progress progress;
    bool is_reporting;
    struct timespec reported;
};

/* One thread. */
struct worker {
    struct scan *scan;
    pthread_t thread;
    bool is_started;
    struct layout layout;
    struct window *windows;    /* [model] */
    struct stored *stored;     /* [model] */
    struct side_record *sides; /* [model] */
    struct measure *measure;
    uint32_t *bins;    /* with NEED_QUANTILES */
    uint64_t *totals;  /* " : bins of a whole pair */
    uint64_t *sorting; /* " */
    struct error error;
};

struct task {
    uint64_t number;
    size_t first, pairs; /* a run: order[first] … */
    struct slot *slot;   /* or one unit */
};

static void must(int rc)
{
    if (rc)
        abort(); /* a lock that cannot be taken is a defect of this program */
}

void scan_result_free(struct scan_result *result)
{
    if (!result)
        return;
    free(result->sides);
    free(result->deltas);
    free(result->coverage);
    free(result->quantiles);
    free(result);
}

static int result_new(const struct scan_plan *plan, struct scan_result **ret_result, struct error *err)
{
    const size_t pairs = plan->pairing->pairs, models = plan->model_count;
    struct scan_result *result = calloc(1, sizeof(*result));
    size_t sides;

    if (!result || __builtin_mul_overflow(pairs, models, &sides))
        goto no_memory;
    result->pairs = pairs;
    result->models = models;
    result->sides = calloc(sides ? sides : 1, sizeof(*result->sides));
    result->deltas = calloc(pairs ? pairs : 1, sizeof(*result->deltas));
    result->coverage = calloc(pairs ? pairs : 1, sizeof(*result->coverage));
    if (!result->sides || !result->deltas || !result->coverage)
        goto no_memory;
    if (plan->needs & NEED_QUANTILES) {
        result->quantiles = calloc(sides ? sides : 1, sizeof(*result->quantiles));
        if (!result->quantiles)
            goto no_memory;
        for (size_t i = 0; i < sides; i++)
            quantiles_init(&result->quantiles[i]);
    }
    for (size_t pair = 0; pair < pairs; pair++) {
        for (size_t m = 0; m < models; m++) {
            const struct tensor *tensor = pairing_tensor(plan->pairing, plan->models, pair, m);

            side_record_init(&result->sides[pair * models + m], tensor ? tensor->dtype : DTYPE_UNKNOWN);
        }
        delta_record_init(&result->deltas[pair]);
    }
    *ret_result = result;
    return 0;

no_memory:
    scan_result_free(result);
    return error_set(err, ERROR_NO_MEMORY, "no memory for the records of %zu tensors of %zu models", pairs, models);
}

/* What a pair's record says before its first unit. */
static void result_begin(struct scan *scan, const struct layout *layout, size_t pair)
{
    struct delta_record *delta = &scan->result->deltas[pair];

    scan->result->coverage[pair] = (uint8_t)layout->coverage;
    delta->has_row_fit = layout->is_row_fit;
    if (layout->coverage == COVERED_VALUES)
        delta->is_bytes_equal = layout->tensor[0]->dtype == layout->tensor[layout->models - 1]->dtype;
    else
        delta->is_bytes_equal = layout->coverage == COVERED_BYTES;
}

static void result_add(struct scan *scan, const struct yield *yield)
{
    const size_t models = scan->plan->model_count;
    struct side_record *sides = scan->result->sides + yield->pair * models;

    for (size_t m = 0; m < models; m++) {
        if (yield->sides[m].elements)
            side_record_merge(&sides[m], &yield->sides[m]);
    }
    if (yield->has_delta)
        delta_record_merge(&scan->result->deltas[yield->pair], &yield->delta, yield->first);
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
    qsort(places, pairs, sizeof(*places), place_compare);
    for (size_t i = 0; i < pairs; i++)
        scan->order[i] = places[i].pair;
    free(places);
    return 0;
}

static void flight_free(struct flight *flight)
{
    if (!flight)
        return;
    for (size_t m = 0; flight->bins && m < flight->models; m++)
        free(flight->bins[m]);
    free(flight->bins);
    must(pthread_mutex_destroy(&flight->lock));
    free(flight);
}

static bool wants_bins(const struct scan_plan *plan, const struct tensor *tensor)
{
    return (plan->needs & NEED_QUANTILES) && tensor && quantiles_exist(tensor->dtype) &&
           tensor->shape.elements >= QUANTILE_SORTED;
}

static int flight_new(const struct scan_plan *plan, const struct layout *layout, size_t pair,
                      struct flight **ret_flight, struct error *err)
{
    struct flight *flight = calloc(1, sizeof(*flight));

    if (!flight)
        goto no_memory;
    must(pthread_mutex_init(&flight->lock, NULL));
    flight->pair = pair;
    flight->models = layout->models;
    flight->bins = calloc(layout->models, sizeof(*flight->bins));
    if (!flight->bins)
        goto no_memory;
    for (size_t m = 0; m < layout->models; m++) {
        if (layout->group_of[m] != LAYOUT_NO_GROUP && !layout->group[layout->group_of[m]].is_bytes &&
            wants_bins(plan, layout->tensor[m])) {
            flight->bins[m] = calloc(QUANTILE_BINS, sizeof(**flight->bins));
            if (!flight->bins[m])
                goto no_memory;
        }
    }
    *ret_flight = flight;
    return 0;

no_memory:
    flight_free(flight);
    return error_set(err, ERROR_NO_MEMORY, "no memory for the histograms of a tensor");
}

/* Takes the flight off the list, settles its quantiles and frees it. Called with scan.lock held. */
static void flight_land(struct scan *scan, struct flight *flight)
{
    struct flight **link = &scan->flights;

    while (*link != flight)
        link = &(*link)->next;
    *link = flight->next;
    for (size_t m = 0; m < flight->models; m++) {
        size_t side = flight->pair * flight->models + m;

        if (flight->bins[m])
            quantiles_of_bins(flight->bins[m], &scan->result->sides[side], &scan->result->quantiles[side]);
    }
    flight_free(flight);
}

static void bins_add(uint64_t *totals, const uint32_t *bins)
{
    for (size_t i = 0; i < QUANTILE_BINS; i++)
        totals[i] += bins[i];
}

/* Which group the pair's unit belongs to; makes unit relative to it. */
static uint32_t group_of_unit(const struct layout *layout, uint64_t *unit)
{
    uint32_t g = 0;

    while (*unit >= layout->group[g].units) {
        *unit -= layout->group[g].units;
        g++;
    }
    return g;
}

static int unit_failed(const struct worker *worker, const struct tensor *tensor, size_t m, uint64_t offset, int rc,
                       struct error *err)
{
    const struct model *model = worker->scan->plan->models[m];
    const char *uri = model->files[tensor->extent.source].source->uri;
    char name[NAME_PRINTABLE_BYTES], file[NAME_PRINTABLE_BYTES];

    if (!err)
        return rc;
    name_printable(tensor->name, name);
    name_printable(name_of(uri), file);
    if (strstr(err->text, file)) /* the source has named itself */
        return error_prefix(err, rc, "tensor %s at offset %" PRIu64 ": ", name, offset);
    return error_prefix(err, rc, "%s: tensor %s at offset %" PRIu64 ": ", file, name, offset);
}

static int unit_view(struct worker *worker, size_t m, uint64_t from, uint64_t bytes, const uint8_t **ret_data,
                     struct error *err)
{
    const struct tensor *tensor = worker->layout.tensor[m];
    const struct extent *extent = &tensor->extent;
    struct source *source = worker->scan->plan->models[m]->files[extent->source].source;
    uint64_t offset = extent->offset + from;
    int rc;

    if (from > extent->bytes || bytes > extent->bytes - from)
        rc = error_set(err, ERROR_FORMAT, "its shape needs more than the %" PRIu64 " bytes it has", extent->bytes);
    else
        rc = window_view(&worker->windows[m], source, offset, (size_t)bytes, ret_data, err);
    return rc ? unit_failed(worker, tensor, m, offset, rc, err) : 0;
}

static int unit_compare_bytes(struct worker *worker, const struct layout_group *group, uint64_t unit,
                              struct yield *yield, struct error *err)
{
    const size_t last = worker->layout.models - 1;
    uint64_t from = unit * BYTES_UNIT, bytes = group->bytes - from < BYTES_UNIT ? group->bytes - from : BYTES_UNIT;
    const uint8_t *a, *b;
    int rc;

    rc = unit_view(worker, 0, from, bytes, &a, err);
    if (rc == 0)
        rc = unit_view(worker, last, from, bytes, &b, err);
    if (rc)
        return rc;
    delta_record_init(&yield->delta);
    yield->delta.is_bytes_equal = memcmp(a, b, (size_t)bytes) == 0;
    yield->delta.has_row_fit = false;
    yield->has_delta = true;
    yield->bytes = 2 * bytes;
    return 0;
}

/* The unit's elements of model m, as far as its tensor reaches. */
static int unit_load(struct worker *worker, size_t m, uint64_t first, uint64_t elements, struct yield *yield,
                     struct error *err)
{
    const struct tensor *tensor = worker->layout.tensor[m];
    const uint64_t bits = dtype_traits(tensor->dtype)->bits, total = tensor->shape.elements;
    uint64_t start, from, to;
    struct stored *stored = &worker->stored[m];

    *stored = (struct stored){.dtype = tensor->dtype};
    if (first >= total)
        return 0;
    if (elements > total - first)
        elements = total - first;
    if (first + elements > (UINT64_MAX - 7) / bits)
        return unit_failed(worker, tensor, m, tensor->extent.offset,
                           error_set(err, ERROR_FORMAT, "has more elements than any file can hold"), err);
    start = first - first % 8; /* lies at a byte, whatever the element's size */
    from = start * bits / 8;
    if (bits % 8 == 0) {
        start = first;
        from = first * (bits / 8);
    }
    to = ((first + elements) * bits + 7) / 8;
    stored->first = first - start;
    stored->elements = (size_t)elements;
    yield->bytes += to - from;
    return unit_view(worker, m, from, to - from, &stored->base, err);
}

static void unit_count_bins(struct worker *worker, size_t m, size_t pair, struct flight *flight)
{
    const struct scan *scan = worker->scan;
    const struct tensor *tensor = worker->layout.tensor[m];
    const struct stored *stored = &worker->stored[m];
    struct quantiles *quantiles = &scan->result->quantiles[pair * worker->layout.models + m];

    if (!quantiles_exist(tensor->dtype) || stored->elements == 0)
        return;
    if (!wants_bins(scan->plan, tensor)) { /* lies whole in this unit */
        quantiles_of_elements(stored, worker->sorting, quantiles);
        return;
    }
    memset(worker->bins, 0, QUANTILE_BINS * sizeof(*worker->bins));
    quantile_count(stored, worker->bins, worker->measure->a64);
    if (flight) {
        must(pthread_mutex_lock(&flight->lock));
        bins_add(flight->bins[m], worker->bins);
        must(pthread_mutex_unlock(&flight->lock));
    } else {
        memset(worker->totals, 0, QUANTILE_BINS * sizeof(*worker->totals));
        bins_add(worker->totals, worker->bins);
        quantiles_of_bins(worker->totals, &worker->sides[m], quantiles);
    }
}

/* Measures one unit of the pair that worker->layout describes. A whole pair's quantiles are settled at once: flight is
 * NULL, and its sides are worker->sides. */
static int unit_measure(struct worker *worker, struct yield *yield, struct flight *flight, struct error *err)
{
    const struct layout *layout = &worker->layout;
    const size_t last = layout->models - 1;
    uint64_t unit = yield->unit, elements, row_elements;
    const uint32_t g = group_of_unit(layout, &unit);
    const struct layout_group *group = &layout->group[g];
    bool is_pair = layout->delta_group == g;
    struct box box;
    int rc;

    yield->has_delta = false;
    yield->bytes = 0;
    yield->first = 0;
    for (size_t m = 0; m < layout->models; m++)
        yield->sides[m].elements = 0;
    if (group->is_bytes)
        return unit_compare_bytes(worker, group, unit, yield, err);
    grid_box(&group->grid, unit, &box);
    yield->first = box_first(&group->grid, &box);
    elements = box_elements(&box);
    row_elements = layout->is_row_fit && group->grid.columns <= group->grid.unit_columns ? group->grid.columns : 0;
    for (size_t m = 0; m < layout->models; m++) {
        if (layout->group_of[m] != g)
            continue;
        rc = unit_load(worker, m, yield->first, elements, yield, err);
        if (rc)
            return rc;
    }
    is_pair = is_pair && worker->stored[0].elements > 0 && worker->stored[last].elements > 0;
    if (is_pair) {
        measure_pair(worker->measure, &worker->stored[0], &worker->stored[last], row_elements, &yield->sides[0],
                     &yield->sides[last], &yield->delta);
        yield->has_delta = true;
    }
    for (size_t m = 0; m < layout->models; m++) {
        if (layout->group_of[m] != g || worker->stored[m].elements == 0)
            continue;
        if (!is_pair || (m != 0 && m != last))
            measure_side(worker->measure, &worker->stored[m], &yield->sides[m]);
        if (worker->scan->plan->needs & NEED_QUANTILES)
            unit_count_bins(worker, m, yield->pair, flight);
    }
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

/* As many whole pairs as make a unit's worth of work. */
static void deal_run(struct scan *scan, struct task *task)
{
    uint64_t elements = 0;

    task->first = scan->next;
    task->slot = NULL;
    while (scan->next < scan->plan->pairing->pairs && scan->next - task->first < RUN_PAIRS) {
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
}

static int deal_unit(struct scan *scan, struct task *task, struct error *err)
{
    const size_t pair = scan->order[scan->next];
    struct slot *slot = &scan->slots[scan->slots_taken % scan->slot_count];

    if (scan->next_unit == 0) {
        result_begin(scan, &scan->dealing, pair);
        scan->dealing_flight = NULL;
        if (scan->plan->needs & NEED_QUANTILES) {
            int rc = flight_new(scan->plan, &scan->dealing, pair, &scan->dealing_flight, err);

            if (rc)
                return rc;
            scan->dealing_flight->next = scan->flights;
            scan->flights = scan->dealing_flight;
        }
    }
    slot->yield.pair = pair;
    slot->yield.unit = scan->next_unit++;
    slot->yield.is_last = scan->next_unit == scan->dealing.units;
    slot->flight = scan->dealing_flight;
    slot->is_done = false;
    scan->slots_taken++;
    if (slot->yield.is_last) {
        scan->next++;
        scan->next_unit = 0;
    }
    task->slot = slot;
    task->pairs = 0;
    return 0;
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
        if (scan->dealing.is_whole) {
            deal_run(scan, task);
        } else if (scan->slots_taken - scan->slots_merged == scan->slot_count) {
            must(pthread_cond_wait(&scan->room, &scan->lock));
            continue;
        } else {
            rc = deal_unit(scan, task, &error);
        }
        task->number = scan->tasks++;
        if (rc)
            scan_fail(scan, task->number, rc, &error);
        has_task = rc == 0;
        break;
    }
    must(pthread_mutex_unlock(&scan->lock));
    return has_task;
}

/* Merges the units that are done, up to the first that is not. Called with the lock held. */
static void scan_merge(struct scan *scan)
{
    bool has_room = false;

    while (scan->slots_merged < scan->slots_taken) {
        struct slot *slot = &scan->slots[scan->slots_merged % scan->slot_count];

        if (!slot->is_done)
            break;
        result_add(scan, &slot->yield);
        if (slot->yield.is_last) {
            scan->progress.tensors_done++;
            if (slot->flight)
                flight_land(scan, slot->flight);
        }
        scan->slots_merged++;
        has_room = true;
    }
    if (has_room)
        must(pthread_cond_broadcast(&scan->room));
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

static int worker_check_cancel(const struct worker *worker, struct error *err)
{
    return is_cancelled(worker->scan) ? error_set(err, ERROR_CANCELLED, "cancelled") : 0;
}

static int worker_run_unit(struct worker *worker, struct slot *slot, struct error *err)
{
    int rc = worker_check_cancel(worker, err);

    if (rc)
        return rc;
    layout_of(&worker->layout, worker->scan->plan, slot->yield.pair);
    return unit_measure(worker, &slot->yield, slot->flight, err);
}

/* Whole pairs: nobody else touches their records. */
static int worker_run_pairs(struct worker *worker, const struct task *task, uint64_t *ret_bytes, struct error *err)
{
    struct scan *scan = worker->scan;
    int rc = 0;

    for (size_t i = 0; i < task->pairs; i++) {
        struct yield yield = {.pair = scan->order[task->first + i], .sides = worker->sides};

        rc = worker_check_cancel(worker, err);
        if (rc)
            break;
        layout_of(&worker->layout, scan->plan, yield.pair);
        result_begin(scan, &worker->layout, yield.pair);
        for (yield.unit = 0; yield.unit < worker->layout.units; yield.unit++) {
            rc = unit_measure(worker, &yield, NULL, err);
            if (rc)
                return rc;
            result_add(scan, &yield);
            *ret_bytes += yield.bytes;
        }
    }
    return rc;
}

static void worker_run(struct worker *worker)
{
    struct scan *scan = worker->scan;
    struct task task;

    while (scan_deal(scan, &task)) {
        uint64_t bytes = 0;
        int rc;

        worker->error = (struct error){0};
        if (task.slot) {
            rc = worker_run_unit(worker, task.slot, &worker->error);
            bytes = task.slot->yield.bytes;
        } else {
            rc = worker_run_pairs(worker, &task, &bytes, &worker->error);
        }
        must(pthread_mutex_lock(&scan->lock));
        if (rc) {
            scan_fail(scan, task.number, rc, &worker->error);
        } else {
            scan->progress.bytes_done += bytes;
            if (task.slot) {
                task.slot->is_done = true;
                scan_merge(scan);
            } else {
                scan->progress.tensors_done += task.pairs;
            }
        }
        must(pthread_mutex_unlock(&scan->lock));
        scan_report(scan);
    }
}

static void *worker_thread(void *worker)
{
    worker_run(worker);
    return NULL;
}

static void worker_done(struct worker *worker)
{
    if (!worker->scan)
        return;
    for (size_t m = 0; worker->windows && m < worker->scan->plan->model_count; m++)
        window_done(&worker->windows[m]);
    layout_done(&worker->layout);
    free(worker->windows);
    free(worker->stored);
    free(worker->sides);
    free(worker->measure);
    free(worker->bins);
    free(worker->totals);
    free(worker->sorting);
}

static int worker_init(struct worker *worker, struct scan *scan, struct error *err)
{
    const struct scan_plan *plan = scan->plan;
    int rc;

    worker->scan = scan;
    rc = layout_init(&worker->layout, plan->model_count, err);
    if (rc)
        return rc;
    worker->windows = calloc(plan->model_count, sizeof(*worker->windows));
    worker->stored = calloc(plan->model_count, sizeof(*worker->stored));
    worker->sides = calloc(plan->model_count, sizeof(*worker->sides));
    worker->measure = calloc(1, sizeof(*worker->measure));
    if (!worker->windows || !worker->stored || !worker->sides || !worker->measure)
        goto no_memory;
    worker->measure->kernels = scan->kernels;
    worker->measure->epsilon = plan->epsilon;
    worker->measure->needs = plan->needs;
    if (plan->needs & NEED_QUANTILES) {
        worker->bins = calloc(QUANTILE_BINS, sizeof(*worker->bins));
        worker->totals = calloc(QUANTILE_BINS, sizeof(*worker->totals));
        worker->sorting = calloc((size_t)2 * QUANTILE_SORTED, sizeof(*worker->sorting));
        if (!worker->bins || !worker->totals || !worker->sorting)
            goto no_memory;
    }
    return 0;

no_memory:
    return error_set(err, ERROR_NO_MEMORY, "no memory for the buffers of a thread");
}

static int scan_init(struct scan *scan, unsigned threads, struct error *err)
{
    const size_t models = scan->plan->model_count;
    int rc;

    rc = layout_init(&scan->dealing, models, err);
    if (rc == 0)
        rc = scan_sort(scan, err);
    if (rc)
        return rc;
    scan->slot_count = (size_t)threads * SLOTS_PER_THREAD;
    scan->slots = calloc(scan->slot_count, sizeof(*scan->slots));
    if (!scan->slots)
        goto no_memory;
    for (size_t i = 0; i < scan->slot_count; i++) {
        scan->slots[i].yield.sides = calloc(models, sizeof(*scan->slots[i].yield.sides));
        if (!scan->slots[i].yield.sides)
            goto no_memory;
    }
    return 0;

no_memory:
    return error_set(err, ERROR_NO_MEMORY, "no memory for %zu units", scan->slot_count);
}

static void scan_done(struct scan *scan)
{
    while (scan->flights) {
        struct flight *flight = scan->flights;

        scan->flights = flight->next;
        flight_free(flight);
    }
    for (size_t i = 0; scan->slots && i < scan->slot_count; i++)
        free(scan->slots[i].yield.sides);
    free(scan->slots);
    free(scan->order);
    layout_done(&scan->dealing);
}

/* Threads that cannot be started are done without: at worst, the calling one does it all. */
static void scan_work(struct worker *workers, unsigned threads)
{
    for (unsigned i = 1; i < threads; i++)
        workers[i].is_started = pthread_create(&workers[i].thread, NULL, worker_thread, &workers[i]) == 0;
    worker_run(&workers[0]);
    for (unsigned i = 1; i < threads; i++) {
        if (workers[i].is_started)
            must(pthread_join(workers[i].thread, NULL));
    }
}

int scan_run(const struct scan_plan *plan, const struct scan_env *env, struct scan_result **ret_result,
             struct error *err)
{
    const unsigned threads = env->threads ? env->threads : 1;
    struct scan scan = {.plan = plan, .env = env, .kernels = kernels_of(env->isa)};
    struct worker *workers = NULL;
    int rc;

    must(pthread_mutex_init(&scan.lock, NULL));
    must(pthread_cond_init(&scan.room, NULL));
    clock_gettime(CLOCK_MONOTONIC, &scan.reported);
    rc = result_new(plan, &scan.result, err);
    if (rc == 0)
        rc = scan_init(&scan, threads, err);
    if (rc)
        goto out;
    workers = calloc(threads, sizeof(*workers));
    if (!workers) {
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for %u threads", threads);
        goto out;
    }
    for (unsigned i = 0; i < threads; i++) {
        rc = worker_init(&workers[i], &scan, err);
        if (rc)
            goto out;
    }
    scan_work(workers, threads);
    if (scan.rc) {
        rc = scan.rc;
        if (err)
            *err = scan.error;
        goto out;
    }
    if (env->progress)
        env->progress(env->progress_context, &scan.progress);
    *ret_result = scan.result;
    scan.result = NULL;
out:
    for (unsigned i = 0; workers && i < threads; i++)
        worker_done(&workers[i]);
    free(workers);
    scan_done(&scan);
    scan_result_free(scan.result);
    must(pthread_cond_destroy(&scan.room));
    must(pthread_mutex_destroy(&scan.lock));
    return rc;
}
