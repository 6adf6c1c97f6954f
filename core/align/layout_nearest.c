/* What is left where numbers of layers do not help either, since the other library counts and nests its blocks in its
 * own way: tensors of one shape whose values are each other's nearest by far, whatever they are called; then matrices
 * of reversed shapes, since exporters fold a transpose into what they number ("onnx::MatMul_1234"). Samples are few,
 * and read once a tensor; probe_tensors has the last word. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layout_work.h"
#include "core/scan/decode.h"

enum { RUNS = 8, COMPARISONS_MAX = 1 << 21, ELEMENTS_LEAST = 3, TURNED_MAX = 16 };

struct sketch {
    uint32_t tensor;
    uint32_t rank; /* without dimensions of 1 */
    uint64_t dims[VIEW_RANK_MAX];
    bool is_transposed; /* what is looked at */
    struct sample sample;
    uint32_t nearest; /* of the other side's sketches */
    double error, next;
};

struct sketches {
    struct sketch *items;
    size_t count;
};

static int compare_sketches(const void *a, const void *b)
{
    const struct sketch *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1; /* matrices prove more than vectors, and come first */
    for (uint32_t d = 0; d < x->rank; d++)
        if (x->dims[d] != y->dims[d])
            return x->dims[d] < y->dims[d] ? -1 : 1;
    return 0;
}

/* Of matrices only, is_turned of the source's transposes. */
static int collect(struct layout_work *w, const struct layout_side *side, bool is_turned, struct sketches *ret)
{
    ret->count = 0;
    ret->items = calloc(side->left_count + 1, sizeof(*ret->items));
    if (!ret->items)
        return layout_no_memory(w);
    for (size_t i = 0; i < side->left_count; i++) {
        const struct shape *shape = &side->model->tensors[side->left[i]].shape;
        struct sketch *sketch = &ret->items[ret->count];

        if (side->is_used[side->left[i]] || shape->elements < ELEMENTS_LEAST || shape->rank > VIEW_RANK_MAX ||
            (is_turned && shape->rank != 2))
            continue;
        *sketch = (struct sketch){.tensor = side->left[i], .is_transposed = is_turned && side == w->source};
        for (uint32_t d = 0; d < shape->rank; d++)
            if (shape->dims[d] != 1)
                sketch->dims[sketch->rank++] = shape->dims[d];
        if (is_turned && sketch->rank < 2)
            continue;
        if (sketch->is_transposed) {
            sketch->dims[0] = shape->dims[1];
            sketch->dims[1] = shape->dims[0];
        }
        ret->count++;
    }
    qsort(ret->items, ret->count, sizeof(*ret->items), compare_sketches);
    return 0;
}

static int sample_of(struct layout_work *w, const struct model *model, const struct tensor *of, uint64_t first,
                     uint64_t elements, struct sample *ret)
{
    const uint64_t runs = elements <= SAMPLES ? 1 : RUNS, step = elements / runs;
    const size_t run_elements = elements <= SAMPLES ? (size_t)elements : SAMPLES / RUNS;
    float *into = ret->values;

    *ret = (struct sample){.squares = 0};
    if (!probe_is_readable(of))
        return 0;
    for (uint64_t run = 0; run < runs; run++) {
        const uint64_t at = first + run * step + (run * 37 + run_elements < step ? run * 37 : 0);
        uint8_t stored[SAMPLES * 8];
        double values[SAMPLES];
        int rc = decoder_read(model, of, at, run_elements, stored, w->err);

        if (rc)
            return rc;
        decode_f64(of->dtype, stored, 0, run_elements, values);
        for (size_t i = 0; i < run_elements; i++, into++) {
            *into = isfinite(values[i]) ? (float)values[i] : 0;
            ret->squares += (double)*into * (double)*into;
        }
    }
    return 0;
}

int layout_sample(struct layout_work *w, const struct layout_side *side, uint32_t tensor, uint64_t first,
                  uint64_t elements, struct sample *ret)
{
    return sample_of(w, side->model, &side->model->tensors[tensor], first, elements, ret);
}

