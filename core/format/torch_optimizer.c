/* Which parameter is which number of an optimizer. PyTorch's optimizers know parameters by their place in
 * model.parameters(); names are in the model's own dict, in the same order, between buffers, which have no number. What
 * a parameter's state looks like tells them apart: its shape is the parameter's. */
#include <stdlib.h>
#include <string.h>

#include "core/format/torch.h"

enum { NUMBERS_MAX = 1 << 20 };

/* A float tensor of the model's dict. */
struct candidate {
    struct name name;
    const struct node *size;
};

static int no_memory(struct torch *torch)
{
    return error_set(torch->err, ERROR_NO_MEMORY, "out of memory for an optimizer's state");
}

static bool is_same_size(const struct node *a, const struct node *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->items[i]->kind != NODE_INT || b->items[i]->kind != NODE_INT ||
            a->items[i]->integer != b->items[i]->integer)
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
    const struct node *size;
    bool is_float;

    for (uint32_t i = 0; dict && dict->kind == NODE_DICT && i + 1 < dict->count; i += 2)
        if (dict->items[i]->kind == NODE_TEXT && torch_tensor_shape(dict->items[i + 1], &size, &is_float))
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

/* The shape of what a parameter's state holds of its own size. */
static const struct node *state_size(const struct node *state)
{
    static const char *const members[] = {"exp_avg", "momentum_buffer", "square_avg", "exp_avg_sq", "sum", "acc_delta"};
    const struct node *size;
    bool is_float;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const struct node *member = node_member(state, members[i]);

        if (member && torch_tensor_shape(member, &size, &is_float))
            return size;
    }
    return NULL;
}

/* One past the highest number that a group lists; 0 where some are no numbers. */
static size_t count_numbers(const struct node *groups)
{
    int64_t most = -1;

    for (uint32_t g = 0; groups && groups->kind == NODE_LIST && g < groups->count; g++) {
        const struct node *list = node_member(groups->items[g], "params");

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

static size_t list_candidates(const struct node *weights, struct candidate *candidates)
{
    size_t count = 0;

    for (uint32_t i = 0; i + 1 < weights->count; i += 2) {
        const struct node *key = weights->items[i];
        const struct node *size;
        bool is_float;

        if (key->kind == NODE_TEXT && torch_tensor_shape(weights->items[i + 1], &size, &is_float) && is_float &&
            !is_buffer(key->text))
            candidates[count++] = (struct candidate){key->text, size};
    }
    return count;
}

/* In order, each number to the next tensor of its shape. Numbers without a state have none, and can only be told when
 * there are as many tensors as numbers. */
static bool match(const struct candidate *candidates, size_t candidate_count, const struct node *const *sizes,
                  struct name *names, size_t count)
{
    const bool is_whole = candidate_count == count;
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        if (!sizes[i] && !is_whole)
            return false;
        while (at < candidate_count && sizes[i] && !is_same_size(sizes[i], candidates[at].size)) {
            if (is_whole)
                return false;
            at++;
        }
        if (at == candidate_count)
            return false;
        names[i] = candidates[at++].name;
    }
    return true;
}

int torch_optimizer_names(struct torch *torch, const struct node *root, const struct node *optimizer,
                          struct name **ret_names, size_t *ret_count)
{
    const struct node *groups = node_member(optimizer, "param_groups"), *state = node_member(optimizer, "state");
    const struct node *weights = find_weights(root);
    const size_t count = count_numbers(groups);
    struct name *names = arena_take_array(&torch->nodes, count + 1, sizeof(*names));
    const struct node **sizes = arena_take_array(&torch->nodes, count + 1, sizeof(struct node *));
    struct candidate *candidates =
        arena_take_array(&torch->nodes, weights ? weights->count / 2 + 1 : 1, sizeof(*candidates));

    *ret_count = 0;
    if (!names || !sizes || !candidates)
        return no_memory(torch);
    if (count == 0 || !state || state->kind != NODE_DICT)
        return 0;
    for (uint32_t i = 0; i + 1 < state->count; i += 2) {
        const struct node *key = state->items[i];

        if (key->kind == NODE_INT && key->integer >= 0 && (uint64_t)key->integer < count)
            sizes[key->integer] = state_size(state->items[i + 1]);
    }
    if (!take_listed(groups, names, count)) {
        memset(names, 0, count * sizeof(*names));
        if (!weights || !match(candidates, list_candidates(weights, candidates), sizes, names, count))
            return 0;
    }
    *ret_names = names;
    *ret_count = count;
    return 0;
}
