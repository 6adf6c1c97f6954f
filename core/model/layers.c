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

/* A byte of a pattern, or of a lower-case name, as one bit of a set. */
#define BIT(c)                                                                                                         \
    (UINT64_C(1) << ((c) >= 'a' && (c) <= 'z'   ? (c) - 'a'                                                            \
                     : (c) >= '0' && (c) <= '9' ? 26                                                                   \
                     : (c) == '*'               ? 27                                                                   \
                     : (c) == '?'               ? 28                                                                   \
                     : (c) == '#'               ? 29                                                                   \
                                                : 30))
enum { END_SHIFT = 32 };

/* What the last components of a path are held against. */
struct pattern {
    const char *text;    /* lower case */
    uint8_t bytes, last; /* where its last component starts */
    uint64_t bits;       /* of that one's first byte, and above END_SHIFT of its last: they tell nearly all apart */
};
#define PATH(before, component)                                                                                        \
    {                                                                                                                  \
        before component, sizeof(before component) - 1, sizeof(before) - 1,                                            \
            BIT(component[0]) | BIT(component[sizeof(component) - 2]) << END_SHIFT                                     \
    }
#define PATTERN(component) PATH("", component)
#define ANYWHERE                                                                                                       \
    {                                                                                                                  \
        0                                                                                                              \
    }
#define OUTERMOST PATTERN("^") /* nothing may stand before, but for a wrapper's name */

/* The parameter's own name decides before its module does: a bias is a bias wherever it stands. */
static const struct parameter_row {
    struct pattern pattern;
    enum module_type type;
} parameter_rows[] = {
    {PATTERN("bias"), BIAS},         {PATTERN("*_bias"), BIAS}, /* e_score_correction_bias, q_bias, in_proj_bias */
    {PATTERN("bias_*"), BIAS},                                  /* bias_ih_l0 */
    {PATTERN("running_mean"), NORM}, {PATTERN("running_var"), NORM}, {PATTERN("num_batches_tracked"), NORM},
    {PATTERN("gamma"), NORM},        {PATTERN("beta"), BIAS},
};

