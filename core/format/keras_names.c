#include "core/format/keras_names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/format/json_scan.h"

enum { LAYERS_MAX = 4096, SUFFIX_BYTES = 16, VARIABLES_MAX = 4 };

/* The variables of a class in the order in which it makes them. '?' before a name: unless use_bias, center or scale say
 * that there is none. */
static const struct {
    const char *class_name;
    const char *variables[VARIABLES_MAX];
} classes[] = {
    {"Dense", {"kernel", "?bias"}},
    {"EinsumDense", {"kernel", "bias"}},
    {"Embedding", {"embeddings"}},
    {"Conv1D", {"kernel", "?bias"}},
    {"Conv2D", {"kernel", "?bias"}},
    {"Conv3D", {"kernel", "?bias"}},
    {"Conv1DTranspose", {"kernel", "?bias"}},
    {"Conv2DTranspose", {"kernel", "?bias"}},
    {"Conv3DTranspose", {"kernel", "?bias"}},
    {"DepthwiseConv1D", {"kernel", "?bias"}},
    {"DepthwiseConv2D", {"kernel", "?bias"}},
    {"SeparableConv1D", {"depthwise_kernel", "pointwise_kernel", "?bias"}},
    {"SeparableConv2D", {"depthwise_kernel", "pointwise_kernel", "?bias"}},
    {"BatchNormalization", {"?gamma", "?beta", "moving_mean", "moving_variance"}},
    {"LayerNormalization", {"?gamma", "?beta"}},
    {"GroupNormalization", {"?gamma", "?beta"}},
    {"PReLU", {"alpha"}},
};

static bool read_layer(struct json_scan *scan, struct arena *arena, struct keras_layer *layer);

/* "DepthwiseConv2D" → "depthwise_conv2d": a '_' before what begins a word. */
static struct name snake_case(struct name name, struct arena *arena)
{
    char *text = arena_take(arena, 2 * (size_t)name.bytes + SUFFIX_BYTES);
    uint32_t bytes = 0;

    for (uint32_t i = 0; text && i < name.bytes; i++) {
        const unsigned char c = (unsigned char)name.text[i];
        const unsigned char before = i ? (unsigned char)name.text[i - 1] : 0;
        const unsigned char after = i + 1 < name.bytes ? (unsigned char)name.text[i + 1] : 0;

        if (!isalnum(c) && c != '_')
            continue;
        if (bytes && isupper(c) && (islower(after) || islower(before)))
            text[bytes++] = '_';
        text[bytes++] = (char)tolower(c);
    }
    return (struct name){text, text ? bytes : 0};
}

/* The second layer of a class in its list is NAME_1, and so on. */
static void set_key(const struct keras_layer *list, struct keras_layer *layer, struct arena *arena)
{
    unsigned before = 0;

    if (!layer->class_name.bytes)
        return;
    layer->key = snake_case(layer->class_name, arena);
    for (const struct keras_layer *other = list->layers; other && other != layer; other = other->next)
        before += name_equal(other->class_name, layer->class_name);
    if (before && layer->key.text)
        layer->key.bytes +=
            (uint32_t)snprintf((char *)(uintptr_t)layer->key.text + layer->key.bytes, SUFFIX_BYTES, "_%u", before);
}

static bool read_layers(struct json_scan *scan, struct arena *arena, struct keras_layer *list)
{
    bool has = false;

    if (!json_array(scan))
        return false;
    while (json_element(scan, &has) && has) {
        struct keras_layer *layer;

        if (json_peek(scan) != '{' || list->count == LAYERS_MAX) {
            if (!json_skip(scan))
                return false;
            continue;
        }
        layer = arena_take(arena, sizeof(*layer));
        if (!layer || !read_layer(scan, arena, layer))
            return false;
        if (list->last)
            list->last->next = layer;
        else
            list->layers = layer;
        list->last = layer;
        list->count++;
        set_key(list, layer, arena);
    }
    return scan->problem == NULL;
}

/* A plain policy may be an object too. */
static bool read_policy(struct json_scan *scan, struct keras_layer *layer)
{
    struct name key, value;
    bool has = false;

    if (json_peek(scan) != '{')
        return json_skip(scan);
    if (!json_object(scan))
        return false;
    while (json_member(scan, &key, &has) && has) {
        if (!name_equal(key, name_of("class_name")) || json_peek(scan) != '"') {
            if (!json_skip(scan))
                return false;
            continue;
        }
        if (!json_string(scan, &value))
            return false;
        layer->is_special = layer->is_special || !name_equal(value, name_of("DTypePolicy"));
    }
    return scan->problem == NULL;
}

