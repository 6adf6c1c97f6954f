#include "api/json_tree.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 64 };

struct json_object *json_tree_container(bool is_object)
{
    return is_object ? json_object_new_object() : json_object_new_array();
}

struct json_object *json_tree_text(struct name text)
{
    return json_object_new_string_len(text.text, (int)text.bytes);
}

struct json_object *json_tree_number(const char *text, size_t bytes)
{
    char copy[NUMBER_BYTES], *end;
    long long value;

    if (bytes >= sizeof(copy)) /* nobody writes such; strtod stops at what follows the number */
        return json_object_new_double(strtod(text, NULL));
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    errno = 0;
    value = strtoll(copy, &end, 10);
    if (*end == '\0' && errno == 0)
        return json_object_new_int64(value);
    return json_object_new_double_s(strtod(copy, NULL), copy);
}

struct json_object *json_tree_flag(bool value)
{
    return json_object_new_boolean(value);
}

bool json_tree_add(struct json_object *container, const char *name, struct json_object *value)
{
    int rc = name ? json_object_object_add(container, name, value) : json_object_array_add(container, value);

    if (rc != 0)
        json_object_put(value);
    return rc == 0;
}

void json_tree_free(struct json_object *value)
{
    json_object_put(value);
}
