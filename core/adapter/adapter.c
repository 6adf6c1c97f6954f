/* Which change goes where. An adapter names the modules of the model in memory, which files may hold under fewer
 * prefixes, or, experts, one by one: the same tables that pair layouts say how. */
#include "core/adapter/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/adapter/adapted.h"
#include "core/adapter/adapter_work.h"
#include "core/align/pattern.h"
#include "core/align/spelling.h"
#include "core/format/folder.h"
#include "core/format/format.h"
#include "core/limits.h"
#include "core/model/name_index.h"

enum { WORK_BYTES_MAX = 1 << 28 };

int adapter_no_memory(struct applying *x)
{
    return error_set(x->err, ERROR_NO_MEMORY, "no memory for an adapter");
}

/* What LyCORIS writes for other kinds of change. */
static const char *kind_of(const struct model *adapter)
{
    static const struct {
        const char *suffix, *kind;
    } kinds[] = {{".hada_w1_a", "LoHa"}, {".lokr_w1", "LoKr"},         {".lokr_w1_a", "LoKr"},
                 {".oft_blocks", "OFT"}, {".boft_blocks", "BOFT"},     {".a1.weight", "GLoRA"},
                 {".on_input", "IA3"},   {".diff", "full differences"}};
    struct name stem;

    for (size_t i = 0; i < adapter->tensor_count; i++)
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
            if (adapter_name_ends(adapter->tensors[i].name, kinds[k].suffix, &stem))
                return kinds[k].kind;
    return NULL;
}

/* Files that need no configuration: scales are their own tensors', or 1. What peft names needs one. */
static bool has_own_scales(const struct model *adapter)
{
    bool has_factor = kind_of(adapter) != NULL;

    for (size_t i = 0; i < adapter->tensor_count; i++) {
        const struct name name = adapter->tensors[i].name;

        if (name.bytes > 11 && memcmp(name.text, "base_model.", 11) == 0)
            return false;
        has_factor |= adapter_is_factor(name);
    }
    return has_factor;
}

/* What is long was left in its file: with a scale for each of thousands of modules it is. */
static int read_config_file(struct applying *x, const struct side_file *file)
{
    char *text = NULL;
    int rc = 0;

    if (!file->text)
        rc = folder_read_whole(file->source, limits_default.config_bytes, "a config", &text, x->err);
    if (rc == 0) {
        rc = adapter_config_read(text ? text : file->text, (size_t)file->bytes, &x->config, x->err);
        if (rc)
            error_prefix(x->err, rc, "%s: adapter_config.json: ", x->adapter->uri);
    }
    free(text);
    if (rc)
        return rc;
    rc = adapter_config_check(x->config, x->err);
    return rc ? error_prefix(x->err, rc, "%s: ", x->adapter->uri) : 0;
}

static int read_config(struct applying *x)
{
    const struct name alpha = model_metadata(x->adapter, name_of("adapter.lora.alpha"));
    const struct name text = model_metadata(x->adapter, name_of("lora_adapter_metadata"));
    char number[64];

    for (size_t i = 0; i < x->adapter->side_file_count; i++)
        if (strcmp(x->adapter->side_files[i].name, "adapter_config.json") == 0)
            return read_config_file(x, &x->adapter->side_files[i]);
    if (text.text) {
        int rc = adapter_config_read(text.text, text.bytes, &x->config, x->err);

        if (rc == 0)
            rc = adapter_config_check(x->config, x->err);
        return rc ? error_prefix(x->err, rc, "%s: lora_adapter_metadata: ", x->adapter->uri) : 0;
    }
    x->alpha = NAN;
    if (alpha.text && alpha.bytes < sizeof(number)) {
        memcpy(number, alpha.text, alpha.bytes);
        number[alpha.bytes] = '\0';
        x->alpha = strtod(number, NULL);
        return 0;
    }
    if (has_own_scales(x->adapter))
        return 0;
    return error_set(x->err, ERROR_FORMAT,
                     "%s: is no adapter that can be merged: it has no adapter_config.json, no "
                     "lora_adapter_metadata and no adapter.lora.alpha",
                     x->adapter->uri);
}

