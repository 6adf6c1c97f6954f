/* The records of a pass: made, begun, added to, freed. */
#include <stdlib.h>

#include "core/decode/decoder.h"
#include "core/scan/couple.h"
#include "core/scan/flips.h"
#include "core/scan/quantile.h"
#include "core/scan/yield.h"

int yield_init(struct yield *yield, size_t models, struct error *err)
{
    *yield = (struct yield){.models = models};
    yield->sides = calloc(models, sizeof(*yield->sides));
    return yield->sides ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a unit of %zu models", models);
}

void yield_done(struct yield *yield)
{
    for (size_t m = 0; yield->sides && m < yield->models; m++)
        channel_part_done(&yield->sides[m].part);
    free(yield->sides);
    *yield = (struct yield){0};
}

void scan_result_free(struct scan_result *result)
{
    if (!result)
        return;
    free(result->sides);
    free(result->deltas);
    free(result->coverage);
    free(result->quantiles);
    free(result->profiles);
    free(result->rows);
    free(result->columns);
    free(result->flips);
    free(result->couples);
    free(result->digests);
    free(result);
}

/* An array of count items of the result, where it is needed. */
static bool make(void *array, bool is_needed, size_t count, size_t item_bytes)
{
    void **to = array;

    if (!is_needed)
        return true;
    *to = calloc(count ? count : 1, item_bytes);
    return *to != NULL;
}

#define MAKE(array, is_needed, count) make(&(array), is_needed, count, sizeof(*(array)))

/* The arrays that a result of these needs has, but for the couples. */
static int result_make(size_t pairs, size_t models, unsigned needs, struct scan_result **ret_result, struct error *err)
{
    struct scan_result *result = calloc(1, sizeof(*result));
    size_t sides;

    if (!result || __builtin_mul_overflow(pairs, models, &sides))
        goto no_memory;
    result->pairs = pairs;
    result->models = models;
    if (!MAKE(result->sides, true, sides) || !MAKE(result->deltas, true, pairs) ||
        !MAKE(result->coverage, true, pairs) || !MAKE(result->quantiles, needs & NEED_QUANTILES, sides) ||
        !MAKE(result->profiles, needs & NEED_PROFILE, sides) || !MAKE(result->rows, needs & NEED_ROWS, sides) ||
        !MAKE(result->columns, needs & NEED_COLUMNS, sides) || !MAKE(result->flips, needs & NEED_FLIPS, pairs) ||
        !MAKE(result->digests, needs & NEED_DIGEST, sides))
        goto no_memory;
    *ret_result = result;
    return 0;

no_memory:
    scan_result_free(result);
    return error_set(err, ERROR_NO_MEMORY, "no memory for the records of %zu tensors of %zu models", pairs, models);
}

int scan_result_new(const struct scan_plan *plan, struct scan_result **ret_result, struct error *err)
{
    const size_t pairs = plan->pairing->pairs, models = plan->model_count;
    struct scan_result *result = NULL;
    size_t couples = 0;
    int rc = result_make(pairs, models, plan->needs, &result, err);

    if (rc)
        return rc;
    if (plan->needs & NEED_COUPLES) {
        if (!__builtin_mul_overflow(plan->group_count, couple_count(models), &couples))
            MAKE(result->couples, true, couples);
        if (!result->couples) {
            scan_result_free(result);
            return error_set(err, ERROR_NO_MEMORY, "no memory for %zu groups of %zu models", plan->group_count, models);
        }
        result->group_count = plan->group_count;
    }
    for (size_t i = 0; i < couples; i++)
        couple_record_init(&result->couples[i]);
    for (size_t pair = 0; pair < pairs; pair++) {
        for (size_t m = 0; m < models; m++) {
            const struct tensor *tensor = pairing_tensor(plan->pairing, plan->models, pair, m);
            const size_t side = pair * models + m;

            side_record_init(&result->sides[side], tensor ? tensor->dtype : DTYPE_UNKNOWN);
            if (result->quantiles)
                quantiles_init(&result->quantiles[side]);
        }
        delta_record_init(&result->deltas[pair]);
    }
    *ret_result = result;
    return 0;
}

int scan_result_like(const struct scan_result *result, size_t pairs, struct scan_result **ret_result, struct error *err)
{
    const unsigned needs = (result->quantiles ? NEED_QUANTILES : 0u) | (result->profiles ? NEED_PROFILE : 0u) |
                           (result->rows ? NEED_ROWS : 0u) | (result->columns ? NEED_COLUMNS : 0u) |
                           (result->flips ? NEED_FLIPS : 0u) | (result->digests ? NEED_DIGEST : 0u);

    return result_make(pairs, result->models, needs, ret_result, err);
}

void scan_result_swap(struct scan_result *a, struct scan_result *b)
{
    const struct scan_result kept = *a;

    *a = *b;
    *b = kept;
    b->couples = a->couples;
    b->group_count = a->group_count;
    a->couples = kept.couples;
    a->group_count = kept.group_count;
}

void scan_result_take_couples(struct scan_result *result, struct scan_result *from)
{
    free(result->couples);
    result->couples = from->couples;
    result->group_count = from->group_count;
    from->couples = NULL;
    from->group_count = 0;
}

/* What a pair's record says before its first unit. */
void scan_result_begin(struct scan_result *result, const struct layout *layout, size_t pair)
{
    struct delta_record *delta = &result->deltas[pair];

    result->coverage[pair] = (uint8_t)layout->coverage;
    delta->has_row_fit = layout->is_row_fit;
    if (layout->coverage == COVERED_VALUES)
        delta->is_bytes_equal =
            name_equal(tensor_dtype_name(layout->tensor[0]), tensor_dtype_name(layout->tensor[layout->models - 1])) &&
            !tensor_is_computed(layout->tensor[0]) && !tensor_is_computed(layout->tensor[layout->models - 1]);
    else
        delta->is_bytes_equal = layout->coverage == COVERED_BYTES;
}

void scan_result_add(struct scan_result *result, const struct yield *yield)
{
    for (size_t m = 0; m < yield->models; m++) {
        const struct side_yield *from = &yield->sides[m];
        const size_t side = yield->pair * yield->models + m;

        if (!from->record.elements)
            continue;
        side_record_merge(&result->sides[side], &from->record);
        if (result->profiles) {
            result->profiles[side].subnormals += from->profile.subnormals;
            result->profiles[side].not_bf16 += from->profile.not_bf16;
            result->profiles[side].not_f16 += from->profile.not_f16;
        }
    }
    if (!yield->has_delta)
        return;
    delta_record_merge(&result->deltas[yield->pair], &yield->delta, yield->first);
    if (result->flips)
        flips_merge(&result->flips[yield->pair], &yield->flips, yield->first);
}

void scan_result_add_couples(struct scan_result *result, const struct scan_plan *plan, size_t pair,
                             const struct couple_record *couples)
{
    const size_t count = couple_count(plan->model_count);
    const uint32_t group = plan->groups[pair];

    for (size_t i = 0; group != GROUP_NONE && i < count; i++) {
        if (couples[i].tensors || couples[i].delta.elements)
            couple_record_merge(&result->couples[group * count + i], &couples[i]);
    }
}