double layout_sample_error(const struct sample *a, const struct sample *b)
{
    double deltas = 0;

    if (a->squares == 0 || b->squares == 0)
        return INFINITY;
    for (size_t run = 0; run < RUNS && deltas < a->squares; run++)
        for (size_t i = 0; i < SAMPLES / RUNS; i++) {
            const double delta =
                (double)a->values[run * SAMPLES / RUNS + i] - (double)b->values[run * SAMPLES / RUNS + i];

            deltas += delta * delta;
        }
    return sqrt(deltas / a->squares);
}

static void note(struct sketch *sketch, uint32_t other, double error)
{
    if (error < sketch->error) {
        sketch->next = sketch->error;
        sketch->error = error;
        sketch->nearest = other;
    } else if (error < sketch->next) {
        sketch->next = error;
    }
}

/* The tensor that a sketch looks at; in the scratch arena. */
static int look_at(struct layout_work *w, const struct layout_side *side, const struct sketch *sketch,
                   struct tensor *ret)
{
    const struct tensor *tensor = &side->model->tensors[sketch->tensor];
    struct arrangement *a = &w->arrangement;
    struct view view = {.source = tensor, .pieces = a->pieces};
    int rc;

    *ret = *tensor;
    if (!sketch->is_transposed || !probe_is_readable(tensor))
        return 0;
    rc = transformation_apply(name_of("transpose"), &w->symbols, tensor, a, w->err);
    view.piece_count = a->piece_count;
    return rc ? rc : view_make(&view, a->rank, a->dims, &w->scratch, ret, w->err);
}

static void forget_looks(struct layout_work *w)
{
    arena_done(&w->scratch);
    w->scratch.limit = SCRATCH_BYTES_MAX;
}

static int read_samples(struct layout_work *w, const struct layout_side *side, struct sketch *sketches, size_t count)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct tensor tensor;

        sketches[i].error = sketches[i].next = INFINITY;
        rc = look_at(w, side, &sketches[i], &tensor);
        if (rc == 0)
            rc = sample_of(w, side->model, &tensor, 0, tensor.shape.elements, &sketches[i].sample);
        forget_looks(w);
    }
    return rc;
}

/* What lies between the two as they are looked at; INFINITY where a square matrix is no nearer for being turned. */
static int probe_sketches(struct layout_work *w, const struct sketch *target, const struct sketch *source,
                          double *ret_error)
{
    const struct tensor *a = &w->target->model->tensors[target->tensor];
    const struct tensor *b = &w->source->model->tensors[source->tensor];
    struct tensor looked_at;
    double straight = INFINITY;
    int rc = look_at(w, w->source, source, &looked_at);

    if (rc == 0)
        rc = probe_tensors(w->target->model, a, w->source->model, &looked_at, ret_error, w->err);
    forget_looks(w);
    if (rc == 0 && source->is_transposed && shape_equal(&a->shape, &b->shape))
        rc = probe_tensors(w->target->model, a, w->source->model, b, &straight, w->err);
    if (rc == 0 && straight <= *ret_error)
        *ret_error = INFINITY;
    return rc;
}

/* The two halves of those that are left, up to TURNED_MAX. */
struct halves {
    const struct sketch *of[TURNED_MAX];
    struct sample sample[TURNED_MAX][2];
    size_t count;
};

static int read_halves(struct layout_work *w, const struct layout_side *side, const struct sketch *sketches,
                       size_t count, struct halves *ret)
{
    int rc = 0;

    ret->count = 0;
    for (size_t i = 0; rc == 0 && i < count && ret->count < TURNED_MAX; i++) {
        const struct shape *shape = &side->model->tensors[sketches[i].tensor].shape;

        if (side->is_used[sketches[i].tensor] || shape->dims[0] % 2)
            continue;
        for (uint64_t half = 0; rc == 0 && half < 2; half++)
            rc = layout_sample(w, side, sketches[i].tensor, half * shape->elements / 2, shape->elements / 2,
                               &ret->sample[ret->count][half]);
        ret->of[ret->count++] = &sketches[i];
    }
    return rc;
}

/* Shift and scale of a modulation change places between libraries: rows of the first half stand in the second. There
 * are few of these in a model. */
