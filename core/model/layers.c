/* Layers and module types are read from names alone, by one table: its rows are tried in order, the first that matches
 * decides, and what no row knows is "other". A row's pattern is held against the end of the module's path, component by
 * component ('*' stands for anything within one); where the module's path says nothing, against the whole name, for
 * parameters that stand without a module ("cls_token", "in_proj_weight"). Letter case does not count. */
#include "core/model/layers.h"

#include <string.h>

enum module_type {
    EMBEDDING,
    ATTENTION_Q,
    ATTENTION_K,
    ATTENTION_V,
    ATTENTION_QKV,
    ATTENTION_OUTPUT,
    MLP_GATE,
    MLP_UP,
    MLP_DOWN,
    NORM,
    CONVOLUTION,
    HEAD,
    ROUTER,
    EXPERT,
    BIAS,
    OTHER,
};

static const char *const type_names[MODULE_TYPE_COUNT] = {
    [EMBEDDING] = "embedding",
    [ATTENTION_Q] = "attention_q",
    [ATTENTION_K] = "attention_k",
    [ATTENTION_V] = "attention_v",
    [ATTENTION_QKV] = "attention_qkv",
    [ATTENTION_OUTPUT] = "attention_output",
    [MLP_GATE] = "mlp_gate",
    [MLP_UP] = "mlp_up",
    [MLP_DOWN] = "mlp_down",
    [NORM] = "norm",
    [CONVOLUTION] = "convolution",
    [HEAD] = "head",
    [ROUTER] = "router",
    [EXPERT] = "expert",
    [BIAS] = "bias",
    [OTHER] = "other",
};

/* The parameter's own name decides before its module does: a bias is a bias wherever it stands. */
static const struct parameter_row {
    const char *pattern; /* lower case */
    enum module_type type;
} parameter_rows[] = {
    {"bias", BIAS},         {"*_bias", BIAS}, /* e_score_correction_bias, q_bias, in_proj_bias */
    {"bias_*", BIAS},                         /* bias_ih_l0 */
    {"running_mean", NORM}, {"running_var", NORM}, {"num_batches_tracked", NORM}, {"gamma", NORM}, {"beta", BIAS},
};

