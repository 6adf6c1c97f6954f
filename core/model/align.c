/* Pairs by name: the models' tensors are in canonical order already, so the union is one merge of sorted lists, and the
 * pairs come out in canonical order. What is left over is paired without prefixes, through a hash of the stripped
 * names; a pair keeps the name of its first model, and so its place. */
#include "core/model/align.h"

#include <stdlib.h>
#include <string.h>

#include "core/model/name_index.h"

const char *const pairing_rule_names[] = {
    [PAIRED_BY_NAME] = "name", [PAIRED_BY_PREFIX] = "prefix", [PAIRED_BY_CONTENT] = "content",
    [PAIRED_AS_COPY] = "copy", [PAIRED_BY_LAYOUT] = "layout", [PAIRED_AS_TIED] = "tied",
};

const char *const link_evidence_names[] = {
    [LINK_UNREAD] = "not read",
    [LINK_CONFIRMED] = "confirmed",
    [LINK_AMBIGUOUS] = "ambiguous",
    [LINK_UNLIKE] = "unlike",
};

enum { VIEWS_BYTES_MAX = 1 << 30 };

void pairing_free(struct pairing *pairing)
{
    if (!pairing)
        return;
    free(pairing->side);
    free(pairing->rule);
    free(pairing->link);
    arena_done(&pairing->arena);
    free(pairing);
}

/* Makes room for one more pair. */
static int grow(struct pairing *pairing, size_t *room, size_t first_room, struct error *err)
{
    size_t wanted = *room ? *room + *room / 2 + 1 : first_room;
    uint32_t *side;
    uint16_t *rule;

    if (pairing->pairs < *room)
        return 0;
    if (wanted > SIZE_MAX / sizeof(*side) / pairing->models)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for pairs");
    side = reallocarray(pairing->side, wanted * pairing->models, sizeof(*side));
    if (side)
        pairing->side = side;
    rule = reallocarray(pairing->rule, wanted, sizeof(*rule));
    if (rule)
        pairing->rule = rule;
    if (!side || !rule)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for %zu pairs of %zu models", wanted, pairing->models);
    *room = wanted;
    return 0;
}

/* The model whose next tensor comes first; model_count when all are at their end. */
static size_t first_in_order(const struct model *const *models, size_t model_count, const size_t *next, bool *is_same)
{
    size_t first = model_count;

    for (size_t m = 0; m < model_count; m++) {
        int order;

        is_same[m] = false;
        if (next[m] == models[m]->tensor_count)
            continue;
        order = first == model_count
                    ? -1
                    : name_compare_natural(models[m]->tensors[next[m]].name, models[first]->tensors[next[first]].name);
        if (order < 0) {
            memset(is_same, 0, m * sizeof(*is_same));
            first = m;
        }
        is_same[m] = order <= 0;
    }
    return first;
}

int pairing_align(const struct model *const *models, size_t model_count, struct pairing **ret_pairing,
                  struct error *err)
{
    struct pairing *pairing = calloc(1, sizeof(*pairing));
    size_t *next = calloc(model_count + 1, sizeof(*next));
    bool *is_same = calloc(model_count + 1, sizeof(*is_same));
    size_t room = 0, most = 1, first;
    int rc = 0;

    if (!pairing || !next || !is_same) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for pairs");
        goto out;
    }
    pairing->models = model_count;
    pairing->arena.limit = VIEWS_BYTES_MAX;
    for (size_t m = 0; m < model_count; m++)
        if (models[m]->tensor_count > most)
            most = models[m]->tensor_count;
    while ((first = first_in_order(models, model_count, next, is_same)) < model_count) {
        rc = grow(pairing, &room, most, err);
        if (rc)
            goto out;
        for (size_t m = 0; m < model_count; m++)
            pairing->side[pairing->pairs * model_count + m] = is_same[m] ? (uint32_t)next[m] : PAIRING_NONE;
        pairing->rule[pairing->pairs++] = PAIRED_BY_NAME;
        for (size_t m = 0; m < model_count; m++)
            next[m] += is_same[m];
    }
    *ret_pairing = pairing;
    pairing = NULL;
out:
    pairing_free(pairing);
    free(next);
    free(is_same);
    return rc;
}

/* Pairs left over: `left` lack the model at hand, `right` begin with it. */
struct leftover {
    size_t *pair;
    struct name *name; /* as it was, then as it is stripped */
    size_t count;
    bool *is_double; /* [pair of the pairing]: its name became that of another */
};

static void leftover_done(struct leftover *side)
{
    free(side->pair);
    free(side->name);
    free(side->is_double);
}

static int leftover_init(struct leftover *side, size_t room, struct error *err)
{
    side->pair = calloc(room + 1, sizeof(*side->pair));
    side->name = calloc(room + 1, sizeof(*side->name));
    side->is_double = calloc(room + 1, sizeof(*side->is_double));
    if (!side->pair || !side->name || !side->is_double)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for pairs");
    return 0;
}

static size_t first_model(const struct pairing *pairing, size_t pair)
{
    size_t m = 0;

    while (m < pairing->models && pairing->side[pair * pairing->models + m] == PAIRING_NONE)
        m++;
    return m;
}

