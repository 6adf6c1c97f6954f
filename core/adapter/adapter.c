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
#include "core/model/name_index.h"

enum { WORK_BYTES_MAX = 1 << 28, NAME_BYTES = 1024, EXPERTS_MAX = 4096, RIGHT_ELEMENTS_MAX = 1 << 28 };

struct applying {
    struct model *base;
    const struct model *adapter;
    struct adapter_config *config; /* NULL of a GGUF file, which has alpha alone */
    double alpha;
    struct arena arena;
    struct tensor *fresh; /* base's tensors as they become, then those that are added */
    size_t fresh_count;
    struct tensor *parts; /* adapter's, their files counted behind base's */
    struct name *plain;   /* of fresh */
    struct name_index *index;
    bool *is_applied; /* [adapter's tensor] */
    size_t applied;
    struct error *err;
};

static int no_memory(struct applying *x)
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

            return rc ? error_prefix(x->err, rc, "%s: adapter_config.json: ", x->adapter->uri) : 0;
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

static int prepare(struct applying *x)
{
    const size_t base_count = x->base->tensor_count, count = x->adapter->tensor_count;
    const struct name_records records = {NULL, sizeof(*x->plain)};

    x->fresh = reallocarray(NULL, base_count + count + 1, sizeof(*x->fresh));
    x->plain = calloc(base_count + count + 1, sizeof(*x->plain));
    x->index = name_index_new(base_count + count + 1);
    x->is_applied = calloc(count + 1, sizeof(*x->is_applied));
    x->parts = arena_take_array(&x->arena, count + 1, sizeof(*x->parts));
    if (!x->fresh || !x->plain || !x->index || !x->is_applied || !x->parts)
        return no_memory(x);
    memcpy(x->fresh, x->base->tensors, base_count * sizeof(*x->fresh));
    x->fresh_count = base_count;
    for (size_t i = 0; i < base_count; i++) {
        struct name_records all = records;

        all.first = x->plain;
        x->plain[i] = name_plain(x->fresh[i].name);
        name_index_add(x->index, all, (uint32_t)i);
    }
    memcpy(x->parts, x->adapter->tensors, count * sizeof(*x->parts));
    for (size_t i = 0; i < count; i++)
        x->parts[i].extent.source += (uint32_t)x->base->file_count;
    return 0;
}

/* The base's tensor of that name, however many silent prefixes it has. */
static struct tensor *find_base(const struct applying *x, struct name name)
{
    const struct name_records records = {x->plain, sizeof(*x->plain)};
    const uint32_t at = name_index_find(x->index, records, name_plain(name));

    return at == NAME_INDEX_NONE ? NULL : &x->fresh[at];
}

