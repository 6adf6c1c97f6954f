/* What an adapter stores whole: modules beside the adapted ones, trained biases, embeddings, rows of these. */
#include <stdlib.h>
#include <string.h>

#include "core/adapter/adapted.h"
#include "core/adapter/adapter_work.h"

/* Whether some part of the name begins like what only an adapter has: factors, masks, states of training. */
static bool is_of_adapter(struct name name)
{
    static const char *const words[] = {"lora_", "trainable_tokens_", "alpha", "dora_scale"};

    for (uint32_t i = 0; i < name.bytes; i++) {
        if (i > 0 && name.text[i - 1] != '.')
            continue;
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
            const size_t bytes = strlen(words[k]);

            if (name.bytes - i >= bytes && memcmp(name.text + i, words[k], bytes) == 0)
                return true;
        }
    }
    return false;
}

/* Whether tensors differ in rows alone, as a grown vocabulary does. */
static bool differ_in_rows(const struct tensor *a, const struct tensor *b)
{
    return a->shape.rank == 2 && b->shape.rank == 2 && a->shape.dims[1] == b->shape.dims[1];
}

/* The adapter's tensor in the place of the base's, whose name it keeps. */
static int put_whole(struct applying *x, struct tensor *tensor, const struct tensor *part)
{
    const struct name name = tensor->name;
    struct adapted *adapted = arena_take(&x->arena, sizeof(*adapted));
    struct tensor *base = arena_take(&x->arena, sizeof(*base));
    struct storage *storage = arena_take(&x->arena, sizeof(*storage));

    if (!adapted || !base || !storage)
        return adapter_no_memory(x);
    *base = *tensor;
    *tensor = *part;
    tensor->name = name;
    x->is_whole[tensor - x->fresh] = true;
    if (!part->storage && adapter_is_float(part) && adapter_is_float(base) && shape_equal(&base->shape, &part->shape)) {
        *adapted = (struct adapted){.base = base, .by = part};
        *storage = (struct storage){.decoder = &decoder_adapted, .parameters = adapted};
        tensor->storage = storage;
    }
    adapter_mark(x, part);
    return 0;
}

static int add_whole(struct applying *x, struct name name, const struct tensor *part)
{
    struct tensor *tensor = &x->fresh[x->fresh_count];
    char *kept = arena_copy(&x->arena, name.text, name.bytes);

    if (!kept)
        return adapter_no_memory(x);
    *tensor = *part;
    tensor->name = (struct name){kept, name.bytes};
    x->is_whole[x->fresh_count++] = true;
    adapter_mark(x, part);
    return 0;
}

int adapter_apply_whole(struct applying *x, const struct tensor *part)
{
    char text[ADAPTER_NAME_BYTES];
    struct name name, stem;
    struct tensor *tensor;
    bool is_saved;

    if (!x->config || is_of_adapter(part->name))
        return 0;
    if (memmem(part->name.text, part->name.bytes, ".original_module.", 17)) { /* what modules_to_save replaced */
        adapter_mark(x, part);
        return 0;
    }
    name = adapter_module(part->name, text);
    is_saved = adapter_config_saves(x->config, name);
    tensor = x->placements ? adapter_placed(x, part) : name.bytes ? adapter_find(x, name) : NULL;
    for (size_t i = 0; i < 2; i++) /* a bias that was trained, an embedding that was stored with its change */
        if (adapter_name_ends(name, i ? ".base_layer.weight" : ".base_layer.bias", &stem)) {
            tensor = adapter_find_text(x, stem, i ? ".weight" : ".bias");
            if (!tensor && i)
                tensor = adapter_find_tied(x, stem);
            is_saved = false;
        }
    if (!tensor)
        return is_saved && name.bytes && !x->placements ? add_whole(x, name, part) : 0;
    if (x->is_whole[tensor - x->fresh]) /* by another of the adapter's names */
        return 0;
    if (!shape_equal(&tensor->shape, &part->shape) && !is_saved && !differ_in_rows(tensor, part))
        return 0;
    return put_whole(x, tensor, part);
}

static int compare_rows(const void *a, const void *b)
{
    const struct adapted_row *left = a, *right = b;

    if (left->row != right->row)
        return left->row < right->row ? -1 : 1;
    return left->from < right->from ? -1 : left->from > right->from;
}

static int put_rows(struct applying *x, struct name module, struct tensor *tensor, const struct tensor *part)
{
    char path[ADAPTER_NAME_BYTES];
    const size_t count = adapter_config_tokens(x->config, module, path);
    struct adapted *adapted;
    struct adapted_row *rows;
    struct tensor *base;
    int rc;

    if (part->shape.dims[0] != count)
        return 0;
    adapted = arena_take(&x->arena, sizeof(*adapted));
    rows = arena_take_array(&x->arena, count, sizeof(*rows));
    base = arena_take(&x->arena, sizeof(*base));
    if (!adapted || !rows || !base)
        return adapter_no_memory(x);
    for (size_t i = 0; i < count; i++) {
        rows[i].from = i;
        if (!adapter_config_token(x->config, path, i, &rows[i].row) || rows[i].row >= tensor->shape.dims[0])
            return 0;
    }
    qsort(rows, count, sizeof(*rows), compare_rows);
    *base = *tensor;
    *adapted = (struct adapted){.base = base, .by = part, .rows = rows, .row_count = count};
    rc = adapter_store(x, tensor, &decoder_adapted_rows, adapted, "rows");
    if (rc == 0)
        adapter_mark(x, part);
    return rc;
}

int adapter_apply_rows(struct applying *x, const struct tensor *part)
{
    char text[ADAPTER_NAME_BYTES];
    struct name module;
    struct tensor *tensor;

    if (!x->config || !adapter_name_ends(adapter_module(part->name, text), ".trainable_tokens_delta", &module))
        return 0;
    tensor = adapter_find_text(x, module, ".weight");
    if (!tensor)
        tensor = adapter_find_tied(x, module);
    if (!tensor || !adapter_is_float(tensor) || !adapter_is_float(part) || !differ_in_rows(tensor, part) ||
        !adapter_has_room(tensor) || part->shape.elements == 0)
        return 0;
    return put_rows(x, module, tensor, part);
}
