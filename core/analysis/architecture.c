/* architecture_comparison: what the models are, and how their parts differ. Everything comes from headers and the files
 * beside them, so it works with headers_only too; only renames by content need the pass. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "core/analysis/architecture_figures.h"
#include "core/analysis/architecture_files.h"
#include "core/analysis/architecture_stacks.h"

struct side_state {
    struct model *model;
    struct config *config; /* NULL: none, or malformed */
    struct config *metadata;
    struct block_ranges blocks;
    struct architecture architecture;
    uint8_t *is_selected; /* [tensor]: not left out by the request's patterns */
};

struct architecture_state {
    struct side_state sides[2];
    size_t side_count;
    struct side_changes *files;
    /* Loading the candidate's tensors, by name, into the baseline. */
    uint64_t loadable, missing, unexpected, mismatched;
    uint64_t loadable_elements, elements;
};

static const char *const roles[2] = {"baseline", "candidate"};

/* Said once of a model, however often it is compared. */
static int warn_once(struct model *model, const char *code, const char *message, struct error *err)
{
    for (size_t i = 0; i < model->warning_count; i++)
        if (strcmp(model->warnings[i].code, code) == 0 && strcmp(model->warnings[i].message, message) == 0)
            return 0;
    if (model_warn(model, code, (struct name){0}, "%s", message) != 0)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a warning");
    return 0;
}

static int read_config(struct side_state *side, struct error *err)
{
    char message[ERROR_TEXT_BYTES + 64];
    struct error why = {0};
    int rc;

    if (!side->model->config)
        return 0;
    rc = config_parse(side->model->config, side->model->config_bytes, &side->config, &why);
    if (rc == ERROR_NO_MEMORY)
        return error_set(err, rc, "%s", why.text);
    if (rc == 0)
        return 0;
    snprintf(message, sizeof(message), "config.json was not understood: %s", why.text);
    return warn_once(side->model, "config-malformed", message, err);
}

static int warn_of_conflicts(const struct side_state *side, struct error *err)
{
    char message[256];
    int rc = 0;

    for (int f = 0; f < FIGURE_COUNT && rc == 0; f++) {
        const struct figure_value *figure = &side->architecture.figures[f];

        if (!figure->is_conflict)
            continue;
        if (figure->has_shapes)
            snprintf(message, sizeof(message), "config.json says that %s is %" PRIu64 ", the shapes say %" PRIu64,
                     figure_names[f], figure->config, figure->shapes);
        else
            snprintf(message, sizeof(message), "config.json says that %s is %" PRIu64 ", which no shape allows",
                     figure_names[f], figure->config);
        rc = warn_once(side->model, "config-disagrees", message, err);
    }
    return rc;
}

static int prepare_side(const struct comparison *c, size_t m, struct side_state *side, struct error *err)
{
    int rc;

    side->model = c->models[m];
    side->is_selected = calloc(side->model->tensor_count + 1, 1);
    if (!side->is_selected)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for %zu tensors", side->model->tensor_count);
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const uint32_t tensor = c->pairing->side[pair * c->model_count + m];
        const struct paired_view *view = tensor == PAIRING_NONE ? NULL : pairing_view(c->pairing, pair, m);

        if (tensor != PAIRING_NONE)
            side->is_selected[view ? view->of : tensor] = 1;
    }
    rc = read_config(side, err);
    if (rc == 0)
        rc = config_of_metadata(side->model->metadata, side->model->metadata_count, &side->metadata, err);
    if (rc == 0)
        rc = block_ranges_find(side->model, &side->blocks, err);
    if (rc)
        return rc;
    architecture_measure(side->model, &side->blocks, side->config, &side->architecture);
    return warn_of_conflicts(side, err);
}

/* Both sides under their own names: a rename that the pairing sees through does not load. */
static void check_loading(struct architecture_state *state)
{
    const struct side_state *a = &state->sides[0], *b = &state->sides[1];

    for (size_t t = 0; t < a->model->tensor_count; t++) {
        const struct tensor *wanted = &a->model->tensors[t], *found;

        if (!a->is_selected[t])
            continue;
        found = model_find(b->model, wanted->name);
        if (__builtin_add_overflow(state->elements, wanted->shape.elements, &state->elements))
            state->elements = UINT64_MAX;
        if (!found) {
            state->missing++;
        } else if (!shape_equal(&wanted->shape, &found->shape)) {
            state->mismatched++;
        } else {
            state->loadable++;
            if (__builtin_add_overflow(state->loadable_elements, wanted->shape.elements, &state->loadable_elements))
                state->loadable_elements = UINT64_MAX;
        }
    }
    for (size_t t = 0; t < b->model->tensor_count; t++)
        state->unexpected += b->is_selected[t] && !model_find(a->model, b->model->tensors[t].name);
}

