/* Shapes first. The width of the residual stream is the one dimension that every projection of the main stack has,
 * which is true however a library lays its matrices out (GPT-2 keeps them transposed); a projection's other dimension
 * is then what it projects to. The number of heads is in no shape unless something is kept per head (a norm of queries,
 * a table of biases): it is taken from the config then, and the shapes only check it. */
#include "core/analysis/architecture_figures.h"

#include <stdio.h>
#include <string.h>

#include "core/analysis/architecture_roles.h"

const char *const figure_names[FIGURE_COUNT] = {
    [FIGURE_DEPTH] = "depth",         [FIGURE_STAGES] = "stages",     [FIGURE_HIDDEN_SIZE] = "hidden_size",
    [FIGURE_HEADS] = "heads",         [FIGURE_KV_HEADS] = "kv_heads", [FIGURE_HEADS_PER_KV_HEAD] = "heads_per_kv_head",
    [FIGURE_HEAD_SIZE] = "head_size", [FIGURE_FFN_SIZE] = "ffn_size", [FIGURE_VOCABULARY] = "vocabulary",
    [FIGURE_EXPERTS] = "experts",
};

/* Two dimensions of a tensor that play a role: the same in every block, or not. */
struct plane {
    bool has, varies;
    uint64_t rows, columns;
};

struct survey {
    const struct model *model;
    const struct config *config;
    struct name stack;
    const char *const *sections; /* of the config, for the main stack */
    uint64_t layers;
    bool is_recurrent, is_staged;
    uint64_t stages;
    struct plane roles[ROLE_COUNT];
    uint64_t widths[2]; /* what may still be the residual stream's; 0: none */
    bool has_widths;
    uint64_t experts;
    bool experts_vary;
    uint64_t vocabulary, embedding_width; /* 0: no embedding */
    const struct tensor *embedding, *head;
};

/* --- the main stack --- */

struct candidate {
    struct name stack;
    uint64_t layers, elements;
    bool has_attention, is_text; /* of a model with a vocabulary, the part that is no image or sound tower */
};

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    if (a->has_attention != b->has_attention)
        return a->has_attention;
    if (a->is_text != b->is_text)
        return a->is_text;
    return a->elements > b->elements;
}

static bool is_of_images(struct name name)
{
    return name_holds(name, "vision") || name_holds(name, "visual") || name_holds(name, "image");
}

static bool is_of_sound(struct name name)
{
    return name_holds(name, "audio") || name_holds(name, "speech");
}

static bool is_plain(const struct tensor *tensor)
{
    return dtype_is_parameter(tensor->dtype) || tensor->dtype == DTYPE_I8; /* packed integers have other shapes */
}

static bool is_attention(enum role role)
{
    return role == ROLE_Q || role == ROLE_QKV || role == ROLE_MIXER || role == ROLE_K;
}

static void candidate_add(const struct model *model, const struct block_range *range, struct candidate *candidate)
{
    uint64_t elements = 0;

    candidate->layers += range->to - range->from + 1;
    for (uint32_t t = range->first; t < range->last; t++) {
        const struct tensor *tensor = &model->tensors[t];
        struct block_name name;

        elements += tensor->shape.elements;
        if (block_name_of(tensor->name, &name) && is_attention(role_of(tensor->name, name.rest)))
            candidate->has_attention = true;
    }
    /* Only a ranking: it may wrap for files that lie about their size. */
    candidate->elements += elements * (range->to - range->from + 1);
}

/* "stages", "down_blocks", and the "layer1" to "layer4" of a ResNet. */
static bool is_stage(struct name stack, bool *ret_is_counted_by_stack)
{
    struct name rest, last = name_last(stack, &rest);

    *ret_is_counted_by_stack = last.bytes == 6 && memcmp(last.text, "layer", 5) == 0 && last.text[5] >= '1' &&
                               last.text[5] <= '9' && rest.bytes == 0;
    return *ret_is_counted_by_stack || name_is(last, "stages") || name_is(last, "down_blocks");
}

