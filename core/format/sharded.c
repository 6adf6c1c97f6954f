/* Every shard is opened by its own format and then moves into one model: its file, its tensors, its memory. The index,
 * where there is one, is held against what the shards really have; only what can be wrong without harm (more tensors
 * than the index knows, a total that does not add up, metadata that differs) is a warning. */
#include "core/format/sharded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/directory.h"
#include "core/model/order.h"

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "out of memory for a model of several files");
}

static int reserve(void *array_of, size_t item_bytes, size_t count, struct error *err)
{
    void **array = array_of;
    void *grown = reallocarray(*array, count + 1, item_bytes);

    if (!grown)
        return no_memory(err);
    *array = grown;
    return 0;
}

/* Moves everything of part into model; what is left of part is closed. On failure both are whole, and the caller's. */
static int absorb(struct model *model, struct model *part, const struct limits *limits, struct error *err)
{
    size_t tensors = model->tensor_count + part->tensor_count, files = model->file_count + part->file_count;
    size_t metadata = model->metadata_count + part->metadata_count, chunks = model->chunk_count + part->chunk_count + 1;
    uint32_t base = (uint32_t)model->file_count;
    int rc;

    if (tensors > limits->tensors || tensors >= UINT32_MAX)
        return error_set(err, ERROR_LIMIT, "has more than %" PRIu64 " tensors, the limit", limits->tensors);
    if ((rc = reserve(&model->tensors, sizeof(*model->tensors), tensors, err)) ||
        (rc = reserve(&model->files, sizeof(*model->files), files, err)) ||
        (rc = reserve(&model->metadata, sizeof(*model->metadata), metadata, err)) ||
        (rc = reserve(&model->chunks, sizeof(*model->chunks), chunks, err)))
        return rc;
    for (size_t i = 0; i < part->warning_count; i++)
        if (model_take_warning(model, &part->warnings[i]) != 0)
            return no_memory(err);
    for (size_t i = 0; i < part->tensor_count; i++) {
        model->tensors[model->tensor_count + i] = part->tensors[i];
        model->tensors[model->tensor_count + i].extent.source += base;
    }
    for (size_t i = 0; i < part->file_count; i++)
        model->files[model->file_count + i] = part->files[i];
    for (size_t i = 0; i < part->metadata_count; i++)
        model->metadata[model->metadata_count + i] = part->metadata[i];
    for (size_t i = 0; i < part->chunk_count; i++)
        model->chunks[model->chunk_count + i] = part->chunks[i];
    model->chunks[chunks - 1] = part->dims;
    model->tensor_count = tensors;
    model->file_count = files;
    model->metadata_count = metadata;
    model->chunk_count = chunks;
    part->dims = NULL;
    part->tensor_count = part->file_count = part->metadata_count = part->chunk_count = 0;
    model_close(part);
    return 0;
}

/* What a shard says of its place among the others. */
static int check_place(const struct shard *shard, size_t at, size_t count, const char *uri, struct error *err)
{
    if (shard->total == 0 || (shard->total == count && shard->number == at + 1))
        return 0;
    return error_set(err, ERROR_FORMAT, "%s: says that it is part %" PRIu32 " of %" PRIu32 ", not %zu of %zu", uri,
                     shard->number, shard->total, at + 1, count);
}

/* A format looks for what belongs to a file beside that file. Takes source on success. */
static int open_part(const struct folder *folder, struct name file, struct source *source, struct model **ret_part,
                     struct error *err)
{
    struct place place;
    struct opener opener = {.place = &place, .limits = folder->opener->limits};
    int rc = folder_place(folder, file, &place, err);

    if (rc)
        return rc;
    rc = format_open(&opener, source, ret_part, err);
    folder_place_done(&place);
    return rc;
}

