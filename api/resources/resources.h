/* Handlers, one file a resource. Each is a function of a request and a backend. */
#ifndef API_RESOURCES_RESOURCES_H
#define API_RESOURCES_RESOURCES_H

#include "api/digest.h"
#include "api/json_text.h"
#include "api/problem.h"
#include "api/routes.h"

route_handler jobs_submit, jobs_list, jobs_get, jobs_cancel, jobs_forget;
route_handler jobs_events;
route_handler results_get, tensors_list;
route_handler uploads_list, uploads_get, uploads_delete;
extern const struct route_stream uploads_put, jobs_submit_form, uploads_post, uploads_patch;
route_handler models_list, models_inspect;
route_handler analyses_list, formats_list;
route_handler live_get, ready_get, version_get, metrics_get, status_get;
route_handler root_get, openapi_get, problems_get;

/* What resources share. */

/* Content-Security-Policy of the few pages for people: nothing is loaded, run, sent or framed. */
#define PAGE_POLICY                                                                                                    \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* Answers with the document's text; frees it. */
void reply_json(struct response *response, int status, struct json_text *json);

/* Fills response with 400 and returns false when the query holds a parameter that is not known (NULL-terminated). */
bool query_is_known(const struct request *request, const char *const *known, struct response *response);

/* page_size: 50 when not given, at most 1000. False with 400. */
bool page_size_read(const struct request *request, size_t *ret_size, struct response *response);

/* Page tokens: base64url of a place and of the filter that it belongs to. */
enum { PAGE_TOKEN_BYTES = 24 };
void page_token_write(uint64_t place, uint64_t filter, char out[PAGE_TOKEN_BYTES]);
/* *ret_place is 0 when there is no token. False with 400 when it is not one of this list and filter. */
bool page_token_read(const struct request *request, uint64_t filter, uint64_t *ret_place, struct response *response);
/* A number for "the same list and filter": of the address, of whose the list is, and of every parameter but the page's.
 */
uint64_t page_filter(const struct request *request);
/* Answers with a list whose array is still open: ends the document with the token of the place `next` (0: the end) and
 * adds the Link. Frees json. */
void reply_list(const struct request *request, uint64_t next, uint64_t filter, struct json_text *json,
                struct response *response);
/* Adds Link: rel="next" for the token. */
void page_link(const struct request *request, const char *token, struct response *response);

/* The answer to an id that the backend does not know, or to whatever else it said. */
void reply_job_error(struct response *response, const struct request *request, const struct error *err);
void reply_upload(struct response *response, int status, const struct upload *upload);
/* Upload-Offset, -Complete, -Length and -Limit, and no-store. */
void upload_headers(struct backend *backend, const struct upload *upload, struct response *response);
/* What the headers say of a file; *ret_wish borrows. Not 0 with the response filled. */
int upload_wish_read(const struct request *request, const char *name, struct upload_wish *ret_wish,
                     struct response *response);
/* Of a request that has the whole file both fields tell of that; else Repr-Digest of the whole, Content-Digest of what
 * the request has. */
int upload_digests_read(const struct request *request, bool is_whole, char whole_sha256[SHA256_HEX_BYTES],
                        char piece_sha256[SHA256_HEX_BYTES], struct response *response);
/* Begins an upload that comes whole in this request. Not 0 with the response filled. */
int upload_whole_begin(const struct request *request, const char *name, struct backend *backend,
                       struct upload_sink **ret_sink, struct response *response);
void reply_upload_error(struct response *response, const struct request *request, const struct error *err);

/* Valid UTF-8 of 1 to 255 bytes without control characters, and neither . nor .. */
bool upload_name_is_good(const char *name);
void reply_upload_error(struct response *response, const struct request *request, const struct error *err);

/* A job as the answer. */
void reply_job(struct response *response, int status, const struct job *job);
bool job_is_terminal(const struct job *job);
/* Asks for the wait that Prefer wants, unless the job has ended. */
void job_set_wait(const struct job *job, unsigned seconds, struct response *response);
void set_preference_applied(unsigned seconds, struct response *response);
/* The end of a wait: 200 with the finished job, else status_unfinished with the job as it is now. */
void reply_waited(const struct request *request, struct backend *backend, int status_unfinished,
                  struct response *response);

/* state, attempt, queue_position and progress, as members of the object that is open. */
void job_write_progress(const struct job *job, struct writer *writer);
void job_write(const struct job *job, struct json_text *json);
/* A failure as stored, {code, status, title, detail}, as a problem: its type is made from the code. malloc'ed; NULL
 * without memory. */
char *job_failure_text(const char *stored);

#endif