static void find_stack(struct survey *survey, const struct block_ranges *ranges)
{
    struct candidate best = {0}, candidate = {0};
    uint64_t stacked = 0, numbered = 0;

    for (size_t i = 0; i < ranges->count; i++) {
        const struct block_range *range = &ranges->items[i];
        bool is_first = i == 0 || !name_equal(range->stack, ranges->items[i - 1].stack);
        bool is_last = i + 1 == ranges->count || !name_equal(range->stack, ranges->items[i + 1].stack);
        bool is_by_stack;

        if (is_first)
            candidate = (struct candidate){.stack = range->stack,
                                           .is_text = survey->embedding && !is_of_images(range->stack) &&
                                                      !is_of_sound(range->stack)};
        candidate_add(survey->model, range, &candidate);
        if (!is_last)
            continue;
        if (is_stage(range->stack, &is_by_stack) && is_by_stack)
            stacked++;
        else if (is_stage(range->stack, &is_by_stack) && candidate.layers > numbered)
            numbered = candidate.layers;
        if (!best.stack.text || is_better(&candidate, &best))
            best = candidate;
    }
    survey->stages = numbered ? numbered : stacked;
    survey->is_staged = survey->stages > 0;
    survey->stack = best.stack;
    survey->layers = best.layers;
}

/* --- the shapes of its blocks --- */

static void plane_add(struct plane *plane, uint64_t rows, uint64_t columns)
{
    if (!plane->has)
        *plane = (struct plane){.has = true, .rows = rows, .columns = columns};
    else if (plane->rows != rows || plane->columns != columns)
        plane->varies = true;
}

static void narrow_widths(struct survey *survey, uint64_t rows, uint64_t columns)
{
    if (!survey->has_widths) {
        survey->widths[0] = rows;
        survey->widths[1] = columns == rows ? 0 : columns;
        survey->has_widths = true;
        return;
    }
    for (int i = 0; i < 2; i++)
        if (survey->widths[i] != rows && survey->widths[i] != columns)
            survey->widths[i] = 0;
}

static void add_tensor(struct survey *survey, const struct tensor *tensor, enum role role, uint64_t *experts)
{
    const uint64_t *dims = tensor->shape.dims;
    uint32_t rank = tensor->shape.rank;
    uint64_t rows, columns;

    if (rank == 0 || rank > 4)
        return;
    if (role >= ROLE_STREAM_COUNT) {
        plane_add(&survey->roles[role], rank > 1 ? dims[0] : 0, dims[rank - 1]);
        return;
    }
    if (rank < 2)
        return;
    /* Experts stacked into one tensor come first of three; a convolution's kernel comes last. */
    rows = role == ROLE_EXPERT_DOWN ? dims[rank - 2] : dims[0];
    columns = role == ROLE_EXPERT_DOWN ? dims[rank - 1] : dims[1];
    if (role == ROLE_EXPERT_DOWN)
        *experts += rank == 3 ? dims[0] : 1;
    plane_add(&survey->roles[role], rows, columns);
    narrow_widths(survey, rows, columns);
}

static void end_layer(struct survey *survey, uint64_t *experts)
{
    if (*experts && survey->experts && *experts != survey->experts)
        survey->experts_vary = true;
    if (*experts > survey->experts)
        survey->experts = *experts;
    *experts = 0;
}

static void survey_blocks(struct survey *survey, const struct block_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const struct block_range *range = &ranges->items[i];
        uint64_t experts = 0;

        if (!name_equal(range->stack, survey->stack))
            continue;
        for (uint32_t t = range->first; t < range->last; t++) {
            const struct tensor *tensor = &survey->model->tensors[t];
            struct block_name name;
            enum role role;

            if (!block_name_of(tensor->name, &name))
                continue;
            if (role_is_recurrent(name.rest))
                survey->is_recurrent = true;
            role = is_plain(tensor) ? role_of(tensor->name, name.rest) : ROLE_NONE;
            if (role != ROLE_NONE)
                add_tensor(survey, tensor, role, &experts);
        }
        end_layer(survey, &experts);
    }
}

/* --- vocabulary --- */

