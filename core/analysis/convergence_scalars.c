#include "core/analysis/convergence_scalars.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/gradient_roles.h"
#include "core/model/config.h"

enum { STATE_BYTES_MAX = 1 << 24, LOG_ENTRIES_MAX = 64 };

void run_scalars_free(struct run_scalars *scalars)
{
    if (!scalars)
        return;
    for (size_t i = 0; i < scalars->count; i++)
        free(scalars->items[i].values);
    free(scalars->times);
    free(scalars);
}

static bool same_value(double a, double b)
{
    return isnan(a) ? isnan(b) : a <= b && a >= b;
}

/* Adam keeps one step a parameter: those that agree everywhere are told once. */
static bool is_alike(const struct run_scalars *scalars, const struct run_scalar *item, const struct run_scalar *other)
{
    if (item->is_metadata || other->is_metadata || strcmp(item->kind, other->kind) != 0)
        return false;
    for (size_t m = 0; m < scalars->models; m++)
        if (!same_value(item->values[m], other->values[m]))
            return false;
    return true;
}

/* Takes item->values. */
static void add(struct run_scalars *scalars, struct run_scalar *item)
{
    for (size_t i = 0; i < scalars->count; i++)
        if (is_alike(scalars, &scalars->items[i], item)) {
            scalars->items[i].alike++;
            free(item->values);
            return;
        }
    if (scalars->count == SCALARS_MAX) {
        scalars->is_cut = true;
        free(item->values);
        return;
    }
    scalars->items[scalars->count++] = *item;
}

static double *blank_values(size_t models)
{
    double *values = calloc(models, sizeof(*values));

    for (size_t m = 0; values && m < models; m++)
        values[m] = NAN;
    return values;
}

static int add_tensors(const struct comparison *c, struct run_scalars *scalars, struct error *err)
{
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        struct name name = pairing_name(c->pairing, (const struct model *const *)c->models, pair);
        struct run_scalar item = {.name = name, .kind = scalar_kind(name)};
        bool is_present = false;

        if (!item.kind)
            continue;
        item.values = blank_values(scalars->models);
        if (!item.values)
            return error_set(err, ERROR_NO_MEMORY, "out of memory");
        for (size_t m = 0; m < scalars->models; m++)
            is_present = scalar_value(c, pair, m, &item.values[m]) || is_present;
        if (is_present)
            add(scalars, &item);
        else
            free(item.values);
    }
    return 0;
}

/* Whether a model before this one has the key: then it was told. */
static bool is_told(const struct comparison *c, size_t model, struct name key)
{
    for (size_t m = 0; m < model; m++)
        if (model_metadata(c->models[m], key).text)
            return true;
    return false;
}

static int add_metadata(const struct comparison *c, struct run_scalars *scalars, struct error *err)
{
    for (size_t model = 0; model < scalars->models; model++) {
        size_t looked_up = 0; /* bounded: a key is sought in every model */

        for (size_t i = 0; i < c->models[model]->metadata_count && !scalars->is_cut; i++) {
            struct name key = c->models[model]->metadata[i].key;
            struct run_scalar item = {.name = key, .kind = scalar_kind(key), .is_metadata = true};
            double value;

            if (!item.kind || !scalar_parse(c->models[model]->metadata[i].value, &value))
                continue;
            if (looked_up++ == SCALARS_MAX) {
                scalars->is_cut = true;
                break;
            }
            if (is_told(c, model, key))
                continue;
            item.values = blank_values(scalars->models);
            if (!item.values)
                return error_set(err, ERROR_NO_MEMORY, "out of memory");
            for (size_t m = model; m < scalars->models; m++) {
                const struct name text = model_metadata(c->models[m], key);

                if (text.text && scalar_parse(text, &value))
                    item.values[m] = value;
            }
            add(scalars, &item);
        }
    }
    return 0;
}

/* What transformers' Trainer keeps beside a checkpoint; NULL where none is, or none that can be read. */
static int read_state(const struct model *model, struct config **ret_state, struct error *err)
{
    const struct side_file *file = NULL;
    struct error why = {0};
    char *text;
    int rc;

    *ret_state = NULL;
    for (size_t i = 0; !file && i < model->side_file_count; i++)
        if (strcmp(model->side_files[i].name, "trainer_state.json") == 0)
            file = &model->side_files[i];
    if (!file || file->bytes > STATE_BYTES_MAX)
        return 0;
    rc = side_file_read(file, &text, err);
    if (rc)
        return rc;
    if (config_parse(text, file->bytes, ret_state, &why) == ERROR_NO_MEMORY)
        rc = error_set(err, ERROR_NO_MEMORY, "%s", why.text);
    free(text);
    return rc;
}

