/* Who asks and what they may: API keys, scopes, and whose job or upload an address names. */
#ifndef API_ACCESS_H
#define API_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

enum scope {
    SCOPE_NONE = 0, /* open to whoever connects */
    SCOPE_READ = 1,
    SCOPE_SUBMIT = 2, /* and to cancel and delete what is one's own */
    SCOPE_ADMIN = 4,  /* all of the above, on everybody's jobs and uploads */
};
extern const char *const scope_names[]; /* of the bits, in their order; NULL at the end */

enum { CALLER_NAME_BYTES = 64 };

/* Who sent a request. Without API keys there is one caller: nameless, with every scope. */
struct caller {
    char name[CALLER_NAME_BYTES]; /* the key's: owns what this caller makes */
    unsigned scopes;              /* bits of enum scope */
    uint64_t queued_max;          /* jobs of this owner that may wait; 0: as many as the queue takes */
};
extern const struct caller caller_anyone;

bool caller_may(const struct caller *caller, enum scope scope);
/* NULL for those who see everybody's; else the owner whose jobs and uploads are all that this caller sees. */
const char *caller_view(const struct caller *caller);

/* Tells callers by their keys. */
struct access {
    bool (*identify)(struct access *, const char *key, size_t bytes, struct caller *ret);
};

struct request;
struct response;
struct backend;

/* Fills request->caller. access NULL: no keys are needed. False with the response filled: 401, 403. */
bool access_admit(struct access *access, struct request *request, struct response *response);

/* Whether the job or upload that the address names is one that the caller sees. False with the response filled: 404,
 * as if it were not there. May block. */
bool access_owns(const struct request *request, struct backend *backend, struct response *response);

#endif
