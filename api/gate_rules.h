/* Gate rules as JSON: an array of {metric, scope, max | min | equals, include, severity, allow_null}. */
#ifndef API_GATE_RULES_H
#define API_GATE_RULES_H

#include <json-c/json.h>

#include "api/request.h"
#include "core/gate.h"

/* Appends the rules of value to gate; what is wrong becomes faults below pointer. */
void gate_rules_parse(struct json_object *value, const char *pointer, struct gate *gate, struct request_faults *faults);

/* The same from the text of a file: the array alone, or an object whose member gate it is. ERROR_REQUEST names the
 * place. */
int gate_rules_read(const char *text, size_t bytes, struct gate *gate, struct error *err);

#endif
