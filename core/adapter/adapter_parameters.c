/* Changes of stacked parameters, experts mostly, which the base may hold one by one: the same tables that pair layouts
 * say how. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/adapter/adapter_work.h"
#include "core/align/layouts.h"

enum { EXPERTS_MAX = 4096, TARGETS_MAX = 16 };

/* Rows [row, row + rows of the tensor) of expert e of a stacked change; of all experts where the tensor is stacked. */
static int apply_expert(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *a,
                        const struct tensor *b, uint64_t experts, uint64_t e, uint64_t row)
{
    const bool is_stacked = tensor->shape.rank == 3;
    struct lora lora = {.slices = is_stacked ? experts : 1, .left = b, .right = a};

    if (!adapter_is_float(tensor) || !adapter_is_float(a) || !adapter_is_float(b) || tensor->shape.rank < 2 ||
        a->shape.rank != 2 || b->shape.rank != 2 || experts == 0 || a->shape.dims[0] % experts ||
        tensor->shape.elements == 0)
        return 0;
    lora.rank = a->shape.dims[0] / experts;
    lora.rows = tensor->shape.dims[is_stacked];
    lora.columns = tensor->shape.dims[tensor->shape.rank - 1];
    if (lora.rank == 0 || lora.rank > LORA_RANK_MAX || b->shape.dims[1] != a->shape.dims[0] ||
        (is_stacked && tensor->shape.dims[0] != experts) || lora.columns > RIGHT_ELEMENTS_MAX / lora.rank)
        return 0;
    if (lora.columns == a->shape.dims[1] && row + lora.rows <= b->shape.dims[0]) {
        lora.left_first = row * b->shape.dims[1] + e;
        lora.left_slice = 1;
        lora.left_row = b->shape.dims[1];
        lora.left_rank = experts;
        lora.right_first = e * lora.rank * lora.columns;
        lora.right_slice = lora.rank * lora.columns;
        lora.right_rank = lora.columns;
        lora.right_column = 1;
    } else if (is_stacked && lora.rows == a->shape.dims[1] && lora.columns == b->shape.dims[0]) { /* rows are inputs */
        lora.left = a;
        lora.left_slice = lora.rank * lora.rows;
        lora.left_row = 1;
        lora.left_rank = lora.rows;
        lora.right = b;
        lora.right_slice = 1;
        lora.right_rank = experts;
        lora.right_column = b->shape.dims[1];
    } else {
        return 0;
    }
    return adapter_put_scaled(x, module, lora.rank, tensor, &lora, (const struct tensor *[]){a, b, NULL});
}

/* The sources of a stacked parameter that the base holds one by one, as the table of layouts has them: with `experts`,
 * the change is put on them. Tells how many experts there are. */
static int each_expert(struct applying *x, struct name module, struct name spelt, const struct tensor *a,
                       const struct tensor *b, uint64_t experts, uint64_t *ret_experts)
{
    int rc = 0;

    *ret_experts = 0;
    for (uint64_t e = 0; rc == 0 && e < EXPERTS_MAX; e++) {
        uint64_t row = 0;

        for (size_t i = 0; rc == 0 && i < layout_spelt_rule_count; i++) {
            const struct layout_rule *rule = &layout_spelt_rules[i];
            struct captures captures = {0};
            char digits[24], text[PATTERN_NAME_BYTES];
            struct tensor *tensor;
            struct name name;

            if (strncmp(rule->part, "[e]", 3) != 0 || !pattern_match(name_of(rule->target), spelt, &captures))
                continue;
            captures.e = (struct name){digits, (uint32_t)snprintf(digits, sizeof(digits), "%" PRIu64, e)};
            if (!pattern_fill(name_of(rule->source), &captures, text, &name))
                continue;
            tensor = adapter_find_spelt(x, name);
            if (!tensor || tensor->shape.rank != 2)
                continue;
            if (experts)
                rc = apply_expert(x, module, tensor, a, b, experts, e, row);
            row += tensor->shape.dims[0];
        }
        if (row == 0)
            break;
        ++*ret_experts;
    }
    return rc;
}

/* The configuration's target_parameters of a module, the one of so many "base_layer"s first: the list may have been
 * sorted when it was written, and then shapes tell. */
static size_t target_parameters(const struct applying *x, struct name module, size_t depth,
                                struct name out[TARGETS_MAX])
{
    size_t count = 0;
    char path[48];

    for (size_t i = 0; x->config && i < 64 && count < TARGETS_MAX; i++) {
        struct name parameter;
        const char *dot;
        uint32_t bytes;

        snprintf(path, sizeof(path), "target_parameters.%zu", i);
        if (!config_text(x->config->json, path, &parameter))
            break;
        dot = memrchr(parameter.text, '.', parameter.bytes);
        bytes = dot ? (uint32_t)(dot - parameter.text) : 0;
        if (!dot) /* of any module: what transformers makes of experts that it knows as stacked */
            out[count++] = parameter;
        else if (bytes && module.bytes >= bytes &&
                 memcmp(module.text + module.bytes - bytes, parameter.text, bytes) == 0)
            out[count++] = (struct name){dot + 1, parameter.bytes - bytes - 1};
    }
    if (depth < count) {
        const struct name likely = out[count - 1 - depth];

        out[count - 1 - depth] = out[0];
        out[0] = likely;
    }
    return count;
}

static int apply_to_parameter(struct applying *x, struct name parameter, const struct tensor *a, const struct tensor *b)
{
    char spelt[PATTERN_NAME_BYTES];
    struct tensor *tensor = adapter_find(x, parameter);
    struct name inside;
    uint64_t experts;
    int rc;

    if (tensor && tensor->shape.rank == 3)
        return apply_expert(x, parameter, tensor, a, b, tensor->shape.dims[0], 0, 0);
    if (tensor)
        return adapter_apply_pair(x, parameter, tensor, a, b, NULL, false, NULL);
    inside = spelling_of(x->spelling, parameter, spelt);
    rc = each_expert(x, parameter, inside, a, b, 0, &experts);
    return rc || experts == 0 ? rc : each_expert(x, parameter, inside, a, b, experts, &experts);
}

int adapter_apply_parameter(struct applying *x, struct name module, const struct tensor *a, const struct tensor *b)
{
    static const char below[] = ".base_layer";
    const uint32_t bytes = sizeof(below) - 1;
    struct name targets[TARGETS_MAX];
    size_t depth = 0, count;
    int rc = 0;

    while (module.bytes > bytes && memcmp(module.text + module.bytes - bytes, below, bytes) == 0) {
        module.bytes -= bytes;
        depth++;
    }
    count = target_parameters(x, module, depth, targets);
    for (size_t i = 0; rc == 0 && i < count && !x->is_applied[a - x->parts]; i++) {
        char text[ADAPTER_NAME_BYTES];
        const int length = snprintf(text, sizeof(text), "%.*s.%.*s", (int)module.bytes, module.text,
                                    (int)targets[i].bytes, targets[i].text);

        if (length > 0 && (size_t)length < sizeof(text))
            rc = apply_to_parameter(x, (struct name){text, (uint32_t)length}, a, b);
    }
    return rc;
}