static int open_shard(const struct folder *folder, struct name file, size_t at, size_t count, struct model *model,
                      struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES], shard[NAME_PRINTABLE_BYTES];
    const struct format *format;
    struct source *source = NULL;
    struct model *part = NULL;
    int rc = folder_open_file(folder, file, &source, err);

    if (rc == ERROR_NOT_FOUND)
        return error_set(err, rc, "%s: its shard %s is missing",
                         name_printable(name_of(folder->opener->place->uri), uri), name_printable(file, shard));
    if (rc)
        return rc;
    rc = open_part(folder, file, source, &part, err);
    if (rc) {
        source_close(source);
        return rc;
    }
    format = part->format;
    if (model->format && model->format != format)
        rc = error_set(err, ERROR_FORMAT, "%s: is %s, while shards before it are %s",
                       name_printable(name_of(source->uri), uri), format->name, model->format->name);
    else
        rc = check_place(&part->shard, at, count, name_printable(name_of(source->uri), uri), err);
    if (rc == 0 && at == 0)
        model->shard = part->shard;
    if (rc == 0)
        rc = absorb(model, part, folder->opener->limits, err);
    if (rc) {
        if (rc == ERROR_LIMIT)
            error_prefix(err, rc, "%s: ", name_printable(name_of(folder->opener->place->uri), uri));
        model_close(part);
        return rc;
    }
    model->format = format;
    return 0;
}

static int compare_keys(const void *context, uint32_t a, uint32_t b)
{
    const struct metadata_entry *entries = context;

    return name_compare_natural(entries[a].key, entries[b].key);
}

/* One entry a key: that of the first shard; a shard that says otherwise is told of. */
static int merge_metadata(struct model *model, struct error *err)
{
    size_t count = model->metadata_count, kept = 0;
    uint32_t *order = reallocarray(NULL, count + count / 2 + 2, sizeof(*order));
    struct metadata_entry *merged = reallocarray(NULL, count + 1, sizeof(*merged));
    char printable[NAME_PRINTABLE_BYTES];
    int rc = 0;

    if (!order || !merged) {
        rc = no_memory(err);
        goto out;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, count, order + count, compare_keys, model->metadata); /* stable: the first shard's comes first */
    for (size_t i = 0; i < count; i++) {
        struct metadata_entry entry = model->metadata[order[i]];

        if (kept == 0 || !name_equal(merged[kept - 1].key, entry.key))
            merged[kept++] = entry;
        else if (!name_equal(merged[kept - 1].value, entry.value) &&
                 model_warn(model, "metadata-conflict", (struct name){0}, "shards disagree about the metadata key %s",
                            name_printable(entry.key, printable)) != 0) {
            rc = no_memory(err);
            goto out;
        }
    }
    free(model->metadata);
    model->metadata = merged;
    model->metadata_count = kept;
    merged = NULL;
out:
    free(order);
    free(merged);
    return rc;
}

/* Opens files one after the other into a new model. */
static int open_shards(const struct folder *folder, const struct name *files, size_t count, struct model **ret_model,
                       struct error *err)
{
    struct model *model = calloc(1, sizeof(*model));
    char uri[NAME_PRINTABLE_BYTES];
    int rc;

    if (!model)
        return no_memory(err);
    model->uri = strdup(folder->opener->place->uri);
    rc = model->uri ? 0 : no_memory(err);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = open_shard(folder, files[i], i, count, model, err);
    if (rc == 0 && model->shard.tensors && model->shard.tensors != model->tensor_count)
        rc = error_set(err, ERROR_FORMAT, "%s: its first part claims %" PRIu64 " tensors, its parts have %zu",
                       name_printable(name_of(model->uri), uri), model->shard.tensors, model->tensor_count);
    if (rc == 0)
        rc = merge_metadata(model, err);
    if (rc == 0) {
        rc = format_finish(model, err);
        if (rc)
            error_prefix(err, rc, "%s: ", name_printable(name_of(model->uri), uri));
    }
    if (rc == 0)
        rc = folder_read_beside(folder, model, err);
    if (rc) {
        model_close(model);
        return rc;
    }
    *ret_model = model;
    return 0;
}