static const struct module_row {
    const char *pattern; /* lower case; the last components of the module's path */
    const char *within;  /* a component before those must match this; NULL: none need */
    enum module_type type;
} module_rows[] = {
    /* Mixtures of experts. Everything below "experts" is an expert's, whatever its name. */
    {"*", "experts", EXPERT},
    {"*", "shared_expert", EXPERT},
    {"*", "shared_experts", EXPERT},
    {"*", "expert_*", EXPERT},
    {"ffn_gate_inp", NULL, ROUTER}, /* GGUF */
    {"ffn_gate_inp_shexp", NULL, ROUTER},
    {"ffn_*_exps", NULL, EXPERT},
    {"ffn_*_shexp", NULL, EXPERT},
    {"*", "router", ROUTER},
    {"router", NULL, ROUTER},
    {"gate", "mlp", ROUTER},
    {"gate", "*moe*", ROUTER},
    {"gate", "feed_forward", ROUTER},
    {"gate", "ffn", ROUTER},
    {"shared_expert_gate", NULL, ROUTER},
    {"input_linear", "*moe*", EXPERT}, /* Granite */
    {"output_linear", "*moe*", EXPERT},
    {"ffn_gate.*", NULL, EXPERT}, /* early GGUF: one tensor an expert */
    {"ffn_up.*", NULL, EXPERT},
    {"ffn_down.*", NULL, EXPERT},

    /* Norms */
    {"*norm*", NULL, NORM},
    {"*norm*.#", NULL, NORM},
    {"*_ln", NULL, NORM},
    {"ln", NULL, NORM},
    {"ln_*", NULL, NORM},
    {"bn", NULL, NORM},
    {"bn#", NULL, NORM},
    {"ln#", NULL, NORM},
    {"gn#", NULL, NORM},
    {"downsample.1", NULL, NORM}, /* ResNet: 0 is the convolution */

    /* Embeddings, and heads whose names would pass for one */
    {"embed_out", NULL, HEAD}, /* GPT-NeoX */
    {"time_embedding*", NULL, OTHER},
    {"*", "time_embedding*", OTHER},
    {"rotary_emb*", NULL, OTHER},
    {"*", "rotary_emb*", OTHER},
    {"*embed*", NULL, EMBEDDING},
    {"*_embd", NULL, EMBEDDING}, /* GGUF */
    {"token_types", NULL, EMBEDDING},
    {"wte", NULL, EMBEDDING},
    {"wpe", NULL, EMBEDDING},
    {"shared", NULL, EMBEDDING}, /* T5 */
    {"relative_attention_bias", NULL, EMBEDDING},
    {"cls_token", NULL, EMBEDDING},
    {"mask_token", NULL, EMBEDDING},
    {"distillation_token", NULL, EMBEDDING},
    {"proj*", "*patch_embed*", EMBEDDING},

    /* Feed-forward parts that stand below something called attention (diffusers) */
    {"ff*.net.0.proj", NULL, MLP_UP},
    {"ff*.net.2", NULL, MLP_DOWN},

    /* Attention */
    {"qkv*", NULL, ATTENTION_QKV},
    {"to_qkv", NULL, ATTENTION_QKV},
    {"wqkv", NULL, ATTENTION_QKV},
    {"attn_qkv", NULL, ATTENTION_QKV},
    {"query_key_value", NULL, ATTENTION_QKV},
    {"c_attn", NULL, ATTENTION_QKV},
    {"in_proj*", "*att*", ATTENTION_QKV},
    {"kv_a_proj_with_mqa", NULL, ATTENTION_QKV}, /* DeepSeek: keys and values in one */
    {"kv_b_proj", NULL, ATTENTION_QKV},
    {"attn_kv_*", NULL, ATTENTION_QKV},
    {"q_proj", NULL, ATTENTION_Q},
    {"q_?_proj", NULL, ATTENTION_Q},
    {"to_q", NULL, ATTENTION_Q},
    {"add_q_proj", NULL, ATTENTION_Q},
    {"attn_q", NULL, ATTENTION_Q},
    {"attn_q_?", NULL, ATTENTION_Q},
    {"wq*", NULL, ATTENTION_Q},
    {"q_lin", NULL, ATTENTION_Q},
    {"query", "*att*", ATTENTION_Q},
    {"query_proj", "*att*", ATTENTION_Q},
    {"q", "*att*", ATTENTION_Q},
    {"k_proj", NULL, ATTENTION_K},
    {"to_k", NULL, ATTENTION_K},
    {"add_k_proj", NULL, ATTENTION_K},
    {"attn_k", NULL, ATTENTION_K},
    {"attn_k_?", NULL, ATTENTION_K},
    {"wk", NULL, ATTENTION_K},
    {"k_lin", NULL, ATTENTION_K},
    {"key", "*att*", ATTENTION_K},
    {"key_proj", "*att*", ATTENTION_K},
    {"k", "*att*", ATTENTION_K},
    {"v_proj", NULL, ATTENTION_V},
    {"to_v", NULL, ATTENTION_V},
    {"add_v_proj", NULL, ATTENTION_V},
    {"attn_v", NULL, ATTENTION_V},
    {"attn_v_?", NULL, ATTENTION_V},
    {"wv", NULL, ATTENTION_V},
    {"v_lin", NULL, ATTENTION_V},
    {"value", "*att*", ATTENTION_V},
    {"value_proj", "*att*", ATTENTION_V},
    {"v", "*att*", ATTENTION_V},
    {"o_proj", NULL, ATTENTION_OUTPUT},
    {"to_out", NULL, ATTENTION_OUTPUT},
    {"to_out.0", NULL, ATTENTION_OUTPUT},
    {"to_add_out", NULL, ATTENTION_OUTPUT},
    {"attn_out*", NULL, ATTENTION_OUTPUT},
    {"out_lin", NULL, ATTENTION_OUTPUT},
    {"wo", "*att*", ATTENTION_OUTPUT},
    {"o", "*att*", ATTENTION_OUTPUT},
    {"out_proj", "*att*", ATTENTION_OUTPUT},
    {"c_proj", "*att*", ATTENTION_OUTPUT},
    {"proj", "*att*", ATTENTION_OUTPUT},
    {"projection", "*att*", ATTENTION_OUTPUT},
    {"output", "*att*", ATTENTION_OUTPUT},
    {"proj_attn", NULL, ATTENTION_OUTPUT},
    {"dense", "*att*", ATTENTION_OUTPUT}, /* BERT's attention.output.dense, Falcon's self_attention.dense */

    /* Feed-forward; a fused gate and up counts as the gate */
    {"gate_proj", NULL, MLP_GATE},
    {"gate_up_proj", NULL, MLP_GATE},
    {"ffn_gate", NULL, MLP_GATE},
    {"wi_0", NULL, MLP_GATE},
    {"w1", NULL, MLP_GATE},
    {"up_proj", NULL, MLP_UP},
    {"ffn_up", NULL, MLP_UP},
    {"wi", NULL, MLP_UP},
    {"wi_1", NULL, MLP_UP},
    {"w3", NULL, MLP_UP},
    {"c_fc", NULL, MLP_UP},
    {"fc_in", NULL, MLP_UP},
    {"dense_h_to_4h", NULL, MLP_UP},
    {"intermediate.dense", NULL, MLP_UP},
    {"intermediate_dense", NULL, MLP_UP},
    {"lin1", "ffn", MLP_UP},
    {"lin1", "mlp", MLP_UP},
    {"ffn", "*#*", MLP_UP}, /* ALBERT: ffn, ffn_output */
    {"proj_mlp", NULL, MLP_UP},
    {"fc1", "*#*", MLP_UP}, /* within a numbered layer; a bare fc1 is anybody's */
    {"linear1", "*#*", MLP_UP},
    {"down_proj", NULL, MLP_DOWN},
    {"ffn_down", NULL, MLP_DOWN},
    {"wo", NULL, MLP_DOWN}, /* T5's DenseReluDense.wo */
    {"w2", NULL, MLP_DOWN},
    {"mlp.c_proj", NULL, MLP_DOWN},
    {"fc_out", NULL, MLP_DOWN},
    {"dense_4h_to_h", NULL, MLP_DOWN},
    {"output.dense", NULL, MLP_DOWN},
    {"output_dense", NULL, MLP_DOWN},
    {"lin2", "ffn", MLP_DOWN},
    {"lin2", "mlp", MLP_DOWN},
    {"ffn_output", NULL, MLP_DOWN},
    {"fc2", "*#*", MLP_DOWN},
    {"linear2", "*#*", MLP_DOWN},

    /* Heads */
    {"*head", NULL, HEAD},
    {"*", "*head", HEAD},
    {"*", "*_heads", HEAD},
    {"output", "^", HEAD}, /* GGUF, and LLaMA's own names */
    {"score", NULL, HEAD},
    {"fc", "^", HEAD}, /* ResNet */
    {"classifier", NULL, HEAD},
    {"*", "classifier", HEAD},
    {"*_classifier", NULL, HEAD},
    {"qa_outputs", NULL, HEAD},
    {"cls", NULL, HEAD},
    {"*", "cls", HEAD}, /* BERT's cls.predictions */

    /* Convolutions */
    {"conv*", NULL, CONVOLUTION},
    {"*_conv", NULL, CONVOLUTION},
    {"*conv#*", NULL, CONVOLUTION},
    {"conv*.#", NULL, CONVOLUTION},
    {"conv*.parametrizations.weight", NULL, CONVOLUTION}, /* weight norm */
    {"downsample.0", NULL, CONVOLUTION},
};

