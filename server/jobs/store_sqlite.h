/* What the files of the SQLite store share. */
#ifndef SERVER_JOBS_STORE_SQLITE_H
#define SERVER_JOBS_STORE_SQLITE_H

#include <pthread.h>

#include "server/jobs/committer.h"
#include "server/jobs/connection.h"
#include "server/jobs/store.h"

#define SCHEMA_VERSION 1

enum { READERS_MAX = 16 }; /* idle read connections that are kept */

/* Statements; their texts stand beside the code that uses them in sqlite_texts. */
enum statement {
    SQL_JOB_INSERT,
    SQL_JOB_BY_KEY,
    SQL_CALLBACKS_DUE,
    SQL_CALLBACK_NOTE,
    SQL_JOB_USES_UPLOAD,
    SQL_JOB_LABELS,
    SQL_JOB_GET,
    SQL_JOB_WAITING,
    SQL_USED_BYTES,
    SQL_JOB_LIST,
    SQL_JOB_LIST_STATE,
    SQL_JOB_LIST_LABEL,
    SQL_JOB_LIST_OWNER,
    SQL_JOB_WAITING_OF,
    SQL_OWNER,
    SQL_JOB_CANCEL,
    SQL_JOB_REMOVE,
    SQL_JOB_RESULT,
    SQL_JOB_CLAIM,
    SQL_JOB_UPLOADS,
    SQL_JOB_FINISH,
    SQL_JOB_RELEASE,
    SQL_JOB_DROP_USES,
    SQL_RESULT_INSERT,
    SQL_RESULT_BYTES,
    SQL_JOB_EXPIRED,
    SQL_UPLOAD_INSERT,
    SQL_UPLOAD_CREATE,
    SQL_UPLOAD_CHECKPOINT,
    SQL_UPLOAD_RESUME,
    SQL_UPLOAD_COMPLETE,
    SQL_UPLOAD_GET,
    SQL_UPLOAD_LIST,
    SQL_UPLOAD_LIST_OWNER,
    SQL_UPLOAD_IN_USE,
    SQL_UPLOAD_REMOVE,
    SQL_UPLOAD_EXPIRED,
    SQL_HAS_FILES,
    SQL_COUNT_JOBS,
    SQL_COUNT_REST,
    SQL_COUNT,
};
extern const char *const sqlite_texts[SQL_COUNT];
extern const char sqlite_probe[];
extern const char sqlite_interrupted_error[]; /* a job's error after too many interruptions; holds no quote of SQL's */

struct reader {
    struct connection connection;
    struct reader *next;
};

struct sqlite_store {
    struct job_store base;
    struct committer committer;
    char *path;
    uint64_t queue_limit;
    int64_t retention_ms;
    pthread_mutex_t lock;
    struct reader *readers; /* guarded by lock: idle ones */
    unsigned reader_count;  /* guarded by lock */
};

/* Makes or checks the tables, and gives running jobs back to the queue. */
int sqlite_schema_open(struct connection *connection, struct error *err);

/* store_readers.c: a read connection of one's own until it is put back. */
int sqlite_reader_take(struct sqlite_store *store, struct reader **ret, struct error *err);
void sqlite_reader_put(struct sqlite_store *store, struct reader *reader);
/* The one row of a statement about an id, in a read connection that is the caller's to put back on success.
 * ERROR_NOT_FOUND says missing ("no such job"). */
int sqlite_reader_row(struct sqlite_store *store, enum statement statement, const char *id, const char *missing,
                      struct reader **ret_reader, sqlite3_stmt **ret_row, struct error *err);
void sqlite_readers_close(struct sqlite_store *store); /* the idle ones: all there are, when nobody asks any more */

static inline struct sqlite_store *sqlite_store_of(struct job_store *base)
{
    return (struct sqlite_store *)base;
}

/* A job in a connection of the caller's, without its position; then that. */
int sqlite_get_from(struct sqlite_store *store, struct connection *connection, const char *id, struct job *ret,
                    int64_t *ret_seq, struct error *err);
void sqlite_add_position(struct sqlite_store *store, int64_t seq, struct job *job);

/* store_submit.c */
int sqlite_insert(struct job_store *base, const struct submission *submission, struct job *ret, bool *ret_is_replay,
                  struct error *err);
int sqlite_find_submitted(struct job_store *base, const struct submission *submission, struct job *ret,
                          struct error *err);

/* store_callbacks.c */
int sqlite_callbacks_due(struct job_store *base, struct callback_due *ret, size_t limit, size_t *ret_count,
                         struct error *err);
int sqlite_callback_note(struct job_store *base, const char *id, const struct callback_outcome *outcome,
                         struct error *err);

/* store_claims.c */
int sqlite_claim(struct job_store *base, struct job_claim *ret, struct error *err);
int sqlite_finish(struct job_store *base, const char *id, uint64_t token, const struct job_end *end,
                  enum job_state *ret_state, struct error *err);
int sqlite_release(struct job_store *base, const char *id, uint64_t token, enum release_cause cause, const char *crash,
                   enum job_state *ret_state, struct error *err);
int sqlite_expire_jobs(struct job_store *base, int64_t before_ms, struct id_batch *ret, struct error *err);
/* Takes the job's rows away inside an operation; the bytes that its result occupied go to *ret_used. */
int sqlite_remove_row(struct connection *connection, int64_t seq, int64_t *ret_used, struct error *err);

/* Reads seq, id and bytes of what is older, inside an operation: at most STORE_BATCH rows. */
int sqlite_read_expired(struct connection *connection, enum statement which, int64_t before_ms,
                        struct id_batch *ret_ids, int64_t seqs[STORE_BATCH], int64_t *ret_bytes, struct error *err);

/* store_counts.c */
int sqlite_count(struct job_store *base, struct store_counts *ret, struct error *err);

/* store_uploads.c */
/* The upload in the statement's row (UPLOAD_COLUMNS). */
int sqlite_read_upload(struct sqlite_store *store, sqlite3_stmt *row, struct upload *ret, uint64_t *ret_seq,
                       struct error *err);
int sqlite_insert_upload(struct connection *connection, const struct upload *upload,
                         struct error *err); /* in an operation */
int sqlite_upload_insert(struct job_store *base, const struct upload *upload, struct error *err);
int sqlite_upload_get(struct job_store *base, const char *id, struct upload *ret, struct error *err);
int sqlite_upload_list(struct job_store *base, const char *owner, uint64_t cursor, size_t limit,
                       struct upload_list *ret, struct error *err);
int sqlite_upload_remove(struct job_store *base, const char *id, struct error *err);
int sqlite_expire_uploads(struct job_store *base, int64_t before_ms, struct id_batch *ret, struct error *err);

/* store_partial.c: uploads that are not complete */
int sqlite_upload_create(struct job_store *base, const struct upload *upload, const char *wished_sha256,
                         struct error *err);
int sqlite_upload_checkpoint(struct job_store *base, const char *id, uint64_t from_bytes, uint64_t bytes,
                             const unsigned char state[DIGEST_STATE_BYTES], struct error *err);
int sqlite_upload_resume(struct job_store *base, const char *id, struct upload *ret, char ret_wished[65],
                         unsigned char ret_state[DIGEST_STATE_BYTES], struct error *err);
int sqlite_upload_complete(struct job_store *base, const struct upload *upload, struct error *err);

#endif