static int wrong_shard(const struct model *model, const struct shard_index *index, const struct shard_entry *entry,
                       const struct tensor *elsewhere, struct error *err)
{
    char tensor[NAME_PRINTABLE_BYTES], mapped[NAME_PRINTABLE_BYTES], found[NAME_PRINTABLE_BYTES];

    name_printable(entry->tensor, tensor);
    name_printable(index->files[entry->file], mapped);
    if (!elsewhere)
        return error_set(err, ERROR_FORMAT, "index: tensor %s is mapped to %s, which does not hold it", tensor, mapped);
    return error_set(err, ERROR_FORMAT, "index: tensor %s is mapped to %s, but lies in %s", tensor, mapped,
                     name_printable(name_of(model->files[elsewhere->extent.source].source->uri), found));
}

static int extra_tensor(struct model *model, const struct tensor *tensor, struct error *err)
{
    char name[NAME_PRINTABLE_BYTES], file[NAME_PRINTABLE_BYTES];

    if (model_warn(model, "extra-tensor", tensor->name, "tensor %s lies in %s, but the index does not map it",
                   name_printable(tensor->name, name),
                   name_printable(name_of(model->files[tensor->extent.source].source->uri), file)) != 0)
        return no_memory(err);
    return 0;
}

/* Whether the file, or the one that it is a member of, is the one that the index names. */
static bool lies_in(const struct model *model, uint32_t source, struct name file)
{
    const char *uri = model->files[source].source->uri;
    const size_t bytes = strlen(uri);

    return bytes >= file.bytes && memcmp(uri + bytes - file.bytes, file.text, file.bytes) == 0 &&
           (bytes == file.bytes || uri[bytes - file.bytes - 1] == '/');
}

/* Index and tensors are both in canonical order: one walk along both. */
static int check_map(struct model *model, const struct shard_index *index, struct error *err)
{
    size_t t = 0;
    uint64_t total = 0;
    int rc = 0;

    for (size_t i = 0; i < index->entry_count && rc == 0; i++) {
        const struct shard_entry *entry = &index->entries[i];
        int order = -1;

        while (t < model->tensor_count && rc == 0 &&
               (order = name_compare_natural(model->tensors[t].name, entry->tensor)) < 0)
            rc = extra_tensor(model, &model->tensors[t++], err);
        if (rc)
            break;
        if (t == model->tensor_count || order != 0)
            return wrong_shard(model, index, entry, NULL, err);
        if (!lies_in(model, model->tensors[t].extent.source, index->files[entry->file]))
            return wrong_shard(model, index, entry, &model->tensors[t], err);
        total += model->tensors[t++].extent.bytes;
    }
    while (t < model->tensor_count && rc == 0)
        rc = extra_tensor(model, &model->tensors[t++], err);
    if (rc)
        return rc;
    if (index->has_total_size && index->total_size != total &&
        model_warn(model, "total-size", (struct name){0},
                   "the index claims a total_size of %" PRIu64 " bytes, its tensors have %" PRIu64, index->total_size,
                   total) != 0)
        return no_memory(err);
    return 0;
}

/* Names of the index lie in text that is ours. Dots sort where slashes do. */
static void join_by_dots(struct shard_index *index, char separator)
{
    for (size_t i = 0; separator && i < index->entry_count; i++) {
        char *name = (char *)index->entries[i].tensor.text;

        for (uint32_t at = 0; at < index->entries[i].tensor.bytes; at++)
            if (name[at] == separator)
                name[at] = '.';
    }
}

static int open_index(const struct folder *folder, struct source *source, struct model **ret_model, struct error *err)
{
    struct shard_index index = {0};
    char uri[NAME_PRINTABLE_BYTES];
    struct model *model = NULL;
    char *text = NULL;
    int rc = folder_read_whole(source, folder->opener->limits->index_bytes, "an index", &text, err);

    if (rc)
        goto out;
    rc = shard_index_parse(text, source->size, folder->opener->limits, &index, err);
    if (rc) {
        error_prefix(err, rc, "%s: ", name_printable(name_of(source->uri), uri));
        goto out;
    }
    rc = open_shards(folder, index.files, index.file_count, &model, err);
    if (rc)
        goto out;
    join_by_dots(&index, model->format->index_separator);
    rc = check_map(model, &index, err);
    if (rc) {
        error_prefix(err, rc, "%s: ", name_printable(name_of(source->uri), uri));
        goto out;
    }
    *ret_model = model;
    model = NULL;
out:
    shard_index_done(&index);
    model_close(model);
    free(text);
    return rc;
}