static const struct module_row {
    struct pattern tail;   /* of the last components of the module's path */
    struct pattern within; /* a component before those must match this */
    enum module_type type;
} module_rows[] = {
    /* Mixtures of experts. Everything below "experts" is an expert's, whatever its name. */
    {PATTERN("*"), PATTERN("experts"), EXPERT},
    {PATTERN("*"), PATTERN("shared_expert"), EXPERT},
    {PATTERN("*"), PATTERN("shared_experts"), EXPERT},
    {PATTERN("*"), PATTERN("expert_*"), EXPERT},
    {PATTERN("ffn_gate_inp"), ANYWHERE, ROUTER}, /* GGUF */
    {PATTERN("ffn_gate_inp_shexp"), ANYWHERE, ROUTER},
    {PATTERN("ffn_*_exps"), ANYWHERE, EXPERT},
    {PATTERN("ffn_*_shexp"), ANYWHERE, EXPERT},
    {PATTERN("*"), PATTERN("router"), ROUTER},
    {PATTERN("router"), ANYWHERE, ROUTER},
    {PATTERN("gate"), PATTERN("mlp"), ROUTER},
    {PATTERN("gate"), PATTERN("*moe*"), ROUTER},
    {PATTERN("gate"), PATTERN("feed_forward"), ROUTER},
    {PATTERN("gate"), PATTERN("ffn"), ROUTER},
    {PATTERN("shared_expert_gate"), ANYWHERE, ROUTER},
    {PATTERN("input_linear"), PATTERN("*moe*"), EXPERT}, /* Granite */
    {PATTERN("output_linear"), PATTERN("*moe*"), EXPERT},
    {PATH("ffn_gate.", "*"), ANYWHERE, EXPERT}, /* early GGUF: one tensor an expert */
    {PATH("ffn_up.", "*"), ANYWHERE, EXPERT},
    {PATH("ffn_down.", "*"), ANYWHERE, EXPERT},

    /* Norms */
    {PATTERN("*norm*"), ANYWHERE, NORM},
    {PATH("*norm*.", "#"), ANYWHERE, NORM},
    {PATTERN("*_ln"), ANYWHERE, NORM},
    {PATTERN("ln"), ANYWHERE, NORM},
    {PATTERN("ln_*"), ANYWHERE, NORM},
    {PATTERN("bn"), ANYWHERE, NORM},
    {PATTERN("bn#"), ANYWHERE, NORM},
    {PATTERN("ln#"), ANYWHERE, NORM},
    {PATTERN("gn#"), ANYWHERE, NORM},
    {PATH("downsample.", "1"), ANYWHERE, NORM}, /* ResNet: 0 is the convolution */

    /* Embeddings, and heads whose names would pass for one */
    {PATTERN("embed_out"), ANYWHERE, HEAD}, /* GPT-NeoX */
    {PATTERN("time_embedding*"), ANYWHERE, OTHER},
    {PATTERN("*"), PATTERN("time_embedding*"), OTHER},
    {PATTERN("rotary_emb*"), ANYWHERE, OTHER},
    {PATTERN("*"), PATTERN("rotary_emb*"), OTHER},
    {PATTERN("*embed*"), ANYWHERE, EMBEDDING},
    {PATTERN("*_embd"), ANYWHERE, EMBEDDING}, /* GGUF */
    {PATTERN("token_types"), ANYWHERE, EMBEDDING},
    {PATTERN("wte"), ANYWHERE, EMBEDDING},
    {PATTERN("wpe"), ANYWHERE, EMBEDDING},
    {PATTERN("shared"), ANYWHERE, EMBEDDING}, /* T5 */
    {PATTERN("relative_attention_bias"), ANYWHERE, EMBEDDING},
    {PATTERN("cls_token"), ANYWHERE, EMBEDDING},
    {PATTERN("mask_token"), ANYWHERE, EMBEDDING},
    {PATTERN("distillation_token"), ANYWHERE, EMBEDDING},
    {PATTERN("proj*"), PATTERN("*patch_embed*"), EMBEDDING},

    /* Feed-forward parts that stand below something called attention (diffusers) */
    {PATH("ff*.net.0.", "proj"), ANYWHERE, MLP_UP},
    {PATH("ff*.net.", "2"), ANYWHERE, MLP_DOWN},

    /* Attention */
    {PATTERN("qkv*"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("to_qkv"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("wqkv"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("attn_qkv"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("query_key_value"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("c_attn"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("in_proj*"), PATTERN("*att*"), ATTENTION_QKV},
    {PATTERN("kv_a_proj_with_mqa"), ANYWHERE, ATTENTION_QKV}, /* DeepSeek: keys and values in one */
    {PATTERN("kv_b_proj"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("attn_kv_*"), ANYWHERE, ATTENTION_QKV},
    {PATTERN("q_proj"), ANYWHERE, ATTENTION_Q},
    {PATTERN("q_?_proj"), ANYWHERE, ATTENTION_Q},
    {PATTERN("to_q"), ANYWHERE, ATTENTION_Q},
    {PATTERN("add_q_proj"), ANYWHERE, ATTENTION_Q},
    {PATTERN("attn_q"), ANYWHERE, ATTENTION_Q},
    {PATTERN("attn_q_?"), ANYWHERE, ATTENTION_Q},
    {PATTERN("wq*"), ANYWHERE, ATTENTION_Q},
    {PATTERN("q_lin"), ANYWHERE, ATTENTION_Q},
    {PATTERN("query"), PATTERN("*att*"), ATTENTION_Q},
    {PATTERN("query_proj"), PATTERN("*att*"), ATTENTION_Q},
    {PATTERN("q"), PATTERN("*att*"), ATTENTION_Q},
    {PATTERN("k_proj"), ANYWHERE, ATTENTION_K},
    {PATTERN("to_k"), ANYWHERE, ATTENTION_K},
    {PATTERN("add_k_proj"), ANYWHERE, ATTENTION_K},
    {PATTERN("attn_k"), ANYWHERE, ATTENTION_K},
    {PATTERN("attn_k_?"), ANYWHERE, ATTENTION_K},
    {PATTERN("wk"), ANYWHERE, ATTENTION_K},
    {PATTERN("k_lin"), ANYWHERE, ATTENTION_K},
    {PATTERN("key"), PATTERN("*att*"), ATTENTION_K},
    {PATTERN("key_proj"), PATTERN("*att*"), ATTENTION_K},
    {PATTERN("k"), PATTERN("*att*"), ATTENTION_K},
    {PATTERN("v_proj"), ANYWHERE, ATTENTION_V},
    {PATTERN("to_v"), ANYWHERE, ATTENTION_V},
    {PATTERN("add_v_proj"), ANYWHERE, ATTENTION_V},
    {PATTERN("attn_v"), ANYWHERE, ATTENTION_V},
    {PATTERN("attn_v_?"), ANYWHERE, ATTENTION_V},
    {PATTERN("wv"), ANYWHERE, ATTENTION_V},
    {PATTERN("v_lin"), ANYWHERE, ATTENTION_V},
    {PATTERN("value"), PATTERN("*att*"), ATTENTION_V},
    {PATTERN("value_proj"), PATTERN("*att*"), ATTENTION_V},
    {PATTERN("v"), PATTERN("*att*"), ATTENTION_V},
    {PATTERN("o_proj"), ANYWHERE, ATTENTION_OUTPUT},
    {PATTERN("to_out"), ANYWHERE, ATTENTION_OUTPUT},
    {PATH("to_out.", "0"), ANYWHERE, ATTENTION_OUTPUT},
    {PATTERN("to_add_out"), ANYWHERE, ATTENTION_OUTPUT},
    {PATTERN("attn_out*"), ANYWHERE, ATTENTION_OUTPUT},
    {PATTERN("out_lin"), ANYWHERE, ATTENTION_OUTPUT},
    {PATTERN("wo"), PATTERN("*att*"), ATTENTION_OUTPUT},
    {PATTERN("o"), PATTERN("*att*"), ATTENTION_OUTPUT},
    {PATTERN("out_proj"), PATTERN("*att*"), ATTENTION_OUTPUT},
    {PATTERN("c_proj"), PATTERN("*att*"), ATTENTION_OUTPUT},
    {PATTERN("proj"), PATTERN("*att*"), ATTENTION_OUTPUT},
    {PATTERN("projection"), PATTERN("*att*"), ATTENTION_OUTPUT},
    {PATTERN("output"), PATTERN("*att*"), ATTENTION_OUTPUT},
    {PATTERN("proj_attn"), ANYWHERE, ATTENTION_OUTPUT},
    {PATTERN("dense"), PATTERN("*att*"),
     ATTENTION_OUTPUT}, /* BERT's attention.output.dense, Falcon's self_attention.dense */

    /* Feed-forward; a fused gate and up counts as the gate */
    {PATTERN("gate_proj"), ANYWHERE, MLP_GATE},
    {PATTERN("gate_up_proj"), ANYWHERE, MLP_GATE},
    {PATTERN("ffn_gate"), ANYWHERE, MLP_GATE},
    {PATTERN("wi_0"), ANYWHERE, MLP_GATE},
    {PATTERN("w1"), ANYWHERE, MLP_GATE},
    {PATTERN("up_proj"), ANYWHERE, MLP_UP},
    {PATTERN("ffn_up"), ANYWHERE, MLP_UP},
    {PATTERN("wi"), ANYWHERE, MLP_UP},
    {PATTERN("wi_1"), ANYWHERE, MLP_UP},
    {PATTERN("w3"), ANYWHERE, MLP_UP},
    {PATTERN("c_fc"), ANYWHERE, MLP_UP},
    {PATTERN("fc_in"), ANYWHERE, MLP_UP},
    {PATTERN("dense_h_to_4h"), ANYWHERE, MLP_UP},
    {PATH("intermediate.", "dense"), ANYWHERE, MLP_UP},
    {PATTERN("intermediate_dense"), ANYWHERE, MLP_UP},
    {PATTERN("lin1"), PATTERN("ffn"), MLP_UP},
    {PATTERN("lin1"), PATTERN("mlp"), MLP_UP},
    {PATTERN("ffn"), PATTERN("*#*"), MLP_UP}, /* ALBERT: ffn, ffn_output */
    {PATTERN("proj_mlp"), ANYWHERE, MLP_UP},
    {PATTERN("fc1"), PATTERN("*#*"), MLP_UP}, /* within a numbered layer; a bare fc1 is anybody's */
    {PATTERN("linear1"), PATTERN("*#*"), MLP_UP},
    {PATTERN("down_proj"), ANYWHERE, MLP_DOWN},
    {PATTERN("ffn_down"), ANYWHERE, MLP_DOWN},
    {PATTERN("wo"), ANYWHERE, MLP_DOWN}, /* T5's DenseReluDense.wo */
    {PATTERN("w2"), ANYWHERE, MLP_DOWN},
    {PATH("mlp.", "c_proj"), ANYWHERE, MLP_DOWN},
    {PATTERN("fc_out"), ANYWHERE, MLP_DOWN},
    {PATTERN("dense_4h_to_h"), ANYWHERE, MLP_DOWN},
    {PATH("output.", "dense"), ANYWHERE, MLP_DOWN},
    {PATTERN("output_dense"), ANYWHERE, MLP_DOWN},
    {PATTERN("lin2"), PATTERN("ffn"), MLP_DOWN},
    {PATTERN("lin2"), PATTERN("mlp"), MLP_DOWN},
    {PATTERN("ffn_output"), ANYWHERE, MLP_DOWN},
    {PATTERN("fc2"), PATTERN("*#*"), MLP_DOWN},
    {PATTERN("linear2"), PATTERN("*#*"), MLP_DOWN},

    /* Heads */
    {PATTERN("*head"), ANYWHERE, HEAD},
    {PATTERN("*"), PATTERN("*head"), HEAD},
    {PATTERN("*"), PATTERN("*_heads"), HEAD},
    {PATTERN("output"), OUTERMOST, HEAD}, /* GGUF, and LLaMA's own names */
    {PATTERN("score"), ANYWHERE, HEAD},
    {PATTERN("fc"), OUTERMOST, HEAD}, /* ResNet */
    {PATTERN("classifier"), ANYWHERE, HEAD},
    {PATTERN("*"), PATTERN("classifier"), HEAD},
    {PATTERN("*_classifier"), ANYWHERE, HEAD},
    {PATTERN("qa_outputs"), ANYWHERE, HEAD},
    {PATTERN("cls"), ANYWHERE, HEAD},
    {PATTERN("*"), PATTERN("cls"), HEAD}, /* BERT's cls.predictions */

    /* Convolutions */
    {PATTERN("conv*"), ANYWHERE, CONVOLUTION},
    {PATTERN("*_conv"), ANYWHERE, CONVOLUTION},
    {PATTERN("*conv#*"), ANYWHERE, CONVOLUTION},
    {PATH("conv*.", "#"), ANYWHERE, CONVOLUTION},
    {PATH("conv*.parametrizations.", "weight"), ANYWHERE, CONVOLUTION}, /* weight norm */
    {PATH("downsample.", "0"), ANYWHERE, CONVOLUTION},
};

enum { COMPONENTS_MAX = 16 }; /* the last ones of a name; the rest say nothing about a module */

struct component {
    struct name name;
    uint64_t bits; /* of what patterns that match may begin with, and end in */
};

struct components {
    struct component part[COMPONENTS_MAX];
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

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* What may stand for the byte in a pattern. */
static uint64_t bits_of(char byte)
{
    const char c = lower(byte);

    return BIT(c) | BIT('*') | BIT('?') | (is_digit(c) ? BIT('#') : 0);
}

static struct component component_of(const char *text, uint32_t bytes)
{
    struct component part = {.name = {text, bytes}, .bits = BIT('*') | BIT('*') << END_SHIFT};

    if (bytes > 0)
        part.bits = bits_of(text[0]) | bits_of(text[bytes - 1]) << END_SHIFT;
    return part;
}

static void split(struct name name, struct components *ret)
{
    uint32_t end = name.bytes;

    ret->count = 0;
    ret->has_all = true;
    while (ret->count < COMPONENTS_MAX) {
        uint32_t start = last_component((struct name){name.text, end});

        ret->part[ret->count++] = component_of(name.text + start, end - start);
        if (start == 0)
            break;
        end = start - 1;
        ret->has_all = ret->count < COMPONENTS_MAX;
    }
    for (unsigned i = 0; i < ret->count / 2; i++) {
        const struct component kept = ret->part[i];

        ret->part[i] = ret->part[ret->count - 1 - i];
        ret->part[ret->count - 1 - i] = kept;
    }
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

static inline bool may_match(const struct pattern *pattern, const struct component *part)
{
    return (pattern->bits & part->bits) == pattern->bits;
}

/* A pattern of one component. */
static inline bool component_matches(const struct pattern *pattern, const struct component *part)
{
    return may_match(pattern, part) && matches(pattern->text, pattern->bytes, part->name);
}

static inline bool is_star(const char *pattern, size_t bytes)
{
    return bytes == 1 && pattern[0] == '*';
}

/* Whether the last of the first count components match the pattern; *ret_left is how many stand before those. */
static bool matches_tail(const struct pattern *tail, const struct components *all, unsigned count, unsigned *ret_left)
{
    size_t start = tail->last, end = tail->bytes;

    while (count > 0 && (is_star(tail->text + start, end - start) ||
                         matches(tail->text + start, end - start, all->part[count - 1].name))) {
        count--;
        *ret_left = count;
        if (start == 0)
            return true;
        end = start - 1;
        start = end;
        while (start > 0 && tail->text[start - 1] != '.')
            start--;
    }
    return false;
}

static bool is_outermost(const struct components *all, unsigned left)
{
    static const struct pattern wrappers[] = {PATTERN("model"), PATTERN("module")};

    return all->has_all && (left == 0 || (left == 1 && (component_matches(&wrappers[0], &all->part[0]) ||
                                                        component_matches(&wrappers[1], &all->part[0]))));
}

static bool is_within(const struct pattern *within, const struct components *all, unsigned left)
{
    if (!within->text)
        return true;
    if (within->text[0] == '^')
        return is_outermost(all, left);
    for (unsigned i = 0; i < left; i++)
        if (component_matches(within, &all->part[i]))
            return true;
    return false;
}

/* By the first count components; OTHER when no row knows them. */
static enum module_type type_by_module(const struct components *all, unsigned count)
{
    if (count == 0)
        return OTHER;
    for (size_t i = 0; i < sizeof(module_rows) / sizeof(module_rows[0]); i++) {
        const struct module_row *row = &module_rows[i];
        unsigned left;

        if (may_match(&row->tail, &all->part[count - 1]) && matches_tail(&row->tail, all, count, &left) &&
            is_within(&row->within, all, left))
            return row->type;
    }
    return OTHER;
}

unsigned module_type_index(struct name name)
{
    struct components all;
    enum module_type type;

    split(name, &all);
    for (size_t i = 0; i < sizeof(parameter_rows) / sizeof(parameter_rows[0]); i++)
        if (component_matches(&parameter_rows[i].pattern, &all.part[all.count - 1]))
            return parameter_rows[i].type;
    type = type_by_module(&all, all.count - 1);
    return type == OTHER ? type_by_module(&all, all.count) : type;
}

/* Past the component that starts at at. *ret_is_long: it is a number of several digits, which no row tells from another
 * such number. */
static uint32_t past_component(struct name name, uint32_t at, bool *ret_is_long)
{
    const uint32_t start = at;
    bool is_number = true;

    for (; at < name.bytes && name.text[at] != '.'; at++)
        is_number = is_number && is_digit(name.text[at]);
    *ret_is_long = is_number && at - start > 1;
    return at;
}

/* The hash of a name with its long numbers left out. */
static uint64_t module_hash(struct name name)
{
    uint64_t hash = 14695981039346656037u;

    for (uint32_t at = 0, end; at < name.bytes; at = end + 1) {
        bool is_long;

        end = past_component(name, at, &is_long);
        for (; !is_long && at < end; at++)
            hash = (hash ^ (unsigned char)name.text[at]) * 1099511628211u;
        hash = (hash ^ '.') * 1099511628211u;
    }
    return hash ^ hash >> 32;
}

/* Whether the names differ in long numbers at most. */
static bool is_module_equal(struct name a, struct name b)
{
    uint32_t i = 0, j = 0;

    while (i < a.bytes && j < b.bytes) {
        bool is_long, is_other_long;
        const uint32_t end = past_component(a, i, &is_long), other_end = past_component(b, j, &is_other_long);

        if (is_long != is_other_long ||
            (!is_long && (end - i != other_end - j || memcmp(a.text + i, b.text + j, end - i) != 0)))
            return false;
        i = end + 1;
        j = other_end + 1;
    }
    return (i > a.bytes) == (j > b.bytes) && (i < a.bytes) == (j < b.bytes);
}

unsigned module_memo_index(struct module_memo *memo, struct name name)
{
    const uint64_t hash = module_hash(name);
    struct module_known *known = &memo->known[hash % MODULE_MEMO_SLOTS];

    if (known->name.bytes == 0 || !is_module_equal(known->name, name))
        *known = (struct module_known){name, module_type_index(name)};
    return known->type;
}

const char *module_type_name(unsigned index)
{
    return type_names[index < MODULE_TYPE_COUNT ? index : OTHER];
}

const char *module_type_of(struct name name)
{
    return type_names[module_type_index(name)];
}