static void survey_vocabulary(struct survey *survey)
{
    static const char *const embeddings[] = {"embed_tokens",
                                             "wte",
                                             "word_embeddings",
                                             "word_embedding",
                                             "tok_embeddings",
                                             "token_embd",
                                             "token_embedding",
                                             "shared",
                                             "embed_in",
                                             "embeddings",
                                             "emb",
                                             NULL};
    static const char *const heads[] = {"lm_head.weight",
                                        "output.weight",
                                        "embed_out.weight",
                                        "head.weight",
                                        "cls.predictions.decoder.weight",
                                        "predictions.decoder.weight",
                                        "vocab_projector.weight",
                                        "generator_lm_head.weight",
                                        "lm_head.decoder.weight",
                                        NULL};
    const struct tensor *lm_head = NULL;

    for (size_t t = 0; t < survey->model->tensor_count; t++) {
        const struct tensor *tensor = &survey->model->tensors[t];
        struct name module, path, parameter = name_last(tensor->name, &module), tail = name_last(module, &path);

        if (tensor->shape.rank != 2 || !name_is(parameter, "weight") || is_of_images(path) || is_of_sound(path))
            continue;
        if (name_is(tail, "lm_head"))
            lm_head = tensor;
        if (name_is_one_of(tail, embeddings) &&
            (!survey->embedding || tensor->shape.elements > survey->embedding->shape.elements))
            survey->embedding = tensor;
    }
    if (survey->embedding) {
        survey->vocabulary = survey->embedding->shape.dims[0];
        survey->embedding_width = survey->embedding->shape.dims[1];
    } else if (lm_head) {
        survey->vocabulary = lm_head->shape.dims[0];
    }
    survey->head = lm_head;
    for (size_t i = 0; heads[i] && survey->embedding && !survey->head; i++) {
        const struct tensor *tensor = model_find(survey->model, name_of(heads[i]));

        if (tensor && tensor->shape.rank == 2 && tensor->shape.dims[0] == survey->vocabulary)
            survey->head = tensor;
    }
}

/* --- the config --- */

static const char *const text_sections[] = {"text_config.", "language_config.", "llm_config.", "",
                                            "model_args.",  "decoder.",         NULL};
static const char *const image_sections[] = {"vision_config.", "", "model_args.", "encoder.", NULL};
static const char *const sound_sections[] = {"audio_config.", "", "encoder.", NULL};

static bool look_up(const struct survey *survey, const char *key, uint64_t *ret_value)
{
    char path[160];

    for (const char *const *section = survey->sections; *section; section++) {
        snprintf(path, sizeof(path), "%s%s", *section, key);
        if (config_u64(survey->config, path, ret_value))
            return true;
    }
    return false;
}

static bool look_up_flag(const struct survey *survey, const char *key, bool *ret_value)
{
    char path[160];

    for (const char *const *section = survey->sections; *section; section++) {
        snprintf(path, sizeof(path), "%s%s", *section, key);
        if (config_flag(survey->config, path, ret_value))
            return true;
    }
    return false;
}

static bool look_up_first(const struct survey *survey, const char *const *keys, uint64_t *ret_value)
{
    for (; *keys; keys++)
        if (look_up(survey, *keys, ret_value))
            return true;
    return false;
}

