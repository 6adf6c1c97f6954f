/* A file is mapped, not read: 300,000 records are 45 MB, and a page of them touches few of these. */
#include "api/resources/record_index.h"

#include <stdint.h>
#include <sys/mman.h>

int record_index_open(struct backend *backend, const char *job_id, uint64_t json_bytes, struct record_index *ret,
                      struct error *err)
{
    struct record_index index = {.json_bytes = json_bytes, .blob = {.fd = -1}};
    const struct index_header *header;
    uint64_t room;
    int rc = backend->ops->open_result(backend, job_id, REPRESENTATION_INDEX, &index.blob, err);

    if (rc)
        return rc;
    if (index.blob.fd >= 0 && index.blob.bytes > 0) {
        void *mapping = mmap(NULL, index.blob.bytes, PROT_READ, MAP_PRIVATE, index.blob.fd, 0);

        if (mapping == MAP_FAILED) {
            rc = error_set(err, ERROR_NO_MEMORY, "the index of the result could not be mapped");
            goto out;
        }
        index.mapping = mapping;
    }
    header = index.mapping ? index.mapping : (const void *)index.blob.data;
    if (!header || index.blob.bytes < sizeof(*header) || header->magic != RESULT_INDEX_MAGIC) {
        rc = error_set(err, ERROR_INTERNAL, "the result's index is not one");
        goto out;
    }
    room = index.blob.bytes - sizeof(*header);
    if (header->records > room / sizeof(struct index_record) || header->records > UINT32_MAX ||
        header->names_bytes > room - header->records * sizeof(struct index_record)) {
        rc = error_set(err, ERROR_INTERNAL, "the result's index claims more than it holds");
        goto out;
    }
    index.count = header->records;
    index.records = (const struct index_record *)(header + 1);
    index.names = (const char *)(index.records + index.count);
    index.names_bytes = header->names_bytes;
    *ret = index;
    return 0;
out:
    record_index_close(&index);
    return rc;
}

void record_index_close(struct record_index *index)
{
    if (index->mapping)
        munmap(index->mapping, index->blob.bytes);
    blob_done(&index->blob);
    *index = (struct record_index){.blob = {.fd = -1}};
}

int record_index_check(const struct record_index *index, size_t i, struct error *err)
{
    if (!index_record_fits(&index->records[i], index->json_bytes, index->names_bytes))
        return error_set(err, ERROR_INTERNAL, "the result's index points beyond the result at record %zu", i);
    return 0;
}
