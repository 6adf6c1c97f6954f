/* Tables of names. mu and nu are names of weights too (a variational encoder's): they count as moments only where both
 * stand in the same place. */
#include "core/analysis/gradient_roles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 1024, NUMBER_BYTES_MAX = 63 };

struct role_row {
    const char *component;
    uint32_t bytes; /* of component: most names are told apart by it */
    enum role role;
    const char *twin; /* must stand beside it, or NULL */
};
#define COMPONENT(text) text, sizeof(text) - 1
static const struct role_row role_rows[] = {
    {COMPONENT("grad"), ROLE_GRADIENT, NULL},
    {COMPONENT("grads"), ROLE_GRADIENT, NULL},
    {COMPONENT("gradients"), ROLE_GRADIENT, NULL},
    {COMPONENT("exp_avg"), ROLE_FIRST_MOMENT, NULL},
    {COMPONENT("exp_avg_sq"), ROLE_SECOND_MOMENT, NULL},
    {COMPONENT("mu"), ROLE_FIRST_MOMENT, "nu"},
    {COMPONENT("nu"), ROLE_SECOND_MOMENT, "mu"},
    {COMPONENT("square_avg"), ROLE_SQUARE_AVERAGE, NULL},
    {COMPONENT("momentum_buffer"), ROLE_MOMENTUM, NULL},
    {COMPONENT("max_exp_avg_sq"), ROLE_STATE, NULL},
    {COMPONENT("max_exp_avg_sqs"), ROLE_STATE, NULL},
    {COMPONENT("optimizer"), ROLE_STATE, NULL},
    {COMPONENT("optimizer_state"), ROLE_STATE, NULL},
    {COMPONENT("optimizer_states"), ROLE_STATE, NULL},
    {COMPONENT("optimizer_state_dict"), ROLE_STATE, NULL},
    {COMPONENT("optim_state"), ROLE_STATE, NULL},
    {COMPONENT("opt_state"), ROLE_STATE, NULL},
    {COMPONENT("param_groups"), ROLE_STATE, NULL},
};

struct scalar_row {
    const char *component, *kind;
};
static const struct scalar_row scalar_rows[] = {
    {"global_step", "global_step"}, {"step", "step"},     {"epoch", "epoch"}, {"loss", "loss"},
    {"train_loss", "loss"},         {"val_loss", "loss"}, {"lr", "lr"},       {"learning_rate", "lr"},
};

static bool is_separator(char c)
{
    return c == '.' || c == '/';
}

/* The component that starts at *at, moving *at behind it and its separator; false at the end. */
static bool next_component(struct name name, uint32_t *at, struct name *ret_component)
{
    uint32_t end = *at;

    if (*at >= name.bytes)
        return false;
    while (end < name.bytes && !is_separator(name.text[end]))
        end++;
    *ret_component = (struct name){name.text + *at, end - *at};
    *at = end + 1;
    return true;
}

static bool is_text(struct name name, const char *text)
{
    return strlen(text) == name.bytes && memcmp(text, name.text, name.bytes) == 0;
}

static bool is_number(struct name name)
{
    for (uint32_t i = 0; i < name.bytes; i++)
        if (name.text[i] < '0' || name.text[i] > '9')
            return false;
    return name.bytes > 0;
}

static uint64_t number_of(struct name name)
{
    uint64_t number = 0;

    if (name.bytes > 18)
        return UINT64_MAX;
    for (uint32_t i = 0; i < name.bytes; i++)
        number = number * 10 + (uint64_t)(name.text[i] - '0');
    return number;
}

static struct name last_component(struct name name)
{
    uint32_t at = name.bytes;

    while (at > 0 && !is_separator(name.text[at - 1]))
        at--;
    return (struct name){name.text + at, name.bytes - at};
}

/* Within tensor's name, component replaced; looked up. */
static const struct tensor *find_replaced(const struct model *model, struct name name, struct name component,
                                          const char *with)
{
    char text[NAME_BYTES_MAX];
    size_t before = (size_t)(component.text - name.text), bytes = strlen(with);
    size_t after = name.bytes - before - component.bytes;

    if (before + bytes + after > sizeof(text))
        return NULL;
    memcpy(text, name.text, before);
    memcpy(text + before, with, bytes);
    memcpy(text + before + bytes, component.text + component.bytes, after);
    return model_find(model, (struct name){text, (uint32_t)(before + bytes + after)});
}

