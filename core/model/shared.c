/* Tensors whose elements lie within another's: PyTorch's tied weights, and views of what is stored too. They are listed
 * and compared like any other, but counted once. */
#include "core/model/shared.h"

#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/format/format.h"

/* Where a tensor lies that is stored element by element. */
struct reach {
    uint64_t offset, end;
    uint32_t source, tensor;
    bool is_whole; /* its elements lie side by side */
};

static int compare_reaches(const void *left, const void *right)
{
    const struct reach *a = left, *b = right;

    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->end != b->end)
        return a->end > b->end ? -1 : 1;
    if (a->is_whole != b->is_whole)
        return a->is_whole ? -1 : 1;
    return a->tensor < b->tensor ? -1 : 1;
}

static size_t find_reaches(const struct model *model, struct reach *out)
{
    size_t count = 0;

    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *tensor = &model->tensors[t];

        if ((tensor->storage && tensor->storage->decoder != &decoder_strided) || tensor->extent.bytes == 0)
            continue;
        out[count++] = (struct reach){.offset = tensor->extent.offset,
                                      .end = tensor->extent.offset + decoder_reach(tensor),
                                      .source = tensor->extent.source,
                                      .tensor = (uint32_t)t,
                                      .is_whole = !tensor->storage};
    }
    return count;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
}

int model_find_shared(struct model *model, struct error *err)
{
    const struct reach *cover = NULL;
    struct reach *reaches;
    size_t count;

    free(model->within);
    model->within = NULL;
    if (!model->format || !model->format->shares_storages)
        return 0;
    reaches = calloc(model->tensor_count + 1, sizeof(*reaches));
    if (!reaches)
        return no_memory(err);
    count = find_reaches(model, reaches);
    qsort(reaches, count, sizeof(*reaches), compare_reaches);
    for (size_t i = 0; i < count; i++) {
        const struct reach *reach = &reaches[i];

        if (!cover || cover->source != reach->source || reach->end > cover->end) {
            cover = reach->is_whole ? reach : cover;
            continue;
        }
        if (!model->within) {
            model->within = reallocarray(NULL, model->tensor_count, sizeof(*model->within));
            if (!model->within) {
                free(reaches);
                return no_memory(err);
            }
            memset(model->within, 0xff, model->tensor_count * sizeof(*model->within));
        }
        model->within[reach->tensor] = cover->tensor;
    }
    free(reaches);
    return 0;
}

const struct tensor *model_within(const struct model *model, size_t tensor)
{
    return model->within && model->within[tensor] != UINT32_MAX ? &model->tensors[model->within[tensor]] : NULL;
}

/* [tensor] the pair that it stands in as it is. */
static uint32_t *pairs_of(const struct model *const *models, const struct pairing *pairing, size_t m)
{
    const size_t count = models[m]->tensor_count;
    uint32_t *pair_of = reallocarray(NULL, count + 1, sizeof(*pair_of));

    if (!pair_of)
        return NULL;
    memset(pair_of, 0xff, (count + 1) * sizeof(*pair_of));
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        const uint32_t side = pairing->side[pair * pairing->models + m];

        if (side != PAIRING_NONE && !(side & PAIRING_VIEW))
            pair_of[side] = (uint32_t)pair;
    }
    return pair_of;
}

/* Takes out of `is_shared` the pairs that model m's tensor does not lie in the pair within[] of, and sets that. */
static void keep_shared(const struct model *model, const struct pairing *pairing, size_t m, const uint32_t *pair_of,
                        uint32_t *within, bool *is_shared)
{
    for (size_t pair = 0; pair < pairing->pairs; pair++) {
        const uint32_t side = pairing->side[pair * pairing->models + m];
        uint32_t other = UINT32_MAX;

        if (side == PAIRING_NONE || !is_shared[pair])
            continue;
        if (!(side & PAIRING_VIEW) && model_within(model, side))
            other = pair_of[model->within[side]];
        if (other == UINT32_MAX || (within[pair] != UINT32_MAX && within[pair] != other))
            is_shared[pair] = false;
        within[pair] = other;
    }
}

int pairing_find_shared(const struct model *const *models, const struct pairing *pairing, bool **ret_is_shared,
                        struct error *err)
{
    bool *is_shared = NULL;
    uint32_t *within = NULL;

    for (size_t m = 0; m < pairing->models; m++)
        if (!models[m]->within)
            return 0;
    is_shared = calloc(pairing->pairs + 1, sizeof(*is_shared));
    within = reallocarray(NULL, pairing->pairs + 1, sizeof(*within));
    if (!is_shared || !within)
        goto no_memory;
    memset(is_shared, true, pairing->pairs);
    memset(within, 0xff, pairing->pairs * sizeof(*within));
    for (size_t m = 0; m < pairing->models; m++) {
        uint32_t *pair_of = pairs_of(models, pairing, m);

        if (!pair_of)
            goto no_memory;
        keep_shared(models[m], pairing, m, pair_of, within, is_shared);
        free(pair_of);
    }
    free(within);
    *ret_is_shared = is_shared;
    return 0;

no_memory:
    free(is_shared);
    free(within);
    return error_set(err, ERROR_NO_MEMORY, "no memory to pair what is stored once");
}