static void free_state(void *opaque)
{
    struct architecture_state *state = opaque;

    if (!state)
        return;
    for (size_t s = 0; s < state->side_count; s++) {
        config_free(state->sides[s].config);
        config_free(state->sides[s].metadata);
        block_ranges_done(&state->sides[s].blocks);
        free(state->sides[s].is_selected);
    }
    side_changes_free(state->files);
    free(state);
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct architecture_state *state = calloc(1, sizeof(*state));
    int rc = 0;

    (void)env;
    if (!state)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    state->side_count = c->model_count > 1 ? 2 : 1;
    for (size_t s = 0; s < state->side_count && rc == 0; s++)
        rc = prepare_side(c, s ? c->model_count - 1 : 0, &state->sides[s], err);
    if (rc == 0 && state->side_count == 2) {
        check_loading(state);
        rc = side_changes_find(state->sides[0].model, state->sides[1].model, &state->files, err);
    }
    if (rc) {
        free_state(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

/* --- writing --- */

static void write_figure_value(struct writer *w, const char *key, const struct figure_value *figure)
{
    write_object(w, key);
    if (figure->has_shapes || figure->has_config) {
        write_u64(w, "value", figure->has_shapes ? figure->shapes : figure->config);
        write_text(w, "source",
                   figure->has_shapes && (!figure->is_derived || figure->is_conflict) ? "shapes" : "config");
    } else {
        write_null(w, "value", figure->reason);
    }
    write_end(w);
}

static void write_labelled(struct writer *w, const char *key, struct name value, const char *source, const char *reason)
{
    write_object(w, key);
    if (value.text) {
        write_named(w, "value", value);
        write_text(w, "source", source);
    } else {
        write_null(w, "value", reason);
    }
    write_end(w);
}

static void write_pattern(struct writer *w, struct name stack)
{
    char pattern[NAME_PRINTABLE_BYTES], printable[NAME_PRINTABLE_BYTES];

    snprintf(pattern, sizeof(pattern), "%.480s%s{n}", name_printable(stack, printable), stack.bytes ? "." : "");
    write_text(w, "pattern", pattern);
}

static void write_blocks(struct writer *w, const struct block_ranges *blocks, uint64_t most)
{
    char text[128];

    write_array(w, "blocks");
    for (size_t i = 0; i < blocks->count && i < most; i++) {
        const struct block_range *range = &blocks->items[i];
        bool is_one = range->from == range->to;

        write_begin_object(w);
        write_pattern(w, range->stack);
        write_u64(w, "from", range->from);
        write_u64(w, "to", range->to);
        write_u64(w, "tensors", range->tensors);
        write_flag(w, "identical", !is_one);
        if (range->structure != STRUCTURE_UNTOLD)
            write_u64(w, "structure", range->structure);
        else
            write_null(w, "structure", "more structures than are told apart");
        if (is_one)
            snprintf(text, sizeof(text), "layer %" PRIu64 ": %" PRIu64 " %s", range->from, range->tensors,
                     range->tensors == 1 ? "tensor" : "tensors");
        else
            snprintf(text, sizeof(text), "layers %" PRIu64 "–%" PRIu64 ": identical structure", range->from, range->to);
        write_text(w, "text", text);
        write_end(w);
    }
    write_end(w);
    if (blocks->count > most)
        write_u64(w, "blocks_omitted", blocks->count - most);
}

static void write_side(const struct comparison *c, const struct side_state *side, const char *key, struct writer *w)
{
    const struct architecture *a = &side->architecture;

    write_object(w, key);
    write_labelled(w, "family", a->family, a->family_source, "no config, and names that no known family uses");
    write_labelled(w, "stack", a->stack, "names",
                   a->figures[FIGURE_STAGES].has_shapes ? "stages of different width, no stack of equal blocks"
                                                        : "no numbered blocks");
    for (int f = 0; f < FIGURE_COUNT; f++)
        write_figure_value(w, figure_names[f], &a->figures[f]);
    write_object(w, "tied_embeddings");
    if (a->tying != TIED_UNKNOWN) {
        write_flag(w, "value", a->tying == TIED);
        write_text(w, "source", a->tying_source);
    } else {
        write_null(w, "value", a->tying_reason);
    }
    write_end(w);
    write_object(w, "parameters");
    write_u64(w, "value", side->model->parameters);
    write_text(w, "source", "shapes");
    write_end(w);
    write_blocks(w, &side->blocks, c->request->options.architecture_list);
    write_end(w);
}

static void write_disagreements(const struct architecture_state *state, struct writer *w)
{
    write_array(w, "disagreements");
    for (size_t s = 0; s < state->side_count; s++)
        for (int f = 0; f < FIGURE_COUNT; f++) {
            const struct figure_value *figure = &state->sides[s].architecture.figures[f];

            if (!figure->is_conflict)
                continue;
            write_begin_object(w);
            write_text(w, "model", state->side_count == 1 ? "model" : roles[s]);
            write_text(w, "figure", figure_names[f]);
            if (figure->has_shapes)
                write_u64(w, "shapes", figure->shapes);
            else
                write_null(w, "shapes", "no shape allows the config's value");
            write_u64(w, "config", figure->config);
            write_end(w);
        }
    write_end(w);
}

static void write_shape(struct writer *w, const char *key, const struct shape *shape)
{
    write_array(w, key);
    for (uint32_t d = 0; d < shape->rank; d++)
        w->ops->u64(w, shape->dims[d]);
    write_end(w);
}

/* Kinds of differences between tensors, in the order of the result. */
enum difference { ADDED, REMOVED, RENAMED, RESHAPED, DTYPE_CHANGED, DIFFERENCES };
static const char *const difference_names[DIFFERENCES] = {"added", "removed", "renamed", "reshaped", "dtype_changed"};

static bool has_difference(const struct comparison *c, size_t pair, enum difference difference)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);

    switch (difference) {
    case ADDED:
        return !a && b;
    case REMOVED:
        return a && !b;
    case RENAMED:
        return a && b && c->pairing->rule[pair] != PAIRED_BY_NAME && !name_equal(a->name, b->name);
    case RESHAPED:
        return a && b && !shape_equal(&a->shape, &b->shape);
    case DTYPE_CHANGED:
        return a && b && !name_equal(tensor_dtype_name(a), tensor_dtype_name(b));
    case DIFFERENCES:
        break;
    }
    return false;
}

static void write_difference(const struct comparison *c, size_t pair, enum difference difference, struct writer *w)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);

    write_begin_object(w);
    switch (difference) {
    case ADDED:
    case REMOVED:
        a = a ? a : b;
        write_named(w, "name", a->name);
        write_named(w, "dtype", tensor_dtype_name(a));
        write_shape(w, "shape", &a->shape);
        break;
    case RENAMED:
        write_named(w, "from", a->name);
        write_named(w, "to", b->name);
        write_text(w, "rule", pairing_rule_names[c->pairing->rule[pair]]);
        break;
    case RESHAPED:
        write_named(w, "name", a->name);
        write_shape(w, "baseline", &a->shape);
        write_shape(w, "candidate", &b->shape);
        break;
    case DTYPE_CHANGED:
        write_named(w, "name", a->name);
        write_named(w, "baseline", tensor_dtype_name(a));
        write_named(w, "candidate", tensor_dtype_name(b));
        break;
    case DIFFERENCES:
        break;
    }
    write_end(w);
}

