/* What handlers may ask of whoever runs them. server/ fills this in; tests fill it with a fake.
 * Every call but peek may block (a commit, a directory listing): handlers that use one run on the pool, never on a
 * socket's thread. */
#ifndef API_BACKEND_H
#define API_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/access.h"
#include "api/trace.h"
#include "core/error.h"

enum { JOB_ID_BYTES = 37 }; /* UUIDv7 as text, with its NUL */

/* Whether it looks like the id of a job or an upload at all (lower-case hex and dashes): what does not is unknown
 * without asking. */
bool id_is_valid(const char *text);

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED, JOB_STATE_COUNT };
extern const char *const job_state_names[JOB_STATE_COUNT]; /* "queued", … */

struct job_progress {
    uint64_t bytes_done, bytes_total, tensors_done, tensors_total;
    char phase[16];
};

/* Of telling a job's caller of its end. */
enum callback_state {
    CALLBACK_NONE,    /* nobody asked */
    CALLBACK_WAITING, /* for the job's end */
    CALLBACK_DUE,     /* to be tried, or tried again */
    CALLBACK_DELIVERED,
    CALLBACK_FAILED,
    CALLBACK_STATE_COUNT
};
extern const char *const callback_state_names[CALLBACK_STATE_COUNT];

struct job_callback {
    enum callback_state state;
    unsigned attempts;
    int last_status; /* of HTTP; 0: no answer yet, or none came */
    int64_t next_ms; /* when it is due */
};

/* A job as its resource shows it. Text members are owned; job_done frees them. Times are Unix milliseconds, 0 = not
 * yet. */
struct job {
    char id[JOB_ID_BYTES];
    char owner[CALLER_NAME_BYTES]; /* the caller's key; "" without one */
    uint64_t version;              /* grows with every visible change: the ETag */
    enum job_state state;
    unsigned attempt;
    bool cancel_requested;
    int64_t create_ms, start_ms, finish_ms, expire_ms;
    uint64_t queue_position; /* 1 = next; 0 when not queued */
    struct job_progress progress;
    struct job_callback callback;
    char traceparent[TRACEPARENT_BYTES]; /* W3C Trace Context of the submission, "" when it had none */
    char *request;                       /* JSON as accepted: models, analyses, options */
    char *labels;                        /* JSON object, or NULL */
    char *error;                         /* failed: JSON {code, status, title, detail}; else NULL */
    char *summary; /* succeeded: JSON {verdict, headline, …}, what the result's summary says in short; else NULL */
    char *run;     /* succeeded: JSON {elapsed_seconds, engine, timings}; else NULL */
};
void job_done(struct job *job);

struct job_list {
    struct job *jobs;
    size_t count;
    uint64_t next; /* cursor of the next page, 0 at the end */
};
void job_list_done(struct job_list *list);

enum { FILTER_LABELS_MAX = 8 };

struct label {
    const char *name, *value; /* value NULL: any */
};

struct job_filter {
    int state; /* enum job_state, or −1 for all */
    struct label labels[FILTER_LABELS_MAX];
    size_t label_count; /* all of them must be there */
    const char *owner;  /* NULL: anybody's */
};

/* What an upload is to become. */
struct upload_wish {
    const char *owner, *name;
    int64_t bytes;      /* −1: not announced */
    const char *sha256; /* hex; "": not announced */
};

/* What a request adds to a resumable upload. Digests are in hexadecimal, "": not told. */
struct upload_piece {
    uint64_t offset;
    int64_t length;     /* of the whole in the end, -1: not known */
    const char *sha256; /* of the piece */
    const char *whole_sha256;
};

struct upload {
    char id[JOB_ID_BYTES];
    char owner[CALLER_NAME_BYTES];
    char *name;
    bool is_complete; /* else it grows: bytes is its offset, and it has no sha256 */
    int64_t length;   /* of one that grows, in the end; -1: not known */
    uint64_t bytes;
    char sha256[65]; /* hex */
    int64_t create_ms, expire_ms;
};

struct submission {
    const char *request;        /* JSON, already validated by api/request.c; what is stored and handed to the worker */
    const char *labels;         /* JSON object or NULL */
    const char *traceparent;    /* as trace_continue made it; NULL or "": none */
    const char *const *uploads; /* ids that the request names; they may not be deleted while the job lives */
    size_t upload_count;
    const struct caller *caller; /* owns the job; NULL: nobody in particular */
    const char *callback_url;    /* as check_callback let it pass, or NULL */
    const char *key;             /* idempotency key, or NULL */
    const char *digest;          /* with a key: of everything that was submitted, hex */
    const struct upload *parts;  /* sealed uploads that become visible with the job; among `uploads`, too */
    size_t part_count;
};

enum representation {
    REPRESENTATION_JSON,
    REPRESENTATION_INDEX,
    REPRESENTATION_TEXT,
    REPRESENTATION_MARKDOWN,
    REPRESENTATION_JUNIT,
    REPRESENTATION_COUNT
};

/* One file of a finished result: a descriptor (owned; −1 when data is used) or bytes (owned). */
struct blob {
    int fd;
    char *data;
    uint64_t bytes;
    char etag[72]; /* quoted, strong */
};
void blob_done(struct blob *blob);

void upload_done(struct upload *upload);
struct upload_list {
    struct upload *uploads;
    size_t count;
    uint64_t next;
};
void upload_list_done(struct upload_list *list);

/* An upload on its way to disk. */
struct upload_sink;

