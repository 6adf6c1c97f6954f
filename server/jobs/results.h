/* The files of one attempt's result: temporary ones while a worker writes, then bytes for the row when they are small,
 * or files of the job's own name. */
#ifndef SERVER_JOBS_RESULTS_H
#define SERVER_JOBS_RESULTS_H

#include <stdint.h>

#include "api/backend.h"
#include "server/jobs/blobs.h"
#include "server/jobs/store.h"

struct result_files {
    struct blob_store *blobs; /* borrowed */
    char id[JOB_ID_BYTES];
    unsigned attempt;
    int fds[REPRESENTATION_COUNT]; /* −1: not open */
    char *data;                    /* owned: the bytes of a small result, one after the other */
};

int result_files_open(struct blob_store *blobs, const char *id, unsigned attempt, struct result_files *ret,
                      struct error *err);

/* After the worker said that it wrote them: holds the index against the JSON (ERROR_INTERNAL), then reads small files
 * into end, or makes large ones durable under the job's names. end borrows from files. */
int result_files_settle(struct result_files *files, struct job_end *end, struct error *err);

/* Closes and removes what is temporary. */
void result_files_done(struct result_files *files);

/* Removes the files of a finished result; those of an attempt go with its result_files_done. */
void result_remove(struct blob_store *blobs, const char *id);

/* A finished result's representation. *ret is the caller's. */
int result_open(struct job_store *store, struct blob_store *blobs, const char *id, enum representation representation,
                struct blob *ret, struct error *err);

#endif
