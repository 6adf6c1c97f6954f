/* Which parameter is which number of an optimizer. PyTorch's optimizers know parameters by their place in
 * model.parameters(); names are in the model's own dict, in the same order, between buffers, which have no number. What
 * a parameter's state looks like tells them apart: its shape is the parameter's. The numbers of a group lie along the
 * dict somehow; where the first way to lay them and the last give a number the same tensor, every way does, and it has
 * that name. Others keep their number. */
#include <stdlib.h>
#include <string.h>

#include "core/format/torch.h"
#include "core/model/name_index.h"

enum {
    NUMBERS_MAX = 1 << 20,
    ALIASES_TRIED = 64,
    GROUPS_MAX = 4096,
    OPTIMIZERS_MAX = 16,
    LOOKED_AT_MAX = 256,
    LAID_MAX = 1 << 26
};

/* A float tensor of the model's dict. */
struct candidate {
    struct name name;
    struct torch_outline outline;
};

/* What a parameter's state tells of its shape: the size of what is as large as itself, or, factored, of what has its
 * rows and what has its columns. */
struct size {
    const struct node *whole, *rows, *columns;
};

static int no_memory(struct torch *torch)
{
    return torch_no_memory(torch, "the numbers of an optimizer");
}

static bool is_dimension(const struct node *size, uint32_t d, const struct node *of)
{
    return of->count == size->count && size->items[d]->kind == NODE_INT && of->items[d]->kind == NODE_INT &&
           size->items[d]->integer == of->items[d]->integer;
}

static bool fits(const struct size *size, const struct node *candidate)
{
    if (!size->whole && !size->rows)
        return true;
    if ((size->whole ? size->whole : size->rows)->count != candidate->count)
        return false;
    for (uint32_t d = 0; d < candidate->count; d++)
        if (!is_dimension(candidate, d,
                          size->whole                 ? size->whole
                          : d + 1 == candidate->count ? size->columns
                                                      : size->rows))
            return false;
    return true;
}

static bool ends_with(struct name name, const char *end)
{
    const size_t bytes = strlen(end);

    return name.bytes >= bytes && memcmp(name.text + name.bytes - bytes, end, bytes) == 0;
}

static bool is_buffer(struct name name)
{
    return ends_with(name, "running_mean") || ends_with(name, "running_var") || ends_with(name, "num_batches_tracked");
}

static bool holds_tensors(const struct node *dict)
{
    struct torch_outline outline;

    for (uint32_t i = 0; dict && dict->kind == NODE_DICT && i + 1 < dict->count && i < LOOKED_AT_MAX; i += 2)
        if (dict->items[i]->kind == NODE_TEXT && torch_tensor_outline(dict->items[i + 1], &outline))
            return true;
    return false;
}

/* The dict of the model's tensors: beside the optimizer, under a usual name or the first there is. */
static const struct node *find_weights(const struct node *root)
{
    static const char *const usual[] = {"state_dict", "model_state_dict", "model",  "module",
                                        "net",        "params",           "weights"};

    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (holds_tensors(node_member(root, usual[i])))
            return node_member(root, usual[i]);
    for (uint32_t i = 1; root->kind == NODE_DICT && i < root->count; i += 2)
        if (holds_tensors(root->items[i]))
            return root->items[i];
    return holds_tensors(root) ? root : NULL;
}

static const struct node *size_of(const struct node *state, const char *key)
{
    const struct node *member = node_member(state, key);
    struct torch_outline outline;

    return member && torch_tensor_outline(member, &outline) ? outline.size : NULL;
}

static struct size state_size(const struct node *state)
{
    static const char *const members[] = {"exp_avg",   "momentum_buffer", "square_avg", "exp_avg_sq", "sum",
                                          "acc_delta", "variance",        "prev",       "ax"};
    struct size size = {0};

    if (state->count > LOOKED_AT_MAX)
        return size;
    for (size_t i = 0; !size.whole && i < sizeof(members) / sizeof(members[0]); i++)
        size.whole = size_of(state, members[i]);
    if (!size.whole) { /* Adafactor's */
        size.rows = size_of(state, "row_var");
        size.columns = size.rows ? size_of(state, "col_var") : NULL;
        if (!size.columns || size.columns->count != size.rows->count)
            size.rows = NULL;
    }
    return size;
}

/* One past the highest number that a group lists; 0 where some are no numbers, or more than such a file has. */
static size_t count_numbers(const struct node *groups)
{
    int64_t most = -1;
    size_t listed = 0;

    if (!groups || groups->kind != NODE_LIST || groups->count > GROUPS_MAX)
        return 0;
    for (uint32_t g = 0; g < groups->count; g++) {
        const struct node *list = node_member(groups->items[g], "params");

        listed += groups->items[g]->count / LOOKED_AT_MAX + (list ? list->count : 0);
        if (listed > NUMBERS_MAX)
            return 0;
        for (uint32_t i = 0; list && i < list->count; i++) {
            if (list->items[i]->kind != NODE_INT || list->items[i]->integer < 0 ||
                list->items[i]->integer >= NUMBERS_MAX)
                return 0;
            most = list->items[i]->integer > most ? list->items[i]->integer : most;
        }
    }
    return (size_t)(most + 1);
}

