/* Queries and keys of Meta's and Mistral's own files ("wq", "wk") have the two halves of each head's rows interleaved,
 * as their rotary embedding takes them; in transformers ("q_proj", "k_proj") one half follows the other. An adapter of
 * the one on a base of the other changes its rows in that base's order. Latent attention, which has no keys of its own,
 * has its "wq" in transformers' order. */
#include <stdio.h>
#include <string.h>

#include "core/adapter/adapter_work.h"
#include "core/align/layouts.h"
#include "core/align/pattern.h"

static const struct turned {
    const char *interleaved, *halved; /* patterns of plain names */
    const char *heads;                /* the symbol */
} turned[] = {
    {"layers.{n}.attention.wq", "layers.{n}.self_attn.q_proj", "heads"},
    {"layers.{n}.attention.wk", "layers.{n}.self_attn.k_proj", "kv_heads"},
    {"vision_encoder.transformer.layers.{n}.attention.wq", "{p}layers.{n}.attention.q_proj", "vision_heads"},
    {"vision_encoder.transformer.layers.{n}.attention.wk", "{p}layers.{n}.attention.k_proj", "vision_heads"},
};

static bool is_named(struct name module, const char *pattern)
{
    struct captures captures = {0};

    return pattern_match(name_of(pattern), name_plain(module), &captures);
}

/* Whether the base has keys beside its tensor of queries: "wk" beside "wq". */
static bool has_keys(const struct applying *x, struct name base)
{
    char text[ADAPTER_NAME_BYTES];
    const int length = snprintf(text, sizeof(text), "%.*s.weight", (int)base.bytes, base.text);
    char *q;

    if (length <= 0 || (size_t)length >= sizeof(text))
        return false;
    for (q = text + base.bytes; q > text && q[-1] != '.'; q--)
        if (q[-1] == 'q')
            q[-1] = 'k';
    return model_find(x->base, (struct name){text, (uint32_t)length}) != NULL;
}

/* Once for all modules. */
static int learn_symbols(struct applying *x)
{
    const struct model *models[] = {x->base, x->base};
    struct layout_facts *facts;
    int rc = layout_facts_new(models, &facts, x->err);

    if (rc)
        return rc;
    x->symbols = arena_take(&x->arena, sizeof(*x->symbols));
    if (x->symbols) {
        *x->symbols = (struct symbols){.count = 0};
        layout_facts_symbols(facts, 0, x->symbols);
    }
    layout_facts_free(facts);
    return x->symbols ? 0 : adapter_no_memory(x);
}

int adapter_rotary_rows(struct applying *x, struct name module, const struct tensor *tensor, const uint32_t **ret_rows)
{
    struct name base = tensor->name;
    const struct turned *found = NULL;
    const struct symbol *symbol;
    bool is_base_interleaved = false;
    uint64_t rows = tensor->shape.rank ? tensor->shape.dims[0] : 0, heads, half;
    uint32_t *order;
    char printable[NAME_PRINTABLE_BYTES];
    int rc;

    *ret_rows = NULL;
    adapter_name_ends(base, ".weight", &base);
    for (size_t i = 0; !found && i < sizeof(turned) / sizeof(turned[0]); i++) {
        is_base_interleaved = is_named(base, turned[i].interleaved) && is_named(module, turned[i].halved);
        if (is_base_interleaved || (is_named(base, turned[i].halved) && is_named(module, turned[i].interleaved)))
            found = &turned[i];
    }
    if (!found || !has_keys(x, base))
        return 0;
    rc = x->symbols ? 0 : learn_symbols(x);
    if (rc)
        return rc;
    symbol = symbols_find(x->symbols, name_of(found->heads));
    heads = symbol ? symbol->value : 0;
    if (heads == 0 || rows % heads || rows / heads % 2 || rows > UINT32_MAX)
        return error_set(x->err, ERROR_FORMAT,
                         "%s: its rows lie in another order than those of %s, and what that follows from, the number "
                         "of heads, is not known: config.json beside %s would tell",
                         x->adapter->uri, name_printable(tensor->name, printable), x->base->uri);
    order = arena_take_array(&x->arena, (size_t)rows, sizeof(*order));
    if (!order)
        return adapter_no_memory(x);
    half = rows / heads / 2;
    for (uint64_t r = 0; r < rows; r++) {
        const uint64_t head = r / (2 * half), at = r % (2 * half); /* row 2i + j, or j · half + i */

        order[r] =
            (uint32_t)(2 * half * head + (is_base_interleaved ? at % 2 * half + at / 2 : at % half * 2 + at / half));
    }
    *ret_rows = order;
    return 0;
}
