/* A job request: JSON → typed. The service parses it at submission, a worker parses the stored text again. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/compare.h"
#include "core/error.h"

enum {
    REQUEST_MODELS_MAX = 64,
    REQUEST_DEPTH_MAX = 16,
    REQUEST_FAULTS_MAX = 8,
};

/* Either a path or an upload is set. */
struct job_model {
    char *path;                /* as given: below a root, "NAME/path" with several roots */
    char *upload;              /* an upload's id */
    struct job_model *adapter; /* to be put on it, without one of its own; NULL: none */
};

struct job_request {
    struct job_model *models;
    size_t model_count;
    struct compare_request compare;
    char *labels;       /* JSON object, or NULL */
    char *callback_url; /* not looked at beyond its length, or NULL */
};

/* What is wrong, and where: a problem document's errors[]. */
struct request_fault {
    char pointer[256]; /* RFC 6901 */
    char detail[512];
};
struct request_faults {
    struct request_fault items[REQUEST_FAULTS_MAX];
    size_t count;
    bool has_no_memory; /* no fault of the request's: items do not tell all */
};
/* Beyond REQUEST_FAULTS_MAX: nothing. */
void request_fault_add(struct request_faults *faults, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ERROR_NO_MEMORY without faults. ERROR_REQUEST with at least one: not JSON, duplicate or unknown member, wrong type,
 * unknown analysis, bad or excessive pattern, too few or too many models. Nothing outside the text is looked at. */
int job_request_parse(const char *json, size_t bytes, struct job_request **ret_request, struct request_faults *faults,
                      struct error *err);
/* The same, of a request that comes with `parts` uploads of its own: they follow the models that it names, and it need
 * name none. Their ids are "" until the caller has filled them in. */
int job_request_parse_with(const char *json, size_t bytes, size_t parts, struct job_request **ret_request,
                           struct request_faults *faults, struct error *err);
void job_request_free(struct job_request *request);

/* The request as JSON in one canonical form (models, analyses, options that differ from defaults); malloc'ed. */
char *job_request_text(const struct job_request *request);

#endif
