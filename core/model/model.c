/* What every model has in common, whatever format it came from. Formats fill a model in; model_finish puts its tensors
 * into canonical order, and then nothing moves any more. */
#include "core/model/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/model/order.h"
#include "core/model/shared.h"

enum { WARNINGS_OF_A_KIND = 20 }; /* the rest is counted: a small file can ask for a million */

void model_close(struct model *model)
{
    if (!model)
        return;
    for (size_t i = model->file_count; i-- > 0;) { /* members before what they lie in */
        source_close(model->files[i].source);
        free(model->files[i].header);
    }
    for (size_t i = 0; i < model->warning_count; i++)
        free(model->warnings[i].message);
    for (size_t i = 0; i < model->chunk_count; i++)
        free(model->chunks[i]);
    for (size_t i = 0; i < model->side_file_count; i++) {
        source_close(model->side_files[i].source);
        free(model->side_files[i].text);
    }
    free(model->uri);
    free(model->files);
    free(model->tensors);
    free(model->within);
    free(model->dims);
    free(model->metadata);
    free(model->config);
    free(model->side_files);
    free(model->warnings);
    free(model->chunks);
    free(model);
}

size_t model_count_files(const struct model *model)
{
    size_t count = 0;

    for (size_t i = 0; i < model->file_count; i++)
        count += !model->files[i].is_member;
    return count;
}