static int join_turned(struct layout_work *w, const struct sketch *targets, size_t target_count,
                       const struct sketch *sources, size_t source_count)
{
    struct halves *halves = calloc(2, sizeof(*halves));
    int rc = halves ? read_halves(w, w->target, targets, target_count, &halves[0]) : layout_no_memory(w);

    if (rc == 0)
        rc = read_halves(w, w->source, sources, source_count, &halves[1]);
    for (size_t i = 0; rc == 0 && i < halves[0].count * halves[1].count; i++) {
        const size_t t = i / halves[1].count, s = i % halves[1].count;
        const struct sketch *target = halves[0].of[t], *source = halves[1].of[s];
        const double first = layout_sample_error(&halves[0].sample[t][0], &halves[1].sample[s][1]);
        const double second = layout_sample_error(&halves[0].sample[t][1], &halves[1].sample[s][0]);
        const double error = first > second ? first : second;

        if (!w->target->is_used[target->tensor] && !w->source->is_used[source->tensor] &&
            layout_are_alike(error, INFINITY, true) &&
            (target->rank >= 2 || (w->join_count > 0 && error <= LAYOUT_CAST_ERROR)))
            rc = layout_join_whole(w, target->tensor, source->tensor, "rowmap(1/2:,0:1/2)", error, "values");
    }
    free(halves);
    return rc;
}

/* Joins those of one shape. Vectors, ones and zeros mostly, prove nothing by themselves. Equal tensors are
 * left to those who pair by content, where these can. */
static int join_shape(struct layout_work *w, struct sketch *targets, size_t target_count, struct sketch *sources,
                      size_t source_count)
{
    int rc;

    rc = read_samples(w, w->target, targets, target_count);
    if (rc == 0)
        rc = read_samples(w, w->source, sources, source_count);
    for (size_t i = 0; rc == 0 && i < target_count * source_count; i++) {
        const size_t t = i / source_count, s = i % source_count;
        const double error = layout_sample_error(&targets[t].sample, &sources[s].sample);

        note(&targets[t], (uint32_t)s, error);
        note(&sources[s], (uint32_t)t, error);
    }
    for (size_t t = 0; rc == 0 && t < target_count; t++) {
        const struct sketch *target = &targets[t], *source = &sources[target->nearest];
        const struct tensor *a = &w->target->model->tensors[target->tensor];
        const struct tensor *b = &w->source->model->tensors[source->tensor];
        const double next = target->next < source->next ? target->next : source->next;
        double error;

        if (isinf(target->error) || source->nearest != t || !layout_are_alike(target->error, next, target->rank < 2) ||
            (target->rank < 2 && (w->join_count == 0 || (isinf(next) && target->error > LAYOUT_CAST_ERROR))))
            continue;
        rc = probe_sketches(w, target, source, &error);
        if (rc == 0 && layout_are_alike(error, next, target->rank < 2) &&
            (error > 0 || source->is_transposed || !layout_are_by_content(a, b)))
            rc = layout_join_whole(w, target->tensor, source->tensor, source->is_transposed ? "transpose" : "none",
                                   error, "values");
    }
    return rc || sources[0].is_transposed ? rc : join_turned(w, targets, target_count, sources, source_count);
}

static int add_nearest(struct layout_work *w, bool is_turned)
{
    struct sketches targets = {0}, sources = {0};
    uint64_t room = COMPARISONS_MAX;
    size_t t = 0, s = 0;
    int rc = collect(w, w->target, is_turned, &targets);

    if (rc == 0)
        rc = collect(w, w->source, is_turned, &sources);
    while (rc == 0 && t < targets.count && s < sources.count) {
        const int order = compare_sketches(&targets.items[t], &sources.items[s]);
        size_t t_end = t, s_end = s;

        while (order <= 0 && t_end < targets.count && compare_sketches(&targets.items[t], &targets.items[t_end]) == 0)
            t_end++;
        while (order >= 0 && s_end < sources.count && compare_sketches(&sources.items[s], &sources.items[s_end]) == 0)
            s_end++;
        if (order == 0 && (uint64_t)(t_end - t) * (s_end - s) <= room) {
            room -= (uint64_t)(t_end - t) * (s_end - s);
            rc = join_shape(w, &targets.items[t], t_end - t, &sources.items[s], s_end - s);
        }
        t = t_end;
        s = s_end;
    }
    free(targets.items);
    free(sources.items);
    return rc;
}

int layout_add_nearest(struct layout_work *w)
{
    int rc = add_nearest(w, false);

    return rc ? rc : add_nearest(w, true);
}
