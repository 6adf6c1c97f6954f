/* The JSON of the command diffai: an array with one tagged element a difference, so that its length counts changes. */
#include <math.h>

#include "api/render/json_writer.h"
#include "core/analysis/analysis.h"

static void write_shape(struct writer *w, const struct shape *shape)
{
    write_begin_array(w);
    for (uint32_t d = 0; d < shape->rank; d++)
        w->ops->u64(w, shape->dims[d]);
    write_end(w);
}

static void write_extreme(struct writer *w, const char *key, const struct side_record *side, union extreme value)
{
    enum dtype_kind kind = dtype_traits(side->dtype)->kind;

    if (side->finite == 0 || kind == DTYPE_KIND_COMPLEX)
        write_null(w, key, NULL);
    else if (kind == DTYPE_KIND_FLOAT)
        write_figure(w, key, value.f64, NULL);
    else if (kind == DTYPE_KIND_INT)
        write_i64(w, key, value.i64);
    else
        write_u64(w, key, value.u64);
}

static void write_stats(const struct comparison *c, size_t pair, size_t model, struct writer *w)
{
    const struct tensor *tensor = comparison_tensor(c, pair, model);
    const struct side_record *side = comparison_side(c, pair, model);

    write_begin_object(w);
    if (side && (c->request->analyses & (1u << analysis_by_name("stats", 5)))) {
        write_figure(w, "mean", side_mean(side), NULL);
        write_figure(w, "std", side_std(side), NULL);
        write_extreme(w, "min", side, side->min);
        write_extreme(w, "max", side, side->max);
    }
    write_key(w, "shape");
    write_shape(w, &tensor->shape);
    if (tensor->storage && tensor->storage->stored_as.text)
        write_named(w, "dtype", tensor_dtype_name(tensor));
    else
        write_text(w, "dtype", dtype_traits(tensor->dtype)->short_name);
    write_u64(w, "total_params", tensor->shape.elements);
    write_end(w);
}

static void write_difference(const struct comparison *c, size_t pair, struct writer *w)
{
    static const char *const tags[STATUS_COUNT] = {
        [STATUS_CHANGED] = "TensorStatsChanged",
        [STATUS_SHAPE_CHANGED] = "TensorShapeChanged",
        [STATUS_ADDED] = "TensorAdded",
        [STATUS_REMOVED] = "TensorRemoved",
        [STATUS_NOT_COMPARED] = "TensorNotCompared",
    };
    enum tensor_status status = (enum tensor_status)c->status[pair];
    size_t last = c->model_count - 1;

    if (!tags[status])
        return;
    write_begin_object(w);
    write_array(w, tags[status]);
    write_name(w, pairing_name(c->pairing, (const struct model *const *)c->models, pair));
    if (status == STATUS_SHAPE_CHANGED) {
        write_shape(w, &comparison_tensor(c, pair, 0)->shape);
        write_shape(w, &comparison_tensor(c, pair, last)->shape);
    } else {
        if (status != STATUS_ADDED)
            write_stats(c, pair, 0, w);
        if (status != STATUS_REMOVED)
            write_stats(c, pair, last, w);
    }
    write_end(w);
    write_end(w);
}

/* "layer_impact" → "LayerImpact" */
static void tag_of(const char *name, char tag[64])
{
    size_t used = 0;
    bool is_start = true;

    for (; *name && used < 63; name++) {
        if (*name == '_') {
            is_start = true;
            continue;
        }
        tag[used++] = (char)(is_start && *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
        is_start = false;
    }
    tag[used] = '\0';
}

static void render(const struct comparison *c, const struct render_options *options, struct output *output)
{
    struct json_writer json;
    struct writer *w = &json.writer;

    (void)options;
    json_writer_init(&json, output, 1);
    write_begin_array(w);
    for (size_t i = 0; i < c->listing_count; i++)
        write_difference(c, c->listing[i], w);
    for (size_t i = 0; i < analysis_count; i++) {
        char tag[64];

        if (!(c->request->analyses & (1u << i)) || analyses[i] == &stats_analysis)
            continue;
        tag_of(analyses[i]->name, tag);
        write_begin_object(w);
        write_array(w, tag);
        write_name(w, name_of(analyses[i]->name));
        write_begin_object(w);
        analyses[i]->write(c, c->states[i], w);
        write_end(w);
        write_end(w);
        write_end(w);
    }
    write_end(w);
}

const struct renderer diffai_json_renderer = {"json", "application/json", render};
