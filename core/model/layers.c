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

/* With its length and its last byte, which alone tells most rows apart. */
#define PATTERN(text) text, sizeof(text) - 1, text[sizeof(text) - 2]

static const struct module_row {
    const char *pattern; /* lower case; the last components of the module's path */
    unsigned pattern_bytes;
    char end;
    const char *within; /* a component before those must match this; NULL: none need */
    enum module_type type;
} module_rows[] = {
    /* Mixtures of experts. Everything below "experts" is an expert's, whatever its name. */
    {PATTERN("*"), "experts", EXPERT},
    {PATTERN("*"), "shared_expert", EXPERT},
    {PATTERN("*"), "shared_experts", EXPERT},
    {PATTERN("*"), "expert_*", EXPERT},
    {PATTERN("ffn_gate_inp"), NULL, ROUTER}, /* GGUF */
    {PATTERN("ffn_gate_inp_shexp"), NULL, ROUTER},
    {PATTERN("ffn_*_exps"), NULL, EXPERT},
    {PATTERN("ffn_*_shexp"), NULL, EXPERT},
    {PATTERN("*"), "router", ROUTER},
    {PATTERN("router"), NULL, ROUTER},
    {PATTERN("gate"), "mlp", ROUTER},
    {PATTERN("gate"), "*moe*", ROUTER},
    {PATTERN("gate"), "feed_forward", ROUTER},
    {PATTERN("gate"), "ffn", ROUTER},
    {PATTERN("shared_expert_gate"), NULL, ROUTER},
    {PATTERN("input_linear"), "*moe*", EXPERT}, /* Granite */
    {PATTERN("output_linear"), "*moe*", EXPERT},
    {PATTERN("ffn_gate.*"), NULL, EXPERT}, /* early GGUF: one tensor an expert */
    {PATTERN("ffn_up.*"), NULL, EXPERT},
    {PATTERN("ffn_down.*"), NULL, EXPERT},

    /* Norms */
    {PATTERN("*norm*"), NULL, NORM},
    {PATTERN("*norm*.#"), NULL, NORM},
    {PATTERN("*_ln"), NULL, NORM},
    {PATTERN("ln"), NULL, NORM},
    {PATTERN("ln_*"), NULL, NORM},
    {PATTERN("bn"), NULL, NORM},
    {PATTERN("bn#"), NULL, NORM},
    {PATTERN("ln#"), NULL, NORM},
    {PATTERN("gn#"), NULL, NORM},
    {PATTERN("downsample.1"), NULL, NORM}, /* ResNet: 0 is the convolution */

    /* Embeddings, and heads whose names would pass for one */
    {PATTERN("embed_out"), NULL, HEAD}, /* GPT-NeoX */
    {PATTERN("time_embedding*"), NULL, OTHER},
    {PATTERN("*"), "time_embedding*", OTHER},
    {PATTERN("rotary_emb*"), NULL, OTHER},
    {PATTERN("*"), "rotary_emb*", OTHER},
    {PATTERN("*embed*"), NULL, EMBEDDING},
    {PATTERN("*_embd"), NULL, EMBEDDING}, /* GGUF */
    {PATTERN("token_types"), NULL, EMBEDDING},
    {PATTERN("wte"), NULL, EMBEDDING},
    {PATTERN("wpe"), NULL, EMBEDDING},
    {PATTERN("shared"), NULL, EMBEDDING}, /* T5 */
    {PATTERN("relative_attention_bias"), NULL, EMBEDDING},
    {PATTERN("cls_token"), NULL, EMBEDDING},
    {PATTERN("mask_token"), NULL, EMBEDDING},
    {PATTERN("distillation_token"), NULL, EMBEDDING},
    {PATTERN("proj*"), "*patch_embed*", EMBEDDING},

    /* Feed-forward parts that stand below something called attention (diffusers) */
    {PATTERN("ff*.net.0.proj"), NULL, MLP_UP},
    {PATTERN("ff*.net.2"), NULL, MLP_DOWN},

    /* Attention */
    {PATTERN("qkv*"), NULL, ATTENTION_QKV},
    {PATTERN("to_qkv"), NULL, ATTENTION_QKV},
    {PATTERN("wqkv"), NULL, ATTENTION_QKV},
    {PATTERN("attn_qkv"), NULL, ATTENTION_QKV},
    {PATTERN("query_key_value"), NULL, ATTENTION_QKV},
    {PATTERN("c_attn"), NULL, ATTENTION_QKV},
    {PATTERN("in_proj*"), "*att*", ATTENTION_QKV},
    {PATTERN("kv_a_proj_with_mqa"), NULL, ATTENTION_QKV}, /* DeepSeek: keys and values in one */
    {PATTERN("kv_b_proj"), NULL, ATTENTION_QKV},
    {PATTERN("attn_kv_*"), NULL, ATTENTION_QKV},
    {PATTERN("q_proj"), NULL, ATTENTION_Q},
    {PATTERN("q_?_proj"), NULL, ATTENTION_Q},
    {PATTERN("to_q"), NULL, ATTENTION_Q},
    {PATTERN("add_q_proj"), NULL, ATTENTION_Q},
    {PATTERN("attn_q"), NULL, ATTENTION_Q},
    {PATTERN("attn_q_?"), NULL, ATTENTION_Q},
    {PATTERN("wq*"), NULL, ATTENTION_Q},
    {PATTERN("q_lin"), NULL, ATTENTION_Q},
    {PATTERN("query"), "*att*", ATTENTION_Q},
    {PATTERN("query_proj"), "*att*", ATTENTION_Q},
    {PATTERN("q"), "*att*", ATTENTION_Q},
    {PATTERN("k_proj"), NULL, ATTENTION_K},
    {PATTERN("to_k"), NULL, ATTENTION_K},
    {PATTERN("add_k_proj"), NULL, ATTENTION_K},
    {PATTERN("attn_k"), NULL, ATTENTION_K},
    {PATTERN("attn_k_?"), NULL, ATTENTION_K},
    {PATTERN("wk"), NULL, ATTENTION_K},
    {PATTERN("k_lin"), NULL, ATTENTION_K},
    {PATTERN("key"), "*att*", ATTENTION_K},
    {PATTERN("key_proj"), "*att*", ATTENTION_K},
    {PATTERN("k"), "*att*", ATTENTION_K},
    {PATTERN("v_proj"), NULL, ATTENTION_V},
    {PATTERN("to_v"), NULL, ATTENTION_V},
    {PATTERN("add_v_proj"), NULL, ATTENTION_V},
    {PATTERN("attn_v"), NULL, ATTENTION_V},
    {PATTERN("attn_v_?"), NULL, ATTENTION_V},
    {PATTERN("wv"), NULL, ATTENTION_V},
    {PATTERN("v_lin"), NULL, ATTENTION_V},
    {PATTERN("value"), "*att*", ATTENTION_V},
    {PATTERN("value_proj"), "*att*", ATTENTION_V},
    {PATTERN("v"), "*att*", ATTENTION_V},
    {PATTERN("o_proj"), NULL, ATTENTION_OUTPUT},
    {PATTERN("to_out"), NULL, ATTENTION_OUTPUT},
    {PATTERN("to_out.0"), NULL, ATTENTION_OUTPUT},
    {PATTERN("to_add_out"), NULL, ATTENTION_OUTPUT},
    {PATTERN("attn_out*"), NULL, ATTENTION_OUTPUT},
    {PATTERN("out_lin"), NULL, ATTENTION_OUTPUT},
    {PATTERN("wo"), "*att*", ATTENTION_OUTPUT},
    {PATTERN("o"), "*att*", ATTENTION_OUTPUT},
    {PATTERN("out_proj"), "*att*", ATTENTION_OUTPUT},
    {PATTERN("c_proj"), "*att*", ATTENTION_OUTPUT},
    {PATTERN("proj"), "*att*", ATTENTION_OUTPUT},
    {PATTERN("projection"), "*att*", ATTENTION_OUTPUT},
    {PATTERN("output"), "*att*", ATTENTION_OUTPUT},
    {PATTERN("proj_attn"), NULL, ATTENTION_OUTPUT},
    {PATTERN("dense"), "*att*", ATTENTION_OUTPUT}, /* BERT's attention.output.dense, Falcon's self_attention.dense */

    /* Feed-forward; a fused gate and up counts as the gate */
    {PATTERN("gate_proj"), NULL, MLP_GATE},
    {PATTERN("gate_up_proj"), NULL, MLP_GATE},
    {PATTERN("ffn_gate"), NULL, MLP_GATE},
    {PATTERN("wi_0"), NULL, MLP_GATE},
    {PATTERN("w1"), NULL, MLP_GATE},
    {PATTERN("up_proj"), NULL, MLP_UP},
    {PATTERN("ffn_up"), NULL, MLP_UP},
    {PATTERN("wi"), NULL, MLP_UP},
    {PATTERN("wi_1"), NULL, MLP_UP},
    {PATTERN("w3"), NULL, MLP_UP},
    {PATTERN("c_fc"), NULL, MLP_UP},
    {PATTERN("fc_in"), NULL, MLP_UP},
    {PATTERN("dense_h_to_4h"), NULL, MLP_UP},
    {PATTERN("intermediate.dense"), NULL, MLP_UP},
    {PATTERN("intermediate_dense"), NULL, MLP_UP},
    {PATTERN("lin1"), "ffn", MLP_UP},
    {PATTERN("lin1"), "mlp", MLP_UP},
    {PATTERN("ffn"), "*#*", MLP_UP}, /* ALBERT: ffn, ffn_output */
    {PATTERN("proj_mlp"), NULL, MLP_UP},
    {PATTERN("fc1"), "*#*", MLP_UP}, /* within a numbered layer; a bare fc1 is anybody's */
    {PATTERN("linear1"), "*#*", MLP_UP},
    {PATTERN("down_proj"), NULL, MLP_DOWN},
    {PATTERN("ffn_down"), NULL, MLP_DOWN},
    {PATTERN("wo"), NULL, MLP_DOWN}, /* T5's DenseReluDense.wo */
    {PATTERN("w2"), NULL, MLP_DOWN},
    {PATTERN("mlp.c_proj"), NULL, MLP_DOWN},
    {PATTERN("fc_out"), NULL, MLP_DOWN},
    {PATTERN("dense_4h_to_h"), NULL, MLP_DOWN},
    {PATTERN("output.dense"), NULL, MLP_DOWN},
    {PATTERN("output_dense"), NULL, MLP_DOWN},
    {PATTERN("lin2"), "ffn", MLP_DOWN},
    {PATTERN("lin2"), "mlp", MLP_DOWN},
    {PATTERN("ffn_output"), NULL, MLP_DOWN},
    {PATTERN("fc2"), "*#*", MLP_DOWN},
    {PATTERN("linear2"), "*#*", MLP_DOWN},

    /* Heads */
    {PATTERN("*head"), NULL, HEAD},
    {PATTERN("*"), "*head", HEAD},
    {PATTERN("*"), "*_heads", HEAD},
    {PATTERN("output"), "^", HEAD}, /* GGUF, and LLaMA's own names */
    {PATTERN("score"), NULL, HEAD},
    {PATTERN("fc"), "^", HEAD}, /* ResNet */
    {PATTERN("classifier"), NULL, HEAD},
    {PATTERN("*"), "classifier", HEAD},
    {PATTERN("*_classifier"), NULL, HEAD},
    {PATTERN("qa_outputs"), NULL, HEAD},
    {PATTERN("cls"), NULL, HEAD},
    {PATTERN("*"), "cls", HEAD}, /* BERT's cls.predictions */

    /* Convolutions */
    {PATTERN("conv*"), NULL, CONVOLUTION},
    {PATTERN("*_conv"), NULL, CONVOLUTION},
    {PATTERN("*conv#*"), NULL, CONVOLUTION},
    {PATTERN("conv*.#"), NULL, CONVOLUTION},
    {PATTERN("conv*.parametrizations.weight"), NULL, CONVOLUTION}, /* weight norm */
    {PATTERN("downsample.0"), NULL, CONVOLUTION},
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

int layered_compare(const void *left, const void *right)
{
    const struct layered *a = left, *b = right;
    int order = name_compare_natural(a->layer, b->layer);

    return order ? order : a->index < b->index ? -1 : a->index > b->index;
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

/* Whether what ends in end may match a pattern that ends in pattern_end. */
static bool may_end_in(char pattern_end, char end)
{
    return pattern_end == end || pattern_end == '*' || pattern_end == '?' || (pattern_end == '#' && is_digit(end));
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

/* Whether the last of the first count components match the row's pattern; *ret_left is how many stand before those. */
static bool matches_tail(const struct module_row *row, const struct components *all, unsigned count, unsigned *ret_left)
{
    const char *pattern = row->pattern;
    size_t end = row->pattern_bytes;

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
    struct name last;
    char end;

    if (count == 0)
        return OTHER;
    last = all->part[count - 1];
    end = last.bytes ? lower(last.text[last.bytes - 1]) : '\0';
    for (size_t i = 0; i < sizeof(module_rows) / sizeof(module_rows[0]); i++) {
        const struct module_row *row = &module_rows[i];
        unsigned left;

        if (may_end_in(row->end, end) && matches_tail(row, all, count, &left) && is_within(row->within, all, left))
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
