/* What could be stored in fewer bytes without changing one value: tensors stored twice, values that a narrower type
 * holds exactly, constants, rows of zeros. Proved for every element by the pass. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/memory.h"
#include "core/decode/decoder.h"

enum { CONFIRM_BYTES = 1 << 18 };

const char *const saving_kind_names[SAVING_KIND_COUNT] = {
    [SAVING_DUPLICATE] = "duplicate",   [SAVING_ALL_ZERO] = "all_zero",   [SAVING_CONSTANT] = "constant",
    [SAVING_TO_BF16] = "lossless_bf16", [SAVING_TO_F16] = "lossless_f16", [SAVING_ZERO_ROWS] = "zero_rows",
};

bool *memory_first_uses(const struct comparison *c, size_t model)
{
    bool *is_first = calloc(c->pairing->pairs + 1, sizeof(*is_first));
    bool *is_taken = calloc(c->models[model]->tensor_count + 1, sizeof(*is_taken));

    if (is_first && is_taken)
        for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
            uint32_t tensor = c->pairing->side[pair * c->model_count + model];

            const bool is_whole = tensor != PAIRING_NONE && !(tensor & PAIRING_VIEW);

            is_first[pair] = tensor != PAIRING_NONE && (!is_whole || !is_taken[tensor]);
            if (is_whole)
                is_taken[tensor] = true;
        }
    if (!is_taken) {
        free(is_first);
        is_first = NULL;
    }
    free(is_taken);
    return is_first;
}

struct content {
    const struct tensor *tensor;
    const struct side_record *side;
    uint32_t pair;
    bool is_taken; /* found equal to another */
};

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* 0 for equal dtype, shape and figures: equal contents give figures equal to the last bit, others hardly ever do. */
static int compare_figures(const struct content *a, const struct content *b)
{
    const struct shape *s = &a->tensor->shape, *t = &b->tensor->shape;
    const struct side_record *x = a->side, *y = b->side;
    int order = compare_u64(a->tensor->dtype, b->tensor->dtype);

    if (order == 0)
        order = compare_u64(a->tensor->extent.bytes, b->tensor->extent.bytes);
    if (order == 0)
        order = compare_u64(s->rank, t->rank);
    for (uint32_t d = 0; order == 0 && d < s->rank; d++)
        order = compare_u64(s->dims[d], t->dims[d]);
    if (order == 0)
        order = compare_u64(x->zeros, y->zeros);
    if (order == 0)
        order = compare_u64(x->finite, y->finite);
    if (order == 0)
        order = compare_u64(bits_of(x->mean), bits_of(y->mean));
    if (order == 0)
        order = compare_u64(bits_of(x->m2), bits_of(y->m2));
    if (order == 0)
        order = compare_u64(bits_of(x->squares.high), bits_of(y->squares.high));
    return order ? order : compare_u64(bits_of(x->abs_max), bits_of(y->abs_max));
}

static int compare_contents(const void *left, const void *right)
{
    const struct content *a = left, *b = right;
    int order = compare_figures(a, b);

    return order ? order : compare_u64(a->pair, b->pair);
}

static int add(struct savings *s, size_t *capacity, struct saving saving, struct error *err)
{
    if (saving.saved == 0)
        return 0;
    if (s->count == *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 64;
        struct saving *grown = reallocarray(s->items, wanted, sizeof(*grown));

        if (!grown)
            return error_set(err, ERROR_NO_MEMORY, "out of memory");
        s->items = grown;
        *capacity = wanted;
    }
    s->items[s->count++] = saving;
    return 0;
}

/* Whether both tensors' stored bytes are equal, read again. */
static int confirm(const struct model *model, const struct tensor *a, const struct tensor *b, uint8_t *buffer,
                   bool *ret_is_equal, struct error *err)
{
    for (uint64_t at = 0; at < a->extent.bytes; at += CONFIRM_BYTES) {
        size_t bytes = (size_t)(a->extent.bytes - at < CONFIRM_BYTES ? a->extent.bytes - at : CONFIRM_BYTES);
        int rc = decoder_read_bytes(model, a, at, bytes, buffer, err);

        if (rc == 0)
            rc = decoder_read_bytes(model, b, at, bytes, buffer + CONFIRM_BYTES, err);
        if (rc)
            return rc;
        if (memcmp(buffer, buffer + CONFIRM_BYTES, bytes) != 0) {
            *ret_is_equal = false;
            return 0;
        }
    }
    *ret_is_equal = true;
    return 0;
}