static bool strip(struct name *name, struct name prefix)
{
    if (name->bytes <= prefix.bytes || memcmp(name->text, prefix.text, prefix.bytes) != 0)
        return false;
    name->text += prefix.bytes;
    name->bytes -= prefix.bytes;
    return true;
}

/* What checkpoints put before names, and what wrappers of modules do. */
static const char *const known[] = {
    "state_dict.",           "model_state_dict.",          "model.", "module.", "_orig_mod.", "_forward_module.",
    "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."};
enum { KNOWN = sizeof(known) / sizeof(known[0]), KNOWN_OF_CHECKPOINTS = 2 };

/* Without the first count of them. */
static struct name without_known(struct name name, size_t count)
{
    bool is_stripped = true;

    while (is_stripped) {
        is_stripped = false;
        for (size_t i = 0; i < count; i++)
            is_stripped |= strip(&name, name_of(known[i]));
    }
    return name;
}

/* Names without the first known_count of what is known. */
static void leftover_fill(struct leftover *side, const struct model *const *models, const struct pairing *pairing,
                          size_t model, bool is_right, size_t known_count)
{
    side->count = 0;
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        size_t first = first_model(pairing, pair);
        bool lacks = pairing->side[pair * pairing->models + model] == PAIRING_NONE;

        if (side->is_double[pair] || (is_right ? first != model : first >= model || !lacks))
            continue;
        side->pair[side->count] = pair;
        side->name[side->count++] = without_known(pairing_name(pairing, models, pair), known_count);
    }
}

/* The name up to and including its first dot; empty where there is none. */
static struct name first_component(struct name name)
{
    const char *dot = memchr(name.text, '.', name.bytes);

    return (struct name){name.text, dot ? (uint32_t)(dot - name.text) + 1 : 0};
}

/* Index of side's names; those that appear twice are marked. */
static struct name_index *index_of(struct leftover *side)
{
    struct name_index *index = name_index_new(side->count + 1);
    const struct name_records records = {side->name, sizeof(*side->name)};

    for (size_t i = 0; index && i < side->count; i++) {
        uint32_t at = name_index_add(index, records, (uint32_t)i);

        if (at != i)
            side->is_double[side->pair[at]] = side->is_double[side->pair[i]] = true;
    }
    return index;
}

/* Joins pair right into pair left, unless both hold a tensor of some model. */
static bool join(struct pairing *pairing, size_t left, size_t right)
{
    uint32_t *into = pairing->side + left * pairing->models, *from = pairing->side + right * pairing->models;

    for (size_t m = 0; m < pairing->models; m++)
        if (into[m] != PAIRING_NONE && from[m] != PAIRING_NONE)
            return false;
    for (size_t m = 0; m < pairing->models; m++) {
        if (from[m] != PAIRING_NONE)
            into[m] = from[m];
        from[m] = PAIRING_NONE;
    }
    pairing->rule[left] = PAIRED_BY_PREFIX;
    return true;
}

/* Joins what has the same name on both sides now. */
static int join_equal(struct pairing *pairing, struct leftover *left, struct leftover *right, struct error *err)
{
    struct name_index *index_left = index_of(left), *index_right = index_of(right);
    const struct name_records records = {right->name, sizeof(*right->name)};
    int rc = 0;

    if (!index_left || !index_right)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for pairs");
    for (size_t i = 0; rc == 0 && i < left->count; i++) {
        uint32_t at = name_index_find(index_right, records, left->name[i]);

        if (at != NAME_INDEX_NONE && !left->is_double[left->pair[i]] && !right->is_double[right->pair[at]])
            join(pairing, left->pair[i], right->pair[at]);
    }
    name_index_free(index_left);
    name_index_free(index_right);
    return rc;
}

/* How many names of side, without prefix, are names opposite. */
static size_t count_matches(const struct leftover *side, const struct leftover *opposite,
                            const struct name_index *index, struct name prefix, size_t *ret_prefixed)
{
    const struct name_records records = {opposite->name, sizeof(*opposite->name)};
    size_t matches = 0;

    *ret_prefixed = 0;
    for (size_t i = 0; i < side->count; i++) {
        struct name name = side->name[i];

        if (!strip(&name, prefix))
            continue;
        ++*ret_prefixed;
        matches += name_index_find(index, records, without_known(name, KNOWN)) != NAME_INDEX_NONE;
    }
    return matches;
}

/* The first component whose loss makes most of its names, or most names opposite, names opposite. Names lie in
 * canonical order, so equal components follow one another but for odd cases, which only cost time: hence the bound. */
