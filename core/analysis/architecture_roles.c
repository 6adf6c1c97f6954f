/* The module types of core/model/layers.h decide, after what they do not know: which projections touch the residual
 * stream, which stand in cross attention or in shared experts and would mislead. */
#include "core/analysis/architecture_roles.h"

#include <string.h>

#include "core/model/layers.h"

bool name_is(struct name name, const char *text)
{
    return name_equal(name, name_of(text));
}

bool name_is_one_of(struct name name, const char *const *list)
{
    for (; *list; list++)
        if (name_is(name, *list))
            return true;
    return false;
}

struct name name_last(struct name name, struct name *ret_rest)
{
    uint32_t at = name.bytes;

    while (at > 0 && name.text[at - 1] != '.')
        at--;
    *ret_rest = (struct name){name.text, at > 0 ? at - 1 : 0};
    return (struct name){name.text + at, name.bytes - at};
}

bool name_has_component(struct name name, const char *const *list)
{
    while (name.bytes > 0) {
        struct name rest;

        if (name_is_one_of(name_last(name, &rest), list))
            return true;
        name = rest;
    }
    return false;
}

bool name_holds(struct name name, const char *text)
{
    return name.bytes > 0 && memmem(name.text, name.bytes, text, strlen(text)) != NULL;
}

static const char *const cross[] = {"EncDecAttention", "encoder_attn",    "crossattention",
                                    "cross_attn",      "cross_attention", "attn2",
                                    "linear_attn",     "ff_context",      NULL};
static const char *const shared_experts[] = {"shared_expert", "shared_experts", "shared_mlp", NULL};
static const char *const not_plain_q[] = {"q_a_proj", "q_b_proj", "attn_q_a", "attn_q_b", "add_q_proj", NULL};
static const char *const not_plain_k[] = {"add_k_proj", "attn_k_a", "attn_k_b", NULL};
static const char *const latent[] = {"kv_a_proj_with_mqa", "attn_kv_a_mqa", NULL};
static const char *const not_fused[] = {"kv_b_proj", "attn_kv_b", NULL};
static const char *const q_norms[] = {"q_norm", "q_layernorm", "query_norm", "norm_q", "attn_q_norm", NULL};
static const char *const k_norms[] = {"k_norm", "k_layernorm", "key_norm", "norm_k", "attn_k_norm", NULL};
static const char *const expert_downs[] = {
    "down_proj", "w2", "output_linear", "wo", "ffn_down_exps", "c_proj", "dense_4h_to_h", "fc2", NULL};
static const char *const mixers[] = {"mixer", "mamba", "ssm", NULL};
static const char *const mixer_ends[] = {"in_proj", "out_proj", NULL};
static const char *const feed_forward[] = {"feed_forward", NULL};

static enum role role_of_other(struct name rest, struct name tail, struct name parameter)
{
    if (name_is_one_of(tail, q_norms))
        return ROLE_Q_NORM;
    if (name_is_one_of(tail, k_norms))
        return ROLE_K_NORM;
    if (name_is(parameter, "relative_position_bias_table") || name_is(tail, "relative_attention_bias"))
        return ROLE_HEAD_COLUMNS;
    if (name_is(parameter, "sinks"))
        return ROLE_HEAD_ITEMS;
    if (name_is(parameter, "rel_pos_h") || name_is(parameter, "emb_rel_k"))
        return ROLE_HEAD_SIZED;
    if (name_has_component(rest, mixers) && name_is_one_of(tail, mixer_ends))
        return ROLE_MIXER;
    if (name_has_component(rest, feed_forward) && (name_is(tail, "value") || name_is(tail, "conv_2")))
        return ROLE_DOWN; /* RWKV, VITS */
    if (name_has_component(rest, feed_forward) && (name_is(tail, "key") || name_is(tail, "conv_1")))
        return ROLE_UP;
    return ROLE_NONE;
}

static enum role role_of_expert(struct name rest, struct name tail)
{
    if (name_has_component(rest, shared_experts) || !name_is_one_of(tail, expert_downs))
        return ROLE_NONE;
    return ROLE_EXPERT_DOWN;
}

enum role role_of(struct name name, struct name rest)
{
    const char *type = module_type_of(name);
    struct name module, path, parameter = name_last(rest, &module), tail = name_last(module, &path);
    enum role role;

    if (strcmp(type, "bias") == 0 && !name_is(parameter, "relative_position_bias_table"))
        return ROLE_NONE;
    if (!name_is(parameter, "weight")) /* parameters without a module: experts.down_proj, in_proj_weight */
        tail = parameter;
    if (name_has_component(rest, cross))
        return ROLE_NONE;
    if (strcmp(type, "expert") == 0)
        return role_of_expert(rest, tail);
    role = role_of_other(rest, tail, parameter);
    if (role != ROLE_NONE)
        return role;
    if (strcmp(type, "attention_q") == 0)
        return name_is_one_of(tail, not_plain_q) ? ROLE_NONE : ROLE_Q;
    if (strcmp(type, "attention_k") == 0)
        return name_is_one_of(tail, not_plain_k) ? ROLE_NONE : ROLE_K;
    if (strcmp(type, "attention_qkv") == 0)
        return name_is_one_of(tail, latent) ? ROLE_LATENT : name_is_one_of(tail, not_fused) ? ROLE_NONE : ROLE_QKV;
    if (strcmp(type, "attention_output") == 0)
        return name_is(tail, "to_add_out") ? ROLE_NONE : ROLE_O;
    if (strcmp(type, "mlp_up") == 0 || strcmp(type, "mlp_gate") == 0)
        return ROLE_UP;
    if (strcmp(type, "mlp_down") == 0)
        return ROLE_DOWN;
    return strcmp(type, "norm") == 0 && name_is(parameter, "weight") ? ROLE_NORM : ROLE_NONE;
}

bool role_is_recurrent(struct name rest)
{
    static const char *const marks[] = {"A_log", "time_decay", "time_first", "ssm_a", NULL};

    return name_has_component(rest, marks);
}
