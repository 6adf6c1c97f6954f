#include "server/jobs/job_error.h"

#include <json-c/json.h>
#include <string.h>

char *job_error_text(enum problem problem, const char *detail)
{
    const struct problem_type *type = &problem_types[problem];
    struct json_object *root = json_object_new_object();
    const char *shown;
    char *text;

    if (!root)
        return NULL;
    json_object_object_add(root, "code", json_object_new_string(type->slug));
    json_object_object_add(root, "status", json_object_new_int(type->status));
    json_object_object_add(root, "title", json_object_new_string(type->title));
    json_object_object_add(root, "detail", json_object_new_string(detail));
    shown = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    text = shown ? strdup(shown) : NULL;
    json_object_put(root);
    return text;
}

enum problem job_problem_of(int code)
{
    /* Of a job, not of a request: what it does not find is a model, for its id was found long ago. */
    switch (code) {
    case ERROR_NO_MEMORY:
        return PROBLEM_MEMORY_EXCEEDED;
    case ERROR_NOT_FOUND:
        return PROBLEM_MODEL_NOT_FOUND;
    default:
        return problem_of_error(code);
    }
}

int job_error_code(const char *name)
{
    for (int code = ERROR_REQUEST; code > ERROR_INTERNAL; code--)
        if (strcmp(error_code_name(code), name) == 0)
            return code;
    return ERROR_INTERNAL;
}