static int spell(struct applying *x, uint32_t i)
{
    const struct name_records records = {x->spelt, sizeof(*x->spelt)};
    char text[PATTERN_NAME_BYTES];
    struct name name = spelling_of(x->spelling, x->fresh[i].name, text);
    uint32_t at;

    name.text = arena_copy(&x->arena, name.text, name.bytes);
    if (!name.text)
        return ERROR_NO_MEMORY;
    x->spelt[i] = name;
    at = name_index_add(x->spelt_index, records, i);
    x->is_spelt_twice[at] = at != i;
    return 0;
}

/* The adapter's files are counted behind base's, of the parts of what is packed too. */
static int shift_files(struct applying *x, struct tensor *tensor)
{
    const uint32_t by = (uint32_t)x->base->file_count;
    struct storage *storage;
    struct tensor *parts;

    tensor->extent.source += by;
    if (!tensor->storage || tensor->storage->part_count == 0)
        return 0;
    storage = arena_take(&x->arena, sizeof(*storage));
    parts = arena_take_array(&x->arena, tensor->storage->part_count, sizeof(*parts));
    if (!storage || !parts)
        return adapter_no_memory(x);
    memcpy(parts, tensor->storage->parts, tensor->storage->part_count * sizeof(*parts));
    for (uint32_t i = 0; i < tensor->storage->part_count; i++)
        parts[i].extent.source += by;
    *storage = *tensor->storage;
    storage->parts = parts;
    tensor->storage = storage;
    return 0;
}

static int prepare(struct applying *x)
{
    const size_t base_count = x->base->tensor_count, count = x->adapter->tensor_count;
    const struct name_records records = {NULL, sizeof(*x->plain)};

    x->fresh = reallocarray(NULL, base_count + count + 1, sizeof(*x->fresh));
    x->plain = calloc(base_count + count + 1, sizeof(*x->plain));
    x->index = name_index_new(base_count + count + 1);
    x->is_applied = calloc(count + 1, sizeof(*x->is_applied));
    x->is_whole = calloc(base_count + count + 1, sizeof(*x->is_whole));
    x->parts = arena_take_array(&x->arena, count + 1, sizeof(*x->parts));
    x->spelling = spelling_new();
    x->spelt = calloc(base_count + 1, sizeof(*x->spelt));
    x->is_spelt_twice = calloc(base_count + 1, sizeof(*x->is_spelt_twice));
    x->spelt_index = name_index_new(base_count + 1);
    if (!x->fresh || !x->plain || !x->index || !x->is_applied || !x->is_whole || !x->parts || !x->spelling ||
        !x->spelt || !x->is_spelt_twice || !x->spelt_index)
        return adapter_no_memory(x);
    memcpy(x->fresh, x->base->tensors, base_count * sizeof(*x->fresh));
    x->fresh_count = base_count;
    for (size_t i = 0; i < base_count; i++) {
        struct name_records all = records;

        all.first = x->plain;
        x->plain[i] = name_plain(x->fresh[i].name);
        name_index_add(x->index, all, (uint32_t)i);
        if (spell(x, (uint32_t)i))
            return adapter_no_memory(x);
    }
    memcpy(x->parts, x->adapter->tensors, count * sizeof(*x->parts));
    for (size_t i = 0; i < count; i++)
        if (shift_files(x, &x->parts[i]))
            return adapter_no_memory(x);
    return 0;
}

void adapter_mark(struct applying *x, const struct tensor *part)
{
    if (part && !x->is_applied[part - x->parts]) {
        x->is_applied[part - x->parts] = true;
        x->applied++;
    }
}

bool adapter_has_room(const struct tensor *tensor)
{
    return adapted_layers(tensor) < ADAPTER_LAYERS_MAX;
}

int adapter_store(struct applying *x, struct tensor *tensor, const struct decoder *decoder, const void *parameters,
                  const char *what)
{
    struct storage *storage = arena_take(&x->arena, sizeof(*storage));
    char text[64];

    if (!storage)
        return adapter_no_memory(x);
    snprintf(text, sizeof(text), "%.40s+%s", dtype_traits(tensor->dtype)->name, what);
    storage->stored_as = (struct name){arena_copy(&x->arena, text, strlen(text)), (uint32_t)strlen(text)};
    if (!storage->stored_as.text)
        return adapter_no_memory(x);
    storage->decoder = decoder;
    storage->parameters = parameters;
    tensor->storage = storage;
    tensor->dtype = tensor->dtype == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
    return 0;
}