static struct tensor *find_base_text(const struct applying *x, struct name module, const char *suffix)
{
    char text[NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s%s", (int)module.bytes, module.text, suffix);

    return length > 0 && (size_t)length < sizeof(text) ? find_base(x, (struct name){text, (uint32_t)length}) : NULL;
}

static const struct tensor *find_part(const struct applying *x, struct name stem, const char *suffix)
{
    char text[NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s%s", (int)stem.bytes, stem.text, suffix);
    const struct tensor *found = length > 0 && (size_t)length < sizeof(text)
                                     ? model_find(x->adapter, (struct name){text, (uint32_t)length})
                                     : NULL;

    return found ? &x->parts[found - x->adapter->tensors] : NULL;
}

static void mark(struct applying *x, const struct tensor *part)
{
    if (part && !x->is_applied[part - x->parts]) {
        x->is_applied[part - x->parts] = true;
        x->applied++;
    }
}

/* Puts the change on a tensor, which yields F32 from now on. */
static int put_on(struct applying *x, struct tensor *tensor, struct lora *lora, const char *reason)
{
    struct tensor *base = arena_take(&x->arena, sizeof(*base));
    struct storage *storage = arena_take(&x->arena, sizeof(*storage));
    struct lora *kept = arena_take(&x->arena, sizeof(*kept));
    char text[64];

    if (!base || !storage || !kept)
        return no_memory(x);
    *base = *tensor;
    lora->base = base;
    *kept = *lora;
    snprintf(text, sizeof(text), "%.40s+LoRA", dtype_traits(tensor->dtype)->name);
    storage->stored_as = (struct name){arena_copy(&x->arena, text, strlen(text)), (uint32_t)strlen(text)};
    if (!storage->stored_as.text)
        return no_memory(x);
    storage->decoder = reason ? NULL : &decoder_lora;
    storage->reason = reason;
    storage->parameters = kept;
    tensor->storage = storage;
    tensor->dtype = tensor->dtype == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
    return 0;
}

static bool is_float(const struct tensor *tensor)
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

/* B·A on a whole tensor; is_transposed: the tensor holds columns where the module has rows. */
static int apply_pair(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *a,
                      const struct tensor *b, const struct tensor *magnitude, bool is_transposed)
{
    struct lora lora = {.slices = 1, .magnitude = magnitude};
    uint64_t in, out;
    int rc;

    if (!is_float(tensor) || !is_float(a) || !is_float(b) || tensor->shape.rank < 2 || a->shape.rank < 2 ||
        b->shape.rank < 2 || tensor->shape.elements == 0 || a->shape.elements == 0 || b->shape.elements == 0)
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
    if (magnitude && (!is_float(magnitude) || magnitude->shape.elements != lora.rows))
        return 0;
    rc = scale_of(x, module, lora.rank, &lora.scale);
    if (rc == 0)
        rc = put_on(x, tensor, &lora,
                    magnitude && is_transposed ? "DoRA of a transposed weight is not computed here" : NULL);
    if (rc == 0) {
        mark(x, a);
        mark(x, b);
        mark(x, magnitude);
    }
    return rc;
}

/* Rows [row, row + rows of the tensor) of expert e of a stacked change; of all experts where the tensor is stacked. */
static int apply_expert(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *a,
                        const struct tensor *b, uint64_t experts, uint64_t e, uint64_t row)
{
    const bool is_stacked = tensor->shape.rank == 3;
    struct lora lora = {.slices = is_stacked ? experts : 1, .left = b, .right = a};
    int rc;

    if (!is_float(tensor) || !is_float(a) || !is_float(b) || tensor->shape.rank < 2 || a->shape.rank != 2 ||
        b->shape.rank != 2 || experts == 0 || a->shape.dims[0] % experts || tensor->shape.elements == 0)
        return 0;
    lora.rank = a->shape.dims[0] / experts;
    lora.rows = tensor->shape.dims[is_stacked];
    lora.columns = a->shape.dims[1];
    if (lora.rank == 0 || lora.rank > LORA_RANK_MAX || b->shape.dims[1] != a->shape.dims[0] ||
        tensor->shape.dims[tensor->shape.rank - 1] != lora.columns || row + lora.rows > b->shape.dims[0] ||
        (is_stacked && tensor->shape.dims[0] != experts) || lora.columns > RIGHT_ELEMENTS_MAX / lora.rank)
        return 0;
    lora.left_first = row * b->shape.dims[1] + e;
    lora.left_slice = 1;
    lora.left_row = b->shape.dims[1];
    lora.left_rank = experts;
    lora.right_first = e * lora.rank * lora.columns;
    lora.right_slice = lora.rank * lora.columns;
    lora.right_rank = lora.columns;
    lora.right_column = 1;
    rc = scale_of(x, module, lora.rank, &lora.scale);
    if (rc == 0)
        rc = put_on(x, tensor, &lora, NULL);
    if (rc == 0) {
        mark(x, a);
        mark(x, b);
    }
    return rc;
}

/* The sources of a stacked parameter that the base holds one by one, as the table of layouts has them: with `apply`,
 * the change is put on them. Returns how many experts there are. */
static int each_expert(struct applying *x, struct name module, struct name parameter, const struct tensor *a,
                       const struct tensor *b, uint64_t experts, uint64_t *ret_experts)
{
    int rc = 0;

    *ret_experts = 0;
    for (uint64_t e = 0; rc == 0 && e < EXPERTS_MAX; e++) {
        uint64_t row = 0;

        for (size_t i = 0; rc == 0 && i < layout_rule_count; i++) {
            struct captures captures = {0};
            char digits[24], text[PATTERN_NAME_BYTES];
            struct tensor *tensor;
            struct name name;

            if (strncmp(layout_rules[i].part, "[e]", 3) != 0 ||
                !pattern_match(name_of(layout_rules[i].target), parameter, &captures))
                continue;
            captures.e = (struct name){digits, (uint32_t)snprintf(digits, sizeof(digits), "%" PRIu64, e)};
            if (!pattern_fill(name_of(layout_rules[i].source), &captures, text, &name))
                continue;
            tensor = find_base(x, name);
            if (!tensor || tensor->shape.rank != 2)
                continue;
            if (experts)
                rc = apply_expert(x, module, tensor, a, b, experts, e, row);
            row += tensor->shape.dims[0];
        }
        if (row == 0)
            break;
        ++*ret_experts;
    }
    return rc;
}

/* "…mlp.experts", some "base_layer"s down: which of the configuration's target_parameters that is. */
static bool target_parameter(const struct applying *x, struct name module, size_t depth, char out[NAME_BYTES],
                             struct name *ret)
{
    struct name found[16], parameter;
    size_t count = 0;
    char path[48];

    for (size_t i = 0; x->config && i < 64 && count < 16; i++) {
        const char *dot;
        uint32_t bytes;

        snprintf(path, sizeof(path), "target_parameters.%zu", i);
        if (!config_text(x->config->json, path, &parameter))
            break;
        dot = memrchr(parameter.text, '.', parameter.bytes);
        bytes = dot ? (uint32_t)(dot - parameter.text) : 0;
        if (bytes && module.bytes >= bytes && memcmp(module.text + module.bytes - bytes, parameter.text, bytes) == 0)
            found[count++] = (struct name){dot + 1, parameter.bytes - bytes - 1};
    }
    if (depth >= count)
        return false;
    parameter = found[count - 1 - depth];
    ret->bytes = (uint32_t)snprintf(out, NAME_BYTES, "%.*s.%.*s", (int)module.bytes, module.text, (int)parameter.bytes,
                                    parameter.text);
    ret->text = out;
    return ret->bytes < NAME_BYTES;
}

static int apply_parameter(struct applying *x, struct name module, const struct tensor *a, const struct tensor *b)
{
    static const char below[] = ".base_layer";
    const uint32_t bytes = sizeof(below) - 1;
    char text[NAME_BYTES];
    struct name parameter, inside;
    struct tensor *tensor;
    uint64_t experts;
    size_t depth = 0;
    int rc;

    while (module.bytes > bytes && memcmp(module.text + module.bytes - bytes, below, bytes) == 0) {
        module.bytes -= bytes;
        depth++;
    }
    if (!target_parameter(x, module, depth, text, &parameter))
        return 0;
    tensor = find_base(x, parameter);
    if (tensor && tensor->shape.rank == 3)
        return apply_expert(x, parameter, tensor, a, b, tensor->shape.dims[0], 0, 0);
    if (tensor)
        return apply_pair(x, parameter, tensor, a, b, NULL, false);
    inside = name_plain(parameter);
    rc = each_expert(x, parameter, inside, a, b, 0, &experts);
    return rc || experts == 0 ? rc : each_expert(x, parameter, inside, a, b, experts, &experts);
}

/* A name without what peft puts around it: "base_model.model.", "modules_to_save.", the adapter's own name. */
static struct name module_name(struct name name, char out[NAME_BYTES])
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
        if (bytes >= NAME_BYTES - used)
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
    char text[NAME_BYTES];
    struct name name = module_name(part->name, text), stem;
    struct tensor *tensor;
    char *kept;

    if (ends_with(name, ".base_layer.bias", &stem)) {
        memcpy(text + stem.bytes, ".bias", 5);
        name.bytes = stem.bytes + 5;
    }
    tensor = name.bytes ? find_base(x, name) : NULL;
    if (tensor && !shape_equal(&tensor->shape, &part->shape))
        return 0;
    if (!tensor) {
        if (!name.bytes)
            return 0;
        tensor = &x->fresh[x->fresh_count++];
        kept = arena_copy(&x->arena, name.text, name.bytes);
        if (!kept)
            return no_memory(x);
        name.text = kept;
    } else {
        name = tensor->name;
    }
    *tensor = *part;
    tensor->name = name;
    mark(x, part);
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
    return ends_with(name, ".lora_magnitude_vector", &stem) ||
           ends_with(name, ".lora_magnitude_vector.weight", &stem) ||
           ends_with(name, ".lora_magnitude_vector.default.weight", &stem);
}

static int apply_part(struct applying *x, const struct tensor *part)
{
    const bool is_fan_in_fan_out = x->config && x->config->is_fan_in_fan_out;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct tensor *b, *magnitude;
        char text[NAME_BYTES];
        struct name stem, module;
        struct tensor *tensor;

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
        return tensor ? apply_pair(x, module, tensor, part, b, magnitude, forms[i].is_transposed || is_fan_in_fan_out)
                      : apply_parameter(x, module, part, b);
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
        return no_memory(x);
    base->files = files;
    if (model_keep(base, adapter->dims))
        return no_memory(x);
    adapter->dims = NULL;
    while (adapter->chunk_count) {
        if (model_keep(base, adapter->chunks[adapter->chunk_count - 1]))
            return no_memory(x);
        adapter->chunk_count--;
    }
    if (model_keep_arena(base, &x->arena))
        return no_memory(x);
    memcpy(files + base->file_count, adapter->files, adapter->file_count * sizeof(*files));
    base->file_count += adapter->file_count;
    adapter->file_count = 0;
    if (asprintf(&uri, "%s + %s", base->uri, adapter->uri) < 0)
        return no_memory(x);
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
    free(x.fresh);
    free(x.plain);
    free(x.is_applied);
    return rc;
}