/* What is equal to the first of these, which share their figures, becomes one saving; every tensor but the first could
 * go. best[pair] is raised to what goes. */
static int find_equals(const struct comparison *c, const struct compare_env *env, size_t model, struct content *group,
                       size_t count, struct savings *s, size_t *used, size_t *capacity, uint64_t *best, uint8_t *buffer,
                       struct error *err)
{
    uint64_t bytes = group->tensor->extent.bytes;
    uint32_t start = (uint32_t)*used, copies = 0;
    int rc = 0;

    for (size_t i = 1; rc == 0 && i < count; i++) {
        bool is_equal = false;

        if (group[i].is_taken || tensors_share_place(group->tensor, group[i].tensor))
            continue;
        if (env->scan.cancel && atomic_load_explicit(env->scan.cancel, memory_order_relaxed))
            return error_set(err, ERROR_CANCELLED, "cancelled");
        rc = confirm(c->models[model], group->tensor, group[i].tensor, buffer, &is_equal, err);
        if (rc || !is_equal)
            continue;
        if (copies++ == 0)
            s->equal[(*used)++] = group->pair;
        s->equal[(*used)++] = group[i].pair;
        group[i].is_taken = true;
        best[group[i].pair] = bytes;
    }
    if (rc)
        return rc;
    return add(s, capacity,
               (struct saving){.kind = SAVING_DUPLICATE,
                               .pair = group->pair,
                               .first = start,
                               .count = (uint32_t)*used - start,
                               .bytes = bytes * (copies + 1),
                               .saved = bytes * copies},
               err);
}

/* Candidates share dtype, shape and the pass' figures; their bytes are then compared. A group is tried with its first
 * few members only, which bounds what contents of equal figures could cost. */
static int find_duplicates(const struct comparison *c, const struct compare_env *env, size_t model,
                           const bool *is_first, struct savings *s, size_t *capacity, uint64_t *best, struct error *err)
{
    enum { TRIED_MAX = 4 };
    size_t pairs = c->pairing->pairs, count = 0, used = 0;
    struct content *all = calloc(pairs + 1, sizeof(*all));
    uint8_t *buffer = calloc(2, CONFIRM_BYTES);
    int rc = 0;

    s->equal = calloc(2 * pairs + 1, sizeof(*s->equal));
    if (!all || !s->equal || !buffer)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t pair = 0; rc == 0 && pair < pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, model);

        if (is_first[pair] && tensor->shape.elements > 1 && comparison_side(c, pair, model) &&
            !tensor_is_computed(tensor))
            all[count++] = (struct content){tensor, comparison_side(c, pair, model), (uint32_t)pair, false};
    }
    if (rc == 0)
        qsort(all, count, sizeof(*all), compare_contents);
    for (size_t first = 0, next; rc == 0 && first < count; first = next) {
        for (next = first + 1; next < count && compare_figures(&all[first], &all[next]) == 0;)
            next++;
        for (size_t at = first, tried = 0; rc == 0 && at + 1 < next && tried < TRIED_MAX; at++)
            if (!all[at].is_taken) {
                rc = find_equals(c, env, model, &all[at], next - at, s, &used, capacity, best, buffer, err);
                tried++;
            }
    }
    free(all);
    free(buffer);
    return rc;
}

