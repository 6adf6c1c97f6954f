/* Models made up by a test, written as safetensors into memory, compared for real, and read back from the result
 * document. */
#ifndef TESTS_UNIT_CORE_ANALYSIS_MADE_MODELS_H
#define TESTS_UNIT_CORE_ANALYSIS_MADE_MODELS_H

#include <fcntl.h>
#include <json-c/json_pointer.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/core/analysis/documents.h"

enum { MADE_TENSORS = 160 };

struct made_tensor {
    char name[96];
    enum dtype dtype;
    uint64_t dims[4], elements;
    unsigned rank;
    double *values;
};

struct made {
    struct made_tensor items[MADE_TENSORS];
    size_t count;
    const char *note; /* metadata; NULL: none */
};

/* SplitMix64, and what it gives. */
static inline uint64_t made_bits(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline double made_uniform(uint64_t *state)
{
    return (double)(made_bits(state) >> 11) * 0x1p-53;
}

static inline double made_normal(uint64_t *state)
{
    double u = made_uniform(state), v = made_uniform(state);

    return sqrt(-2 * log(u + 0x1p-54)) * cos(6.283185307179586 * v);
}

/* Adds a tensor of zeros; the caller fills values. dims as many as rank says. */
static inline double *made_add(struct made *made, enum dtype dtype, const char *name, unsigned rank, ...)
{
    struct made_tensor *tensor = &made->items[made->count++];
    va_list dims;

    ck_assert_uint_le(made->count, MADE_TENSORS);
    snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    tensor->dtype = dtype;
    tensor->rank = rank;
    tensor->elements = 1;
    va_start(dims, rank);
    for (unsigned d = 0; d < rank; d++) {
        tensor->dims[d] = (uint64_t)va_arg(dims, int);
        tensor->elements *= tensor->dims[d];
    }
    va_end(dims);
    tensor->values = calloc(tensor->elements + 1, sizeof(double));
    ck_assert_ptr_nonnull(tensor->values);
    return tensor->values;
}

static inline struct made_tensor *made_find(struct made *made, const char *name)
{
    for (size_t i = 0; i < made->count; i++)
        if (strcmp(made->items[i].name, name) == 0)
            return &made->items[i];
    ck_abort_msg("no tensor %s", name);
}

static inline void made_remove(struct made *made, const char *name)
{
    struct made_tensor *tensor = made_find(made, name);

    free(tensor->values);
    *tensor = made->items[--made->count];
}

static inline struct made *made_copy(const struct made *from)
{
    struct made *made = calloc(1, sizeof(*made));

    ck_assert_ptr_nonnull(made);
    *made = *from;
    for (size_t i = 0; i < made->count; i++) {
        made->items[i].values = calloc(made->items[i].elements + 1, sizeof(double));
        memcpy(made->items[i].values, from->items[i].values, made->items[i].elements * sizeof(double));
    }
    return made;
}

static inline void made_free(struct made *made)
{
    for (size_t i = 0; i < made->count; i++)
        free(made->items[i].values);
    free(made);
}

static inline void made_fill_normal(struct made_tensor *tensor, double std, uint64_t *state)
{
    for (uint64_t i = 0; i < tensor->elements; i++)
        tensor->values[i] = std * made_normal(state);
}

static inline size_t made_encode(enum dtype dtype, double value, uint8_t out[8])
{
    float f32 = (float)value;
    _Float16 f16 = (_Float16)f32; /* by way of F32, as from a stored F32 */
    int64_t i64 = dtype == DTYPE_I64 ? (int64_t)value : 0;
    uint32_t bits;

    switch (dtype) {
    case DTYPE_F64:
        memcpy(out, &value, 8);
        return 8;
    case DTYPE_F32:
        memcpy(out, &f32, 4);
        return 4;
    case DTYPE_F16:
        memcpy(out, &f16, 2);
        return 2;
    case DTYPE_BF16:
        memcpy(&bits, &f32, 4);
        if (!isnan(value))
            bits += 0x7fff + ((bits >> 16) & 1);
        bits >>= 16;
        memcpy(out, &bits, 2);
        return 2;
    case DTYPE_I64:
        memcpy(out, &i64, 8);
        return 8;
    case DTYPE_I8:
        out[0] = (uint8_t)(int8_t)value;
        return 1;
    default:
        ck_abort_msg("no such type here");
    }
}

/* path: a file of its own, which the caller removes. */
enum { MADE_PATH = 32 };
static inline struct model *made_open(const struct made *made, char path[MADE_PATH])
{
    char *header = calloc(1, MADE_TENSORS * 256 + 64);
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = "made"};
    struct model *model = NULL;
    struct error error = {0};
    uint64_t offset = 0, bytes = 0;
    FILE *file;
    size_t used = 0;
    int fd;

    snprintf(path, MADE_PATH, "/tmp/diffaid-made-XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);

    used += (size_t)sprintf(header + used, "{");
    if (made->note)
        used +=
            (size_t)sprintf(header + used, "\"__metadata__\":{\"note\":\"%s\"}%s", made->note, made->count ? "," : "");
    for (size_t i = 0; i < made->count; i++) {
        const struct made_tensor *t = &made->items[i];

        offset = bytes;
        bytes += t->elements * dtype_traits(t->dtype)->bits / 8;
        used += (size_t)sprintf(header + used, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", t->name,
                                dtype_traits(t->dtype)->name);
        for (unsigned d = 0; d < t->rank; d++)
            used += (size_t)sprintf(header + used, "%s%llu", d ? "," : "", (unsigned long long)t->dims[d]);
        used += (size_t)sprintf(header + used, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                                (unsigned long long)bytes);
    }
    used += (size_t)sprintf(header + used, "}");
    while (used % 8)
        header[used++] = ' ';
    file = fdopen(fd, "w");
    bytes = used;
    fwrite(&bytes, 8, 1, file);
    fwrite(header, used, 1, file);
    for (size_t i = 0; i < made->count; i++)
        for (uint64_t e = 0; e < made->items[i].elements; e++) {
            uint8_t stored[8];

            fwrite(stored, made_encode(made->items[i].dtype, made->items[i].values[e], stored), 1, file);
        }
    fclose(file);
    free(header);
    ck_assert_msg(model_open(&place, &limits_default, &model, &error) == 0, "%s", error.text);
    return model;
}

/* The result document's text of one analysis over one model (b NULL) or two; the caller frees it. options: pairs of a
 * name and a number, ended by NULL. */
static inline char *made_text(const char *analysis, const struct made *a, const struct made *b, unsigned threads,
                              va_list options)
{
    char paths[2][MADE_PATH];
    struct model *models[2] = {made_open(a, paths[0]), b ? made_open(b, paths[1]) : NULL};
    struct compare_request request = {.analyses = 1u << analysis_by_name(analysis, strlen(analysis))};
    struct error error = {0};
    const char *name;
    char *text;

    options_init(&request.options);
    while ((name = va_arg(options, const char *))) {
        const struct option *option = option_find(name, strlen(name));

        ck_assert_ptr_nonnull(option);
        if (option->kind == OPTION_FLAG)
            ck_assert_int_eq(option_set_flag(&request.options, option, va_arg(options, double) != 0, &error), 0);
        else
            ck_assert_int_eq(option_set_number(&request.options, option, va_arg(options, double), &error), 0);
    }
    text = compared_text(&request, models, b ? 2 : 1, threads);
    options_done(&request.options);
    for (int m = 0; m < (b ? 2 : 1); m++) {
        model_close(models[m]);
        unlink(paths[m]);
    }
    return text;
}

static inline struct json_object *made_analyse(const char *analysis, const struct made *a, const struct made *b, ...)
{
    struct json_object *document, *found;
    char pointer[64];
    va_list options;

    va_start(options, b);
    document = document_parsed(made_text(analysis, a, b, 2, options));
    va_end(options);
    snprintf(pointer, sizeof(pointer), "/analyses/%s", analysis);
    ck_assert_int_eq(json_pointer_get(document, pointer, &found), 0);
    json_object_get(found);
    json_object_put(document);
    return found;
}

static inline char *made_bytes(const char *analysis, const struct made *a, const struct made *b, unsigned threads, ...)
{
    va_list options;
    char *text;

    va_start(options, threads);
    text = made_text(analysis, a, b, threads, options);
    va_end(options);
    return text;
}

static inline struct json_object *made_at(struct json_object *object, const char *pointer)
{
    struct json_object *found = NULL;

    ck_assert_msg(json_pointer_get(object, pointer, &found) == 0, "%s is missing in %s", pointer,
                  json_object_to_json_string(object));
    return found;
}

static inline const char *made_text_at(struct json_object *object, const char *pointer)
{
    return json_object_get_string(made_at(object, pointer));
}

static inline double made_number_at(struct json_object *object, const char *pointer)
{
    return json_object_get_double(made_at(object, pointer));
}

enum made_init { MADE_NORMAL, MADE_XAVIER, MADE_TRAINED };

/* A decoder of many layers: norms of ones, biases of zeros where it is fresh; with MADE_TRAINED, spreads that differ
 * from layer to layer, heavy tails, some strong channels, norms and biases that moved. */
static inline struct made *made_decoder(uint64_t seed, int layers, int width, enum made_init init, enum dtype dtype)
{
    static const struct {
        const char *name;
        int out, in;
    } parts[] = {
        {"self_attn.q_proj", 1, 1}, {"self_attn.k_proj", 1, 1}, {"self_attn.v_proj", 1, 1},
        {"self_attn.o_proj", 1, 1}, {"mlp.up_proj", 4, 1},      {"mlp.down_proj", 1, 4},
    };
    struct made *made = calloc(1, sizeof(*made));
    uint64_t state = seed;
    char name[96];

    made_add(made, dtype, "model.embed_tokens.weight", 2, 5 * width, width);
    for (int layer = 0; layer < layers; layer++) {
        for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
            snprintf(name, sizeof(name), "model.layers.%d.%s.weight", layer, parts[p].name);
            made_add(made, dtype, name, 2, parts[p].out * width, parts[p].in * width);
        }
        snprintf(name, sizeof(name), "model.layers.%d.self_attn.q_proj.bias", layer);
        made_add(made, dtype, name, 1, width);
        snprintf(name, sizeof(name), "model.layers.%d.input_layernorm.weight", layer);
        made_add(made, dtype, name, 1, width);
    }
    made_add(made, dtype, "model.norm.weight", 1, width);
    made_add(made, dtype, "lm_head.weight", 2, 5 * width, width);
    for (size_t i = 0; i < made->count; i++) {
        struct made_tensor *t = &made->items[i];
        double drift = init == MADE_TRAINED ? exp(0.3 * made_normal(&state)) : 1, std = 0.02 * drift;

        if (init == MADE_XAVIER && t->rank == 2)
            std = sqrt(2.0 / (double)(t->dims[0] + t->dims[1]));
        for (uint64_t e = 0; e < t->elements; e++) {
            double z = made_normal(&state);

            if (t->rank == 1)
                t->values[e] = (strstr(t->name, "norm") ? 1 : 0) + (init == MADE_TRAINED ? 0.1 * drift * z : 0);
            else if (init == MADE_TRAINED)
                t->values[e] = std * (z + 0.05 * z * z * z) * (e % t->dims[1] == 3 ? 4 : 1);
            else
                t->values[e] = std * z;
        }
    }
    return made;
}

/* Adds noise of relative size to every tensor whose name holds part ("" for all). */
static inline void made_disturb(struct made *made, const char *part, double relative, uint64_t seed)
{
    uint64_t state = seed;

    for (size_t i = 0; i < made->count; i++) {
        struct made_tensor *t = &made->items[i];
        double squares = 0;

        if (!strstr(t->name, part) || t->dtype == DTYPE_I64)
            continue;
        for (uint64_t e = 0; e < t->elements; e++)
            squares += t->values[e] * t->values[e];
        for (uint64_t e = 0; e < t->elements; e++)
            t->values[e] += relative * (sqrt(squares / (double)t->elements) + 1e-4) * made_normal(&state);
    }
}

#endif
