/* {"metadata": {"total_size": N}, "weight_map": {"tensor": "file", …}}; other members are skipped. Real indexes reach
 * 60 MB and 500,000 tensors, so this is one pass over the text and no tree. */
#include "core/format/shard_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/format/json_scan.h"
#include "core/model/name_index.h"
#include "core/model/order.h"

struct parser {
    struct json_scan scan;
    const struct limits *limits;
    struct shard_index index; /* being built */
    size_t entry_room;
    struct name_index *names; /* of files */
    uint32_t last_file;
    bool has_map;
    struct error *err;
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

bool shard_index_probe(const struct head *head)
{
    size_t at = 0, looked = head->first_bytes < 64 ? head->first_bytes : 64;

    /* A safetensors header of 8,827 bytes begins with {" too, but its length goes on with zeros. */
    for (size_t i = 0; i < looked; i++)
        if (head->first[i] < 0x20 && !is_space(head->first[i]))
            return false;
    while (at < head->first_bytes && is_space(head->first[at]))
        at++;
    if (at == head->first_bytes || head->first[at++] != '{')
        return false;
    while (at < head->first_bytes && is_space(head->first[at]))
        at++;
    return at < head->first_bytes && (head->first[at] == '"' || head->first[at] == '}');
}

static int scan_error(struct parser *parser)
{
    return error_set(parser->err, ERROR_FORMAT, "index: %s, at byte %zu", parser->scan.problem,
                     parser->scan.problem_at);
}

static int no_memory(struct parser *parser)
{
    return error_set(parser->err, ERROR_NO_MEMORY, "out of memory for an index");
}

/* A plain name within the directory; anything else could lead out of it. */
static bool is_plain(struct name file)
{
    if (file.bytes == 0 || memchr(file.text, '/', file.bytes) || memchr(file.text, '\0', file.bytes))
        return false;
    if (file.text[0] == '.' && file.bytes == 1)
        return false;
    return !memmem(file.text, file.bytes, "..", 2);
}

static int find_file(struct parser *parser, struct name tensor, struct name file, uint32_t *ret_file)
{
    struct shard_index *index = &parser->index;
    struct name_records records = {index->files, sizeof(*index->files)};
    char one[NAME_PRINTABLE_BYTES], two[NAME_PRINTABLE_BYTES];
    uint32_t at;

    /* Neighbours lie in the same file, mostly. */
    if (index->file_count > 0 && name_equal(index->files[parser->last_file], file)) {
        *ret_file = parser->last_file;
        return 0;
    }
    at = index->file_count > 0 ? name_index_find(parser->names, records, file) : NAME_INDEX_NONE;
    if (at == NAME_INDEX_NONE) {
        if (!is_plain(file))
            return error_set(parser->err, ERROR_FORMAT, "index: tensor %s is mapped to %s, which is no plain file name",
                             name_printable(tensor, one), name_printable(file, two));
        if (index->file_count >= parser->limits->shards)
            return error_set(parser->err, ERROR_LIMIT, "index: names more than %" PRIu32 " files, the limit",
                             parser->limits->shards);
        at = (uint32_t)index->file_count++;
        index->files[at] = file;
        name_index_add(parser->names, records, at);
    }
    parser->last_file = at;
    *ret_file = at;
    return 0;
}

static int add_entry(struct parser *parser, struct shard_entry entry)
{
    struct shard_index *index = &parser->index;

    if (index->entry_count >= parser->limits->tensors)
        return error_set(parser->err, ERROR_LIMIT, "index: maps more than %" PRIu64 " tensors, the limit",
                         parser->limits->tensors);
    if (!array_reserve(&index->entries, sizeof(*index->entries), index->entry_count, &parser->entry_room))
        return no_memory(parser);
    index->entries[index->entry_count++] = entry;
    return 0;
}

static int read_map(struct parser *parser)
{
    struct json_scan *scan = &parser->scan;
    struct shard_entry entry;
    struct name file;
    bool has;
    int rc;

    if (parser->has_map) {
        json_fault(scan, "weight_map appears twice");
        return scan_error(parser);
    }
    parser->has_map = true;
    if (!json_object(scan))
        return scan_error(parser);
    for (;;) {
        if (!json_member(scan, &entry.tensor, &has))
            return scan_error(parser);
        if (!has)
            return 0;
        if (!json_string(scan, &file))
            return scan_error(parser);
        rc = find_file(parser, entry.tensor, file, &entry.file);
        if (rc == 0)
            rc = add_entry(parser, entry);
        if (rc)
            return rc;
    }
}

/* total_size is advisory: taken when it is an integer, passed over when some writer made it a float. */
static bool read_total_size(struct parser *parser)
{
    struct json_scan number, *scan = &parser->scan;
    size_t start;

    json_peek(scan);
    start = scan->at;
    if (!json_skip(scan))
        return false;
    json_init(&number, scan->text + start, scan->at - start, 1);
    parser->index.has_total_size = json_u64(&number, &parser->index.total_size);
    return true;
}

static int read_metadata(struct parser *parser)
{
    struct json_scan *scan = &parser->scan;
    static const struct name total_size = {"total_size", 10};
    struct name key;
    bool has;

    if (json_peek(scan) != '{')
        return json_skip(scan) ? 0 : scan_error(parser);
    if (!json_object(scan))
        return scan_error(parser);
    for (;;) {
        if (!json_member(scan, &key, &has))
            return scan_error(parser);
        if (!has)
            return 0;
        if (name_equal(key, total_size) ? !read_total_size(parser) : !json_skip(scan))
            return scan_error(parser);
    }
}

static int read_index(struct parser *parser)
{
    static const struct name weight_map = {"weight_map", 10}, metadata = {"metadata", 8};
    struct json_scan *scan = &parser->scan;
    struct name key;
    bool has;
    int rc = 0;

    if (!json_object(scan))
        return scan_error(parser);
    for (;;) {
        if (!json_member(scan, &key, &has))
            return scan_error(parser);
        if (!has)
            break;
        if (name_equal(key, weight_map))
            rc = read_map(parser);
        else if (name_equal(key, metadata))
            rc = read_metadata(parser);
        else if (!json_skip(scan))
            rc = scan_error(parser);
        if (rc)
            return rc;
    }
    if (!json_end(scan))
        return scan_error(parser);
    if (!parser->has_map)
        return error_set(parser->err, ERROR_UNSUPPORTED, "JSON, but no index of a model: it has no weight_map");
    if (parser->index.entry_count == 0)
        return error_set(parser->err, ERROR_FORMAT, "index: weight_map is empty");
    return 0;
}

static int compare_tensors(const void *context, uint32_t a, uint32_t b)
{
    const struct shard_entry *entries = context;

    return name_compare_natural(entries[a].tensor, entries[b].tensor);
}

static int compare_files(const void *context, uint32_t a, uint32_t b)
{
    const struct name *files = context;

    return name_compare_natural(files[a], files[b]);
}

/* Sorts files and entries. scratch: room for 3 × max(entries, files) + 2. */
static int put_in_order(struct parser *parser)
{
    struct shard_index *index = &parser->index;
    size_t most = index->entry_count; /* ≥ file_count: a file is known from an entry */
    uint32_t *order = reallocarray(NULL, 3 * most + 2, sizeof(*order)), *place, *scratch;
    struct shard_entry *entries = reallocarray(NULL, most, sizeof(*entries));
    struct name *files = reallocarray(NULL, index->file_count, sizeof(*files));
    char printable[NAME_PRINTABLE_BYTES];
    int rc = 0;

    if (!order || !entries || !files) {
        free(order);
        free(entries);
        free(files);
        return no_memory(parser);
    }
    place = order + most;
    scratch = order + 2 * most;
    for (size_t i = 0; i < index->file_count; i++)
        order[i] = (uint32_t)i;
    order_sort(order, index->file_count, scratch, compare_files, index->files);
    for (size_t i = 0; i < index->file_count; i++) {
        files[i] = index->files[order[i]];
        place[order[i]] = (uint32_t)i;
    }
    for (size_t i = 0; i < most; i++)
        order[i] = (uint32_t)i;
    order_sort(order, most, scratch, compare_tensors, index->entries);
    for (size_t i = 0; i < most; i++) {
        entries[i] = index->entries[order[i]];
        entries[i].file = place[entries[i].file];
        if (i > 0 && rc == 0 && name_equal(entries[i - 1].tensor, entries[i].tensor))
            rc = error_set(parser->err, ERROR_FORMAT, "index: tensor %s is mapped twice",
                           name_printable(entries[i].tensor, printable));
    }
    free(order);
    free(index->files);
    free(index->entries);
    index->files = files;
    index->entries = entries;
    return rc;
}

int shard_index_parse(char *text, size_t bytes, const struct limits *limits, struct shard_index *ret_index,
                      struct error *err)
{
    struct parser parser = {.limits = limits, .err = err};
    int rc;

    json_init(&parser.scan, text, bytes, limits->nesting);
    parser.names = name_index_new(limits->shards);
    parser.index.files = reallocarray(NULL, (limits->shards + (size_t)1), sizeof(*parser.index.files));
    rc = parser.names && parser.index.files ? read_index(&parser) : no_memory(&parser);
    if (rc == 0)
        rc = put_in_order(&parser);
    name_index_free(parser.names);
    if (rc) {
        shard_index_done(&parser.index);
        return rc;
    }
    *ret_index = parser.index;
    return 0;
}

void shard_index_done(struct shard_index *index)
{
    free(index->entries);
    free(index->files);
    *index = (struct shard_index){0};
}