static void write_differences(const struct comparison *c, struct writer *w)
{
    write_object(w, "tensors");
    for (int d = 0; d < DIFFERENCES; d++) {
        uint64_t count = 0;

        write_object(w, difference_names[d]);
        for (size_t pair = 0; pair < c->pairing->pairs; pair++)
            count += has_difference(c, pair, (enum difference)d);
        write_u64(w, "count", count);
        write_array(w, "items");
        count = 0;
        for (size_t pair = 0; pair < c->pairing->pairs && count < c->request->options.architecture_list; pair++)
            if (has_difference(c, pair, (enum difference)d)) {
                write_difference(c, pair, (enum difference)d, w);
                count++;
            }
        write_end(w);
        write_end(w);
    }
    write_end(w);
}

static void write_loading(const struct architecture_state *state, struct writer *w)
{
    bool is_compatible = state->missing + state->unexpected + state->mismatched == 0;

    write_flag(w, "compatible", is_compatible);
    if (state->elements)
        write_figure(w, "loadable_fraction", (double)state->loadable_elements / (double)state->elements, NULL);
    else
        write_null(w, "loadable_fraction", "empty");
    write_object(w, "loading");
    write_u64(w, "loadable", state->loadable);
    write_u64(w, "missing", state->missing);
    write_u64(w, "unexpected", state->unexpected);
    write_u64(w, "mismatched", state->mismatched);
    write_end(w);
}

static void write_configs(const struct architecture_state *state, uint64_t most, struct writer *w)
{
    const struct side_state *a = &state->sides[0], *b = &state->sides[1];
    bool is_malformed = (a->model->config && !a->config) || (b->model->config && !b->config);

    write_key(w, "metadata");
    config_write_diff(a->metadata, b->metadata, most, w);
    if (is_malformed) {
        write_null(w, "config", "a config is malformed");
    } else if (!a->config && !b->config) {
        write_null(w, "config", "no config beside either model");
    } else {
        write_key(w, "config");
        config_write_diff(a->config, b->config, most, w);
    }
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct architecture_state *state = opaque;
    uint64_t most = c->request->options.architecture_list;

    for (size_t s = 0; s < state->side_count; s++)
        write_side(c, &state->sides[s], state->side_count == 1 ? "model" : roles[s], w);
    write_disagreements(state, w);
    if (state->side_count == 1)
        return;
    write_differences(c, w);
    write_loading(state, w);
    write_configs(state, most, w);
    side_changes_write(state->files, most, w);
}

const struct analysis architecture_comparison_analysis = {
    .name = "architecture_comparison",
    .flag = "architecture-comparison",
    .summary = "What the models are, and how names, shapes, dtypes, configs and side files differ.",
    .docs = &architecture_docs,
    .models_min = 1,
    .models_max = 64,
    .needs = 0,
    .prepare = prepare,
    .write = write,
    .free = free_state,
};
