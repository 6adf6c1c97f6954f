/* What the two ways to submit, JSON and multipart, share. */
#ifndef API_RESOURCES_SUBMIT_H
#define API_RESOURCES_SUBMIT_H

#include "api/problem.h"
#include "api/submission_key.h"

struct submission_key {
    char text[KEY_BYTES_MAX + 1]; /* "": none */
    char digest[SHA256_HEX_BYTES];
};

/* Idempotency-Key; "" when there is none. False with 400. */
bool submission_read_key(const struct request *request, char ret_key[KEY_BYTES_MAX + 1], struct response *response);

/* Nothing for "". False with the response filled, for example with 409. */
bool submission_hold_key(const struct request *request, struct backend *backend, const char *key,
                         struct response *response);
void submission_let_key_go(const struct caller *caller, struct backend *backend, const char *key);

/* parts: sealed uploads, which the request's last models name. Checks what the others name, submits, and fills the
 * response. False when no new job was made: refused, or the key's job was there. */
bool submission_run(const struct job_request *job_request, const struct upload *parts, size_t part_count,
                    const struct submission_key *key, const struct request *request, struct backend *backend,
                    struct response *response);

#endif
