/* How fast, and in how much memory, headers are read and models paired: a mixture of experts with 300,000 tensors (or
 * as many as the first argument says), made up in memory. Not a test; built by hand: cc -O2 -std=gnu17 -D_GNU_SOURCE
 * -I. tests/bench/bench_header.c build/release/libcore.a -lpcre2-8 -lm -o /tmp/bench_header */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "core/format/format.h"
#include "core/format/safetensors_header.h"
#include "core/format/shard_index.h"
#include "core/model/align.h"
#include "core/model/layers.h"

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double peak_mb(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/* In the order that the usual writer chooses: by name, bytewise. */
static int compare_bytewise(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A whole file of tensors empty tensors: its data section has no bytes, so the header is all of it. */
static char *make_file(size_t tensors, size_t *ret_bytes)
{
    static const char *const parts[] = {"gate_proj", "up_proj", "down_proj"};
    char **names = malloc(tensors * sizeof(*names));
    char *file = malloc(tensors * 160 + 64), *at = file + 8;
    uint64_t header;

    if (!names || !file)
        exit(1);
    for (size_t i = 0; i < tensors; i++)
        if (asprintf(&names[i], "model.layers.%zu.mlp.experts.%zu.%s.weight", i / 1152, i / 3 % 384, parts[i % 3]) < 0)
            exit(1);
    qsort(names, tensors, sizeof(*names), compare_bytewise);
    at += sprintf(at, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < tensors; i++) {
        at += sprintf(at, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[2048,0],\"data_offsets\":[0,0]}", names[i]);
        free(names[i]);
    }
    *at++ = '}';
    header = (uint64_t)(at - file - 8);
    memcpy(file, &header, 8);
    free(names);
    *ret_bytes = (size_t)(at - file);
    return file;
}

static struct model *open_model(const char *file, size_t bytes)
{
    struct opener opener = {.limits = &limits_default};
    struct source *source;
    struct model *model;
    struct error err;

    if (memory_open(file, bytes, "bench.safetensors", &source, &err) ||
        model_open_source(&opener, source, &model, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return model;
}

/* The header alone: text to tensors in canonical order, checked. */
static void measure_parse(const char *file, size_t bytes)
{
    struct safetensors_header header;
    char *text = malloc(bytes);
    double best = 1e9, start;

    if (!text)
        exit(1);
    for (int run = 0; run < 5; run++) {
        memcpy(text, file + 8, bytes - 8);
        start = seconds();
        if (safetensors_header_parse(text, bytes - 8, 0, &limits_default, &header, NULL))
            exit(1);
        if (seconds() - start < best)
            best = seconds() - start;
        safetensors_header_done(&header);
    }
    printf("parse   %.0f ms, %.0f MB/s\n", best * 1e3, (double)bytes / 1e6 / best);
    free(text);
}

/* An index of as many tensors, in 64 files. */
static void measure_index(size_t tensors)
{
    char *text = malloc(tensors * 140 + 64), *at = text;
    struct shard_index index;
    double start;
    struct error err;

    if (!text)
        exit(1);
    at += sprintf(at, "{\"metadata\":{\"total_size\":0},\"weight_map\":{");
    for (size_t i = 0; i < tensors; i++)
        at += sprintf(at,
                      "%s\n    \"model.layers.%zu.mlp.experts.%zu.up_proj.weight_scale_inv\": "
                      "\"model-%05zu-of-00064.safetensors\"",
                      i ? "," : "", i / 1152, i % 1152, i * 64 / tensors + 1);
    at += sprintf(at, "}}");
    start = seconds();
    if (shard_index_parse(text, (size_t)(at - text), &limits_default, &index, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    printf("index   %zu entries, %.1f MB, %.0f ms\n", index.entry_count, (double)(at - text) / 1e6,
           (seconds() - start) * 1e3);
    shard_index_done(&index);
    free(text);
}

int main(int argc, char **argv)
{
    size_t tensors = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 300000, bytes, types = 0;
    char *file = make_file(tensors, &bytes);
    const struct model *models[2];
    struct pairing *pairing;
    struct model *a, *b;
    double before = peak_mb(), start, best = 1e9;
    struct error err;

    for (int run = 0; run < 5; run++) {
        start = seconds();
        a = open_model(file, bytes);
        if (seconds() - start < best)
            best = seconds() - start;
        model_close(a);
    }
    printf("header  %zu tensors, %.1f MB\n", tensors, (double)bytes / 1e6);
    printf("open    %.0f ms, %.0f MB/s\n", best * 1e3, (double)bytes / 1e6 / best);
    printf("memory  %.0f MB at most beyond the file, %.0f bytes a tensor, header included\n", peak_mb() - before,
           (peak_mb() - before) * 1048576 / (double)tensors);
    measure_parse(file, bytes);
    a = open_model(file, bytes);
    b = open_model(file, bytes);
    models[0] = a;
    models[1] = b;
    start = seconds();
    if (pairing_align(models, 2, &pairing, &err))
        return 1;
    printf("pair    %zu pairs, %.0f ms\n", pairing->pairs, (seconds() - start) * 1e3);
    start = seconds();
    for (size_t i = 0; i < a->tensor_count; i++)
        types += model_find(b, a->tensors[i].name) == &b->tensors[i];
    printf("find    %zu of them by hash, %.0f ms\n", types, (seconds() - start) * 1e3);
    start = seconds();
    for (size_t i = 0; i < a->tensor_count; i++)
        types += module_type_index(a->tensors[i].name);
    printf("types   %.0f ms (%zu)\n", (seconds() - start) * 1e3, types);
    pairing_free(pairing);
    model_close(a);
    model_close(b);
    free(file);
    measure_index(tensors);
    return 0;
}
