/* Where jobs and uploads are written down. Every call may block until its change is on disk; any thread may call. Once
 * a change returned 0 it survives a kill or a power cut. Whoever claims a job holds its token, and each later write of
 * that attempt names it: a write with an older token, or to a job that is gone, changes nothing and says
 * ERROR_CONFLICT.
 *
 * Disk full: ERROR_NO_SPACE for what would add (insert, upload_insert) until there is room again; what ends a job waits
 * for room instead of failing. */
#ifndef SERVER_JOBS_STORE_H
#define SERVER_JOBS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/backend.h"
#include "core/error.h"

enum {
    RESULT_INLINE_BYTES = 65536, /* results up to this size, all representations together, lie in the row */
    CRASH_TEXT_BYTES = 48,
    INTERRUPTIONS_MAX =
        10, /* by the service's own end; a job that ends the service each time must not do so for ever */
    DIGEST_STATE_BYTES = 104, /* of an upload that is not complete: what its digest goes on from */
    STORE_BATCH = 256,        /* changes of one commit; ids of one expiry */
};

struct claim_upload {
    char id[JOB_ID_BYTES];
    char *name; /* owned */
};

/* An attempt at a job. */
struct job_claim {
    char id[JOB_ID_BYTES];
    uint64_t token;
    unsigned attempt;                    /* 1 for the first */
    int64_t create_ms;                   /* when it was submitted */
    unsigned crashes;                    /* of earlier attempts */
    char last_crash[CRASH_TEXT_BYTES];   /* "" when there was none */
    char traceparent[TRACEPARENT_BYTES]; /* of the submission, "" when it had none */
    char *request;                       /* owned */
    struct claim_upload *uploads;        /* owned: those that the request names */
    size_t upload_count;
};
void job_claim_done(struct job_claim *claim);

struct job_end {
    enum job_state state;         /* succeeded, failed or cancelled */
    const char *error;            /* failed: JSON */
    const char *summary;          /* succeeded: JSON */
    const char *run;              /* succeeded: JSON */
    struct job_progress progress; /* as it was at the end */
    /* succeeded: */
    bool is_inline; /* the bytes are in data; else in files, already durable */
    const void *data[REPRESENTATION_COUNT];
    uint64_t bytes[REPRESENTATION_COUNT];
};

enum release_cause {
    RELEASE_UNTOUCHED,   /* its worker never began: counts for nothing */
    RELEASE_INTERRUPTED, /* the service ends, or the disk is full */
    RELEASE_CRASHED,     /* the worker died of it, or the device failed to read */
};

/* Ids that a call removed; files named after them can go. */
struct id_batch {
    char ids[STORE_BATCH][JOB_ID_BYTES];
    size_t count;
};

struct store_status {
    bool is_full;        /* no space: nothing that adds is accepted */
    bool is_broken;      /* the last commit failed for another reason */
    uint64_t queued;     /* jobs that wait */
    uint64_t used_bytes; /* by uploads and results */
    /* Since the store was opened: */
    uint64_t ended[JOB_STATE_COUNT]; /* jobs that reached this end */
    uint64_t commits, changes;       /* commits on disk, and the changes that they held */
};

/* What lies there now. */
struct store_counts {
    uint64_t jobs[JOB_STATE_COUNT], uploads;
    int64_t oldest_queued_ms; /* when the job was submitted that is next; 0: none waits */
};

/* A callback to be made. */
struct callback_due {
    char job[JOB_ID_BYTES];
    char *url; /* owned */
    unsigned attempts;
    int64_t next_ms;
};

struct callback_outcome {
    enum callback_state state;
    unsigned attempts;
    int last_status;
    int64_t next_ms;
};

struct job_store;

struct job_store_ops {
    /* Jobs, for those who ask. insert: ERROR_BUSY when the queue is full, ERROR_QUOTA when the owner's
     * share is, ERROR_NOT_FOUND for an upload,
     * ERROR_REQUEST when its key stands for another digest. */
    int (*insert)(struct job_store *, const struct submission *, struct job *ret, bool *ret_is_replay, struct error *);
    int (*find_submitted)(struct job_store *, const struct submission *, struct job *ret, struct error *);
    int (*get)(struct job_store *, const char *id, struct job *ret, struct error *);
    /* Whose a job or an upload is; ERROR_NOT_FOUND. */
    int (*owner)(struct job_store *, const char *id, char ret_name[CALLER_NAME_BYTES], struct error *);
    /* The job as get would have it, if it lies in memory; touches no disk. */
    bool (*peek)(struct job_store *, const char *id, struct job *ret);
    int (*list)(struct job_store *, const struct job_filter *, uint64_t cursor, size_t limit, struct job_list *ret,
                struct error *);
    /* A queued job is cancelled at once; of a running one the wish is noted; an ended one stays as it is. */
    int (*cancel)(struct job_store *, const char *id, struct job *ret, struct error *);
    /* Forgets the job, whatever its state. */
    int (*remove)(struct job_store *, const char *id, struct error *);
    /* ERROR_CONFLICT while not succeeded. *ret_is_inline: data holds the bytes (owned); else they are in a file. */
    int (*result)(struct job_store *, const char *id, enum representation, bool *ret_is_inline, char **ret_data,
                  uint64_t *ret_bytes, struct error *);