enum { COMPONENTS_MAX = 16 }; /* the last ones of a name; the rest say nothing about a module */

struct components {
    struct name part[COMPONENTS_MAX];
    unsigned count;
    bool has_all; /* part[0] is the name's first component */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_number(struct name part)
{
    for (uint32_t i = 0; i < part.bytes; i++)
        if (!is_digit(part.text[i]))
            return false;
    return part.bytes > 0;
}

/* Where the name's last component begins. */
static uint32_t last_component(struct name name)
{
    uint32_t at = name.bytes;

    while (at > 0 && name.text[at - 1] != '.')
        at--;
    return at;
}

/* The name up to its component at at, without the dot before it. */
static struct name before(struct name name, uint32_t at)
{
    return (struct name){name.text, at > 0 ? at - 1 : 0};
}

struct name layer_of(struct name name)
{
    uint32_t start = 0;

    while (start <= name.bytes) {
        const char *dot = start < name.bytes ? memchr(name.text + start, '.', name.bytes - start) : NULL;
        uint32_t end = dot ? (uint32_t)(dot - name.text) : name.bytes;

        if (is_number((struct name){name.text + start, end - start}))
            return (struct name){name.text, end};
        start = end + 1;
    }
    return before(name, last_component(name));
}

struct name module_of(struct name name)
{
    uint32_t layer = layer_of(name).bytes;
    uint32_t from = layer > 0 ? layer + 1 : 0, last = last_component(name);