const struct tensor *role_twin(const struct model *model, const struct tensor *tensor, const struct role_owner *owner,
                               const char *component)
{
    return find_replaced(model, tensor->name, owner->component, component);
}

static const struct role_row *row_of(const struct model *model, struct name name, struct name component)
{
    for (size_t i = 0; i < sizeof(role_rows) / sizeof(role_rows[0]); i++)
        if (component.bytes == role_rows[i].bytes &&
            memcmp(component.text, role_rows[i].component, component.bytes) == 0 &&
            (!role_rows[i].twin || find_replaced(model, name, component, role_rows[i].twin)))
            return &role_rows[i];
    return NULL;
}

/* What follows the component is the weight's name; where nothing does, what stands before it, from behind a component
 * "state" on ("optimizer.state.layers.0.weight.exp_avg"). */
static void own(struct name name, struct name component, struct role_owner *owner)
{
    size_t before = (size_t)(component.text - name.text), end = before + component.bytes;
    struct name part, head = {name.text, before > 0 ? (uint32_t)before - 1 : 0};
    uint32_t at = 0;

    *owner = (struct role_owner){.component = component, .base = head};
    if (end < name.bytes) {
        owner->base = (struct name){name.text + end + 1, (uint32_t)(name.bytes - end - 1)};
        owner->is_numbered = is_number(owner->base);
        owner->number = owner->is_numbered ? number_of(owner->base) : 0;
        return;
    }
    while (next_component(head, &at, &part))
        if (is_text(part, "state") && at < head.bytes)
            owner->base = (struct name){head.text + at, head.bytes - at};
    owner->is_numbered = is_number(owner->base);
    owner->number = owner->is_numbered ? number_of(owner->base) : 0;
    if (owner->is_numbered)
        owner->base = head;
}

enum role gradient_role_of(const struct model *model, const struct tensor *tensor, struct role_owner *ret_owner)
{
    enum role role = ROLE_WEIGHT;
    struct name component;
    uint32_t at = 0;

    while (next_component(tensor->name, &at, &component)) {
        const struct role_row *row = row_of(model, tensor->name, component);

        if (!row)
            continue;
        role = row->role;
        if (role == ROLE_STATE)
            continue; /* a later component may say more */
        if (ret_owner)
            own(tensor->name, component, ret_owner);
        return role;
    }
    if (role == ROLE_WEIGHT && tensor->shape.elements == 1 && scalar_kind(tensor->name))
        return ROLE_SCALAR;
    return role;
}

const struct tensor *role_weight(const struct model *model, const struct role_owner *owner)
{
    static const char *const wrappers[] = {"", "model", "params", "module", "state_dict", "model_state_dict"};
    char separator = memchr(owner->base.text, '/', owner->base.bytes) ? '/' : '.';
    char text[NAME_BYTES_MAX];

    if (owner->is_numbered || owner->base.bytes == 0)
        return NULL;
    for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
        size_t bytes = strlen(wrappers[i]);
        const struct tensor *weight;

        if (bytes + 1 + owner->base.bytes > sizeof(text))
            continue;
        memcpy(text, wrappers[i], bytes);
        if (bytes)
            text[bytes++] = separator;
        memcpy(text + bytes, owner->base.text, owner->base.bytes);
        weight = model_find(model, (struct name){text, (uint32_t)bytes + owner->base.bytes});
        if (weight && gradient_role_of(model, weight, NULL) == ROLE_WEIGHT)
            return weight;
    }
    return NULL;
}

const char *scalar_kind(struct name name)
{
    struct name last = last_component(name);

    for (size_t i = 0; i < sizeof(scalar_rows) / sizeof(scalar_rows[0]); i++)
        if (is_text(last, scalar_rows[i].component))
            return scalar_rows[i].kind;
    return NULL;
}

bool scalar_value(const struct comparison *c, size_t pair, size_t model, double *ret_value)
{
    const struct side_record *side = comparison_side(c, pair, model);

    if (!side || side->elements != 1 || side->finite != 1)
        return false;
    *ret_value = side_mean(side);
    return true;
}

