/* Names of checkpoints in one spelling: what one library calls "encoder.layer.3.attention.attention.query" another
 * calls "layers.3.self_attn.q_proj". Words are the segments between dots, or several of them; which of them are the
 * same is a row of the tables below. A spelling is no proof: values are. */
#include "core/align/layout_work.h"

#include <stdlib.h>
#include <string.h>

/* Inside attention and feed-forward modules, short words have a meaning of their own. */
enum spelling_place { ANYWHERE, IN_ATTENTION, IN_FEED_FORWARD, PLACES };

/* Words that mean the same, separated by "|"; a "#" behind a dot is a number, which is looked at and not taken. Of two
 * words that begin alike the longer stands first. */
static const struct spelling_row {
    enum spelling_place place;
    const char *words, *means; /* "": nothing is said by it */
} spelling_rows[] = {
    {ANYWHERE,
     "model|module|_orig_mod|state_dict|language_model|text_model|text_encoder|base_model|backbone|transformer|llm|"
     "linear|radio_model|bert|roberta|distilbert|nomic_bert|xlm_roberta|electra|camembert|gpt_neox|new|gte",
     ""},
    {ANYWHERE,
     "encoder.layers.#|encoder.layer.#|encoder.blocks.#|encoder.block.#|layers.layers.#|layers.#|layer.#|blocks.#|"
     "block.#|h.#|resblocks.#",
     "layers"},
    {ANYWHERE, "vision_tower|vision_model|vision_encoder|visual|vision|vit|vpm", "vision"},
    {ANYWHERE, "audio_tower|audio_model|audio_encoder|conformer", "audio"},
    {ANYWHERE, "attention.output.dense", "attn.o"},
    {ANYWHERE, "attention.output.LayerNorm", "attn.norm"},
    {ANYWHERE,
     "attention.self|attention.attention|attention|attn.attention|attn|self_attention|self_attn|SelfAttention|mixer",
     "attn"},
    {ANYWHERE, "mlp|feed_forward|ffn|ff|block_sparse_moe|moe", "mlp"},
    {ANYWHERE, "experts", "mlp.experts"},
    {ANYWHERE, "shared_experts|shared_expert|shared_mlp|share_expert", "mlp.shared_expert"},
    {ANYWHERE, "intermediate.dense", "mlp.up"},
    {ANYWHERE, "output.dense", "mlp.down"},
    {ANYWHERE,
     "input_layernorm|attention_norm|attn_norm|ln_1|ln1|norm1|layer_norm1|layernorm_before|"
     "attention_layer_norm",
     "norm_1"},
    {ANYWHERE,
     "post_attention_layernorm|ffn_norm|ln_2|ln2|norm2|layer_norm2|layernorm_after|attn_ln|"
     "feedforward_layer_norm",
     "norm_2"},
    {ANYWHERE, "post_mlp_layernorm|post_feedforward_layernorm|mlp_ln", "norm_3"},
    {ANYWHERE, "embed_tokens|tok_embeddings|word_embeddings|wte|embed_in", "embed"},
    {ANYWHERE, "embeddings.LayerNorm|emb_ln", "embed.norm"},
    {ANYWHERE, "lm_head|embed_out|output", "head"},
    {ANYWHERE, "wqkv|Wqkv", "attn.qkv"},
    {ANYWHERE, "ln_f|norm_f|final_layernorm|final_layer_norm|final_norm", "norm"},

    {IN_ATTENTION, "self|attention|attn", ""},
    {IN_ATTENTION, "q_proj|query|q_lin|wq|to_q|linear_q|q", "q"},
    {IN_ATTENTION, "k_proj|key|k_lin|wk|to_k|linear_k|k", "k"},
    {IN_ATTENTION, "v_proj|value|v_lin|wv|to_v|linear_v|v", "v"},
    {IN_ATTENTION,
     "o_proj|out_proj|wo|Wo|dense|out_lin|projection_layer|projection|c_proj|proj|linear_out|output.dense|output|"
     "to_out.0|to_out",
     "o"},
    {IN_ATTENTION, "qkv_proj|qkv|Wqkv|wqkv|W_pack|query_key_value|to_qkv|in_proj|att_proj|c_attn", "qkv"},
    {IN_ATTENTION, "kv_proj|to_kv|kv", "kv"},
    {IN_ATTENTION, "gate_proj|g_proj", "gate"},
    {IN_ATTENTION, "gqkv_proj", "gqkv"},
    {IN_ATTENTION, "q_norm|q_layernorm|query_layernorm|q_ln", "q_norm"},
    {IN_ATTENTION, "k_norm|k_layernorm|key_layernorm|k_ln", "k_norm"},

    {IN_ATTENTION, "sinks|attn_sink|softmax_offset|learnable_sink_param", "sinks"},

    {IN_FEED_FORWARD, "mlp", ""},
    {IN_FEED_FORWARD,
     "gate.moe_statics.e_score_correction|moe_statics.e_score_correction|gate.e_score_correction|gate.expert|"
     "experts.e_score_correction|router.e_score_correction|router.expert|e_score_correction|expert",
     "e_score_correction"},
    {IN_FEED_FORWARD, "experts", "experts"},
    {IN_FEED_FORWARD, "shared_experts|shared_expert|shared_mlp|share_expert", "shared_expert"},
    {IN_FEED_FORWARD, "gate_proj|w1|wi_0|c_fc_0|fc12", "gate_proj"},
    {IN_FEED_FORWARD,
     "up_proj|w3|wi_1|c_fc_1|fc11|fc1|linear_fc1|linear1|lin1|dense_h_to_4h|c_fc|fc_in|intermediate.dense", "up"},
    {IN_FEED_FORWARD, "down_proj|w2|wo|fc2|linear_fc2|linear2|lin2|dense_4h_to_h|c_proj|fc_out|output.dense", "down"},
    {IN_FEED_FORWARD, "gate_up_proj|gate_and_up_proj|input_linear|w12", "gate_up"},
    {IN_FEED_FORWARD, "output_linear", "down"},
    {IN_FEED_FORWARD, "up_gate_proj|ff_proj", "up_gate"},
    {IN_FEED_FORWARD, "router.layer|router|gate", "router"},
};
enum { SPELLING_ROWS = sizeof(spelling_rows) / sizeof(spelling_rows[0]), WORDS_MAX = 512 };