/* What the tensor alone allows; kinds that cannot both be used are told both where neither contains the other. */
static int find_in_tensor(const struct comparison *c, size_t model, size_t pair, struct savings *s, size_t *capacity,
                          uint64_t *best, struct error *err)
{
    const struct tensor *tensor = comparison_tensor(c, pair, model);
    const struct side_record *side = comparison_side(c, pair, model);
    size_t at = pair * c->model_count + model, from = s->count;
    struct saving saving = {.pair = (uint32_t)pair, .bytes = tensor->extent.bytes};
    uint64_t element_bytes = (dtype_traits(tensor->dtype)->bits + 7) / 8;
    bool is_whole = side && side->elements > 1 && side->finite == side->elements;
    int rc = 0;

    if (!side || dtype_traits(tensor->dtype)->kind != DTYPE_KIND_FLOAT)
        return 0;
    if (is_whole && side->min.f64 == side->max.f64 && saving.bytes > element_bytes) {
        saving.kind = side->abs_max == 0 ? SAVING_ALL_ZERO : SAVING_CONSTANT;
        saving.saved = saving.bytes - (side->abs_max == 0 ? 0 : element_bytes);
        rc = add(s, capacity, saving, err);
    } else {
        if (s->has_profiles && side->finite > 0 && dtype_traits(tensor->dtype)->bits > 16 &&
            saving.bytes > 2 * side->elements) {
            const struct side_profile *profile = &c->scan->profiles[at];

            saving.saved = saving.bytes - 2 * side->elements;
            saving.kind = SAVING_TO_BF16;
            if (profile->not_bf16 == 0)
                rc = add(s, capacity, saving, err);
            saving.kind = SAVING_TO_F16;
            if (rc == 0 && profile->not_f16 == 0)
                rc = add(s, capacity, saving, err);
        }
        if (rc == 0 && s->has_rows && c->scan->rows[at].zeros > 0) {
            saving.kind = SAVING_ZERO_ROWS;
            saving.count = (uint32_t)c->scan->rows[at].zeros;
            saving.saved = c->scan->rows[at].zeros * (saving.bytes / c->scan->rows[at].count);
            rc = add(s, capacity, saving, err);
        }
    }
    for (size_t i = from; i < s->count; i++)
        if (s->items[i].saved > best[pair])
            best[pair] = s->items[i].saved;
    return rc;
}

static int compare_savings(const void *left, const void *right)
{
    const struct saving *a = left, *b = right;

    if (a->saved != b->saved)
        return a->saved > b->saved ? -1 : 1;
    if (a->pair != b->pair)
        return a->pair < b->pair ? -1 : 1;
    return a->kind < b->kind ? -1 : a->kind > b->kind;
}

int savings_find(const struct comparison *c, const struct compare_env *env, size_t model, struct savings *s,
                 struct error *err)
{
    uint64_t *best = calloc(c->pairing->pairs + 1, sizeof(*best));
    bool *is_first = memory_first_uses(c, model);
    size_t capacity = 0;
    int rc = best && is_first ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");

    *s = (struct savings){.model = model,
                          .has_values = c->scan != NULL,
                          .has_profiles = c->scan && c->scan->profiles,
                          .has_rows = c->scan && c->scan->rows};
    if (rc == 0 && s->has_values)
        rc = find_duplicates(c, env, model, is_first, s, &capacity, best, err);
    for (size_t pair = 0; rc == 0 && pair < c->pairing->pairs; pair++)
        if (is_first[pair])
            rc = find_in_tensor(c, model, pair, s, &capacity, best, err);
    for (size_t pair = 0; rc == 0 && pair < c->pairing->pairs; pair++)
        s->saveable += best[pair];
    if (rc == 0 && s->count)
        qsort(s->items, s->count, sizeof(*s->items), compare_savings);
    free(best);
    free(is_first);
    return rc;
}

void savings_done(struct savings *s)
{
    free(s->items);
    free(s->equal);
}

static void write_saving(const struct comparison *c, const struct savings *s, const struct saving *saving,
                         struct writer *w)
{
    enum { COPIES_MAX = 10 };

    write_begin_object(w);
    write_text(w, "kind", saving_kind_names[saving->kind]);
    write_named(w, "tensor", comparison_tensor(c, saving->pair, s->model)->name);
    write_u64(w, "bytes", saving->bytes);
    write_u64(w, "bytes_saved", saving->saved);
    if (saving->kind == SAVING_ZERO_ROWS)
        write_u64(w, "zero_rows", saving->count);
    if (saving->kind == SAVING_DUPLICATE) {
        write_u64(w, "copies", saving->count - 1);
        write_array(w, "equal");
        for (uint32_t i = 1; i < saving->count && i <= COPIES_MAX; i++)
            write_name(w, comparison_tensor(c, s->equal[saving->first + i], s->model)->name);
        write_end(w);
    }
    write_end(w);
}

void savings_write(const struct comparison *c, const struct savings *s, struct writer *w)
{
    write_array(w, "opportunities");
    for (size_t i = 0; i < s->count && i < c->request->options.opportunities; i++)
        write_saving(c, s, &s->items[i], w);
    write_end(w);
    write_array(w, "not_measured");
    if (!s->has_values)
        write_name(w, name_of("duplicate"));
    if (!s->has_profiles)
        write_name(w, name_of("lossless_bf16, lossless_f16"));
    if (!s->has_rows)
        write_name(w, name_of("zero_rows"));
    write_end(w);
}