int sharded_open_index(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct folder folder = {0};
    int rc = folder_open(&folder, opener, true, err);

    if (rc == 0)
        rc = open_index(&folder, source, ret_model, err);
    if (rc == 0)
        source_close(source);
    folder_done(&folder);
    return rc;
}

static int open_chosen(const struct folder *folder, const struct directory_choice *choice, struct model **ret_model,
                       struct error *err)
{
    struct source *source;
    struct name *files;
    int rc;

    if (choice->is_index) {
        rc = folder_open_file(folder, name_of(choice->files[0]), &source, err);
        if (rc)
            return rc;
        rc = open_index(folder, source, ret_model, err);
        source_close(source);
        return rc;
    }
    files = reallocarray(NULL, choice->file_count, sizeof(*files));
    if (!files)
        return no_memory(err);
    for (size_t i = 0; i < choice->file_count; i++)
        files[i] = name_of(choice->files[i]);
    rc = open_shards(folder, files, choice->file_count, ret_model, err);
    free(files);
    return rc;
}

int sharded_open_set(const struct folder *folder, const struct shard *shard, struct model **ret_model,
                     struct error *err)
{
    const char *path = folder->opener->place->path, *slash = strrchr(path, '/'), *mark;
    char uri[NAME_PRINTABLE_BYTES], place[64];
    struct name *files = NULL, file = name_of(slash ? slash + 1 : path);
    int rc = 0;

    name_printable(name_of(folder->opener->place->uri), uri);
    snprintf(place, sizeof(place), "-%05" PRIu32 "-of-%05" PRIu32, shard->number, shard->total);
    mark = strstr(file.text, place);
    if (!mark)
        return error_set(err, ERROR_FORMAT, "%s: is part %" PRIu32 " of %" PRIu32 ", but its name has no \"%s\"", uri,
                         shard->number, shard->total, place);
    if (shard->number != 1)
        return error_set(err, ERROR_FORMAT, "%s: is part %" PRIu32 " of %" PRIu32 "; name the first", uri,
                         shard->number, shard->total);
    if (shard->total > folder->opener->limits->shards)
        return error_set(err, ERROR_LIMIT, "%s: has %" PRIu32 " parts, the limit is %" PRIu32, uri, shard->total,
                         folder->opener->limits->shards);
    files = calloc(shard->total, sizeof(*files));
    if (!files)
        return no_memory(err);
    for (uint32_t i = 0; i < shard->total && rc == 0; i++) {
        char *name = NULL;

        if (asprintf(&name, "%.*s-%05" PRIu32 "-of-%05" PRIu32 "%s", (int)(mark - file.text), file.text, i + 1,
                     shard->total, mark + strlen(place)) < 0)
            rc = no_memory(err);
        else
            files[i] = name_of(name);
    }
    if (rc == 0)
        rc = open_shards(folder, files, shard->total, ret_model, err);
    for (uint32_t i = 0; i < shard->total; i++)
        free((char *)files[i].text);
    free(files);
    return rc;
}

int sharded_open_directory(const struct opener *opener, int dir_fd, struct model **ret_model, struct error *err)
{
    struct directory_choice choice = {0};
    char uri[NAME_PRINTABLE_BYTES];
    struct folder folder = {0};
    struct model *model = NULL;
    int rc = folder_open(&folder, opener, false, err);

    if (rc)
        goto out;
    rc = directory_choose(dir_fd, opener->limits, &choice, err);
    if (rc) {
        error_prefix(err, rc, "%s: ", name_printable(name_of(opener->place->uri), uri));
        goto out;
    }
    rc = open_chosen(&folder, &choice, &model, err);
    if (rc)
        goto out;
    if (choice.passed_over && model_warn(model, "several-models", (struct name){0}, "%s %s",
                                         name_printable(name_of(opener->place->uri), uri), choice.passed_over) != 0) {
        rc = no_memory(err);
        goto out;
    }
    *ret_model = model;
    model = NULL;
out:
    model_close(model);
    directory_choice_done(&choice);
    folder_done(&folder);
    return rc;
}
