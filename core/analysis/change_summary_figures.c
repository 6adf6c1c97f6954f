/* The figures that decide the class, from the typed records alone. */
#include <math.h>
#include <stdlib.h>

#include "core/analysis/change_summary.h"
#include "core/model/layers.h"

static bool is_weight_matrix(const struct tensor *tensor)
{
    const char *type = module_type_of(tensor->name);
    unsigned long_sides = 0;

    for (uint32_t d = 0; d < tensor->shape.rank; d++)
        long_sides += tensor->shape.dims[d] > 1;
    return long_sides >= 2 && type[0] && !name_equal(name_of(type), name_of("norm")) &&
           !name_equal(name_of(type), name_of("bias"));
}

static bool is_equal_status(unsigned status)
{
    return status == STATUS_BIT_EQUAL || status == STATUS_VALUE_EQUAL;
}

/* Cosine within unrelated_cosine of 0, or within four standard deviations (1 ÷ √n) of what independent values give. */
static bool is_unrelated(const struct comparison *c, const struct delta_record *delta)
{
    double cosine = delta_cosine(delta), chance = 4 / sqrt((double)delta->finite);

    if (!(cosine == cosine) || delta->finite < 256)
        return false;
    return fabs(cosine) <= fmax(c->request->options.unrelated_cosine, chance);
}

static bool is_retyped(const struct tensor *a, const struct tensor *b)
{
    return a->dtype != b->dtype || !name_equal(tensor_dtype_name(a), tensor_dtype_name(b));
}

static bool is_below_16(const struct tensor *tensor)
{
    return (double)tensor->extent.bytes * 8 < (double)tensor->shape.elements * 16;
}

/* Σa² and what is left of it: ΣΔ² between floats; where one side holds integer codes, Σ(a − s·b)² with the best scale a
 * row or a tensor. */
static void add_noise(struct change_figures *f, const struct delta_record *delta, bool has_codes)
{
    double aa = ldexp(sum_value(&delta->aa), 2 * delta->exponent_a);
    double bb = ldexp(sum_value(&delta->bb), 2 * delta->exponent_b);
    double ab = ldexp(sum_value(&delta->ab), delta->exponent_a + delta->exponent_b);
    double fit = bb > 0 ? ab * (ab / bb) : 0;

    if (has_codes && delta->has_row_fit)
        fit = fmax(fit, ldexp(sum_value(&delta->row_fit), 2 * delta->exponent_a));
    f->retyped_signal += aa;
    f->retyped_noise += has_codes ? fmax(aa - fit, 0) : delta_squares_value(delta);
}

static void add_types(const struct comparison *c, size_t pair, struct change_figures *f)
{
    const struct tensor *a = comparison_tensor(c, pair, 0), *b = comparison_tensor(c, pair, c->model_count - 1);
    bool is_changed = c->status[pair] == STATUS_CHANGED;

    if (!is_retyped(a, b)) {
        f->sametyped_changed += is_changed;
        return;
    }
    f->retyped++;
    f->retyped_changed += is_changed;
    f->retyped_below_16 += is_below_16(a) || is_below_16(b);
    add_noise(f, comparison_delta(c, pair), !dtype_is_parameter(a->dtype) || !dtype_is_parameter(b->dtype));
}

static uint64_t new_zero_channels(const struct channel_norms *norms, size_t pair, size_t models, uint64_t length)
{
    const struct channel_norms *a = &norms[pair * models], *b = &norms[pair * models + models - 1];

    return a->count && b->count && b->zeros > a->zeros ? (b->zeros - a->zeros) * length : 0;
}

static void add_zeros(const struct comparison *c, size_t pair, struct change_figures *f)
{
    const struct shape *shape = &comparison_tensor(c, pair, 0)->shape;
    uint64_t zeroed = c->scan->flips ? c->scan->flips[pair].zeroed : 0, part;

    if (zeroed == 0)
        return;
    f->zeroed += zeroed;
    f->zeroed_touched += comparison_delta(c, pair)->elements;
    if (shape->rank < 2)
        return;
    f->zeroed_in_matrices += zeroed;
    if (c->scan->rows) {
        part = new_zero_channels(c->scan->rows, pair, c->model_count, shape->elements / shape->dims[0]);
        f->zeroed_in_rows += part < zeroed ? part : zeroed;
    }
    if (c->scan->columns) {
        part =
            new_zero_channels(c->scan->columns, pair, c->model_count, shape->elements / shape->dims[shape->rank - 1]);
        f->zeroed_in_columns += part < zeroed ? part : zeroed;
    }
}

static void add_matrix(const struct comparison *c, size_t pair, struct change_figures *f)
{
    const struct delta_record *delta = comparison_delta(c, pair);

    f->matrices++;
    f->matrix_parameters += delta->elements;
    if (is_equal_status(c->status[pair])) {
        f->frozen_matrix_parameters += delta->elements;
    } else if (is_unrelated(c, delta)) {
        f->unrelated_matrices++;
        f->unrelated_matrix_parameters += delta->elements;
    }
}

static void add_reshaped(const struct comparison *c, size_t pair, struct change_figures *f)
{
    const struct tensor *a = comparison_tensor(c, pair, 0), *b = comparison_tensor(c, pair, c->model_count - 1);
    const char *type = module_type_of(a->name);
    bool has_vocabulary = name_equal(name_of(type), name_of("embedding")) || name_equal(name_of(type), name_of("head"));

    if (has_vocabulary && a->shape.rank == 2 && c->scan && c->scan->coverage[pair] == COVERED_ROWS &&
        b->shape.dims[0] > a->shape.dims[0]) {
        const struct delta_record *common = &c->scan->deltas[pair];

        f->grown++;
        f->common_rows_changed += common->changed > 0;
        f->matrix_parameters += common->elements;
        f->frozen_matrix_parameters += common->changed ? 0 : common->elements;
    } else {
        f->other_reshaped++;
    }
}