bool scalar_parse(struct name text, double *ret_value)
{
    char number[NUMBER_BYTES_MAX + 1], *end;
    double value;

    if (text.bytes == 0 || text.bytes > NUMBER_BYTES_MAX || !strchr("+-.0123456789", text.text[0]))
        return false;
    memcpy(number, text.text, text.bytes);
    number[text.bytes] = '\0';
    value = strtod(number, &end);
    if (end != number + text.bytes || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

struct hyper_row {
    const char *component;
    enum hyper hyper;
};
static const struct hyper_row hyper_rows[] = {
    {"step", HYPER_STEP},
    {"global_step", HYPER_STEP},
    {"count", HYPER_STEP},
    {"lr", HYPER_LR},
    {"beta1", HYPER_BETA1},
    {"beta2", HYPER_BETA2},
    {"b1", HYPER_BETA1},
    {"b2", HYPER_BETA2},
    {"eps", HYPER_EPSILON},
    {"epsilon", HYPER_EPSILON},
    {"adam_beta1", HYPER_BETA1},
    {"adam_beta2", HYPER_BETA2},
    {"adam_epsilon", HYPER_EPSILON},
    {"learning_rate", HYPER_LR},
};

/* Which parameter the name says; −1: none. */
static int hyper_of(struct name name)
{
    struct name last = last_component(name);

    for (size_t i = 0; i < sizeof(hyper_rows) / sizeof(hyper_rows[0]); i++)
        if (is_text(last, hyper_rows[i].component))
            return (int)hyper_rows[i].hyper;
    if (is_text(last, "0") || is_text(last, "1")) {
        struct name list = {name.text, name.bytes > 2 ? name.bytes - 2 : 0};

        if (is_text(last_component(list), "betas"))
            return last.text[0] == '0' ? HYPER_BETA1 : HYPER_BETA2;
    }
    return -1;
}

/* What stands with the optimizer counts before what stands with the run. */
static unsigned rank_of(struct name name)
{
    static const char *const places[] = {"optimizer",    "optimizer_state", "opt_state",
                                         "param_groups", "state",           "optim_state"};
    struct name component;
    uint32_t at = 0;

    while (next_component(name, &at, &component))
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
            if (is_text(component, places[i]))
                return 2;
    return 1;
}

static void hyper_add(struct hypers *hypers, int hyper, unsigned rank, double value)
{
    if (hyper < 0 || rank < hypers->rank[hyper])
        return;
    if (rank > hypers->rank[hyper]) {
        hypers->value[hyper] = value;
        hypers->is_ambiguous[hyper] = false;
        hypers->rank[hyper] = rank;
    } else if (hypers->value[hyper] < value || hypers->value[hyper] > value) {
        hypers->is_ambiguous[hyper] = true;
    }
}

/* "[0.9, 0.999]" or "(0.9, 0.999)". */
static void add_betas(struct hypers *hypers, struct name name, struct name text)
{
    const char *comma = memchr(text.text, ',', text.bytes);
    struct name first, second;
    double beta1, beta2;

    if (!comma || text.bytes < 5 || !strchr("[(", text.text[0]))
        return;
    first = (struct name){text.text + 1, (uint32_t)(comma - text.text - 1)};
    second = (struct name){comma + 1, (uint32_t)(text.text + text.bytes - comma - 2)};
    while (second.bytes > 0 && second.text[0] == ' ') {
        second.text++;
        second.bytes--;
    }
    if (scalar_parse(first, &beta1) && scalar_parse(second, &beta2)) {
        hyper_add(hypers, HYPER_BETA1, rank_of(name), beta1);
        hyper_add(hypers, HYPER_BETA2, rank_of(name), beta2);
    }
}

void hypers_find(const struct comparison *c, size_t model, struct hypers *ret_hypers)
{
    struct hypers hypers = {0};
    const struct model *m = c->models[model];
    double value;

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, model);

        if (tensor && tensor->shape.elements == 1 && scalar_value(c, pair, model, &value))
            hyper_add(&hypers, hyper_of(tensor->name), rank_of(tensor->name), value);
    }
    for (size_t i = 0; i < m->metadata_count; i++) {
        struct name key = m->metadata[i].key;

        if (scalar_parse(m->metadata[i].value, &value))
            hyper_add(&hypers, hyper_of(key), rank_of(key), value);
        else if (is_text(last_component(key), "betas"))
            add_betas(&hypers, key, m->metadata[i].value);
    }
    for (int h = 0; h < HYPER_COUNT; h++)
        if (hypers.rank[h] == 0 || hypers.is_ambiguous[h])
            hypers.value[h] = NAN;
    *ret_hypers = hypers;
}
