/* torch numbers the parameters in the order in which they were given to the optimizer, which is mostly that of the
 * model. Where layers are of equal shapes, weights that are taken for one another within a layer leave its sums as they
 * are; orders that would deal them out to other layers must not both fit. */
#include "core/analysis/gradient_names.h"

#include <stdlib.h>
#include <string.h>

#include "core/model/layers.h"

struct numbering {
    const struct model *model;
    const struct tensor **states; /* [number]: one tensor of it; the others have its shape */
    size_t count;                 /* numbers, 0 … count − 1 */
    const struct tensor **weights;
    size_t weight_count;
    uint64_t tensors;
    bool is_whole; /* each number is there, and has one shape */
};

static void add_numbered(struct numbering *n, const struct tensor *tensor, uint64_t number)
{
    n->tensors++;
    if (number >= n->model->tensor_count) {
        n->is_whole = false;
        return;
    }
    if (n->states[number])
        n->is_whole = n->is_whole && shape_equal(&n->states[number]->shape, &tensor->shape);
    n->states[number] = tensor;
    if (number >= n->count)
        n->count = (size_t)number + 1;
}

static void list_tensors(struct numbering *n)
{
    n->is_whole = true;
    for (size_t i = 0; i < n->model->tensor_count; i++) {
        const struct tensor *tensor = &n->model->tensors[i];
        struct role_owner owner = {.is_numbered = false};
        enum role role = gradient_role_of(n->model, tensor, &owner);

        if (!dtype_is_parameter(tensor->dtype))
            continue;
        if (role == ROLE_WEIGHT)
            n->weights[n->weight_count++] = tensor;
        else if (owner.is_numbered)
            add_numbered(n, tensor, owner.number);
    }
    for (size_t i = 0; i < n->count; i++)
        n->is_whole = n->is_whole && n->states[i];
}

static int compare_places(const void *left, const void *right)
{
    const struct tensor *a = *(const struct tensor *const *)left, *b = *(const struct tensor *const *)right;

    if (a->extent.source != b->extent.source)
        return a->extent.source < b->extent.source ? -1 : 1;
    return a->extent.offset < b->extent.offset ? -1 : a->extent.offset > b->extent.offset;
}

static bool does_fit(const struct numbering *n, const struct tensor *const *weights)
{
    for (size_t i = 0; i < n->count; i++)
        if (!weights[i] || (n->states[i] && !shape_equal(&n->states[i]->shape, &weights[i]->shape)))
            return false;
    return true;
}

static bool have_same_layers(const struct tensor *const *a, const struct tensor *const *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!name_equal(layer_of(a[i]->name), layer_of(b[i]->name)))
            return false;
    return true;
}

/* n->weights come in canonical order; stored has room for as many. Returns the order that fits. */
static const struct tensor **name_by_order(const struct numbering *n, const struct tensor **stored,
                                           const char **ret_reason)
{
    bool fits, fits_stored;

    *ret_reason = "the optimizer numbers its parameters, and does not have one of every shape for each weight";
    if (!n->is_whole || n->count != n->weight_count)
        return NULL;
    memcpy(stored, n->weights, n->count * sizeof(const struct tensor *));
    qsort(stored, n->count, sizeof(const struct tensor *), compare_places);
    fits = does_fit(n, n->weights);
    fits_stored = does_fit(n, stored);
    *ret_reason = "the optimizer numbers its parameters, and their shapes are not those of the weights in order";
    if (!fits && !fits_stored)
        return NULL;
    *ret_reason = "the optimizer numbers its parameters, and two orders of the weights fit their shapes";
    if (fits && fits_stored && !have_same_layers(n->weights, stored, n->count))
        return NULL;
    *ret_reason = NULL;
    return fits_stored ? stored : n->weights;
}

static bool ends_in(struct name name, const char *end)
{
    size_t bytes = strlen(end);

    return name.bytes >= bytes && memcmp(name.text + name.bytes - bytes, end, bytes) == 0;
}

/* The next quoted text of a list ['a', "b"], behind *at; false at the end. Names with quotes are not told apart. */
static bool next_quoted(struct name list, uint32_t *at, struct name *ret_text)
{
    uint32_t start = *at, end;

    while (start < list.bytes && list.text[start] != '\'' && list.text[start] != '"')
        start++;
    end = start + 1;
    while (end < list.bytes && list.text[end] != list.text[start])
        end++;
    if (end >= list.bytes)
        return false;
    *ret_text = (struct name){list.text + start + 1, end - start - 1};
    *at = end + 1;
    return true;
}

/* Metadata lies in canonical order of its keys: group 0 before group 1. False where a name is no weight's. */
static bool name_by_metadata(const struct numbering *n, const struct tensor **weights, bool *ret_is_there)
{
    size_t count = 0;

    *ret_is_there = false;
    for (size_t i = 0; i < n->model->metadata_count; i++) {
        const struct name list = n->model->metadata[i].value;
        struct name text;
        uint32_t at = 0;

        if (!ends_in(n->model->metadata[i].key, "param_names"))
            continue;
        *ret_is_there = true;
        while (next_quoted(list, &at, &text)) {
            const struct role_owner owner = {.base = text};

            if (count == n->count)
                return false;
            weights[count] = role_weight(n->model, &owner);
            if (!weights[count++])
                return false;
        }
    }
    return *ret_is_there && count == n->count && does_fit(n, weights);
}

int gradient_names_find(const struct model *model, struct gradient_names *ret_names, struct error *err)
{
    const size_t room = model->tensor_count + 1;
    const struct tensor **stored = calloc(room, sizeof(*stored)), **fit = NULL;
    struct numbering n = {.model = model};
    bool is_listed = false;
    int rc = 0;

    *ret_names = (struct gradient_names){0};
    n.states = calloc(room, sizeof(*n.states));
    n.weights = calloc(room, sizeof(*n.weights));
    if (!stored || !n.states || !n.weights) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
        goto out;
    }
    list_tensors(&n);
    ret_names->numbered = n.tensors;
    if (n.count == 0)
        goto out;
    if (name_by_metadata(&n, stored, &is_listed)) {
        fit = stored;
        ret_names->named_by = "param_names";
    } else if (is_listed) {
        ret_names->reason = "param_names in the metadata do not fit the weights and the state";
    } else {
        fit = name_by_order(&n, stored, &ret_names->reason);
        ret_names->named_by = fit ? "order" : NULL;
    }
    if (!fit)
        goto out;
    ret_names->weights = fit;
    ret_names->count = n.count;
    if (fit == stored)
        stored = NULL;
    else
        n.weights = NULL;
out:
    free(stored);
    free(n.states);
    free(n.weights);
    return rc;
}

void gradient_names_done(struct gradient_names *names)
{
    free(names->weights);
    *names = (struct gradient_names){0};
}

const struct tensor *gradient_names_weight(const struct gradient_names *names, const struct role_owner *owner)
{
    return owner->is_numbered && owner->number < names->count ? names->weights[owner->number] : NULL;
}

void gradient_names_write(const struct gradient_names *names, struct writer *w)
{
    write_object(w, "names");
    write_u64(w, "numbered", names->numbered);
    if (names->named_by)
        write_text(w, "named_by", names->named_by);
    else
        write_null(w, "named_by", names->numbered ? names->reason : "no tensor is numbered");
    write_end(w);
}
