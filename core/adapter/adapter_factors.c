/* Pairs of factors, as each writer names them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/adapter/adapter_work.h"
#include "core/decode/decoder.h"
#include "core/scan/decode.h"

/* How adapters write the two factors: behind the first's name, behind the second's, and what they change. */
static const struct form {
    const char *a, *b, *suffix;
    bool is_embedding;
} forms[] = {
    {".lora_A.weight", ".lora_B.weight", ".weight", false},
    {".lora_A.default.weight", ".lora_B.default.weight", ".weight", false},
    {".lora_embedding_A", ".lora_embedding_B", ".weight", true},
    {".lora_embedding_A.default", ".lora_embedding_B.default", ".weight", true},
    {".lora_a", ".lora_b", "", false},                          /* llama.cpp */
    {".lora_down.weight", ".lora_up.weight", ".weight", false}, /* kohya */
    {".lora.down.weight", ".lora.up.weight", ".weight", false}, /* diffusers */
    {"_lora.down.weight", "_lora.up.weight", ".weight", false}, /* its first form: of attention processors */
    {".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", ".weight", false},
};
enum { FORMS = sizeof(forms) / sizeof(forms[0]), REPEATED_MAX = 64 };

bool adapter_is_factor(struct name name)
{
    struct name stem;

    for (size_t i = 0; i < FORMS; i++)
        if (adapter_name_ends(name, forms[i].a, &stem))
            return true;
    return false;
}

bool adapter_factors(const struct applying *x, const struct tensor *a, const struct tensor **ret_b,
                     struct name *ret_stem, const char **ret_suffix)
{
    for (size_t i = 0; i < FORMS; i++)
        if (adapter_name_ends(a->name, forms[i].a, ret_stem)) {
            *ret_b = adapter_part(x, *ret_stem, forms[i].b);
            *ret_suffix = forms[i].suffix;
            return *ret_b && !forms[i].is_embedding;
        }
    return false;
}

/* alpha is the pair's own, the configuration's or the file's; where none is stored, all readers of such files take 1
 * for the scale. */
static int scale_of(struct applying *x, struct name module, uint64_t rank, double *ret)
{
    char printable[NAME_PRINTABLE_BYTES];
    double alpha = x->alpha;

    if (x->own_alpha) {
        uint8_t stored[16];
        int rc = decoder_read(x->adapter, &x->adapter->tensors[x->own_alpha - x->parts], 0, 1, stored, x->err);

        if (rc)
            return rc;
        decode_f64(x->own_alpha->dtype, stored, 0, 1, &alpha);
        if (!isfinite(alpha))
            return error_set(x->err, ERROR_FORMAT, "%s: tensor %s is no finite number", x->adapter->uri,
                             name_printable(x->own_alpha->name, printable));
    } else if (x->config) {
        return adapter_config_scale(x->config, module, rank, ret, x->err);
    }
    x->is_alpha_missing |= isnan(alpha);
    *ret = isnan(alpha) ? 1 : alpha / (double)rank;
    return 0;
}

int adapter_put_scaled(struct applying *x, struct name module, uint64_t rank, struct tensor *tensor, struct lora *lora,
                       const struct tensor *const parts[3])
{
    struct lora *kept = arena_take(&x->arena, sizeof(*kept));
    struct tensor *base = arena_take(&x->arena, sizeof(*base));
    int rc;

    /* One factor is held in memory: a view that repeats a few numbers would be a gigabyte from a file of none. */
    if (!adapter_has_room(tensor) ||
        (lora->right && lora->right->shape.elements / REPEATED_MAX > lora->right->extent.bytes))
        return 0;
    rc = scale_of(x, module, rank, &lora->scale);
    if (rc)
        return rc;
    if (!kept || !base)
        return adapter_no_memory(x);
    *base = *tensor;
    *kept = *lora;
    kept->base = base;
    rc = adapter_store(x, tensor, &decoder_lora, kept, "LoRA");
    for (int i = 0; rc == 0 && i < 3; i++)
        adapter_mark(x, parts[i]);
    if (rc == 0)
        adapter_mark(x, x->own_alpha);
    return rc;
}

