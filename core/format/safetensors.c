/* safetensors: u64 little-endian N, N bytes of JSON, data. (github.com/huggingface/safetensors, README and tensor.rs.)
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/format.h"
#include "core/format/safetensors_header.h"

static uint64_t le64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_text(uint8_t byte)
{
    return (byte >= 0x20 && byte < 0x7f) || is_space(byte);
}

/* A length, then '{', perhaps after whitespace (data aligned to pages pads the header in front). The length itself may
 * lie: such a file is a malformed one of ours, not an unknown one. Eight letters in its place are text, though: JSON
 * with '{' as its ninth byte would pass otherwise. */
static bool safetensors_probe(const struct head *head)
{
    bool has_text = true;
    size_t at = SAFETENSORS_PREFIX_BYTES;

    if (head->first_bytes <= SAFETENSORS_PREFIX_BYTES)
        return false;
    for (int i = 0; i < SAFETENSORS_PREFIX_BYTES; i++)
        has_text = has_text && is_text(head->first[i]);
    if (has_text)
        return false;
    while (at < head->first_bytes && is_space(head->first[at]))
        at++;
    return at == head->first_bytes ? at > SAFETENSORS_PREFIX_BYTES : head->first[at] == '{';
}

/* The claim of the first eight bytes, checked. */
static int read_header_length(struct source *source, const struct limits *limits, uint64_t *ret_bytes,
                              struct error *err)
{
    uint8_t prefix[SAFETENSORS_PREFIX_BYTES];
    uint64_t claim;
    int rc;

    if (source->size == 0)
        return error_set(err, ERROR_FORMAT, "empty file");
    if (source->size < SAFETENSORS_PREFIX_BYTES)
        return error_set(err, ERROR_FORMAT, "%" PRIu64 " bytes are too few for the length of a header", source->size);
    rc = source_read_at(source, 0, prefix, sizeof(prefix), err);
    if (rc)
        return rc;
    claim = le64(prefix);
    /* Beyond the file is a lie; within the file, yet beyond the limit, is an honest giant. */
    if (claim > source->size - SAFETENSORS_PREFIX_BYTES)
        return error_set(err, ERROR_FORMAT, "header claims %" PRIu64 " bytes, the file has %" PRIu64, claim,
                         source->size);
    if (claim > limits->header_bytes)
        return error_set(err, ERROR_LIMIT, "header claims %" PRIu64 " bytes, the limit is %" PRIu64, claim,
                         limits->header_bytes);
    *ret_bytes = claim;
    return 0;
}

/* Moves header, text and, as the last step, source into a new model; NULL when memory is short. */
static struct model *build_model(struct source *source, char **text, struct safetensors_header *header)
{
    char uri[NAME_PRINTABLE_BYTES];
    struct model *model = calloc(1, sizeof(*model));

    if (!model)
        return NULL;
    model->uri = strdup(source->uri);
    model->files = calloc(1, sizeof(*model->files));
    if (!model->uri || !model->files)
        goto fail;
    if (header->has_leading_whitespace &&
        model_warn(model, "header-whitespace", (struct name){0}, "%s: its header begins with whitespace",
                   name_printable(name_of(source->uri), uri)) != 0)
        goto fail;
    if (header->storages && model_keep(model, header->storages) != 0)
        goto fail;
    model->format = &safetensors_format;
    model->tensors = header->tensors;
    model->tensor_count = header->tensor_count;
    model->dims = header->dims;
    model->metadata = header->metadata;
    model->metadata_count = header->metadata_count;
    model->files[0] = (struct model_file){.source = source, .header = *text};
    model->file_count = 1;
    *header = (struct safetensors_header){0};
    *text = NULL;
    return model;
fail:
    model_close(model);
    return NULL;
}

static int safetensors_open(const struct opener *opener, struct source *source, struct model **ret_model,
                            struct error *err)
{
    struct safetensors_header header = {0};
    uint64_t header_bytes = 0;
    struct model *model;
    char *text = NULL;
    int rc;

    rc = read_header_length(source, opener->limits, &header_bytes, err);
    if (rc)
        goto out;
    text = malloc(header_bytes + 1);
    if (!text) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for a header of %" PRIu64 " bytes", header_bytes);
        goto out;
    }
    rc = source_read_at(source, SAFETENSORS_PREFIX_BYTES, text, header_bytes, err);
    if (rc)
        goto out;
    rc = safetensors_header_parse(text, header_bytes, source->size - SAFETENSORS_PREFIX_BYTES - header_bytes,
                                  opener->limits, &header, err);
    if (rc)
        goto out;
    model = build_model(source, &text, &header);
    if (!model) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
        goto out;
    }
    *ret_model = model;
out:
    if (rc)
        format_reject(NULL, source, rc, err);
    safetensors_header_done(&header);
    free(text);
    return rc;
}

const struct format safetensors_format = {
    .name = "safetensors",
    .summary = "Hugging Face safetensors, single or sharded with an index",
    .docs = &safetensors_docs,
    .probe = safetensors_probe,
    .open = safetensors_open,
};
