/* application/json: the result document, with the index of its records beside it where one is asked for;
 * application/x-ndjson: the tensor records alone, one a line. */
#include "api/render/json_writer.h"
#include "api/render/result_index.h"
#include "core/listing.h"

/* Writes one index record for each tensor record, in the order of the listing. */
struct indexer {
    const struct comparison *comparison;
    struct output *index;
    size_t at;
    uint64_t names_bytes;
};

static struct name listed_name(const struct comparison *c, size_t at)
{
    return pairing_name(c->pairing, (const struct model *const *)c->models, c->listing[at]);
}

static void index_record(void *context, uint64_t offset, uint64_t bytes)
{
    struct indexer *indexer = context;
    const struct comparison *c = indexer->comparison;
    struct index_record record = {
        .offset = offset,
        .bytes = (uint32_t)bytes,
        .name_bytes = listed_name(c, indexer->at).bytes,
        .name_at = indexer->names_bytes,
        .status = c->status[c->listing[indexer->at]],
    };

    for (int key = 0; key < SORT_COUNT; key++)
        record.figures[key] = listing_figure(c, c->listing[indexer->at], (enum sort_key)key);
    indexer->names_bytes += record.name_bytes;
    indexer->at++;
    output_write(indexer->index, &record, sizeof(record));
}

static void write_index_header(const struct comparison *c, struct output *index)
{
    struct index_header header = {.magic = RESULT_INDEX_MAGIC, .records = c->listing_count};

    for (size_t i = 0; i < c->listing_count; i++)
        header.names_bytes += listed_name(c, i).bytes;
    output_write(index, &header, sizeof(header));
}

static void render_json(const struct comparison *c, const struct render_options *options, struct output *output)
{
    struct indexer indexer = {.comparison = c, .index = options->index};
    struct json_writer json;

    json_writer_init(&json, output, 2);
    if (options->index) {
        write_index_header(c, options->index);
        json.record = index_record;
        json.record_context = &indexer;
    }
    comparison_write(c, &json.writer, options->run, options->run_context);
    for (size_t i = 0; options->index && i < c->listing_count; i++)
        output_write(options->index, listed_name(c, i).text, listed_name(c, i).bytes);
}

static void render_ndjson(const struct comparison *c, const struct render_options *options, struct output *output)
{
    (void)options;
    for (size_t i = 0; i < c->listing_count; i++) {
        struct json_writer json;

        json_writer_init(&json, output, 0);
        comparison_write_tensor(c, c->listing[i], &json.writer);
    }
}

const struct renderer json_renderer = {"json", "application/json", render_json};
const struct renderer ndjson_renderer = {"ndjson", "application/x-ndjson", render_ndjson};
