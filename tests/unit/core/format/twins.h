/* Models that hold the same values in other containers. */
#ifndef TESTS_UNIT_CORE_FORMAT_TWINS_H
#define TESTS_UNIT_CORE_FORMAT_TWINS_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/format/format.h"

static struct model *open_path(const char *path)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = path};
    struct model *model = NULL;
    struct error err = {0};

    ck_assert_msg(model_open(&place, &limits_default, &model, &err) == 0, "%s", err.text);
    return model;
}

/* The tensor's elements as its dtype; the caller frees them. */
static uint8_t *elements_of(const struct model *model, const struct tensor *tensor, size_t *ret_bytes)
{
    const size_t bytes = (size_t)tensor->shape.elements * dtype_traits(tensor->dtype)->bits / 8;
    uint8_t *out = malloc(bytes + 1);
    struct error err = {0};

    ck_assert_ptr_nonnull(out);
    ck_assert_msg(decoder_read(model, tensor, 0, (size_t)tensor->shape.elements, out, &err) == 0, "%s", err.text);
    *ret_bytes = bytes;
    return out;
}

/* Every tensor of model has its twin, of the same dtype, shape and element bytes. Returns how many. */
static inline size_t check_twins(const struct model *model, const struct model *twin)
{
    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *a = &model->tensors[t], *b = model_find(twin, a->name);
        char name[NAME_PRINTABLE_BYTES];
        size_t bytes_a, bytes_b;
        uint8_t *x, *y;

        name_printable(a->name, name);
        ck_assert_msg(b, "%s: %s has no twin", model->uri, name);
        ck_assert_msg(a->dtype == b->dtype && shape_equal(&a->shape, &b->shape), "%s: %s", model->uri, name);
        x = elements_of(model, a, &bytes_a);
        y = elements_of(twin, b, &bytes_b);
        ck_assert_msg(bytes_a == bytes_b && memcmp(x, y, bytes_a) == 0, "%s: %s has other values", model->uri, name);
        free(x);
        free(y);
    }
    return model->tensor_count;
}

#endif
