/* The index beside a result, as read by one that trusts none of it. */
#ifndef API_RESOURCES_RECORD_INDEX_H
#define API_RESOURCES_RECORD_INDEX_H

#include "api/exchange.h"
#include "api/render/result_index.h"

struct record_index {
    const struct index_record *records;
    size_t count;
    const char *names;
    uint64_t names_bytes, json_bytes;
    struct blob blob;
    void *mapping; /* NULL: blob.data */
};

/* Opens the index of a job's result, whose JSON has json_bytes. ERROR_INTERNAL when it contradicts itself. */
int record_index_open(struct backend *backend, const char *job_id, uint64_t json_bytes, struct record_index *ret,
                      struct error *err);
void record_index_close(struct record_index *index);

/* Holds record i's claims against the files. */
int record_index_check(const struct record_index *index, size_t i, struct error *err);

/* The answer when open_result said no: not found, not finished, failed, cancelled. */
void reply_no_result(struct response *response, const struct request *request, struct backend *backend,
                     const struct error *cause);

#endif
