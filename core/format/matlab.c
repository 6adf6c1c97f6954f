/* MATLAB's arrays as tensors: dimensions as MATLAB has them, elements in columns, numbers of one type stored in a
 * smaller one. */
#include "core/format/matlab.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/checked.h"
#include "core/decode/widened.h"
#include "core/utf8.h"

bool matlab_fault(struct matlab *m, int code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list args;

    if (m->rc)
        return false;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    m->rc = error_set(m->err, (enum error_code)code, "%s", text);
    return false;
}

bool matlab_no_memory(struct matlab *m)
{
    return matlab_fault(m, arena_error(&m->arena), "its arrays %s", arena_error_text(&m->arena));
}

struct name matlab_name(struct matlab *m, const char *format, ...)
{
    struct name name = {0};
    char *text = NULL;
    va_list args;
    int bytes;

    va_start(args, format);
    bytes = vasprintf(&text, format, args);
    va_end(args);
    if (bytes >= 0) {
        name.text = arena_copy(&m->arena, text, (size_t)bytes);
        name.bytes = name.text ? (uint32_t)bytes : 0;
        free(text);
    }
    if (!name.text)
        matlab_no_memory(m);
    return name;
}

int matlab_begin(struct matlab *m, const struct opener *opener, struct source *source, struct error *err)
{
    struct model *model = calloc(1, sizeof(*model));

    *m = (struct matlab){.opener = opener, .source = source, .err = err, .model = model, .file_room = 1};
    m->arena.limit = 2 * opener->limits->header_bytes;
    if (model) {
        model->uri = strdup(source->uri);
        model->files = calloc(1, sizeof(*model->files));
        model->tensors = calloc(1, sizeof(*model->tensors));
        m->tensor_room = 1;
    }
    if (!model || !model->uri || !model->files || !model->tensors) {
        matlab_no_memory(m);
        return m->rc;
    }
    model->files[0].source = source;
    model->file_count = 1;
    return 0;
}

int matlab_finish(struct matlab *m, const struct format *format, struct model **ret_model)
{
    if (m->rc == 0 && m->model->tensor_count == 0 && m->model->warning_count > 0)
        matlab_fault(m, ERROR_UNSUPPORTED, "nothing is left of it: %s", m->model->warnings[0].message);
    if (m->rc == 0 && model_keep_arena(m->model, &m->arena) != 0)
        matlab_no_memory(m);
    arena_done(&m->arena);
    if (m->rc == 0) {
        m->model->format = format;
        *ret_model = m->model;
        return 0;
    }
    return format_reject(m->model, m->source, m->rc, m->err);
}

bool matlab_left_out(struct matlab *m, struct name name, const char *what)
{
    char printable[NAME_PRINTABLE_BYTES];

    if (model_warn(m->model, "left-out", (struct name){0}, "%s was left out: %s", name_printable(name, printable),
                   what) != 0)
        return matlab_no_memory(m);
    return true;
}

uint32_t matlab_add_file(struct matlab *m, struct source *member, uint64_t stored_bytes)
{
    struct model *model = m->model;

    if (!array_reserve(&model->files, sizeof(*model->files), model->file_count, &m->file_room)) {
        source_close(member);
        matlab_no_memory(m);
        return UINT32_MAX;
    }
    model->files[model->file_count] =
        (struct model_file){.source = member, .is_member = true, .member_bytes = stored_bytes};
    return (uint32_t)model->file_count++;
}

static const struct storage *storage_of(struct matlab *m, const struct matlab_numbers *numbers, uint64_t *steps)
{
    struct storage *storage = arena_take(&m->arena, sizeof(*storage));
    const bool is_swapped = m->is_swapped;

    if (!storage)
        return NULL;
    if (numbers->stored == DTYPE_UNKNOWN) {
        *storage = (struct storage){.stored_as = name_of(numbers->spelled)};
    } else if (numbers->stored != numbers->dtype) {
        struct widened *widened = arena_take(&m->arena, sizeof(*widened));

        if (!widened)
            return NULL;
        *widened = (struct widened){.stored = numbers->stored, .steps = steps, .is_swapped = is_swapped};
        *storage = (struct storage){.decoder = &decoder_widened, .parameters = widened};
    } else {
        struct strides *strides = arena_take(&m->arena, sizeof(*strides));

        if (!strides)
            return NULL;
        *strides = (struct strides){.steps = steps, .is_swapped = is_swapped};
        *storage = (struct storage){.decoder = &decoder_strided, .parameters = strides};
    }
    return storage;
}

bool matlab_add(struct matlab *m, struct name name, const struct matlab_numbers *numbers)
{
    const enum dtype stored = numbers->stored;
    const uint64_t size = stored == DTYPE_UNKNOWN ? 0 : dtype_traits(stored)->bits / 8;
    struct tensor tensor = {.name = name, .dtype = stored == DTYPE_UNKNOWN ? DTYPE_UNKNOWN : numbers->dtype};
    uint64_t *steps = arena_take_array(&m->arena, (size_t)numbers->rank + 1, sizeof(*steps));
    uint64_t elements = 1, needed, step = 1;
    char printable[NAME_PRINTABLE_BYTES];
    unsigned spread = 0; /* dimensions of more than one */

    if (!steps)
        return matlab_no_memory(m);
    if (!utf8_is_valid(name.text, name.bytes))
        return matlab_fault(m, ERROR_FORMAT, "the name of array %s is no text", name_printable(name, printable));
    if (stored != DTYPE_UNKNOWN && stored != numbers->dtype && !widened_is_exact(stored, numbers->dtype))
        return matlab_fault(m, ERROR_FORMAT, "array %s: it is of %s, and its numbers are stored as %s",
                            name_printable(name, printable), dtype_traits(numbers->dtype)->name,
                            dtype_traits(stored)->name);
    for (uint32_t d = 0; d < numbers->rank; d++) {
        if (!checked_mul(elements, numbers->dims[d], &elements))
            return matlab_fault(m, ERROR_FORMAT, "array %s: its dimensions multiply to more than 2^64",
                                name_printable(name, printable));
        spread += numbers->dims[d] > 1;
    }
    if (!checked_mul(elements, size, &needed) || needed > numbers->bytes)
        return matlab_fault(m, ERROR_FORMAT,
                            "array %s: %" PRIu64 " elements of %" PRIu64 " bytes need more than the %" PRIu64
                            " bytes that it has",
                            name_printable(name, printable), elements, size, numbers->bytes);
    for (uint32_t d = 0; d < numbers->rank; d++) {
        steps[d] = step;
        step *= numbers->dims[d] ? numbers->dims[d] : 1;
    }
    tensor.shape = (struct shape){.dims = numbers->dims, .elements = elements, .rank = numbers->rank};
    tensor.extent = (struct extent){
        .offset = numbers->at, .bytes = stored == DTYPE_UNKNOWN ? numbers->bytes : needed, .source = numbers->file};
    if (stored != numbers->dtype || stored == DTYPE_UNKNOWN || spread > 1 || (m->is_swapped && size > 1)) {
        tensor.storage = storage_of(m, numbers, steps);
        if (!tensor.storage)
            return matlab_no_memory(m);
    }
    if (m->model->tensor_count >= m->opener->limits->tensors)
        return matlab_fault(m, ERROR_LIMIT, "it has more than %" PRIu64 " arrays, the limit",
                            m->opener->limits->tensors);
    if (!array_reserve(&m->model->tensors, sizeof(*m->model->tensors), m->model->tensor_count, &m->tensor_room))
        return matlab_no_memory(m);
    m->model->tensors[m->model->tensor_count++] = tensor;
    return true;
}
