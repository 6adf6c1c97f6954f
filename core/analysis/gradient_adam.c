/* Element by element over m and v: signal_to_noise = mean of m̂² ÷ v̂ where v > 0; update = lr · m̂ ÷ (√v̂ + ε), its norm
 * and its norm ÷ that of the weights it moves. m̂ = m ÷ (1 − β1^t) and v̂ = v ÷ (1 − β2^t) where t and both β are known,
 * else m and v as they are: bias_corrected says which. Decoupled weight decay is no part of it. */
#include "core/analysis/gradient_adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/block.h"
#include "core/model/layers.h"

enum { ADAM_BLOCK = 16384, ADAM_PART = 512 };

/* One layer's sums, or the model's. */
struct adam_sums {
    uint64_t tensors, parameters, terms, nonfinite;
    uint64_t unweighted;                           /* tensors whose weight is not known or cannot be read */
    struct sum ratios;                             /* Σ m̂²/v̂ */
    struct sum updates, weights, weighted_updates; /* Σ (m̂/(√v̂+ε))², Σw², the former where there is a w */
};

struct adam_layer {
    struct name name;
    struct adam_sums sums;
};

struct moment_pair {
    struct name layer;
    uint32_t order;
    const struct tensor *m, *v, *weight; /* weight NULL: not known */
};

struct adam {
    struct hypers hypers;
    bool is_corrected;
    double first, second; /* what m and v are divided by */
    struct adam_layer *layers;
    size_t layer_count;
    struct adam_sums total;
};

void adam_free(struct adam *adam)
{
    if (!adam)
        return;
    free(adam->layers);
    free(adam);
}

static void set_correction(struct adam *adam)
{
    const double *value = adam->hypers.value;
    double t = value[HYPER_STEP], beta1 = value[HYPER_BETA1], beta2 = value[HYPER_BETA2];

    adam->first = adam->second = 1;
    adam->is_corrected = t >= 1 && beta1 > 0 && beta1 < 1 && beta2 > 0 && beta2 < 1;
    if (!adam->is_corrected)
        return;
    adam->first = -expm1(t * log(beta1));
    adam->second = -expm1(t * log(beta2));
}

struct reader {
    uint8_t *stored;
    double *m, *v, *w;
};

static void add_part(const struct adam *adam, struct adam_sums *sums, const double *m, const double *v, const double *w,
                     size_t count)
{
    double epsilon = adam->hypers.value[HYPER_EPSILON], ratios = 0, updates = 0, weights = 0;

    for (size_t i = 0; i < count; i++) {
        double mean = m[i] / adam->first, root = sqrt(v[i] / adam->second), ratio, update;

        if (!isfinite(mean) || !isfinite(root) || (w && !isfinite(w[i]))) {
            sums->nonfinite++;
            continue;
        }
        if (root > 0) {
            ratio = mean / root;
            ratios += ratio * ratio;
            sums->terms++;
        }
        update = root + epsilon > 0 ? mean / (root + epsilon) : 0;
        updates += isnan(epsilon) ? 0 : update * update;
        if (w)
            weights += w[i] * w[i];
    }
    sum_add(&sums->ratios, ratios);
    sum_add(&sums->updates, updates);
    if (w) {
        sum_add(&sums->weights, weights);
        sum_add(&sums->weighted_updates, updates);
    }
}

static int measure_pair(const struct comparison *c, const struct compare_env *env, size_t model,
                        const struct moment_pair *pair, const struct reader *reader, const struct adam *adam,
                        struct adam_sums *sums, struct error *err)
{
    const struct model *from = c->models[model];
    uint64_t elements = pair->m->shape.elements;

    sums->tensors++;
    sums->parameters += elements;
    sums->unweighted += !pair->weight;
    for (uint64_t first = 0; first < elements; first += ADAM_BLOCK) {
        size_t count = elements - first < ADAM_BLOCK ? (size_t)(elements - first) : ADAM_BLOCK;
        int rc = block_check_cancelled(env, err);

        if (rc == 0)
            rc = block_read(from, pair->m, first, count, reader->stored, reader->m, err);
        if (rc == 0)
            rc = block_read(from, pair->v, first, count, reader->stored, reader->v, err);
        if (rc == 0 && pair->weight)
            rc = block_read(from, pair->weight, first, count, reader->stored, reader->w, err);
        if (rc)
            return rc;
        for (size_t at = 0; at < count; at += ADAM_PART)
            add_part(adam, sums, reader->m + at, reader->v + at, pair->weight ? reader->w + at : NULL,
                     count - at < ADAM_PART ? count - at : ADAM_PART);
    }
    return 0;
}

static int compare_moments(const void *left, const void *right)
{
    const struct moment_pair *a = left, *b = right;
    int order = name_compare_natural(a->layer, b->layer);

    return order ? order : a->order < b->order ? -1 : a->order > b->order;
}

static const struct tensor *second_of(const struct model *model, const struct tensor *first,
                                      const struct role_owner *owner)
{
    const struct tensor *second =
        role_twin(model, first, owner, owner->component.bytes == strlen("mu") ? "nu" : "exp_avg_sq");

    return second && shape_equal(&first->shape, &second->shape) && block_is_readable(first) && block_is_readable(second)
               ? second
               : NULL;
}