/* A figure of the state, or the last that its log has. */
static double state_value(const struct config *state, const char *key, bool is_logged)
{
    const size_t entries = is_logged ? config_length(state, "log_history") : 0;
    double value = NAN;
    char path[64];

    if (!is_logged && config_number(state, key, &value))
        return value;
    for (size_t i = entries; i > 0 && entries - i < LOG_ENTRIES_MAX; i--) {
        snprintf(path, sizeof(path), "log_history.%zu.%s", i - 1, key);
        if (config_number(state, path, &value))
            return value;
    }
    return NAN;
}

static int add_states(const struct comparison *c, struct run_scalars *scalars, struct error *err)
{
    static const struct {
        const char *name, *key;
        bool is_logged;
    } figures[] = {{"trainer_state.global_step", "global_step", false},
                   {"trainer_state.epoch", "epoch", false},
                   {"trainer_state.loss", "loss", true},
                   {"trainer_state.learning_rate", "learning_rate", true}};
    enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };
    double *values[FIGURES] = {NULL};
    bool is_there[FIGURES] = {false};
    int rc = 0;

    for (size_t f = 0; rc == 0 && f < FIGURES; f++) {
        values[f] = blank_values(scalars->models);
        if (!values[f])
            rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t m = 0; rc == 0 && m < scalars->models; m++) {
        struct config *state;

        rc = read_state(c->models[m], &state, err);
        for (size_t f = 0; rc == 0 && state && f < FIGURES; f++) {
            values[f][m] = state_value(state, figures[f].key, figures[f].is_logged);
            is_there[f] |= isfinite(values[f][m]);
        }
        config_free(state);
    }
    for (size_t f = 0; f < FIGURES; f++) {
        const struct name name = name_of(figures[f].name);
        struct run_scalar item = {.name = name, .kind = scalar_kind(name), .is_metadata = true, .values = values[f]};

        if (rc == 0 && is_there[f])
            add(scalars, &item);
        else
            free(values[f]);
    }
    return rc;
}

static bool is_increasing(const struct run_scalars *scalars, size_t item)
{
    const double *values = scalars->items[item].values;

    for (size_t m = 1; m < scalars->models; m++)
        if (!(values[m] > values[m - 1]))
            return false;
    return true;
}

/* The first that increases throughout, steps before epochs. */
static void choose_axis(struct run_scalars *scalars)
{
    static const char *const kinds[] = {"global_step", "step", "epoch"};

    scalars->axis = scalars->count;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && scalars->axis == scalars->count; k++)
        for (size_t i = 0; i < scalars->count && scalars->axis == scalars->count; i++)
            if (strcmp(scalars->items[i].kind, kinds[k]) == 0 && is_increasing(scalars, i))
                scalars->axis = i;
    for (size_t m = 0; m < scalars->models; m++)
        scalars->times[m] = scalars->axis < scalars->count ? scalars->items[scalars->axis].values[m] : (double)m;
}

int run_scalars_find(const struct comparison *c, struct run_scalars **ret_scalars, struct error *err)
{
    struct run_scalars *scalars = calloc(1, sizeof(*scalars));
    int rc;

    if (!scalars)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    scalars->models = c->model_count;
    scalars->times = calloc(c->model_count, sizeof(*scalars->times));
    rc = scalars->times ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc == 0)
        rc = add_tensors(c, scalars, err);
    if (rc == 0)
        rc = add_metadata(c, scalars, err);
    if (rc == 0)
        rc = add_states(c, scalars, err);
    if (rc) {
        run_scalars_free(scalars);
        return rc;
    }
    choose_axis(scalars);
    *ret_scalars = scalars;
    return 0;
}

void run_scalars_write(const struct run_scalars *scalars, struct writer *w)
{
    if (scalars->axis < scalars->count)
        write_named(w, "time_axis", scalars->items[scalars->axis].name);
    else
        write_null(w, "time_axis", "no step or epoch increases from model to model");
    write_array(w, "times");
    for (size_t m = 0; m < scalars->models; m++)
        w->ops->f64(w, scalars->times[m]);
    write_end(w);
    write_array(w, "scalars");
    for (size_t i = 0; i < scalars->count; i++) {
        const struct run_scalar *item = &scalars->items[i];

        write_begin_object(w);
        write_named(w, "name", item->name);
        write_text(w, "kind", item->kind);
        write_text(w, "from", item->is_metadata ? "metadata" : "tensor");
        write_u64(w, "alike", item->alike);
        write_array(w, "values");
        for (size_t m = 0; m < scalars->models; m++)
            if (isnan(item->values[m]))
                w->ops->null(w, NULL);
            else
                w->ops->f64(w, item->values[m]);
        write_end(w);
        write_end(w);
    }
    write_end(w);
    if (scalars->is_cut)
        write_flag(w, "scalars_cut", true);
}
