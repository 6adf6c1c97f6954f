/* The index of a sharded model. What is accepted must be in order, within the text, and must not name a file that lies
 * elsewhere. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/shard_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

static bool lies_within(struct name name, const char *text, size_t bytes)
{
    return name.text >= text && name.text <= text + bytes && name.bytes <= (size_t)(text + bytes - name.text);
}

static void check_index(const struct shard_index *index, const char *text, size_t bytes)
{
    MUST(index->entry_count > 0 && index->file_count > 0 && index->file_count <= index->entry_count);
    for (size_t i = 0; i < index->file_count; i++) {
        struct name file = index->files[i];

        MUST(lies_within(file, text, bytes) && file.bytes > 0);
        MUST(!memchr(file.text, '/', file.bytes) && !memchr(file.text, '\0', file.bytes));
        MUST(!name_equal(file, name_of(".")) && !name_equal(file, name_of("..")));
        MUST(i == 0 || name_compare_natural(index->files[i - 1], file) < 0);
    }
    for (size_t i = 0; i < index->entry_count; i++) {
        MUST(lies_within(index->entries[i].tensor, text, bytes));
        MUST(index->entries[i].file < index->file_count);
        MUST(i == 0 || name_compare_natural(index->entries[i - 1].tensor, index->entries[i].tensor) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct limits limits = limits_default;
    struct shard_index index = {0};
    struct error err = {0};
    struct head head = {.file_bytes = size};
    char *text = malloc(size ? size : 1);
    int rc;

    MUST(text);
    if (size > 0)
        memcpy(text, data, size);
    head.first_bytes = size < HEAD_BYTES ? size : HEAD_BYTES;
    memcpy(head.first, text, head.first_bytes);
    shard_index_probe(&head);
    limits.shards = 64; /* an index starts with room for all */
    rc = shard_index_parse(text, size, &limits, &index, &err);
    MUST(rc == 0 || (err.code == rc && err.text[0]));
    if (rc == 0)
        check_index(&index, text, size);
    shard_index_done(&index);
    free(text);
    return 0;
}
