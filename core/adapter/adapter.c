/* Which change goes where. An adapter names the modules of the model in memory, which files may hold under fewer
 * prefixes, or, experts, one by one: the same tables that pair layouts say how. */
#include "core/adapter/adapter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/adapter/adapter_work.h"
#include "core/adapter/lora.h"
#include "core/align/layouts.h"
#include "core/align/pattern.h"
#include "core/align/spelling.h"
#include "core/model/name_index.h"

enum { WORK_BYTES_MAX = 1 << 28 };

int adapter_no_memory(struct applying *x)
{
    return error_set(x->err, ERROR_NO_MEMORY, "no memory for an adapter");
}

static struct name metadata_of(const struct model *model, const char *key)
{
    for (size_t i = 0; i < model->metadata_count; i++)
        if (name_equal(model->metadata[i].key, name_of(key)))
            return model->metadata[i].value;
    return (struct name){NULL, 0};
}

static int read_config(struct applying *x)
{
    const struct name alpha = metadata_of(x->adapter, "adapter.lora.alpha");
    const struct name text = metadata_of(x->adapter, "lora_adapter_metadata");
    char number[64];

    for (size_t i = 0; i < x->adapter->side_file_count; i++) {
        const struct side_file *file = &x->adapter->side_files[i];

        if (strcmp(file->name, "adapter_config.json") == 0 && file->text) {
            int rc = adapter_config_read(file->text, (size_t)file->bytes, &x->config, x->err);
            struct name type;

            if (rc)
                return error_prefix(x->err, rc, "%s: adapter_config.json: ", x->adapter->uri);
            if (config_text(x->config->json, "peft_type", &type) && !name_equal(type, name_of("LORA")))
                return error_set(x->err, ERROR_FORMAT, "%s: is an adapter of type %.*s; only LORA is merged",
                                 x->adapter->uri, (int)(type.bytes < 40 ? type.bytes : 40), type.text);
            return 0;
        }
    }
    if (text.text) {
        int rc = adapter_config_read(text.text, text.bytes, &x->config, x->err);

        return rc ? error_prefix(x->err, rc, "%s: lora_adapter_metadata: ", x->adapter->uri) : 0;
    }
    if (!alpha.text || alpha.bytes >= sizeof(number))
        return error_set(x->err, ERROR_FORMAT,
                         "%s: is no adapter that can be merged: it has no adapter_config.json, no "
                         "lora_adapter_metadata and no adapter.lora.alpha",
                         x->adapter->uri);
    memcpy(number, alpha.text, alpha.bytes);
    number[alpha.bytes] = '\0';
    x->alpha = strtod(number, NULL);
    return 0;
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

static int prepare(struct applying *x)
{
    const size_t base_count = x->base->tensor_count, count = x->adapter->tensor_count;
    const struct name_records records = {NULL, sizeof(*x->plain)};

    x->fresh = reallocarray(NULL, base_count + count + 1, sizeof(*x->fresh));
    x->plain = calloc(base_count + count + 1, sizeof(*x->plain));
    x->index = name_index_new(base_count + count + 1);
    x->is_applied = calloc(count + 1, sizeof(*x->is_applied));
    x->parts = arena_take_array(&x->arena, count + 1, sizeof(*x->parts));
    x->spelling = spelling_new();
    x->spelt = calloc(base_count + 1, sizeof(*x->spelt));
    x->is_spelt_twice = calloc(base_count + 1, sizeof(*x->is_spelt_twice));
    x->spelt_index = name_index_new(base_count + 1);
    if (!x->fresh || !x->plain || !x->index || !x->is_applied || !x->parts || !x->spelling || !x->spelt ||
        !x->is_spelt_twice || !x->spelt_index)
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
        x->parts[i].extent.source += (uint32_t)x->base->file_count;
    return 0;
}

/* The base's tensor of that spelling, where it is the only one. */
struct tensor *adapter_find_spelt(const struct applying *x, struct name spelt)
{
    const struct name_records records = {x->spelt, sizeof(*x->spelt)};
    const uint32_t at = name_index_find(x->spelt_index, records, spelt);

    return at == NAME_INDEX_NONE || x->is_spelt_twice[at] ? NULL : &x->fresh[at];
}

/* The base's tensor of that name, however many silent prefixes it has, or of that spelling. */
struct tensor *adapter_find(const struct applying *x, struct name name)
{
    const struct name_records records = {x->plain, sizeof(*x->plain)};
    const uint32_t at = name_index_find(x->index, records, name_plain(name));
    char text[PATTERN_NAME_BYTES];

    return at == NAME_INDEX_NONE ? adapter_find_spelt(x, spelling_of(x->spelling, name, text)) : &x->fresh[at];
}

static struct tensor *find_base_text(const struct applying *x, struct name module, const char *suffix)
{
    char text[ADAPTER_NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s%s", (int)module.bytes, module.text, suffix);

    return length > 0 && (size_t)length < sizeof(text) ? adapter_find(x, (struct name){text, (uint32_t)length}) : NULL;
}

static const struct tensor *find_part(const struct applying *x, struct name stem, const char *suffix)
{
    char text[ADAPTER_NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s%s", (int)stem.bytes, stem.text, suffix);
    const struct tensor *found = length > 0 && (size_t)length < sizeof(text)
                                     ? model_find(x->adapter, (struct name){text, (uint32_t)length})
                                     : NULL;

    return found ? &x->parts[found - x->adapter->tensors] : NULL;
}

void adapter_mark(struct applying *x, const struct tensor *part)
{
    if (part && !x->is_applied[part - x->parts]) {
        x->is_applied[part - x->parts] = true;
        x->applied++;
    }
}

/* Puts the change on a tensor, which yields F32 from now on. */
static int put_on(struct applying *x, struct tensor *tensor, struct lora *lora)
{
    struct tensor *base = arena_take(&x->arena, sizeof(*base));
    struct storage *storage = arena_take(&x->arena, sizeof(*storage));
    struct lora *kept = arena_take(&x->arena, sizeof(*kept));
    char text[64];

    if (!base || !storage || !kept)
        return adapter_no_memory(x);
    *base = *tensor;
    lora->base = base;
    *kept = *lora;
    snprintf(text, sizeof(text), "%.40s+LoRA", dtype_traits(tensor->dtype)->name);
    storage->stored_as = (struct name){arena_copy(&x->arena, text, strlen(text)), (uint32_t)strlen(text)};
    if (!storage->stored_as.text)
        return adapter_no_memory(x);
    storage->decoder = &decoder_lora;
    storage->parameters = kept;
    tensor->storage = storage;
    tensor->dtype = tensor->dtype == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
    return 0;
}

bool adapter_is_float(const struct tensor *tensor)
{
    return tensor_is_decodable(tensor) && dtype_traits(tensor->dtype)->kind == DTYPE_KIND_FLOAT &&
           dtype_traits(tensor->dtype)->bits % 8 == 0;
}

static int scale_of(struct applying *x, struct name module, uint64_t rank, double *ret)
{
    if (x->config)
        return adapter_config_scale(x->config, module, rank, ret, x->err);
    *ret = x->alpha / (double)rank;
    return 0;
}

int adapter_put_scaled(struct applying *x, struct name module, uint64_t rank, struct tensor *tensor, struct lora *lora,
                       const struct tensor *const parts[3])
{
    int rc = scale_of(x, module, rank, &lora->scale);

    if (rc == 0)
        rc = put_on(x, tensor, lora);
    for (int i = 0; rc == 0 && i < 3; i++)
        adapter_mark(x, parts[i]);
    return rc;
}

/* B·A on a whole tensor; is_transposed: the tensor holds columns where the module has rows. */
int adapter_apply_pair(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *a,
                       const struct tensor *b, const struct tensor *magnitude, bool is_transposed)
{
    struct lora lora = {.slices = 1, .magnitude = magnitude};
    uint64_t in, out;

    if (!adapter_is_float(tensor) || !adapter_is_float(a) || !adapter_is_float(b) || tensor->shape.rank < 2 ||
        a->shape.rank < 2 || b->shape.rank < 2 || tensor->shape.elements == 0 || a->shape.elements == 0 ||
        b->shape.elements == 0)
        return 0;
    lora.rank = a->shape.dims[0];
    in = a->shape.elements / lora.rank;
    out = b->shape.dims[0];
    lora.rows = tensor->shape.dims[0];
    lora.columns = tensor->shape.elements / lora.rows;
    if (lora.rank > LORA_RANK_MAX || b->shape.elements != out * lora.rank ||
        lora.columns > RIGHT_ELEMENTS_MAX / lora.rank)
        return 0;
    if (is_transposed && !(lora.rows == in && lora.columns == out))
        is_transposed = false; /* modules of either kind lie in one model */
    if (is_transposed) {
        lora.left = a;
        lora.left_row = 1;
        lora.left_rank = in;
        lora.right = b;
        lora.right_rank = 1;
        lora.right_column = lora.rank;
    } else if (lora.rows == out && lora.columns == in) {
        lora.left = b;
        lora.left_row = lora.rank;
        lora.left_rank = 1;
        lora.right = a;
        lora.right_rank = in;
        lora.right_column = 1;
    } else {
        return 0;
    }
    if (magnitude && (!adapter_is_float(magnitude) || magnitude->shape.elements != out))
        return 0;
    if (magnitude && is_transposed) {
        lora.columns_by = lora_columns_new(&x->arena, lora.columns);
        if (!lora.columns_by)
            return adapter_no_memory(x);
    }
    return adapter_put_scaled(x, module, lora.rank, tensor, &lora, (const struct tensor *[]){a, b, magnitude});
}

/* A name without what peft puts around it: "base_model.model.", "modules_to_save.", the adapter's own name. */
static struct name module_name(struct name name, char out[ADAPTER_NAME_BYTES])
{
    static const char *const left_out[] = {"modules_to_save.default", "modules_to_save", "default"};
    uint32_t used = 0;

    if (name.bytes > 17 && memcmp(name.text, "base_model.model.", 17) == 0)
        name = (struct name){name.text + 17, name.bytes - 17};
    while (name.bytes) {
        size_t skipped = 0;
        const char *dot;
        uint32_t bytes;

        for (size_t i = 0; !skipped && i < 3; i++) {
            const size_t length = strlen(left_out[i]);

            if (name.bytes > length && memcmp(name.text, left_out[i], length) == 0 && name.text[length] == '.')
                skipped = length + 1;
        }
        if (skipped) {
            name = (struct name){name.text + skipped, name.bytes - (uint32_t)skipped};
            continue;
        }
        dot = memchr(name.text, '.', name.bytes);
        bytes = dot ? (uint32_t)(dot - name.text) + 1 : name.bytes;
        if (bytes >= ADAPTER_NAME_BYTES - used)
            return (struct name){out, 0};
        memcpy(out + used, name.text, bytes);
        used += bytes;
        name = (struct name){name.text + bytes, name.bytes - bytes};
    }
    return (struct name){out, used};
}

static bool ends_with(struct name name, const char *suffix, struct name *ret_stem)
{
    const uint32_t bytes = (uint32_t)strlen(suffix);

    if (name.bytes <= bytes || memcmp(name.text + name.bytes - bytes, suffix, bytes) != 0)
        return false;
    *ret_stem = (struct name){name.text, name.bytes - bytes};
    return true;
}

/* What is stored whole takes its tensor's place, or is new. */
static int apply_whole(struct applying *x, const struct tensor *part)
{
    char text[ADAPTER_NAME_BYTES];
    struct name name = module_name(part->name, text), stem;
    struct tensor *tensor;
    char *kept;

    for (size_t i = 0; i < 2; i++) /* a bias that was trained, an embedding that was stored with its change */
        if (ends_with(name, i ? ".base_layer.weight" : ".base_layer.bias", &stem)) {
            const char *own = i ? ".weight" : ".bias";

            memcpy(text + stem.bytes, own, strlen(own));
            name.bytes = stem.bytes + (uint32_t)strlen(own);
        }
    tensor = name.bytes ? adapter_find(x, name) : NULL;
    if (tensor && tensor->storage && tensor->storage->decoder == &decoder_lora) /* which was of it */
        return 0;
    if (tensor && !shape_equal(&tensor->shape, &part->shape))
        return 0;
    if (!tensor) {
        if (!name.bytes)
            return 0;
        tensor = &x->fresh[x->fresh_count++];
        kept = arena_copy(&x->arena, name.text, name.bytes);
        if (!kept)
            return adapter_no_memory(x);
        name.text = kept;
    } else {
        name = tensor->name;
    }
    *tensor = *part;
    tensor->name = name;
    adapter_mark(x, part);
    return 0;
}

/* How adapters write the two factors: behind the first's name, behind the second's, and what they change. */
static const struct form {
    const char *a, *b, *suffix;
    bool is_transposed;
} forms[] = {
    {".lora_A.weight", ".lora_B.weight", ".weight", false},
    {".lora_A.default.weight", ".lora_B.default.weight", ".weight", false},
    {".lora_embedding_A", ".lora_embedding_B", ".weight", true},
    {".lora_embedding_A.default", ".lora_embedding_B.default", ".weight", true},
    {".lora_a", ".lora_b", "", false},
};

static bool is_second(struct name name)
{
    struct name stem;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (ends_with(name, forms[i].b, &stem))
            return true;
    return ends_with(name, ".lora_B.bias", &stem) || ends_with(name, ".lora_magnitude_vector", &stem) ||
           ends_with(name, ".lora_magnitude_vector.weight", &stem) ||
           ends_with(name, ".lora_magnitude_vector.default.weight", &stem);
}

/* What B adds besides: scale times its bias to the module's. */
static int apply_bias(struct applying *x, struct name module, struct name stem, uint64_t rank)
{
    const struct tensor *bias = find_part(x, stem, ".lora_B.bias");
    struct tensor *tensor = bias ? find_base_text(x, module, ".bias") : NULL;
    struct lora lora = {.left = bias, .slices = 1, .columns = 1, .rank = 1, .left_row = 1};

    if (!tensor || !adapter_is_float(tensor) || !adapter_is_float(bias) ||
        tensor->shape.elements != bias->shape.elements)
        return 0;
    lora.rows = tensor->shape.elements;
    return adapter_put_scaled(x, module, rank, tensor, &lora, (const struct tensor *[]){bias, NULL, NULL});
}

static int apply_part(struct applying *x, const struct tensor *part)
{
    const bool is_fan_in_fan_out = x->config && x->config->is_fan_in_fan_out;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct tensor *b, *magnitude;
        char text[ADAPTER_NAME_BYTES];
        struct name stem, module;
        struct tensor *tensor;
        int rc;

        if (!ends_with(part->name, forms[i].a, &stem))
            continue;
        b = find_part(x, stem, forms[i].b);
        magnitude = find_part(x, stem, ".lora_magnitude_vector");
        if (!magnitude)
            magnitude = find_part(x, stem, ".lora_magnitude_vector.weight");
        if (!magnitude)
            magnitude = find_part(x, stem, ".lora_magnitude_vector.default.weight");
        if (!b)
            return 0;
        module = module_name(stem, text);
        tensor = find_base_text(x, module, forms[i].suffix);
        if (!tensor)
            return adapter_apply_parameter(x, module, part, b);
        rc = adapter_apply_pair(x, module, tensor, part, b, magnitude, forms[i].is_transposed || is_fan_in_fan_out);
        return rc || part->shape.rank == 0 ? rc : apply_bias(x, module, stem, part->shape.dims[0]);
    }
    return is_second(part->name) ? 0 : apply_whole(x, part);
}

static int apply_all(struct applying *x)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < x->adapter->tensor_count; i++)
        rc = apply_part(x, &x->parts[i]);
    if (rc == 0 && x->applied == 0)
        rc = error_set(x->err, ERROR_FORMAT, "%s: none of its %zu tensors fits a tensor of %s", x->adapter->uri,
                       x->adapter->tensor_count, x->base->uri);
    for (size_t i = 0; rc == 0 && i < x->adapter->tensor_count; i++)
        if (!x->is_applied[i])
            rc = model_warn(x->base, "adapter-unmatched", x->parts[i].name,
                            "this tensor of the adapter fits no tensor of the model and was left out");
    return rc ? rc : 0;
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
    free(x.spelt);
    free(x.is_spelt_twice);
    free(x.fresh);
    free(x.plain);
    free(x.is_applied);
    return rc;
}