    /* Jobs, for those who run them. claim: the oldest queued job, ERROR_NOT_FOUND when none waits. */
    int (*claim)(struct job_store *, struct job_claim *ret, struct error *);
    /* *ret_state: what became of it; a job that was asked to cancel is cancelled, whatever the end. */
    int (*finish)(struct job_store *, const char *id, uint64_t token, const struct job_end *, enum job_state *ret_state,
                  struct error *);
    /* Back into its place in the queue; or cancelled when that was asked, or failed after too many interruptions. */
    int (*release)(struct job_store *, const char *id, uint64_t token, enum release_cause, const char *crash,
                   enum job_state *ret_state, struct error *);

    /* Callbacks of jobs that have ended and whose callers were not told, those due first: at most limit. */
    int (*callbacks_due)(struct job_store *, struct callback_due *ret, size_t limit, size_t *ret_count, struct error *);
    /* How an attempt went. ERROR_NOT_FOUND: the job is gone. */
    int (*callback_note)(struct job_store *, const char *id, const struct callback_outcome *, struct error *);

    /* Uploads. */
    int (*upload_insert)(struct job_store *, const struct upload *, struct error *);
    /* Uploads that grow: made with no byte; noted as having more, of which none may be lost any more (ERROR_NOT_FOUND
     * when it is gone or had not from_bytes); read with what is needed to go on; complete. */
    int (*upload_create)(struct job_store *, const struct upload *, const char *wished_sha256, struct error *);
    int (*upload_checkpoint)(struct job_store *, const char *id, uint64_t from_bytes, uint64_t bytes,
                             const unsigned char state[DIGEST_STATE_BYTES], struct error *);
    int (*upload_resume)(struct job_store *, const char *id, struct upload *ret, char ret_wished_sha256[65],
                         unsigned char ret_state[DIGEST_STATE_BYTES], struct error *);
    int (*upload_complete)(struct job_store *, const struct upload *, struct error *);
    int (*upload_get)(struct job_store *, const char *id, struct upload *ret, struct error *);
    int (*upload_list)(struct job_store *, const char *owner, uint64_t cursor, size_t limit, struct upload_list *ret,
                       struct error *);                                       /* owner NULL: anybody's */
    int (*upload_remove)(struct job_store *, const char *id, struct error *); /* ERROR_CONFLICT: a live job names it */

    /* Forgets what ended, or was uploaded and is not in use, before that time: at most STORE_BATCH a call. */
    int (*expire_jobs)(struct job_store *, int64_t before_ms, struct id_batch *ret, struct error *);
    int (*expire_uploads)(struct job_store *, int64_t before_ms, struct id_batch *ret, struct error *);
    /* 0, or ERROR_NOT_FOUND: no upload has this id, and no job that has a result or may still get one. */
    int (*has_files)(struct job_store *, const char *id, struct error *);

    void (*status)(struct job_store *, struct store_status *ret); /* touches memory only */
    int (*count)(struct job_store *, struct store_counts *ret, struct error *);
    /* Somebody else met a full disk: gives the reserve up, as if the store itself had. */
    void (*report_full)(struct job_store *);
    /* The service ends: calls that wait for room on the disk fail with ERROR_NO_SPACE or ERROR_BUSY from now on. */
    void (*stop_waiting)(struct job_store *);
    /* Ends the calls that wait with ERROR_BUSY. Nobody may start another. */
    void (*close)(struct job_store *);
};

struct job_store {
    const struct job_store_ops *ops;
};

struct store_settings {
    int state_fd;          /* the state directory; borrowed */
    const char *state_dir; /* its path: SQLite wants one */
    uint64_t queue_limit;
    int64_t retention_ms;   /* for expire_ms */
    uint64_t reserve_bytes; /* 0: no reserve */
};

/* Opens or makes the database, gives jobs that an earlier process left running back to the queue, and starts the thread
 * that writes. ERROR_CONFLICT: a newer program wrote it. */
int sqlite_store_open(const struct store_settings *settings, struct job_store **ret_store, struct error *err);

/* Gives unused space back to the disk, while nobody has the store open. */
int sqlite_store_compact(const char *state_dir, struct error *err);

#endif