static bool read_config(struct json_scan *scan, struct arena *arena, struct keras_layer *layer)
{
    struct name key;
    bool has = false;

    if (!json_object(scan))
        return false;
    while (json_member(scan, &key, &has) && has) {
        const char next = json_peek(scan);
        bool is_good;

        if (name_equal(key, name_of("layers")) && next == '[' && !layer->layers)
            is_good = read_layers(scan, arena, layer);
        else if (name_equal(key, name_of("dtype")))
            is_good = read_policy(scan, layer);
        else if (name_equal(key, name_of("name")) && next == '"')
            is_good = json_string(scan, &layer->name);
        else
            is_good = json_skip(scan);
        layer->has_no_bias = layer->has_no_bias || (name_equal(key, name_of("use_bias")) && next == 'f');
        layer->has_no_center = layer->has_no_center || (name_equal(key, name_of("center")) && next == 'f');
        layer->has_no_scale = layer->has_no_scale || (name_equal(key, name_of("scale")) && next == 'f');
        layer->is_special =
            layer->is_special ||
            (next != 'n' && (name_equal(key, name_of("quantization_config")) || name_equal(key, name_of("lora_rank"))));
        if (!is_good)
            return false;
    }
    return scan->problem == NULL;
}

static bool read_layer(struct json_scan *scan, struct arena *arena, struct keras_layer *layer)
{
    struct name key;
    bool has = false;

    if (!json_object(scan))
        return false;
    while (json_member(scan, &key, &has) && has) {
        const char next = json_peek(scan);
        bool is_good;

        if (name_equal(key, name_of("class_name")) && next == '"')
            is_good = json_string(scan, &layer->class_name);
        else if (name_equal(key, name_of("config")) && next == '{')
            is_good = read_config(scan, arena, layer);
        else
            is_good = json_skip(scan);
        if (!is_good)
            return false;
    }
    return scan->problem == NULL;
}

struct keras_layer *keras_read_config(char *text, size_t bytes, struct arena *arena)
{
    struct keras_layer *model = arena_take(arena, sizeof(*model));
    struct json_scan scan;

    json_init(&scan, text, bytes, JSON_NESTING_MAX);
    if (!model || !read_layer(&scan, arena, model) || !json_end(&scan) || !model->layers)
        return NULL;
    return model;
}

/* What stands before the next '/', which is taken. */
static struct name next_part(struct name *rest)
{
    const char *slash = rest->bytes ? memchr(rest->text, '/', rest->bytes) : NULL;
    const struct name part = {rest->text, slash ? (uint32_t)(slash - rest->text) : rest->bytes};
    const uint32_t taken = part.bytes + (slash ? 1 : 0);

    *rest = (struct name){rest->text + taken, rest->bytes - taken};
    return part;
}

static const struct keras_layer *find_layer(const struct keras_layer *list, struct name key)
{
    const struct keras_layer *layer = list->layers;

    while (layer && !name_equal(layer->key, key))
        layer = layer->next;
    return layer;
}

static bool is_left_out(const struct keras_layer *layer, const char *variable)
{
    return (layer->has_no_bias && strcmp(variable, "?bias") == 0) ||
           (layer->has_no_scale && strcmp(variable, "?gamma") == 0) ||
           (layer->has_no_center && strcmp(variable, "?beta") == 0);
}

/* The variable of that number, or NULL. */
static const char *find_variable(const struct keras_layer *layer, struct name number)
{
    unsigned wanted = number.bytes == 1 ? (unsigned)(number.text[0] - '0') : VARIABLES_MAX;

    for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]) && !layer->is_special; c++) {
        if (!name_equal(layer->class_name, name_of(classes[c].class_name)))
            continue;
        for (unsigned v = 0; v < VARIABLES_MAX && classes[c].variables[v]; v++) {
            const char *variable = classes[c].variables[v];

            if (is_left_out(layer, variable))
                continue;
            if (wanted-- == 0)
                return variable + (variable[0] == '?');
        }
    }
    return NULL;
}

struct name keras_rename(const struct keras_layer *model, struct name name, struct arena *arena)
{
    char *text = NULL;
    uint32_t bytes = 0;

    for (struct name rest = name; model;) {
        struct name part = next_part(&rest), number = rest;
        const char *variable;

        if (text && name_equal(part, name_of("vars")) && (variable = find_variable(model, number)) != NULL) {
            memcpy(text + bytes, variable, strlen(variable));
            return (struct name){text, bytes + (uint32_t)strlen(variable)};
        }
        if (!name_equal(part, name_of("layers")) && !name_equal(part, name_of("_layer_checkpoint_dependencies"))) {
            if (!text) /* the optimizer's, or the model's own */
                return (struct name){0};
            memcpy(text + bytes, part.text, name.bytes - (uint32_t)(part.text - name.text));
            return (struct name){text, bytes + name.bytes - (uint32_t)(part.text - name.text)};
        }
        model = find_layer(model, next_part(&rest));
        if (model && model->name.bytes) {
            char *longer = arena_take(arena, (size_t)bytes + model->name.bytes + name.bytes + 64);

            if (!longer)
                return (struct name){0};
            if (bytes)
                memcpy(longer, text, bytes);
            memcpy(longer + bytes, model->name.text, model->name.bytes);
            bytes += model->name.bytes;
            longer[bytes++] = '/';
            text = longer;
        } else {
            model = NULL; /* nothing that it could be called by */
        }
    }
    return (struct name){0};
}