bool adapter_is_float(const struct tensor *tensor)
{
    return tensor_is_decodable(tensor) && dtype_traits(tensor->dtype)->kind == DTYPE_KIND_FLOAT &&
           dtype_traits(tensor->dtype)->bits % 8 == 0;
}

static int refuse(const struct applying *x)
{
    const char *kind = kind_of(x->adapter);

    if (kind)
        return error_set(x->err, ERROR_FORMAT, "%s: is an adapter of type %s; only LoRA is merged", x->adapter->uri,
                         kind);
    return error_set(x->err, ERROR_FORMAT, "%s: none of its %zu tensors fits a tensor of %s", x->adapter->uri,
                     x->adapter->tensor_count, x->base->uri);
}

static int warn_unmatched(const struct applying *x, struct name name)
{
    char printable[NAME_PRINTABLE_BYTES];

    return model_warn(x->base, "adapter-unmatched", name,
                      "%s of the adapter fits no tensor of the model, or another of its tensors stands for that, and "
                      "was left out",
                      name_printable(name, printable));
}

static int apply_all(struct applying *x)
{
    static int (*const steps[])(struct applying * x, const struct tensor *part) = {
        adapter_apply_whole, adapter_apply_factors, adapter_apply_rows};
    int rc = 0;

    adapter_learn_leaves(x);
    adapter_learn_embedding(x);
    for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++)
        for (size_t i = 0; rc == 0 && i < x->adapter->tensor_count; i++)
            if (!x->is_applied[i])
                rc = steps[step](x, &x->parts[i]);
    if (rc == 0 && x->applied == 0)
        rc = refuse(x);
    if (rc == 0 && x->is_alpha_missing)
        rc = model_warn(x->base, "adapter-scale", (struct name){0},
                        "the adapter stores no alpha; its scale is taken to be 1, as by all that read such files");
    for (size_t i = 0; rc == 0 && i < x->adapter->tensor_count; i++)
        if (!x->is_applied[i])
            rc = warn_unmatched(x, x->parts[i].name);
    return rc;
}

/* The adapter's memory and files become base's. */
static int take_over(struct applying *x, struct model *adapter)
{
    struct model *base = x->base;
    struct model_file *files = reallocarray(base->files, base->file_count + adapter->file_count, sizeof(*files));
    char *uri;

    if (!files)
        return adapter_no_memory(x);
    base->files = files;
    if (model_keep(base, adapter->dims))
        return adapter_no_memory(x);
    adapter->dims = NULL;
    while (adapter->chunk_count) {
        if (model_keep(base, adapter->chunks[adapter->chunk_count - 1]))
            return adapter_no_memory(x);
        adapter->chunk_count--;
    }
    if (model_keep_arena(base, &x->arena))
        return adapter_no_memory(x);
    memcpy(files + base->file_count, adapter->files, adapter->file_count * sizeof(*files));
    base->file_count += adapter->file_count;
    adapter->file_count = 0;
    if (asprintf(&uri, "%s + %s", base->uri, adapter->uri) < 0)
        return adapter_no_memory(x);
    free(base->uri);
    base->uri = uri;
    free(base->tensors);
    base->tensors = x->fresh;
    base->tensor_count = x->fresh_count;
    x->fresh = NULL;
    return model_finish(base, x->err);
}

int adapter_apply(struct model *base, struct model *adapter, struct error *err)
{
    struct applying x = {.base = base, .adapter = adapter, .arena = {.limit = WORK_BYTES_MAX}, .err = err};
    int rc = read_config(&x);

    if (rc == 0)
        rc = prepare(&x);
    if (rc == 0 && adapter_is_across(&x))
        rc = adapter_place_across(&x);
    if (rc == 0)
        rc = apply_all(&x);
    if (rc == 0)
        rc = take_over(&x, adapter);
    model_close(adapter); /* what is left of it */
    adapter_config_free(x.config);
    arena_done(&x.arena);
    name_index_free(x.index);
    name_index_free(x.spelt_index);
    spelling_free(x.spelling);
    name_index_free(x.flat_index);
    free(x.spelt);
    free(x.flat);
    free(x.is_flat_twice);
    free(x.is_spelt_twice);
    free(x.fresh);
    free(x.plain);
    free(x.is_applied);
    free(x.is_whole);
    return rc;
}