/* Newer optimizers list the names themselves. */
static bool take_listed(const struct node *groups, struct name *names, size_t count)
{
    size_t taken = 0;

    for (uint32_t g = 0; g < groups->count; g++) {
        const struct node *list = node_member(groups->items[g], "params");
        const struct node *given = node_member(groups->items[g], "param_names");

        for (uint32_t i = 0; list && given && given->count == list->count && i < list->count; i++)
            if (given->items[i]->kind == NODE_TEXT && !names[list->items[i]->integer].text) {
                names[list->items[i]->integer] = given->items[i]->text;
                taken++;
            }
    }
    return taken == count;
}

/* A tensor that is there under two names is one parameter, under the first. */
static bool is_known(const struct candidate *candidates, size_t count, const struct torch_outline *outline)
{
    for (size_t i = count > ALIASES_TRIED ? count - ALIASES_TRIED : 0; i < count; i++)
        if (candidates[i].outline.first == outline->first &&
            name_equal(candidates[i].outline.storage, outline->storage))
            return true;
    return false;
}

static size_t list_candidates(const struct node *weights, struct candidate *candidates)
{
    size_t count = 0;

    for (uint32_t i = 0; weights && i + 1 < weights->count; i += 2) {
        const struct node *key = weights->items[i];
        struct torch_outline outline;

        if (key->kind == NODE_TEXT && torch_tensor_outline(weights->items[i + 1], &outline) && outline.is_float &&
            !is_buffer(key->text) && !is_known(candidates, count, &outline))
            candidates[count++] = (struct candidate){key->text, outline};
    }
    return count;
}

/* Lays the group's numbers along the candidates, in order, as early as can be; from the end, as late. places[i] is that
 * of the list's i-th number. */
static bool lay(const struct node *list, const struct size *sizes, const struct candidate *candidates, size_t count,
                bool is_from_end, uint32_t *places)
{
    size_t at = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        const uint32_t item = is_from_end ? list->count - 1 - i : i;
        const struct size *size = &sizes[list->items[item]->integer];

        while (at < count && !fits(size, candidates[is_from_end ? count - 1 - at : at].outline.size))
            at++;
        if (at == count)
            return false;
        places[item] = (uint32_t)(is_from_end ? count - 1 - at : at);
        at++;
    }
    return true;
}

static int match_group(struct torch *torch, const struct node *list, const struct size *sizes,
                       const struct candidate *candidates, size_t count, struct name *names)
{
    uint32_t *early = arena_take_array(&torch->nodes, 2 * (size_t)list->count + 1, sizeof(*early));
    uint32_t *late;

    if (!early)
        return no_memory(torch);
    late = early + list->count;
    if (!lay(list, sizes, candidates, count, false, early) || !lay(list, sizes, candidates, count, true, late))
        return 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const int64_t number = list->items[i]->integer;

        if (early[i] == late[i] && (sizes[number].whole || sizes[number].rows))
            names[number] = candidates[early[i]].name;
    }
    return 0;
}

/* Two numbers of one name are none. */
static int drop_doubles(struct torch *torch, struct name *names, size_t count)
{
    struct name *taken = arena_take_array(&torch->nodes, count + 1, sizeof(*taken));
    const struct name_records records = {taken, sizeof(*taken)};
    struct name_index *index = name_index_new(count + 1);
    size_t kept = 0, *number = arena_take_array(&torch->nodes, count + 1, sizeof(*number));
    int rc = taken && index && number ? 0 : no_memory(torch);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint32_t at;

        if (!names[i].text)
            continue;
        taken[kept] = names[i];
        number[kept] = i;
        at = name_index_add(index, records, (uint32_t)kept);
        if (at != kept)
            names[number[at]] = names[i] = (struct name){0};
        kept++;
    }
    name_index_free(index);
    return rc;
}

int torch_optimizer_names(struct torch *torch, const struct node *root, const struct node *optimizer,
                          struct name **ret_names, size_t *ret_count)
{
    const struct node *groups = node_member(optimizer, "param_groups"), *state = node_member(optimizer, "state");
    const struct node *weights;
    struct name *names;
    struct size *sizes;
    struct candidate *candidates;
    size_t count, candidate_count;
    int rc = 0;

    *ret_count = 0;
    if (torch->optimizers == OPTIMIZERS_MAX)
        return 0;
    torch->optimizers++;
    count = count_numbers(groups);
    if (count == 0 || !state || state->kind != NODE_DICT)
        return 0;
    weights = find_weights(root);
    names = arena_take_array(&torch->nodes, count + 1, sizeof(*names));
    sizes = arena_take_array(&torch->nodes, count + 1, sizeof(*sizes));
    candidates = arena_take_array(&torch->nodes, weights ? weights->count / 2 + 1 : 1, sizeof(*candidates));
    if (!names || !sizes || !candidates)
        return no_memory(torch);
    for (uint32_t i = 0; i + 1 < state->count; i += 2) {
        const struct node *key = state->items[i];

        if (key->kind == NODE_INT && key->integer >= 0 && (uint64_t)key->integer < count)
            sizes[key->integer] = state_size(state->items[i + 1]);
    }
    if (!take_listed(groups, names, count)) {
        memset(names, 0, count * sizeof(*names));
        candidate_count = list_candidates(weights, candidates);
        if (candidate_count * groups->count > LAID_MAX)
            return 0;
        for (uint32_t g = 0; rc == 0 && g < groups->count; g++) {
            const struct node *list = node_member(groups->items[g], "params");

            if (list)
                rc = match_group(torch, list, sizes, candidates, candidate_count, names);
        }
        if (rc == 0)
            rc = drop_doubles(torch, names, count);
    }
    *ret_names = names;
    *ret_count = count;
    return rc;
}