    if (last <= from)
        return (struct name){name.text, 0};
    return (struct name){name.text + from, last - 1 - from};
}

static struct components split(struct name name)
{
    struct components all = {.count = 0};
    struct name part[COMPONENTS_MAX];
    uint32_t end = name.bytes;

    all.has_all = true;
    while (all.count < COMPONENTS_MAX) {
        uint32_t start = last_component((struct name){name.text, end});

        part[all.count++] = (struct name){name.text + start, end - start};
        if (start == 0)
            break;
        end = start - 1;
        all.has_all = all.count < COMPONENTS_MAX;
    }
    for (unsigned i = 0; i < all.count; i++)
        all.part[i] = part[all.count - 1 - i];
    return all;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* '*': any run, '?': any byte, '#': a digit. Backtracks to the last star only, so the work is at most |pattern| ×
 * |text|. */
static bool matches(const char *pattern, size_t pattern_bytes, struct name text)
{
    size_t p = 0, star = SIZE_MAX;
    uint32_t t = 0, star_t = 0;

    while (t < text.bytes) {
        if (p < pattern_bytes && pattern[p] == '*') {
            star = p++;
            star_t = t;
        } else if (p < pattern_bytes && (pattern[p] == '?' || (pattern[p] == '#' && is_digit(text.text[t])) ||
                                         pattern[p] == lower(text.text[t]))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern_bytes && pattern[p] == '*')
        p++;
    return p == pattern_bytes;
}

/* Whether the last of the first count components match pattern; *ret_left is how many stand before those. */
static bool matches_tail(const char *pattern, const struct components *all, unsigned count, unsigned *ret_left)
{
    size_t end = strlen(pattern);

    for (;;) {
        size_t start = end;

        if (count == 0)
            return false;
        while (start > 0 && pattern[start - 1] != '.')
            start--;
        count--;
        if (!matches(pattern + start, end - start, all->part[count]))
            return false;
        if (start == 0)
            break;
        end = start - 1;
    }
    *ret_left = count;
    return true;
}

/* "^": nothing may stand before, but for a wrapper's name. */
static bool is_within(const char *within, const struct components *all, unsigned left)
{
    if (!within)
        return true;
    if (strcmp(within, "^") == 0)
        return all->has_all &&
               (left == 0 || (left == 1 && (matches("model", 5, all->part[0]) || matches("module", 6, all->part[0]))));
    for (unsigned i = 0; i < left; i++)
        if (matches(within, strlen(within), all->part[i]))
            return true;
    return false;
}

/* By the first count components; OTHER when no row knows them. */
static enum module_type type_by_module(const struct components *all, unsigned count)
{
    for (size_t i = 0; i < sizeof(module_rows) / sizeof(module_rows[0]); i++) {
        const struct module_row *row = &module_rows[i];
        unsigned left;

        if (matches_tail(row->pattern, all, count, &left) && is_within(row->within, all, left))
            return row->type;
    }
    return OTHER;
}

unsigned module_type_index(struct name name)
{
    struct components all = split(name);
    struct name parameter = all.part[all.count - 1];
    enum module_type type;

    for (size_t i = 0; i < sizeof(parameter_rows) / sizeof(parameter_rows[0]); i++)
        if (matches(parameter_rows[i].pattern, strlen(parameter_rows[i].pattern), parameter))
            return parameter_rows[i].type;
    type = type_by_module(&all, all.count - 1);
    return type == OTHER ? type_by_module(&all, all.count) : type;
}

const char *module_type_name(unsigned index)
{
    return type_names[index < MODULE_TYPE_COUNT ? index : OTHER];
}

const char *module_type_of(struct name name)
{
    return type_names[module_type_index(name)];
}