static size_t find_moments(const struct comparison *c, size_t model, const struct gradient_names *names,
                           struct moment_pair *moments)
{
    const struct model *from = c->models[model];
    size_t count = 0;

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, model), *second, *weight;
        struct role_owner owner;

        if (!tensor || gradient_role_of(from, tensor, &owner) != ROLE_FIRST_MOMENT)
            continue;
        second = second_of(from, tensor, &owner);
        if (!second)
            continue;
        weight = owner.is_numbered ? gradient_names_weight(names, &owner) : role_weight(from, &owner);
        moments[count].layer = layer_of(owner.is_numbered && weight ? weight->name : owner.base);
        if (weight && (!shape_equal(&weight->shape, &tensor->shape) || !block_is_readable(weight)))
            weight = NULL;
        moments[count] = (struct moment_pair){moments[count].layer, (uint32_t)count, tensor, second, weight};
        count++;
    }
    qsort(moments, count, sizeof(*moments), compare_moments);
    return count;
}

static void add_sum(struct sum *into, const struct sum *next)
{
    sum_add(into, next->high);
    sum_add(into, next->low);
}

static void add_sums(struct adam_sums *into, const struct adam_sums *next)
{
    into->tensors += next->tensors;
    into->parameters += next->parameters;
    into->terms += next->terms;
    into->nonfinite += next->nonfinite;
    into->unweighted += next->unweighted;
    add_sum(&into->ratios, &next->ratios);
    add_sum(&into->updates, &next->updates);
    add_sum(&into->weights, &next->weights);
    add_sum(&into->weighted_updates, &next->weighted_updates);
}

static int measure(const struct comparison *c, const struct compare_env *env, size_t model,
                   const struct moment_pair *moments, size_t count, struct adam *adam, struct error *err)
{
    double *room = calloc(4 * (size_t)ADAM_BLOCK, sizeof(*room));
    struct reader reader;
    int rc = 0;

    if (!room)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    reader = (struct reader){(uint8_t *)room, room + ADAM_BLOCK, room + 2 * ADAM_BLOCK, room + 3 * ADAM_BLOCK};
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (i == 0 || !name_equal(moments[i].layer, moments[i - 1].layer))
            adam->layers[adam->layer_count++] = (struct adam_layer){.name = moments[i].layer};
        rc = measure_pair(c, env, model, &moments[i], &reader, adam, &adam->layers[adam->layer_count - 1].sums, err);
    }
    for (size_t i = 0; i < adam->layer_count; i++)
        add_sums(&adam->total, &adam->layers[i].sums);
    free(room);
    return rc;
}

int adam_measure(const struct comparison *c, const struct compare_env *env, size_t model,
                 const struct gradient_names *names, struct adam **ret_adam, struct error *err)
{
    struct moment_pair *moments = calloc(c->pairing->pairs + 1, sizeof(*moments));
    struct adam *adam = calloc(1, sizeof(*adam));
    size_t count = moments ? find_moments(c, model, names, moments) : 0;
    int rc = 0;

    if (adam)
        adam->layers = calloc(count + 1, sizeof(*adam->layers));
    if (!moments || !adam || !adam->layers)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc == 0 && count > 0) {
        hypers_find(c, model, &adam->hypers);
        set_correction(adam);
        rc = measure(c, env, model, moments, count, adam, err);
    }
    free(moments);
    if (rc || count == 0) {
        adam_free(adam);
        adam = NULL;
    }
    if (rc == 0)
        *ret_adam = adam;
    return rc;
}

static const char *hyper_reason(const struct adam *adam, enum hyper hyper)
{
    return adam->hypers.is_ambiguous[hyper] ? "the checkpoint holds several values" : "not found in the checkpoint";
}

static void write_sums(struct writer *w, const struct adam *adam, const struct adam_sums *sums)
{
    double lr = adam->hypers.value[HYPER_LR], epsilon = adam->hypers.value[HYPER_EPSILON];
    double weights = sum_value(&sums->weights), ratio = NAN;
    const char *reason = isnan(lr) ? "lr is not known" : isnan(epsilon) ? "epsilon is not known" : "not finite";
    const char *ratio_reason = reason;

    if (!isnan(lr) && !isnan(epsilon)) {
        ratio = sums->unweighted ? NAN : fabs(lr) * sqrt(sum_value(&sums->weighted_updates)) / sqrt(weights);
        ratio_reason = sums->unweighted ? "the weights of some moments are not in the checkpoint by name"
                                        : "the weights are all zero";
    }
    write_figure(w, "signal_to_noise", sums->terms ? sum_value(&sums->ratios) / (double)sums->terms : NAN,
                 "no second moment above 0");
    write_figure(w, "update_norm", isnan(epsilon) ? NAN : fabs(lr) * sqrt(sum_value(&sums->updates)), reason);
    write_figure(w, "update_ratio", ratio, ratio_reason);
    write_u64(w, "tensors", sums->tensors);
    write_u64(w, "parameters", sums->parameters);
    write_u64(w, "nonfinite", sums->nonfinite);
}

void adam_write(const struct adam *adam, struct writer *w)
{
    static const char *const names[HYPER_COUNT] = {"step", "lr", "beta1", "beta2", "epsilon"};

    write_object(w, "adam");
    write_flag(w, "bias_corrected", adam->is_corrected);
    write_sums(w, adam, &adam->total);
    for (int h = 0; h < HYPER_COUNT; h++)
        write_figure(w, names[h], adam->hypers.value[h], hyper_reason(adam, (enum hyper)h));
    write_array(w, "layers");
    for (size_t i = 0; i < adam->layer_count; i++) {
        write_begin_object(w);
        write_named(w, "layer", adam->layers[i].name);
        write_sums(w, adam, &adam->layers[i].sums);
        write_end(w);
    }
    write_end(w);
    write_end(w);
}
