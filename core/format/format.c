/* The registry, and the way from a place to a model: look what it is, ask every format for the content, open. */
#include "core/format/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/format/folder.h"
#include "core/format/sharded.h"
#include "core/model/directory.h"
#include "core/model/packed.h"

const struct format *const formats[] = {
    &safetensors_format,
    &gguf_format,
    &keras_format,
    &torch_zip_format,
    &torch_legacy_format,
    &torch_tar_format,
    &torch_distributed_format,
    &npy_format,
    &npz_format,
    &onnx_format,
    &onnx_tensor_format,
    &flax_format,
    &tensorflow_format,
    &tensorflow_graph_format,
    &matlab_hdf5_format,
    &hdf5_format,
    &matlab_5_format,
    &tflite_format,
    &matlab_4_format,
};
const size_t format_count = sizeof(formats) / sizeof(formats[0]);

/* What people hand over by mistake or ahead of their time; for messages only. */
static const struct {
    const char *magic; /* what the file begins with */
    const char *what;
} look_alikes[] = {
    {"version https://git-lfs", "a Git LFS pointer, not the file it points at (git lfs pull fetches it)"},
    {"PK\x03\x04", "a ZIP archive"},
    {"\x80\x02", "a Python pickle"},
    {"\x80\x03", "a Python pickle"},
    {"\x80\x04", "a Python pickle"},
    {"\x80\x05", "a Python pickle"},
    {"lmgg", "a GGML file, from before GGUF"},
    {"tjgg", "a GGML file, from before GGUF"},
    {"node {", "a graph of TensorFlow's as text"},
    {"<!DOCTYPE", "an HTML page"},
    {"<html", "an HTML page"},
    {"\x1f\x8b", "gzip"},
};

static int read_head(struct source *source, struct head *ret_head, struct error *err)
{
    int rc;

    memset(ret_head, 0, sizeof(*ret_head));
    ret_head->file_bytes = source->size;
    ret_head->first_bytes = source->size < HEAD_BYTES ? (size_t)source->size : HEAD_BYTES;
    ret_head->last_bytes = source->size < TAIL_BYTES ? (size_t)source->size : TAIL_BYTES;
    rc = source_read_at(source, 0, ret_head->first, ret_head->first_bytes, err);
    if (rc)
        return rc;
    return source_read_at(source, source->size - ret_head->last_bytes, ret_head->last, ret_head->last_bytes, err);
}

/* Whether a name ends so; used to explain, never to decide. */
static bool is_called(const char *uri, const char *end)
{
    const size_t bytes = strlen(uri), end_bytes = strlen(end);

    return bytes >= end_bytes && strcmp(uri + bytes - end_bytes, end) == 0;
}

static int refuse(const struct source *source, const struct head *head, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES], tried[512] = "", bytes[3 * 16 + 1] = "", shape[256] = "";
    size_t shown = head->first_bytes < 16 ? head->first_bytes : 16;

    name_printable(name_of(source->uri), uri);
    if (source->size == 0)
        return error_set(err, ERROR_FORMAT, "%s: empty file", uri);
    for (size_t i = 0; i < format_count; i++)
        snprintf(tried + strlen(tried), sizeof(tried) - strlen(tried), "%s%s", i ? ", " : "", formats[i]->name);
    for (size_t i = 0; i < sizeof(look_alikes) / sizeof(look_alikes[0]); i++) {
        size_t length = strlen(look_alikes[i].magic);

        if (length <= head->first_bytes && memcmp(head->first, look_alikes[i].magic, length) == 0)
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s: no known format recognises the content (tried %s): it looks like %s", uri, tried,
                             look_alikes[i].what);
    }
    for (size_t i = 0; i < shown; i++)
        snprintf(bytes + 3 * i, sizeof(bytes) - 3 * i, " %02x", head->first[i]);
    if (is_called(source->uri, ".safetensors"))
        snprintf(shape, sizeof(shape),
                 "a safetensors file begins with the length of its header in 8 bytes, then '{', but ");
    else if (strstr(source->uri, ".data-0") && strstr(source->uri, "-of-"))
        snprintf(shape, sizeof(shape), "a TensorFlow checkpoint is opened by its .index; ");
    else if (strstr(source->uri, "saved_model.pb"))
        snprintf(shape, sizeof(shape), "of a SavedModel the directory is opened, for its variables; ");
    else if (is_called(source->uri, ".pb"))
        snprintf(shape, sizeof(shape),
                 "of .pb files graphs of TensorFlow are read, and ONNX's of one tensor, no sequences; ");
    return error_set(err, source->size <= 8 ? ERROR_FORMAT : ERROR_UNSUPPORTED,
                     "%s: no known format recognises the content (tried %s): %sthis file of %" PRIu64
                     " bytes begins with%s",
                     uri, tried, shape, source->size, bytes);
}