struct model_entry {
    char *path; /* as a request would name it */
    bool is_directory;
    bool is_model; /* a regular file, or a directory that promises a model */
    uint64_t bytes;
    int64_t modify_ms;
};
struct model_list {
    struct model_entry *entries;
    size_t count;
    bool is_cut; /* there were more than limit */
};
void model_list_done(struct model_list *list);

struct backend;
struct exposition;

struct backend_ops {
    /* Whose a job or an upload is; ERROR_NOT_FOUND. */
    int (*owner)(struct backend *, const char *id, char ret_name[CALLER_NAME_BYTES], struct error *);

    /* Jobs. submit returns after the job is on disk. ERROR_BUSY: queue full; ERROR_QUOTA: the caller's share of it is;
     * ERROR_NO_SPACE; ERROR_NOT_FOUND: an upload; ERROR_REQUEST: the key was used for something else. *ret_is_replay:
     * the job was there already. */
    int (*submit)(struct backend *, const struct submission *, struct job *ret, bool *ret_is_replay, struct error *);
    /* The job that this owner, key and digest made. ERROR_NOT_FOUND; ERROR_REQUEST as above. */
    int (*find_submitted)(struct backend *, const struct submission *, struct job *ret, struct error *);
    /* Holds a key while its submission is under way; ERROR_CONFLICT when somebody holds it. */
    int (*hold_key)(struct backend *, const char *owner, const char *key, struct error *);
    void (*let_key_go)(struct backend *, const char *owner, const char *key);
    int (*get)(struct backend *, const char *id, struct job *ret, struct error *);
    /* The same from memory, or false; never blocks. Optional. */
    bool (*peek)(struct backend *, const char *id, struct job *ret);
    int (*list)(struct backend *, const struct job_filter *, uint64_t cursor, size_t limit, struct job_list *ret,
                struct error *);
    int (*cancel)(struct backend *, const char *id, struct job *ret, struct error *);
    int (*forget)(struct backend *, const char *id, struct error *);
    /* ERROR_CONFLICT while not succeeded. */
    int (*open_result)(struct backend *, const char *id, enum representation, struct blob *ret, struct error *);

    /* Uploads. append copies nothing beyond the file; commit makes it durable and visible, or says ERROR_FORMAT when
     * its digest is not the one wished for; abandon leaves nothing. */
    int (*upload_begin)(struct backend *, const struct upload_wish *, struct upload_sink **ret, struct error *);
    int (*upload_append)(struct upload_sink *, const void *data, size_t bytes, struct error *);
    int (*upload_commit)(struct upload_sink *, struct upload *ret,
                         struct error *); /* frees the sink, also on failure */
    /* The first half of commit: durable, but visible only when a submission brings it along, or else discarded. */
    int (*upload_seal)(struct upload_sink *, struct upload *ret, struct error *);
    void (*upload_discard)(struct backend *, const char *id);
    void (*upload_abandon)(struct upload_sink *); /* NULL is fine */
    /* Resumable ones. create: one of no byte. resume: a sink for a piece; commit completes the upload, pause and
     * abandon keep what came. A piece with a digest is kept whole or not at all: commit and pause say ERROR_FORMAT.
     * ERROR_CONFLICT: offset is not where it ends or it is complete, and *ret_now (else empty) says how it is; later,
     * that another request goes on. ERROR_REQUEST: not the length or the digest that was announced. offset: as it is
     * on disk; cuts off whoever adds to it. */
    int (*upload_create)(struct backend *, const struct upload_wish *, struct upload *ret, struct error *);
    int (*upload_resume)(struct backend *, const char *id, const struct upload_piece *, struct upload *ret_now,
                         struct upload_sink **ret, struct error *);
    int (*upload_pause)(struct upload_sink *, struct upload *ret, struct error *); /* frees the sink, as commit does */
    int (*upload_offset)(struct backend *, const char *id, struct upload *ret, struct error *);
    void (*upload_limits)(struct backend *, uint64_t *ret_bytes, int64_t *ret_age_ms);
    int (*upload_get)(struct backend *, const char *id, struct upload *ret, struct error *);
    /* owner NULL: anybody's. */
    int (*upload_list)(struct backend *, const char *owner, uint64_t cursor, size_t limit, struct upload_list *ret,
                       struct error *);
    int (*upload_delete)(struct backend *, const char *id, struct error *); /* ERROR_CONFLICT: in use */

    /* Whether a job may have this callback_url; ERROR_REQUEST with what is wrong with it. */
    int (*check_callback)(struct backend *, const char *url, struct error *);

    /* Models under the roots. check_model tells what can be told without parsing. */
    int (*check_model)(struct backend *, const char *path, struct error *);
    int (*list_models)(struct backend *, const char *path, size_t limit, struct model_list *ret, struct error *);
    /* One model's header as a result document (JSON, owned by the caller); parsed by a light worker, not here. */
    int (*inspect_model)(struct backend *, const char *path, char **ret_json, size_t *ret_bytes, struct error *);

    /* Writes every metric of the service. */
    void (*write_metrics)(struct backend *, struct exposition *);
    /* What the service is doing and what limits it, as a document (JSON, owned by the caller). */
    int (*status)(struct backend *, char **ret_json, size_t *ret_bytes, struct error *);

    /* ERROR_BUSY with what is missing, when work cannot be accepted. */
    int (*check_ready)(struct backend *, struct error *);
};

struct backend {
    const struct backend_ops *ops;
};

#endif
