/* What the parsers of requests share: faults with their places. */
#ifndef API_FAULTS_H
#define API_FAULTS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/request.h"

/* What setting an option or checking the whole said; memory that ran out is no fault of the request. */
void request_fault_add_error(struct request_faults *faults, const char *pointer, int rc, const struct error *err);

/* "unknown WHAT "text"; did you mean …", or the list of what is known. */
void fault_unknown(struct request_faults *faults, const char *pointer, const char *what, const char *text, size_t bytes,
                   const char *const *known, size_t known_count);

/* "a number", "an object", … for sentences. */
const char *json_type_text(struct json_object *value);

/* Whether value is of that type; if not, the fault says "must be WANTED, is …". */
bool is_json_type(struct json_object *value, enum json_type type, const char *pointer, const char *wanted,
                  struct request_faults *faults);

#endif
