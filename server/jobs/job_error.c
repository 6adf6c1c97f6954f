#include "server/jobs/job_error.h"

#include <json-c/json.h>
#include <string.h>

#include "api/problem.h"

struct fault_type {
    const char *code;
    int status;
    const char *title;
};
static const struct fault_type fault_types[] = {
    [FAULT_CRASHED] = {"worker-crashed", 500, "The job's process crashed"},
    [FAULT_DEADLINE] = {"deadline-exceeded", 504, "Deadline exceeded"},
    [FAULT_MEMORY] = {"memory-exceeded", 422, "Memory limit exceeded"},
};

static char *spell(const char *code, int status, const char *title, const char *detail)
{
    struct json_object *root = json_object_new_object();
    char *text;

    if (!root)
        return NULL;
    json_object_object_add(root, "code", json_object_new_string(code));
    json_object_object_add(root, "status", json_object_new_int(status));
    json_object_object_add(root, "title", json_object_new_string(title));
    json_object_object_add(root, "detail", json_object_new_string(detail));
    text = strdup(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(root);
    return text;
}

char *job_error_of_fault(enum job_fault fault, const char *detail)
{
    const struct fault_type *type = &fault_types[fault];

    return spell(type->code, type->status, type->title, detail);
}

char *job_error_of(int code, const char *detail)
{
    const struct problem_type *type;

    if (code == ERROR_NO_MEMORY)
        return job_error_of_fault(FAULT_MEMORY, detail);
    /* What a job does not find is a model: its id was found long ago. */
    type = &problem_types[code == ERROR_NOT_FOUND ? PROBLEM_MODEL_NOT_FOUND : problem_of_error(code)];
    return spell(type->slug, type->status, type->title, detail);
}

int job_error_code(const char *name)
{
    for (int code = ERROR_REQUEST; code > ERROR_INTERNAL; code--)
        if (strcmp(error_code_name(code), name) == 0)
            return code;
    return ERROR_INTERNAL;
}
