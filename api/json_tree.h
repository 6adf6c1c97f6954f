/* Makes json-c's tree, value by value. json-c's own parser does not look at what its allocations return: short of
 * memory it drops members, cuts texts, or ends the process. Here each step says so. */
#ifndef API_JSON_TREE_H
#define API_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/name.h"

struct json_object;

/* Each NULL without memory. */
struct json_object *json_tree_container(bool is_object);
struct json_object *json_tree_text(struct name text);
/* As json-c's parser has it: an integer when it is written as one and fits, else a double that keeps its spelling. */
struct json_object *json_tree_number(const char *text, size_t bytes);
struct json_object *json_tree_flag(bool value);

/* Takes value, NULL for null; name is NULL in an array. False without memory. */
bool json_tree_add(struct json_object *container, const char *name, struct json_object *value);

void json_tree_free(struct json_object *value);

#endif