/* What configs call the figures, the surest first; a decoder's and an encoder's own come before what both share. */
static const char *const config_keys[FIGURE_COUNT][9] = {
    [FIGURE_DEPTH] = {"num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth"},
    [FIGURE_HIDDEN_SIZE] = {"hidden_size", "n_embd", "d_model", "dim", "embed_dim", "model_dim"},
    [FIGURE_HEADS] = {"num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"},
    [FIGURE_KV_HEADS] = {"num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "multi_query_group_num"},
    [FIGURE_HEAD_SIZE] = {"head_dim", "d_kv", "attention_head_dim", "kv_channels"},
    [FIGURE_FFN_SIZE] = {"intermediate_size", "n_inner", "d_ff", "ffn_dim", "ffn_hidden_size", "mlp_dim", "hidden_dim"},
    [FIGURE_VOCABULARY] = {"vocab_size", "n_vocab", "padded_vocab_size"},
    [FIGURE_EXPERTS] = {"num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts",
                        "ffn_config.moe_num_experts"},
};
static const char *const decoder_keys[FIGURE_COUNT][3] = {
    [FIGURE_DEPTH] = {"num_decoder_layers", "decoder_layers"},
    [FIGURE_HEADS] = {"decoder_attention_heads"},
    [FIGURE_FFN_SIZE] = {"decoder_ffn_dim"},
    [FIGURE_VOCABULARY] = {"decoder_vocab_size"},
};
static const char *const encoder_keys[FIGURE_COUNT][3] = {
    [FIGURE_DEPTH] = {"num_encoder_layers", "encoder_layers"},
    [FIGURE_HEADS] = {"encoder_attention_heads"},
    [FIGURE_FFN_SIZE] = {"encoder_ffn_dim"},
};
static const char *const expert_size_keys[] = {"moe_intermediate_size", "expert_intermediate_size",
                                               "ffn_config.ffn_hidden_size", NULL};

static void read_config(const struct survey *survey, struct figure_value *figures)
{
    static const char *const decoder[] = {"decoder", NULL}, *const encoder[] = {"encoder", NULL};
    bool is_decoder = name_has_component(survey->stack, decoder),
         is_encoder = name_has_component(survey->stack, encoder);
    bool is_multi_query, is_new = false;
    uint64_t value;

    for (int f = 0; f < FIGURE_COUNT; f++) {
        if ((is_decoder && look_up_first(survey, decoder_keys[f], &value)) ||
            (is_encoder && look_up_first(survey, encoder_keys[f], &value)) ||
            look_up_first(survey, config_keys[f], &value)) {
            figures[f].has_config = true;
            figures[f].config = value;
        }
    }
    if (survey->experts && !survey->roles[ROLE_DOWN].has && look_up_first(survey, expert_size_keys, &value)) {
        figures[FIGURE_FFN_SIZE].has_config = true;
        figures[FIGURE_FFN_SIZE].config = value;
    }
    if (survey->roles[ROLE_LATENT].has && look_up(survey, "v_head_dim", &value)) {
        figures[FIGURE_HEAD_SIZE].has_config = true;
        figures[FIGURE_HEAD_SIZE].config = value;
    }
    look_up_flag(survey, "new_decoder_architecture", &is_new);
    if (survey->roles[ROLE_QKV].has && look_up_flag(survey, "multi_query", &is_multi_query) && is_multi_query &&
        !is_new) { /* Falcon and StarCoder */
        figures[FIGURE_KV_HEADS].has_config = true;
        figures[FIGURE_KV_HEADS].config = 1;
    }
    if (figures[FIGURE_HEADS].has_config && figures[FIGURE_KV_HEADS].has_config && figures[FIGURE_KV_HEADS].config &&
        figures[FIGURE_HEADS].config % figures[FIGURE_KV_HEADS].config == 0) {
        figures[FIGURE_HEADS_PER_KV_HEAD].has_config = true;
        figures[FIGURE_HEADS_PER_KV_HEAD].config = figures[FIGURE_HEADS].config / figures[FIGURE_KV_HEADS].config;
    }
}

/* --- figures --- */

static void measured(struct figure_value *figure, uint64_t value)
{
    figure->has_shapes = true;
    figure->shapes = value;
}

/* The residual stream's width where more than one dimension would do: the norms know, else the embedding, else how a
 * linear layer is usually stored. 0: no dimension is common to all. */
static uint64_t settle_width(const struct survey *survey)
{
    const struct plane *roles = survey->roles;
    uint64_t a = survey->widths[0], b = survey->widths[1];

    if (!a || !b)
        return a ? a : b;
    if (roles[ROLE_NORM].has && (roles[ROLE_NORM].columns == a || roles[ROLE_NORM].columns == b))
        return roles[ROLE_NORM].columns;
    if (survey->embedding_width == a || survey->embedding_width == b)
        return survey->embedding_width;
    if (roles[ROLE_O].has)
        return roles[ROLE_O].rows;
    return roles[ROLE_DOWN].has ? roles[ROLE_DOWN].rows : 0;
}

/* A projection's dimension that is not the stream's; 0 where there is none, or blocks differ. */
static uint64_t across(const struct plane *plane, uint64_t width)
{
    if (!plane->has || plane->varies || width == 0)
        return 0;
    return plane->rows == width ? plane->columns : plane->columns == width ? plane->rows : 0;
}

/* Widths of all query heads and of all key heads together; 0: unknown. */
static void measure_attention(const struct survey *survey, uint64_t width, uint64_t *ret_queries, uint64_t *ret_keys)
{
    uint64_t queries = across(&survey->roles[ROLE_O], width); /* some queries carry a gate: the output does not */
    uint64_t fused = across(&survey->roles[ROLE_QKV], width), keys = across(&survey->roles[ROLE_K], width);

    if (!survey->roles[ROLE_O].has)
        queries = fused && fused % 3 == 0 ? fused / 3 : across(&survey->roles[ROLE_Q], width);
    if (!survey->roles[ROLE_K].has && fused > queries && (fused - queries) % 2 == 0)
        keys = (fused - queries) / 2;
    if (survey->roles[ROLE_LATENT].has)
        keys = 0;
    *ret_queries = queries;
    *ret_keys = queries ? keys : 0;
}

/* The head size where something is kept per head; 0: nothing is. */
static uint64_t measure_head_size(const struct survey *survey, uint64_t queries, uint64_t keys)
{
    const struct plane *roles = survey->roles;
    const struct plane *q = &roles[ROLE_Q_NORM], *k = &roles[ROLE_K_NORM];
    uint64_t heads = 0;

    if (roles[ROLE_HEAD_COLUMNS].has && !roles[ROLE_HEAD_COLUMNS].varies)
        heads = roles[ROLE_HEAD_COLUMNS].columns;
    else if (roles[ROLE_HEAD_ITEMS].has && !roles[ROLE_HEAD_ITEMS].varies)
        heads = roles[ROLE_HEAD_ITEMS].columns;
    else if (q->has && !q->varies && q->rows) /* Cohere: a row a head */
        heads = q->rows;
    if (heads && queries % heads == 0)
        return queries / heads;
    if (roles[ROLE_HEAD_SIZED].has && !survey->is_recurrent && roles[ROLE_HEAD_SIZED].columns &&
        queries % roles[ROLE_HEAD_SIZED].columns == 0)
        return roles[ROLE_HEAD_SIZED].columns;
    /* Norms of one length for queries and keys are per head, unless that length is all there is (OLMo 2). */
    if (q->has && k->has && !q->varies && !k->varies && !q->rows && !k->rows && q->columns == k->columns &&
        q->columns && q->columns < queries && keys % q->columns == 0 && queries % q->columns == 0)
        return q->columns;
    return 0;
}

static void measure_heads(const struct survey *survey, uint64_t width, struct figure_value *figures)
{
    struct figure_value *heads = &figures[FIGURE_HEADS], *kv = &figures[FIGURE_KV_HEADS];
    struct figure_value *size = &figures[FIGURE_HEAD_SIZE], *ratio = &figures[FIGURE_HEADS_PER_KV_HEAD];
    uint64_t queries = 0, keys = 0, head_size = 0;
    bool is_measured;

    if (survey->roles[ROLE_Q].has || survey->roles[ROLE_QKV].has || survey->roles[ROLE_LATENT].has)
        measure_attention(survey, width, &queries, &keys);
    if (!queries)
        return;
    if (keys && queries % keys == 0)
        measured(ratio, queries / keys);
    head_size = measure_head_size(survey, queries, keys);
    is_measured = head_size > 0;
    if (is_measured)
        measured(heads, queries / head_size);
    else if (heads->has_config && heads->config && queries % heads->config == 0)
        head_size = queries / heads->config;
    else if (heads->has_config)
        heads->is_conflict = true;
    else if (size->has_config && size->config && queries % size->config == 0) {
        head_size = size->config;
        measured(heads, queries / head_size);
    }
    if (head_size)
        measured(size, head_size);
    if (head_size && keys && keys % head_size == 0)
        measured(kv, keys / head_size);
    heads->is_derived = kv->is_derived = size->is_derived = !is_measured;
}

static void measure_ffn(const struct survey *survey, uint64_t width, struct figure_value *figure)
{
    const struct plane *down = &survey->roles[ROLE_DOWN], *up = &survey->roles[ROLE_UP];
    uint64_t size = 0;

    if (down->has)
        size = across(down, width);
    else if (survey->roles[ROLE_EXPERT_DOWN].has)
        size = across(&survey->roles[ROLE_EXPERT_DOWN], width);
    else if (up->has)
        size = across(up, width);
    if (size)
        measured(figure, size);
    else if (down->varies)
        figure->reason = "blocks differ";
    else
        figure->reason = survey->is_recurrent ? "a recurrent mixer, no feed-forward part" : "no feed-forward part";
}

/* The multi-token prediction layers of DeepSeek lie in the same stack, and ALBERT's blocks are used several times. */
static void measure_depth(const struct survey *survey, struct figure_value *figure)
{
    struct name rest;
    uint64_t extra;

    if (name_is(name_last(survey->stack, &rest), "albert_layer_groups")) {
        figure->reason = "blocks are shared by several layers";
        return;
    }
    measured(figure, survey->layers);
    if (figure->has_config && figure->config < survey->layers && look_up(survey, "num_nextn_predict_layers", &extra) &&
        survey->layers - figure->config == extra)
        figure->shapes = figure->config;
}

static void measure_tying(const struct survey *survey, struct architecture *a)
{
    const struct tensor *head = survey->head, *embedding = survey->embedding;
    bool is_tied = false, has_word = survey->config && look_up_flag(survey, "tie_word_embeddings", &is_tied);

    a->tying_source = has_word ? "config" : "shapes";
    if (has_word && head && embedding && !is_tied)
        a->tying_source = "shapes";
    if (head && embedding && head->extent.bytes && tensors_share_place(head, embedding)) {
        a->tying = TIED;
        a->tying_source = "shapes";
    } else if (has_word) {
        a->tying = is_tied ? TIED : TIED_NOT;
    } else if (head && embedding) {
        a->tying = TIED_NOT;
    } else {
        a->tying_reason = survey->embedding ? "no output head is stored: tied, or there is none" : "no token embedding";
    }
}

/* Why a figure has no value, where nothing more particular was said. */
static const char *const missing[FIGURE_COUNT] = {
    [FIGURE_DEPTH] = "no numbered blocks",
    [FIGURE_STAGES] = "no stages of different width",
    [FIGURE_HIDDEN_SIZE] = "no attention or feed-forward projections",
    [FIGURE_HEADS] = "the head size is in no shape, and no config says it",
    [FIGURE_KV_HEADS] = "the head size is in no shape, and no config says it",
    [FIGURE_HEADS_PER_KV_HEAD] = "keys cannot be told apart by shape",
    [FIGURE_HEAD_SIZE] = "the head size is in no shape, and no config says it",
    [FIGURE_VOCABULARY] = "no token embedding",
    [FIGURE_EXPERTS] = "no experts",
};

static const char *why_missing(const struct survey *survey, enum figure f)
{
    bool has_attention = survey->roles[ROLE_Q].has || survey->roles[ROLE_QKV].has || survey->roles[ROLE_LATENT].has;

    if (f == FIGURE_HEADS || f == FIGURE_KV_HEADS || f == FIGURE_HEADS_PER_KV_HEAD || f == FIGURE_HEAD_SIZE) {
        if (!has_attention)
            return survey->is_recurrent ? "a recurrent mixer, no attention heads" : "no attention";
        if (survey->roles[ROLE_O].varies || survey->roles[ROLE_K].varies || survey->roles[ROLE_QKV].varies)
            return "blocks differ";
    }
    if (f == FIGURE_HIDDEN_SIZE && survey->has_widths)
        return "blocks differ";
    return missing[f];
}

static void settle(struct figure_value *figure, const char *reason)
{
    if (figure->has_shapes && figure->has_config && figure->shapes != figure->config)
        figure->is_conflict = true;
    if (!figure->has_shapes && !figure->has_config && !figure->reason)
        figure->reason = reason;
}

void architecture_measure(const struct model *model, const struct block_ranges *ranges, const struct config *config,
                          struct architecture *ret)
{
    struct survey survey = {.model = model, .config = config};
    struct architecture a = {0};
    uint64_t width;

    survey_vocabulary(&survey);
    find_stack(&survey, ranges);
    survey.sections = is_of_images(survey.stack)  ? image_sections
                      : is_of_sound(survey.stack) ? sound_sections
                                                  : text_sections;
    if (!survey.is_staged)
        survey_blocks(&survey, ranges);
    architecture_tell_family(model, config, &a);
    measure_tying(&survey, &a);
    if (survey.is_staged) {
        static const char staged[] = "stages of different width, no stack of equal blocks";

        measured(&a.figures[FIGURE_STAGES], survey.stages);
        for (int f = 0; f < FIGURE_COUNT; f++)
            if (f != FIGURE_STAGES && f != FIGURE_VOCABULARY && f != FIGURE_EXPERTS)
                a.figures[f].reason = staged;
    } else {
        a.stack = survey.stack;
        read_config(&survey, a.figures);
        width = settle_width(&survey);
        if (width)
            measured(&a.figures[FIGURE_HIDDEN_SIZE], width);
        if (survey.stack.text)
            measure_depth(&survey, &a.figures[FIGURE_DEPTH]);
        measure_heads(&survey, width, a.figures);
        measure_ffn(&survey, width, &a.figures[FIGURE_FFN_SIZE]);
        if (survey.experts && !survey.experts_vary)
            measured(&a.figures[FIGURE_EXPERTS], survey.experts);
        else if (survey.experts)
            a.figures[FIGURE_EXPERTS].reason = "blocks differ";
        else if (a.figures[FIGURE_EXPERTS].config <= 1)
            a.figures[FIGURE_EXPERTS].has_config = false;
    }
    if (survey.vocabulary)
        measured(&a.figures[FIGURE_VOCABULARY], survey.vocabulary);
    for (int f = 0; f < FIGURE_COUNT; f++)
        settle(&a.figures[f], why_missing(&survey, (enum figure)f));
    *ret = a;
}
