/* Tensors lie in natural order of their names, so blocks of one stack are neighbours, in the order of their numbers:
 * one walk finds them. Structures are compared tensor by tensor, never by a hash alone: "identical" is a claim. */
#include "core/analysis/architecture_stacks.h"

#include <stdlib.h>

#include "core/model/layers.h"

enum { STRUCTURES_MAX = 64 }; /* kept for comparison, of one stack */

bool block_name_of(struct name name, struct block_name *ret)
{
    struct name layer = layer_of(name);
    uint32_t at = layer.bytes;
    uint64_t number = 0;

    while (at > 0 && layer.text[at - 1] >= '0' && layer.text[at - 1] <= '9')
        at--;
    if (at == layer.bytes || (at > 0 && layer.text[at - 1] != '.'))
        return false;
    for (uint32_t i = at; i < layer.bytes; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (unsigned)(layer.text[i] - '0'), &number))
            return false;
    *ret = (struct block_name){.stack = {name.text, at > 0 ? at - 1 : 0}, .number = number};
    if (layer.bytes < name.bytes)
        ret->rest = (struct name){name.text + layer.bytes + 1, name.bytes - layer.bytes - 1};
    return true;
}

static bool structure_equal(const struct model *model, const struct block_range *a, const struct block_range *b)
{
    struct block_name one, two;

    if (a->tensors != b->tensors)
        return false;
    for (uint32_t i = 0; i < a->last - a->first; i++) {
        const struct tensor *left = &model->tensors[a->first + i], *right = &model->tensors[b->first + i];

        if (!block_name_of(left->name, &one) || !block_name_of(right->name, &two) || !name_equal(one.rest, two.rest) ||
            !shape_equal(&left->shape, &right->shape) || !name_equal(tensor_dtype_name(left), tensor_dtype_name(right)))
            return false;
    }
    return true;
}

struct finder {
    const struct model *model;
    struct block_ranges ranges;
    size_t room;
    struct block_range known[STRUCTURES_MAX]; /* a block of each structure of the stack under way */
    uint32_t known_count;
};

static uint32_t structure_of(struct finder *finder, const struct block_range *block)
{
    for (uint32_t i = 0; i < finder->known_count; i++)
        if (structure_equal(finder->model, &finder->known[i], block))
            return i;
    if (finder->known_count == STRUCTURES_MAX)
        return STRUCTURE_UNTOLD;
    finder->known[finder->known_count] = *block;
    return finder->known_count++;
}

/* Takes one whole block: it prolongs the range under way or begins one. */
static int take_block(struct finder *finder, struct block_range block, struct error *err)
{
    struct block_ranges *ranges = &finder->ranges;
    struct block_range *under_way = ranges->count ? &ranges->items[ranges->count - 1] : NULL;

    if (under_way && !name_equal(under_way->stack, block.stack)) {
        under_way = NULL;
        finder->known_count = 0;
    }
    block.structure = structure_of(finder, &block);
    if (under_way && under_way->to + 1 == block.from && under_way->to != UINT64_MAX &&
        under_way->structure == block.structure &&
        (block.structure != STRUCTURE_UNTOLD || structure_equal(finder->model, under_way, &block))) {
        under_way->to = block.to;
        return 0;
    }
    if (ranges->count == finder->room) {
        size_t room = finder->room ? finder->room * 2 : 16;
        struct block_range *grown = reallocarray(ranges->items, room, sizeof(*grown));

        if (!grown)
            return error_set(err, ERROR_NO_MEMORY, "out of memory for blocks");
        ranges->items = grown;
        finder->room = room;
    }
    ranges->items[ranges->count++] = block;
    return 0;
}

int block_ranges_find(const struct model *model, struct block_ranges *ret_ranges, struct error *err)
{
    struct finder finder = {.model = model};
    struct block_range block = {0};
    bool is_open = false;
    int rc = 0;

    for (size_t i = 0; i < model->tensor_count && rc == 0; i++) {
        struct block_name name;
        bool is_block = block_name_of(model->tensors[i].name, &name);

        if (is_open && (!is_block || name.number != block.from || !name_equal(name.stack, block.stack))) {
            rc = take_block(&finder, block, err);
            is_open = false;
        }
        if (is_block && !is_open)
            block =
                (struct block_range){.stack = name.stack, .from = name.number, .to = name.number, .first = (uint32_t)i};
        if (is_block) {
            block.tensors++;
            block.last = (uint32_t)i + 1;
        }
        is_open = is_block;
    }
    if (rc == 0 && is_open)
        rc = take_block(&finder, block, err);
    if (rc) {
        block_ranges_done(&finder.ranges);
        return rc;
    }
    *ret_ranges = finder.ranges;
    return 0;
}

void block_ranges_done(struct block_ranges *ranges)
{
    free(ranges->items);
    *ranges = (struct block_ranges){0};
}