static struct name leaf_of(struct name module)
{
    const char *dot = memrchr(module.text, '.', module.bytes);

    return dot ? (struct name){dot + 1, (uint32_t)(module.text + module.bytes - dot - 1)} : module;
}

static struct adapter_leaf *find_leaf(struct applying *x, struct name name)
{
    for (size_t i = 0; i < x->leaf_count; i++)
        if (name_equal(x->leaves[i].name, name))
            return &x->leaves[i];
    return NULL;
}

/* The tensor of the base that is called so, by its own name. */
static const struct tensor *beside(const struct applying *x, struct name module, const char *suffix)
{
    char text[ADAPTER_NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s%s", (int)module.bytes, module.text, suffix);

    return length > 0 && (size_t)length < sizeof(text) ? model_find(x->base, (struct name){text, (uint32_t)length})
                                                       : NULL;
}

void adapter_learn_leaves(struct applying *x)
{
    for (size_t i = 0; i < x->base->tensor_count; i++) {
        const struct tensor *tensor = &x->fresh[i], *bias;
        struct adapter_leaf *leaf;
        struct name module;

        if (tensor->shape.rank != 2 || tensor->shape.dims[0] == tensor->shape.dims[1] ||
            !adapter_name_ends(tensor->name, ".weight", &module))
            continue;
        bias = beside(x, module, ".bias");
        if (!bias || bias->shape.rank != 1)
            continue;
        leaf = find_leaf(x, leaf_of(module));
        if (!leaf && x->leaf_count < ADAPTER_LEAVES_MAX) {
            leaf = &x->leaves[x->leaf_count++];
            leaf->name = leaf_of(module);
        }
        if (leaf) {
            leaf->has_turned |= bias->shape.elements == tensor->shape.dims[1];
            leaf->has_straight |= bias->shape.elements == tensor->shape.dims[0];
        }
    }
}

/* Whether a module's weight has its inputs first. The configuration's fan_in_fan_out is that of the last module that
 * peft adapted, whatever the others were; where shapes do not tell, modules of the same last name do. */
static bool is_turned(struct applying *x, struct name module)
{
    const struct adapter_leaf *leaf = find_leaf(x, leaf_of(module));

    if (leaf && leaf->has_turned != leaf->has_straight)
        return leaf->has_turned;
    return x->config && adapter_config_is(x->config, "fan_in_fan_out", module);
}

int adapter_apply_pair(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *a,
                       const struct tensor *b, const struct tensor *magnitude, bool is_transposed, const uint32_t *rows)
{
    struct lora lora = {.slices = 1, .magnitude = magnitude, .left_rows = rows};
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
    if (!(lora.rows == in && lora.columns == out))
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

/* What B adds besides: scale times its bias to the module's. */
static int apply_bias(struct applying *x, struct name module, struct name stem, uint64_t rank)
{
    const struct tensor *bias = adapter_part(x, stem, ".lora_B.bias");
    struct tensor *tensor = bias ? adapter_find_text(x, module, ".bias") : NULL;
    struct lora lora = {.left = bias, .slices = 1, .columns = 1, .rank = 1, .left_row = 1};

    if (!tensor || !adapter_is_float(tensor) || !adapter_is_float(bias) ||
        tensor->shape.elements != bias->shape.elements)
        return 0;
    lora.rows = tensor->shape.elements;
    return adapter_put_scaled(x, module, rank, tensor, &lora, (const struct tensor *[]){bias, NULL, NULL});
}

static const struct tensor *find_magnitude(const struct applying *x, struct name stem)
{
    static const char *const names[] = {".lora_magnitude_vector", ".lora_magnitude_vector.weight",
                                        ".lora_magnitude_vector.default.weight"};
    const struct tensor *found = NULL;

    for (size_t i = 0; !found && i < sizeof(names) / sizeof(names[0]); i++)
        found = adapter_part(x, stem, names[i]);
    return found;
}

/* Whether the pair is more than a product of two: what else belongs to it is not computed here. */
static bool has_more(const struct applying *x, struct name stem, const struct tensor *magnitude)
{
    return adapter_part(x, stem, ".lora_mid.weight") || adapter_part(x, stem, ".dora_scale") ||
           adapter_part(x, stem, ".lora_diag") ||
           (x->config && !magnitude && adapter_config_is(x->config, "use_dora", stem));
}

/* torch's MultiheadAttention: the first of peft's modules changes its three projections, the other the one behind. */
static struct tensor *find_attention(const struct applying *x, struct name module)
{
    static const char behind[] = ".base_layer.out_proj";
    char text[ADAPTER_NAME_BYTES];
    struct name outer;

    if (!adapter_name_ends(module, behind, &outer))
        return adapter_find_text(x, module, ".in_proj_weight");
    snprintf(text, sizeof(text), "%.*s.out_proj", (int)outer.bytes, outer.text);
    return adapter_find_text(x, name_of(text), ".weight");
}

static int find_target(struct applying *x, const struct form *form, struct name module, struct tensor **ret_tensor)
{
    *ret_tensor = adapter_find_text(x, module, form->suffix);
    if (!*ret_tensor && form->a[0] == '_')
        *ret_tensor = adapter_find_text(x, module, ".0.weight"); /* to_out, which is a sequence */
    if (!*ret_tensor && form->suffix[0])
        *ret_tensor = find_attention(x, module);
    if (!*ret_tensor && form->suffix[0])
        *ret_tensor = adapter_find_tied(x, module);
    return *ret_tensor ? 0 : adapter_find_flat(x, module, ret_tensor);
}

/* Some write alpha as an integer. */
static bool is_number(const struct tensor *tensor)
{
    const struct dtype_traits *traits = dtype_traits(tensor->dtype);

    return tensor->shape.elements == 1 && tensor_is_decodable(tensor) && traits->bits % 8 == 0 &&
           (traits->kind == DTYPE_KIND_FLOAT || traits->kind == DTYPE_KIND_INT || traits->kind == DTYPE_KIND_UINT);
}

static int apply_placed(struct applying *x, struct name module, const struct tensor *a, const struct tensor *b,
                        const struct tensor *magnitude)
{
    struct tensor *tensor = adapter_placed(x, a);

    return tensor ? adapter_apply_pair(x, module, tensor, a, b, magnitude, false, x->placements[a - x->parts].rows) : 0;
}

static int apply_form(struct applying *x, const struct form *form, struct name stem, const struct tensor *a)
{
    const struct tensor *b = adapter_part(x, stem, form->b), *magnitude = find_magnitude(x, stem);
    char text[ADAPTER_NAME_BYTES];
    const struct name module = adapter_module(stem, text);
    const uint32_t *rows;
    struct tensor *tensor;
    int rc;

    if (!b || has_more(x, stem, magnitude))
        return 0;
    x->own_alpha = adapter_part(x, stem, ".alpha");
    if (x->own_alpha && !is_number(x->own_alpha))
        return 0;
    if (x->placements)
        return apply_placed(x, module, a, b, magnitude);
    rc = find_target(x, form, module, &tensor);
    if (rc || !tensor)
        return rc ? rc : adapter_apply_parameter(x, module, a, b);
    rc = adapter_rotary_rows(x, module, tensor, &rows);
    if (rc == 0)
        rc = adapter_apply_pair(x, module, tensor, a, b, magnitude, form->is_embedding || is_turned(x, module), rows);
    return rc || !x->is_applied[a - x->parts] ? rc : apply_bias(x, module, stem, a->shape.dims[0]);
}

int adapter_apply_factors(struct applying *x, const struct tensor *part)
{
    struct name stem;

    for (size_t i = 0; i < FORMS; i++)
        if (adapter_name_ends(part->name, forms[i].a, &stem))
            return apply_form(x, &forms[i], stem, part);
    return 0;
}
