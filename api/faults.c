/* Finding words for what is wrong with a request, and the known name that was probably meant. */
#include "api/faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/edit_distance.h"

void request_fault_add(struct request_faults *faults, const char *pointer, const char *format, ...)
{
    struct request_fault *fault;
    va_list args;

    if (faults->count == REQUEST_FAULTS_MAX)
        return;
    fault = &faults->items[faults->count++];
    snprintf(fault->pointer, sizeof(fault->pointer), "%s", pointer);
    va_start(args, format);
    vsnprintf(fault->detail, sizeof(fault->detail), format, args);
    va_end(args);
}

/* What setting an option or checking the whole said. */
void request_fault_add_error(struct request_faults *faults, const char *pointer, int rc, const struct error *err)
{
    if (rc == ERROR_NO_MEMORY)
        faults->has_no_memory = true;
    else
        request_fault_add(faults, pointer, "%s", err->text);
}

/* Text of the request, safe to show: cut, and without what acts on a terminal. */
static const char *shown(const char *text, size_t bytes, char out[NAME_PRINTABLE_BYTES])
{
    return name_printable((struct name){text, (uint32_t)bytes}, out);
}

const char *json_type_text(struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        return "null";
    case json_type_boolean:
        return "a boolean";
    case json_type_double:
    case json_type_int:
        return "a number";
    case json_type_object:
        return "an object";
    case json_type_array:
        return "an array";
    case json_type_string:
        break;
    }
    return "a string";
}

/* The known name nearest to what was written, or NULL. */
struct nearest {
    const char *text;
    size_t bytes;
    const char *best;
    unsigned best_distance;
};

static void nearest_consider(struct nearest *nearest, const char *known)
{
    unsigned d = edit_distance(nearest->text, nearest->bytes, known, strlen(known));

    /* "stat" for "stats", "impact" for "layer_impact". */
    if (nearest->bytes >= 4 && d > 3 && d != EDIT_FAR && strstr(known, nearest->text))
        d = 3;
    if (d <= 3 && (!nearest->best || d < nearest->best_distance)) {
        nearest->best = known;
        nearest->best_distance = d;
    }
}

void fault_unknown(struct request_faults *faults, const char *pointer, const char *what, const char *text, size_t bytes,
                   const char *const *known, size_t known_count)
{
    struct nearest nearest = {.text = text, .bytes = bytes};
    char quoted[NAME_PRINTABLE_BYTES], list[320] = "";
    size_t used = 0;

    for (size_t i = 0; i < known_count; i++)
        nearest_consider(&nearest, known[i]);
    shown(text, bytes, quoted);
    if (nearest.best) {
        request_fault_add(faults, pointer, "unknown %s \"%.160s\"; did you mean \"%s\"?", what, quoted, nearest.best);
        return;
    }
    for (size_t i = 0; i < known_count && used + strlen(known[i]) + 3 < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", known[i]);
    request_fault_add(faults, pointer, "unknown %s \"%.120s\"; known are: %s", what, quoted, list);
}

bool is_json_type(struct json_object *value, enum json_type type, const char *pointer, const char *wanted,
                  struct request_faults *faults)
{
    if (json_object_get_type(value) == type)
        return true;
    request_fault_add(faults, pointer, "must be %s, is %s", wanted, json_type_text(value));
    return false;
}
