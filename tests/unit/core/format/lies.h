/* Files of the fixtures in which bytes were changed, or whose end was cut off. */
#ifndef TESTS_UNIT_CORE_FORMAT_LIES_H
#define TESTS_UNIT_CORE_FORMAT_LIES_H

#include "tests/unit/core/format/twins.h"

struct bytes {
    uint8_t *data;
    size_t count;
};

/* The first place where pattern stands, moved, gets another value. */
struct lie {
    const char *file, *pattern;
    int moved;
    const char *value;
    size_t value_bytes;
    const char *says;
};

static struct bytes load(const char *path)
{
    struct bytes bytes = {.data = malloc(1 << 20)};
    FILE *file = fopen(path, "rb");

    ck_assert_msg(file && bytes.data, "%s", path);
    bytes.count = fread(bytes.data, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

/* Opens, and reads every element: damage may come to light no sooner. */
static int open_bytes(const struct bytes *bytes, struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    struct source *source;
    struct model *model;
    int rc;

    *err = (struct error){0};
    ck_assert_int_eq(memory_open(bytes->data, bytes->count, "x", &source, NULL), 0);
    rc = model_open_source(&opener, source, &model, err);
    if (rc) {
        source_close(source);
        return rc;
    }
    for (size_t t = 0; rc == 0 && t < model->tensor_count; t++) {
        const struct tensor *tensor = &model->tensors[t];
        uint8_t *out = malloc((size_t)tensor->shape.elements * 16 + 1);

        ck_assert_ptr_nonnull(out);
        if (tensor_is_decodable(tensor))
            rc = decoder_read(model, tensor, 0, (size_t)tensor->shape.elements, out, err);
        free(out);
    }
    model_close(model);
    return rc;
}

static inline void check_lie(const char *folder, const struct lie *lie)
{
    struct bytes bytes;
    struct error err;
    char path[512];
    uint8_t *at;
    int rc;

    snprintf(path, sizeof(path), "%s%s", folder, lie->file);
    bytes = load(path);
    at = memmem(bytes.data, bytes.count, lie->pattern, strlen(lie->pattern));
    ck_assert_ptr_nonnull(at);
    memcpy(at + lie->moved, lie->value, lie->value_bytes);
    rc = open_bytes(&bytes, &err);
    ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%d: %s", rc, err.text);
    ck_assert_msg(strncmp(err.text, "x: ", 3) == 0 && strstr(err.text, lie->says), "%s", err.text);
    free(bytes.data);
}

/* Cut at every byte at first, then now and then. */
static inline void check_cuts(const char *path)
{
    struct bytes bytes = load(path);
    const size_t whole = bytes.count;

    for (size_t cut = 1; cut<whole; cut += cut> 2000 && cut + 100 < whole ? 97 : 1) {
        struct error err;
        int rc;

        bytes.count = cut;
        rc = open_bytes(&bytes, &err);
        ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%zu bytes: %d %s", cut, rc, err.text);
    }
    free(bytes.data);
}

/* Any byte that is changed is either of no matter or tells in words; nothing hangs or reaches beyond the file. */
static inline void check_changes(const char *path, size_t first, size_t apart)
{
    struct bytes bytes = load(path);

    for (size_t at = first; at < bytes.count; at += apart) {
        const uint8_t was = bytes.data[at];
        struct error err;
        int rc;

        bytes.data[at] ^= 0xff;
        rc = open_bytes(&bytes, &err);
        ck_assert_msg(rc == 0 || err.text[0], "byte %zu: %d", at, rc);
        bytes.data[at] = was;
    }
    free(bytes.data);
}

#endif