/* The words by place and first letter. */
struct spelling {
    struct spelling_word {
        struct name word;
        const char *means;
        bool is_before_number;
        uint16_t next; /* with the same letter, WORDS_MAX: none */
    } words[WORDS_MAX];
    uint16_t first[PLACES][128];
};

struct spelling *spelling_new(void)
{
    struct spelling *spelling = calloc(1, sizeof(*spelling));
    size_t count = 0;

    if (!spelling)
        return NULL;
    for (size_t i = 0; i < PLACES * 128; i++)
        spelling->first[i / 128][i % 128] = WORDS_MAX;
    for (size_t i = 0; i < SPELLING_ROWS; i++) {
        struct name rest = name_of(spelling_rows[i].words), word;

        while (count < WORDS_MAX && pattern_next(&rest, "|", &word)) {
            struct spelling_word *into = &spelling->words[count];
            uint16_t *at = &spelling->first[spelling_rows[i].place][word.text[0] & 127];

            while (*at != WORDS_MAX)
                at = &spelling->words[*at].next;
            *at = (uint16_t)count++;
            into->is_before_number = word.text[word.bytes - 1] == '#';
            into->word = (struct name){word.text, word.bytes - 2 * into->is_before_number};
            into->means = spelling_rows[i].means;
            into->next = WORDS_MAX;
        }
    }
    return spelling;
}

void spelling_free(struct spelling *spelling)
{
    free(spelling);
}

static bool is_number(struct name rest)
{
    return rest.bytes > 0 && ((rest.text[0] >= '0' && rest.text[0] <= '9') || rest.text[0] == '{');
}

static const struct spelling_word *find_word(const struct spelling *spelling, enum spelling_place place,
                                             struct name rest)
{
    for (uint16_t at = spelling->first[place][rest.text[0] & 127]; at != WORDS_MAX; at = spelling->words[at].next) {
        const struct spelling_word *word = &spelling->words[at];
        const uint32_t bytes = word->word.bytes;

        if (rest.bytes < bytes || memcmp(rest.text, word->word.text, bytes) != 0)
            continue;
        if (word->is_before_number
                ? rest.bytes > bytes && is_number((struct name){rest.text + bytes + 1, rest.bytes - bytes - 1})
                : rest.bytes == bytes || rest.text[bytes] == '.')
            return word;
    }
    return NULL;
}

struct spelt {
    char *out;
    uint32_t bytes, last; /* last: where the last word begins */
};

static void put(struct spelt *spelt, const char *text, uint32_t bytes)
{
    if (bytes > PATTERN_NAME_BYTES - 1 - spelt->bytes)
        return;
    if (spelt->bytes)
        spelt->out[spelt->bytes++] = '.';
    spelt->last = spelt->bytes;
    memcpy(spelt->out + spelt->bytes, text, bytes);
    spelt->bytes += bytes;
}

static bool is_last(const struct spelt *spelt, const char *text)
{
    return name_equal((struct name){spelt->out + spelt->last, spelt->bytes - spelt->last}, name_of(text));
}

