/* Models of a few tensors in memory, said in a line: "a.qweight I32 4,32; a.g_idx I32 32 = 0,0,1; a.note U8 2 = 'no'".
 * Bytes that are not named are 0. A line's "@key = 'text'" is metadata. */
#ifndef TESTS_UNIT_CORE_MODEL_PACKED_MODELS_H
#define TESTS_UNIT_CORE_MODEL_PACKED_MODELS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/format.h"
#include "core/model/packed.h"

enum { MADE_BYTES = 1 << 16 };

static void put_values(uint8_t *at, unsigned size, const char *values)
{
    if (*values == '\'') {
        memcpy(at, values + 1, strcspn(values + 1, "'"));
        return;
    }
    for (; *values; values += strspn(values, ", ")) {
        char *end;
        const long long value = strtoll(values, &end, 0);

        memcpy(at, &value, size);
        at += size;
        values = end;
    }
}

/* The bytes of a safetensors file; the caller frees them. */
static uint8_t *made_file(const char *said, size_t *ret_bytes)
{
    char header[MADE_BYTES / 2] = "{", metadata[2048] = "", line[2048];
    uint8_t *file = calloc(1, MADE_BYTES), *data = calloc(1, MADE_BYTES);
    size_t bytes = 0, length;
    uint64_t header_bytes;

    ck_assert(file && data);
    for (; *said; said += length + (said[length] == ';')) {
        char name[256], dtype[16], dims[64], *values;
        size_t elements = 1, size;

        length = strcspn(said, ";");
        snprintf(line, sizeof(line), "%.*s", (int)length, said + strspn(said, " "));
        line[strcspn(line, ";")] = '\0';
        if (line[0] == '\0')
            continue;
        values = strstr(line, " = ");
        if (line[0] == '@') {
            snprintf(metadata + strlen(metadata), sizeof(metadata) - strlen(metadata), "%s\"%.*s\":\"%.*s\"",
                     metadata[0] ? "," : "", (int)(values - line - 1), line + 1, (int)strcspn(values + 4, "'"),
                     values + 4);
            continue;
        }
        dims[0] = '\0';
        ck_assert_int_ge(sscanf(line, "%255s %15s %63[0-9,]", name, dtype, dims), 2);
        for (char *d = dims; *d; d += *d == ',') {
            char *end;

            elements *= strtoull(d, &end, 10);
            d = end;
        }
        size = dtype_traits(dtype_by_name(name_of(dtype)))->bits / 8;
        if (values)
            put_values(data + bytes, (unsigned)size, values + 3);
        snprintf(header + strlen(header), sizeof(header) - strlen(header),
                 "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", header[1] ? "," : "", name,
                 dtype, dims, bytes, bytes + elements * size);
        bytes += elements * size;
        ck_assert_uint_lt(bytes, MADE_BYTES / 2);
    }
    if (metadata[0])
        snprintf(header + strlen(header), sizeof(header) - strlen(header), ",\"__metadata__\":{%s}", metadata);
    strcat(header, "}");
    header_bytes = strlen(header);
    memcpy(file, &header_bytes, 8);
    memcpy(file + 8, header, header_bytes);
    memcpy(file + 8 + header_bytes, data, bytes);
    *ret_bytes = 8 + header_bytes + bytes;
    free(data);
    return file;
}

/* The model in file with that config, its packed tensors recognised. */
static struct model *made_model(const uint8_t *file, size_t bytes, const char *config)
{
    const struct opener opener = {.limits = &limits_default};
    struct source *source;
    struct model *model = NULL;
    struct error err = {0};

    ck_assert_int_eq(memory_open(file, bytes, "made", &source, &err), 0);
    ck_assert_msg(model_open_source(&opener, source, &model, &err) == 0, "%s", err.text);
    model->config = config ? strdup(config) : NULL;
    model->config_bytes = config ? strlen(config) : 0;
    ck_assert_msg(packed_recognise(model, &err) == 0, "%s", err.text);
    return model;
}

#endif