static void add_pair(const struct comparison *c, size_t pair, struct change_figures *f)
{
    const struct tensor *a = comparison_tensor(c, pair, 0), *b = comparison_tensor(c, pair, c->model_count - 1);
    const struct delta_record *delta = comparison_delta(c, pair);

    f->renamed += a && b && !name_equal(a->name, b->name);
    if (c->status[pair] == STATUS_SHAPE_CHANGED)
        add_reshaped(c, pair, f);
    if (!delta || !a || !b || c->status[pair] >= STATUS_SHAPE_CHANGED)
        return;
    if (dtype_is_parameter(a->dtype) || dtype_is_parameter(b->dtype))
        add_types(c, pair, f);
    if (!comparison_is_summed(c, pair)) {
        f->changed_integers += c->status[pair] == STATUS_CHANGED;
        return;
    }
    if (is_weight_matrix(a))
        add_matrix(c, pair, f);
    add_zeros(c, pair, f);
    if (c->status[pair] == STATUS_CHANGED) {
        delta_record_merge(&f->changed, delta, f->changed.elements);
        f->changed_tensors++;
        f->changed_elements += delta->changed;
    }
}

struct keyed {
    struct layered at; /* first: keyed are sorted by it */
    bool is_copy;
};

static void add_to_layer(const struct comparison *c, struct change_layer *layer, const struct keyed *keyed)
{
    layer->tensors++;
    switch ((enum tensor_status)c->status[keyed->at.index]) {
    case STATUS_BIT_EQUAL:
    case STATUS_VALUE_EQUAL:
        layer->equal++;
        layer->duplicated += keyed->is_copy;
        break;
    case STATUS_CHANGED:
        layer->changed++;
        break;
    case STATUS_ADDED:
    case STATUS_REMOVED:
        layer->one_sided++;
        break;
    case STATUS_SHAPE_CHANGED:
    case STATUS_NOT_COMPARED:
    case STATUS_COUNT:
        layer->other++;
        break;
    }
}

static bool is_numbered(struct name layer)
{
    return layer.bytes > 0 && layer.text[layer.bytes - 1] >= '0' && layer.text[layer.bytes - 1] <= '9';
}

/* The layers of one side, with the status of each of its tensors. A baseline tensor that stands in several pairs counts
 * once there; in the candidate, its later partners are copies. */
static int gather_layers(const struct comparison *c, size_t model, struct change_layers *layers, struct error *err)
{
    size_t pairs = c->pairing->pairs, count = 0, used = 0;
    struct keyed *keyed = calloc(pairs + 1, sizeof(*keyed));
    bool *is_taken = calloc(c->models[0]->tensor_count + 1, sizeof(*is_taken));
    int rc = 0;

    if (!keyed || !is_taken) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
        goto out;
    }
    for (size_t pair = 0; pair < pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, model);
        uint32_t source = c->pairing->side[pair * c->model_count];
        const bool is_whole = source != PAIRING_NONE && !(source & PAIRING_VIEW);
        bool is_copy = is_whole && is_taken[source];

        if (is_whole)
            is_taken[source] = true;
        if (tensor && (model > 0 || !is_copy))
            keyed[used++] = (struct keyed){{layer_of(tensor->name), (uint32_t)pair}, is_copy};
    }
    qsort(keyed, used, sizeof(*keyed), layered_compare);
    for (size_t i = 0; i < used; i++)
        count += i == 0 || !name_equal(keyed[i].at.layer, keyed[i - 1].at.layer);
    layers->items = calloc(count + 1, sizeof(*layers->items));
    if (!layers->items) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < used; i++) {
        if (i == 0 || !name_equal(keyed[i].at.layer, keyed[i - 1].at.layer))
            layers->items[layers->count++] =
                (struct change_layer){.name = keyed[i].at.layer, .is_numbered = is_numbered(keyed[i].at.layer)};
        add_to_layer(c, &layers->items[layers->count - 1], &keyed[i]);
    }
out:
    free(keyed);
    free(is_taken);
    return rc;
}

static void count_layers(struct change_figures *f)
{
    for (size_t i = 0; i < f->baseline.count; i++) {
        const struct change_layer *layer = &f->baseline.items[i];

        if (layer->is_numbered && change_layer_is(layer, layer->one_sided))
            f->layers_removed++;
        else
            f->loose_removed += layer->one_sided;
    }
    for (size_t i = 0; i < f->candidate.count; i++) {
        const struct change_layer *layer = &f->candidate.items[i];

        if (layer->is_numbered && change_layer_is(layer, layer->one_sided)) {
            f->layers_added++;
        } else if (layer->is_numbered && change_layer_is(layer, layer->duplicated)) {
            f->layers_added++;
            f->layers_duplicated++;
        } else {
            f->loose_added += layer->one_sided + layer->duplicated;
        }
    }
}

int change_figures_gather(const struct comparison *c, struct change_figures *f, struct error *err)
{
    int rc;

    *f = (struct change_figures){.has_flips = c->scan && c->scan->flips};
    delta_record_init(&f->changed);
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        add_pair(c, pair, f);
    rc = gather_layers(c, 0, &f->baseline, err);
    if (rc == 0)
        rc = gather_layers(c, c->model_count - 1, &f->candidate, err);
    if (rc == 0)
        count_layers(f);
    return rc;
}

void change_figures_done(struct change_figures *f)
{
    free(f->baseline.items);
    free(f->candidate.items);
}