/* "…in_proj_weight" */
static bool take_end(struct name *name, const char *end)
{
    const uint32_t bytes = (uint32_t)strlen(end);

    if (name->bytes <= bytes || memcmp(name->text + name->bytes - bytes, end, bytes) != 0)
        return false;
    name->bytes -= bytes;
    return true;
}

struct name spelling_of(const struct spelling *spelling, struct name name, char out[PATTERN_NAME_BYTES])
{
    struct spelt spelt = {.out = out};
    enum spelling_place place = ANYWHERE;
    struct name own;

    if (name.bytes >= PATTERN_NAME_BYTES - 64)
        return name;
    own = layout_own(&name);
    if (own.bytes == 0)
        own = name_of(take_end(&name, "_bias") || take_end(&name, ".beta") ? "bias" : "weight");
    if (!take_end(&name, ".gamma"))
        take_end(&name, "_weight");
    while (name.bytes > 0) {
        const struct spelling_word *word = find_word(spelling, place, name);
        const char *dot = memchr(name.text, '.', name.bytes);
        uint32_t bytes = dot ? (uint32_t)(dot - name.text) : name.bytes;

        if (!word && place != ANYWHERE)
            word = find_word(spelling, ANYWHERE, name);
        if (word)
            bytes = word->word.bytes;
        if (!word)
            put(&spelt, name.text, bytes);
        else if (word->means[0] && !is_last(&spelt, word->means)) /* "vision_tower.vision_model" is one */
            put(&spelt, word->means, (uint32_t)strlen(word->means));
        if (word && strncmp(word->means, "attn", 4) == 0)
            place = IN_ATTENTION;
        else if (word && strncmp(word->means, "mlp", 3) == 0)
            place = IN_FEED_FORWARD;
        else if (word && strcmp(word->means, "layers") == 0)
            place = ANYWHERE;
        bytes += bytes < name.bytes; /* the dot */
        name = (struct name){name.text + bytes, name.bytes - bytes};
    }
    put(&spelt, own.text, own.bytes);
    return (struct name){out, spelt.bytes};
}

/* What a side's tensors are spelt; two of one spelling are no match for anything. */
int layout_spell(struct layout_work *w, struct layout_side *side)
{
    const size_t count = side->model->tensor_count;

    if (side->spelt)
        return 0;
    if (!w->spelling)
        w->spelling = spelling_new();
    side->spelt = calloc(count + 1, sizeof(*side->spelt));
    side->is_spelt_twice = calloc(count + 1, sizeof(*side->is_spelt_twice));
    side->spelt_kind = calloc(count + 1, sizeof(*side->spelt_kind));
    side->spelt_index = name_index_new(count + 1);
    side->is_kind_confirmed = calloc(2 * count + 1, sizeof(*side->is_kind_confirmed));
    side->is_kind_crossed = calloc(2 * count + 1, sizeof(*side->is_kind_crossed));
    side->kind_rules = calloc(2 * count + 1, sizeof(*side->kind_rules));
    if (!w->spelling || !side->spelt_kind || !side->is_kind_confirmed || !side->is_kind_crossed || !side->kind_rules ||
        !side->spelt || !side->is_spelt_twice || !side->spelt_index)
        return layout_no_memory(w);
    for (size_t i = 0; i < side->left_count; i++) {
        const struct name_records records = {side->spelt, sizeof(*side->spelt)};
        const uint32_t tensor = side->left[i];
        char text[PATTERN_NAME_BYTES];
        struct name name = spelling_of(w->spelling, side->model->tensors[tensor].name, text);
        uint32_t at;

        name.text = arena_copy(&side->arena, name.text, name.bytes);
        if (!name.text || layout_add_kind(side, name, &side->spelt_kind[tensor]))
            return layout_no_memory(w);
        side->spelt[tensor] = name;
        at = name_index_add(side->spelt_index, records, tensor);
        side->is_spelt_twice[at] = at != tensor;
    }
    return 0;
}

uint32_t layout_find_spelt(const struct layout_side *side, struct name spelt)
{
    const struct name_records records = {side->spelt, sizeof(*side->spelt)};
    const uint32_t found = name_index_find(side->spelt_index, records, spelt);

    return found == NAME_INDEX_NONE || side->is_spelt_twice[found] ? NAME_INDEX_NONE : found;
}

uint32_t layout_find_alike(const struct layout_work *w, uint32_t target)
{
    const struct layout_side *side = w->source;
    const struct name_records records = {side->plain, sizeof(*side->plain)};
    const uint32_t found = name_index_find(side->index, records, w->target->plain[target]);

    if (found != NAME_INDEX_NONE)
        return found;
    return layout_find_spelt(w->target, w->target->spelt[target]) == NAME_INDEX_NONE
               ? NAME_INDEX_NONE
               : layout_find_spelt(side, w->target->spelt[target]);
}