static int find_component(const struct leftover *side, const struct leftover *opposite, struct name *ret_component,
                          size_t *ret_matches, struct error *err)
{
    enum { COMPONENTS_MAX = 16 };
    const struct name_records records = {opposite->name, sizeof(*opposite->name)};
    struct name_index *index = name_index_new(opposite->count + 1);
    struct name component = {"", 0};
    size_t tried = 0;

    *ret_matches = 0;
    if (!index)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for pairs");
    for (size_t i = 0; i < opposite->count; i++)
        name_index_add(index, records, (uint32_t)i);
    for (size_t i = 0; i < side->count && tried < COMPONENTS_MAX; i++) {
        struct name next = first_component(side->name[i]);
        size_t matches, prefixed;

        if (next.bytes == 0 || name_equal(next, component))
            continue;
        component = next;
        tried++;
        matches = count_matches(side, opposite, index, component, &prefixed);
        if (matches > *ret_matches && (2 * matches >= prefixed || 2 * matches >= opposite->count)) {
            *ret_matches = matches;
            *ret_component = component;
        }
    }
    name_index_free(index);
    return 0;
}

static int join_component(const struct model *const *models, struct pairing *pairing, size_t model,
                          struct leftover *left, struct leftover *right, struct error *err)
{
    struct name component_left = {"", 0}, component_right = {"", 0};
    size_t matches_left, matches_right;
    struct leftover *side;
    int rc;

    leftover_fill(left, models, pairing, model, false, KNOWN_OF_CHECKPOINTS);
    leftover_fill(right, models, pairing, model, true, KNOWN_OF_CHECKPOINTS);
    rc = find_component(left, right, &component_left, &matches_left, err);
    if (rc == 0)
        rc = find_component(right, left, &component_right, &matches_right, err);
    if (rc || (matches_left == 0 && matches_right == 0))
        return rc;
    side = matches_left >= matches_right ? left : right;
    for (size_t i = 0; i < side->count; i++)
        if (strip(&side->name[i], side == left ? component_left : component_right))
            side->name[i] = without_known(side->name[i], KNOWN);
    return join_equal(pairing, left, right, err);
}

/* Takes out the pairs that were joined into others. */
static void drop_empty(struct pairing *pairing)
{
    const size_t models = pairing->models;
    size_t kept = 0;

    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        if (first_model(pairing, pair) == models)
            continue;
        memmove(pairing->side + kept * models, pairing->side + pair * models, models * sizeof(*pairing->side));
        if (pairing->link)
            pairing->link[kept] = pairing->link[pair];
        pairing->rule[kept++] = pairing->rule[pair];
    }
    pairing->pairs = kept;
}

void pairing_select(const struct model *const *models, struct pairing *pairing, const struct selection *selection)
{
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        if (selection->is_selected(selection->context, pairing_name(pairing, models, pair)))
            continue;
        pairing->excluded++;
        for (size_t m = 0; m < pairing->models; m++)
            pairing->side[pair * pairing->models + m] = PAIRING_NONE;
    }
    drop_empty(pairing);
}

int pairing_add_prefixed(const struct model *const *models, struct pairing *pairing, struct error *err)
{
    struct leftover left = {0}, right = {0};
    int rc = leftover_init(&left, pairing->pairs, err);

    if (rc == 0)
        rc = leftover_init(&right, pairing->pairs, err);
    for (size_t m = 1; rc == 0 && m < pairing->models; m++) {
        memset(left.is_double, 0, pairing->pairs * sizeof(*left.is_double));
        memset(right.is_double, 0, pairing->pairs * sizeof(*right.is_double));
        leftover_fill(&left, models, pairing, m, false, KNOWN);
        leftover_fill(&right, models, pairing, m, true, KNOWN);
        if (left.count == 0 || right.count == 0)
            continue;
        rc = join_equal(pairing, &left, &right, err);
        if (rc == 0)
            rc = join_component(models, pairing, m, &left, &right, err);
        drop_empty(pairing);
    }
    leftover_done(&left);
    leftover_done(&right);
    return rc;
}

const struct tensor *pairing_tensor(const struct pairing *pairing, const struct model *const *models, size_t pair,
                                    size_t m)
{
    uint32_t at = pairing->side[pair * pairing->models + m];

    return at == PAIRING_NONE ? NULL : pairing_side(pairing, models, m, at);
}

const struct tensor *pairing_side(const struct pairing *pairing, const struct model *const *models, size_t m,
                                  uint32_t side)
{
    return side & PAIRING_VIEW ? &pairing->views[side & ~PAIRING_VIEW].tensor : &models[m]->tensors[side];
}

const struct paired_view *pairing_view(const struct pairing *pairing, size_t pair, size_t m)
{
    uint32_t at = pairing->side[pair * pairing->models + m];

    return at == PAIRING_NONE || !(at & PAIRING_VIEW) ? NULL : &pairing->views[at & ~PAIRING_VIEW];
}

const struct pairing_link *pairing_link(const struct pairing *pairing, size_t pair)
{
    if (!pairing->link || (pairing->rule[pair] != PAIRED_BY_LAYOUT && pairing->rule[pair] != PAIRED_AS_TIED))
        return NULL;
    return &pairing->links[pairing->link[pair]];
}

struct name pairing_name(const struct pairing *pairing, const struct model *const *models, size_t pair)
{
    for (size_t m = 0; m < pairing->models; m++) {
        const struct tensor *tensor = pairing_tensor(pairing, models, pair, m);

        if (tensor)
            return tensor->name;
    }
    return (struct name){"", 0};
}