/* source stays the caller's: the model has not been handed over. */
static void drop_model(struct model *model, const struct source *source)
{
    for (size_t i = 0; model && i < model->file_count; i++)
        if (model->files[i].source == source)
            model->files[i].source = NULL;
    model_close(model);
}

int format_reject(struct model *model, const struct source *source, int rc, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];
    size_t bytes;

    name_printable(name_of(source->uri), uri);
    bytes = strlen(uri);
    if (rc != ERROR_READ && rc != ERROR_CHANGED &&
        !(err && strncmp(err->text, uri, bytes) == 0 && err->text[bytes] == ':'))
        error_prefix(err, rc, "%s: ", uri);
    drop_model(model, source);
    return rc;
}

int format_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct head head;
    int rc = read_head(source, &head, err);

    if (rc)
        return rc;
    for (size_t i = 0; i < format_count; i++)
        if (formats[i]->probe(&head))
            return formats[i]->open(opener, source, ret_model, err);
    return refuse(source, &head, err);
}

int format_finish(struct model *model, struct error *err)
{
    int rc = model_finish(model, err);

    return rc == 0 && model->format && model->format->settle ? model->format->settle(model, err) : rc;
}

int model_open_source(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct model *model;
    int rc = format_open(opener, source, &model, err);

    if (rc)
        return rc;
    rc = format_finish(model, err);
    if (rc)
        return format_reject(model, source, rc, err);
    *ret_model = model;
    return 0;
}

/* The file that opener names is the first of several: they are opened in its place. */
static int open_set(const struct folder *folder, struct source *source, struct model *first, struct model **ret_model,
                    struct error *err)
{
    const struct shard shard = first->shard;
    int rc;

    drop_model(first, source);
    rc = sharded_open_set(folder, &shard, ret_model, err);
    if (rc == 0)
        source_close(source);
    return rc;
}

/* A single file, with what lies beside it. Takes source on success. */
static int open_single(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct model *model = NULL;
    struct folder folder = {0};
    int rc = folder_open(&folder, opener, true, err);

    if (rc == 0)
        rc = model_open_source(opener, source, &model, err);
    if (rc == 0 && model->shard.total > 1) {
        rc = open_set(&folder, source, model, ret_model, err);
        folder_done(&folder);
        return rc;
    }
    if (rc == 0)
        rc = folder_read_beside(&folder, model, err);
    folder_done(&folder);
    if (rc) {
        drop_model(model, source);
        return rc;
    }
    *ret_model = model;
    return 0;
}

static int open_file(const struct opener *opener, struct model **ret_model, struct error *err)
{
    struct source *source;
    struct head head;
    int rc = file_open(opener->place, &source, err);

    if (rc)
        return rc;
    rc = read_head(source, &head, err);
    if (rc == 0)
        rc = shard_index_probe(&head) ? sharded_open_index(opener, source, ret_model, err)
                                      : open_single(opener, source, ret_model, err);
    if (rc)
        source_close(source);
    return rc;
}

int model_open(const struct place *place, const struct limits *limits, struct model **ret_model, struct error *err)
{
    struct place opened;
    struct opener opener = {.place = &opened, .limits = limits};
    char uri[NAME_PRINTABLE_BYTES];
    struct model *model = NULL;
    int fd, is_directory;
    int rc = directory_open_place(place, &opened, &fd, &is_directory, err);

    if (rc)
        return rc;
    rc = is_directory ? sharded_open_directory(&opener, fd, &model, err) : open_file(&opener, &model, err);
    close(fd);
    directory_place_done(&opened, place);
    if (rc)
        return rc;
    rc = packed_recognise(model, err);
    if (rc) {
        error_prefix(err, rc, "%s: ", name_printable(name_of(place->uri), uri));
        model_close(model);
        return rc;
    }
    *ret_model = model;
    return 0;
}