const struct tensor *model_find(const struct model *model, struct name name)
{
    size_t from = 0, to = model->tensor_count; /* it lies in [from, to) if anywhere */

    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const int order = name_compare_natural(name, model->tensors[middle].name);

        if (order == 0)
            return &model->tensors[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

struct name model_metadata(const struct model *model, struct name key)
{
    const struct metadata_entry wanted = {.key = key}, *found = NULL;

    if (model->metadata_count > 0)
        found = bsearch(&wanted, model->metadata, model->metadata_count, sizeof(wanted), metadata_compare);
    return found ? found->value : (struct name){NULL, 0};
}

int model_check_unchanged(struct model *model, struct error *err)
{
    for (size_t i = 0; i < model->file_count; i++) {
        int rc = source_check(model->files[i].source, err);

        if (rc)
            return rc;
    }
    return 0;
}

int side_file_read(const struct side_file *file, char **ret_text, struct error *err)
{
    char *text = malloc(file->bytes + 1);
    int rc = 0;

    if (!text)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the files beside a model");
    if (file->source)
        rc = source_read_at(file->source, 0, text, file->bytes, err);
    else
        memcpy(text, file->text, file->bytes);
    if (rc == 0 && file->source)
        rc = source_check(file->source, err);
    if (rc) {
        free(text);
        return rc;
    }
    text[file->bytes] = '\0';
    *ret_text = text;
    return 0;
}

int model_take_warning(struct model *model, struct model_warning *warning)
{
    struct model_warning *counting = NULL;
    char *message = NULL;
    size_t told = 0;

    for (size_t i = model->warning_count; i-- > 0 && !counting;) /* few: what counts is the last of its kind */
        if (strcmp(model->warnings[i].code, warning->code) == 0) {
            counting = model->warnings[i].more ? &model->warnings[i] : NULL;
            told++;
        }
    if (!counting && told < WARNINGS_OF_A_KIND && !warning->more) {
        if (!array_reserve(&model->warnings, sizeof(*model->warnings), model->warning_count, &model->warning_room))
            return ERROR_NO_MEMORY;
        model->warnings[model->warning_count++] = *warning;
        warning->message = NULL;
        return 0;
    }
    if (asprintf(&message, "… and %zu more (%s)", (counting ? counting->more : 0) + (warning->more ? warning->more : 1),
                 warning->code) < 0)
        return ERROR_NO_MEMORY;
    if (!counting) {
        if (!array_reserve(&model->warnings, sizeof(*model->warnings), model->warning_count, &model->warning_room)) {
            free(message);
            return ERROR_NO_MEMORY;
        }
        counting = &model->warnings[model->warning_count++];
        *counting = (struct model_warning){.code = warning->code};
    }
    counting->more += warning->more ? warning->more : 1;
    free(counting->message);
    counting->message = message;
    free(warning->message);
    warning->message = NULL;
    return 0;
}

int model_warn(struct model *model, const char *code, struct name tensor, const char *format, ...)
{
    struct model_warning warning = {.code = code, .tensor = tensor};
    va_list args;
    int length, rc;

    va_start(args, format);
    length = vasprintf(&warning.message, format, args);
    va_end(args);
    if (length < 0)
        return ERROR_NO_MEMORY;
    rc = model_take_warning(model, &warning);
    if (rc)
        free(warning.message);
    return rc;
}

int model_keep(struct model *model, void *chunk)
{
    void **grown = reallocarray(model->chunks, model->chunk_count + 1, sizeof(*grown));

    if (!grown)
        return ERROR_NO_MEMORY;
    model->chunks = grown;
    grown[model->chunk_count++] = chunk;
    return 0;
}

int model_keep_arena(struct model *model, struct arena *arena)
{
    void **grown = reallocarray(model->chunks, model->chunk_count + arena->count + 1, sizeof(*grown));

    if (!grown)
        return ERROR_NO_MEMORY;
    model->chunks = grown;
    for (size_t i = 0; i < arena->count; i++)
        grown[model->chunk_count++] = arena->blocks[i];
    arena->count = 0;
    arena_done(arena);
    return 0;
}

static int duplicate(const struct model *model, const struct tensor *a, const struct tensor *b, struct error *err)
{
    char tensor[NAME_PRINTABLE_BYTES], one[NAME_PRINTABLE_BYTES], two[NAME_PRINTABLE_BYTES];

    if (model->file_count == 0 || a->extent.source == b->extent.source)
        return error_set(err, ERROR_FORMAT, "tensor %s appears twice", name_printable(a->name, tensor));
    return error_set(err, ERROR_FORMAT, "tensor %s lies in both %s and %s", name_printable(a->name, tensor),
                     name_printable(name_of(model->files[a->extent.source].source->uri), one),
                     name_printable(name_of(model->files[b->extent.source].source->uri), two));
}

/* Moves the tensors into the order given. */
static int apply_order(struct model *model, const uint32_t *order, struct error *err)
{
    size_t count = model->tensor_count, in_place = 0;
    struct tensor *sorted;

    while (in_place < count && order[in_place] == in_place)
        in_place++;
    if (in_place == count)
        return 0;
    sorted = reallocarray(NULL, count, sizeof(*sorted));
    if (!sorted)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for %zu tensors", count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = model->tensors[order[i]];
    free(model->tensors);
    model->tensors = sorted;
    return 0;
}

int metadata_compare(const void *a, const void *b)
{
    const struct metadata_entry *one = a, *two = b;
    uint32_t shorter = one->key.bytes < two->key.bytes ? one->key.bytes : two->key.bytes;
    int order = shorter ? memcmp(one->key.text, two->key.text, shorter) : 0;

    if (order)
        return order;
    return one->key.bytes < two->key.bytes ? -1 : one->key.bytes > two->key.bytes;
}

int model_finish(struct model *model, struct error *err)
{
    uint32_t *order = NULL;
    int rc = order_tensors(model->tensors, model->tensor_count, &order, err);

    if (rc)
        return rc;
    rc = apply_order(model, order, err);
    free(order);
    if (rc)
        return rc;
    for (size_t i = 1; i < model->tensor_count; i++)
        if (name_equal(model->tensors[i - 1].name, model->tensors[i].name))
            return duplicate(model, &model->tensors[i - 1], &model->tensors[i], err);

    if (model->metadata_count > 0)
        qsort(model->metadata, model->metadata_count, sizeof(*model->metadata), metadata_compare);
    rc = model_find_shared(model, err);
    if (rc)
        return rc;
    model->parameters = 0;
    for (size_t i = 0; i < model->tensor_count; i++)
        if (!model_within(model, i) &&
            __builtin_add_overflow(model->parameters, model->tensors[i].shape.elements, &model->parameters))
            model->parameters = UINT64_MAX;
    model->bytes = 0;
    for (size_t i = 0; i < model->file_count; i++)
        model->bytes += model->files[i].is_member ? 0 : model->files[i].source->size;
    return 0;
}
