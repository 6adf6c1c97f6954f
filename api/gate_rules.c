#include "api/gate_rules.h"

#include <stdio.h>
#include <string.h>

#include "api/faults.h"
#include "api/json_check.h"

enum {
    MEMBER_METRIC,
    MEMBER_SCOPE,
    MEMBER_MAX,
    MEMBER_MIN,
    MEMBER_EQUALS,
    MEMBER_INCLUDE,
    MEMBER_SEVERITY,
    MEMBER_ALLOW_NULL,
    MEMBER_COUNT
};
static const char *const member_names[MEMBER_COUNT] = {"metric", "scope",   "max",      "min",
                                                       "equals", "include", "severity", "allow_null"};

static void place_of(char out[128], const char *pointer, size_t rule, const char *member)
{
    snprintf(out, 128, "%s/%zu%s%s", pointer, rule, member ? "/" : "", member ? member : "");
}

/* The index of a text among names; a fault and 0 when it is none of them. */
static unsigned choice_of(struct json_object *value, const char *const *names, size_t count, const char *what,
                          const char *place, struct request_faults *faults)
{
    if (!is_json_type(value, json_type_string, place, what, faults))
        return 0;
    for (unsigned i = 0; i < count; i++)
        if (strcmp(json_object_get_string(value), names[i]) == 0)
            return i;
    fault_unknown(faults, place, what, json_object_get_string(value), (size_t)json_object_get_string_len(value), names,
                  count);
    return 0;
}

static void take_limit(struct json_object *value, const char *place, struct gate_rule *rule,
                       struct request_faults *faults)
{
    switch (json_object_get_type(value)) {
    case json_type_int:
    case json_type_double:
        rule->number = json_object_get_double(value);
        break;
    case json_type_boolean:
        rule->label = json_object_get_boolean(value) ? "true" : "false";
        break;
    case json_type_string:
        rule->label = (char *)json_object_get_string(value); /* borrowed: gate_add copies */
        break;
    default:
        request_fault_add(faults, place, "must be a number, a label or true or false");
    }
}

static void parse_rule(struct json_object *value, const char *pointer, size_t index, struct gate *gate,
                       struct request_faults *faults)
{
    struct json_object *members[MEMBER_COUNT] = {NULL};
    struct gate_rule rule = {.severity = GATE_SEVERITY_ERROR, .bound = GATE_BOUND_COUNT};
    struct error err = {.code = ERROR_NONE};
    size_t before = faults->count;
    char place[128];

    place_of(place, pointer, index, NULL);
    if (!is_json_type(value, json_type_object, place, "a rule, an object", faults))
        return;
    json_object_object_foreach(value, name, member)
    {
        size_t i = 0;

        while (i < MEMBER_COUNT && strcmp(name, member_names[i]) != 0)
            i++;
        if (i == MEMBER_COUNT)
            fault_unknown(faults, place, "member", name, strlen(name), member_names, MEMBER_COUNT);
        else
            members[i] = member;
    }
    place_of(place, pointer, index, "metric");
    if (!is_json_type(members[MEMBER_METRIC], json_type_string, place, "the path of a figure", faults))
        return;
    rule.metric = (char *)json_object_get_string(members[MEMBER_METRIC]);
    place_of(place, pointer, index, "scope");
    if (members[MEMBER_SCOPE])
        rule.scope = choice_of(members[MEMBER_SCOPE], gate_scope_names, GATE_SCOPE_COUNT, "scope", place, faults);
    place_of(place, pointer, index, "severity");
    if (members[MEMBER_SEVERITY])
        rule.severity = choice_of(members[MEMBER_SEVERITY], gate_severity_names, 4, "severity", place, faults);
    place_of(place, pointer, index, "include");
    if (members[MEMBER_INCLUDE] && is_json_type(members[MEMBER_INCLUDE], json_type_string, place, "a pattern", faults))
        rule.include = (char *)json_object_get_string(members[MEMBER_INCLUDE]);
    place_of(place, pointer, index, "allow_null");
    if (members[MEMBER_ALLOW_NULL] &&
        is_json_type(members[MEMBER_ALLOW_NULL], json_type_boolean, place, "true or false", faults))
        rule.allow_null = json_object_get_boolean(members[MEMBER_ALLOW_NULL]);
    for (unsigned bound = 0; bound < GATE_BOUND_COUNT; bound++) {
        struct json_object *limit = members[MEMBER_MAX + bound];

        place_of(place, pointer, index, gate_bound_names[bound]);
        if (!limit)
            continue;
        if (rule.bound != GATE_BOUND_COUNT)
            request_fault_add(faults, place, "a rule has one limit: max, min or equals");
        rule.bound = (enum gate_bound)bound;
        take_limit(limit, place, &rule, faults);
    }
    place_of(place, pointer, index, NULL);
    if (rule.bound == GATE_BOUND_COUNT)
        request_fault_add(faults, place, "a rule needs a limit: max, min or equals");
    if (faults->count == before) {
        int rc = gate_add(gate, &rule, &err);

        if (rc)
            request_fault_add_error(faults, place, rc, &err);
    }
}

void gate_rules_parse(struct json_object *value, const char *pointer, struct gate *gate, struct request_faults *faults)
{
    if (!is_json_type(value, json_type_array, pointer, "an array of rules", faults))
        return;
    for (size_t i = 0; i < json_object_array_length(value); i++)
        parse_rule(json_object_array_get_idx(value, i), pointer, i, gate, faults);
    if (gate->count == 0 && faults->count == 0)
        request_fault_add(faults, pointer, "a gate needs a rule");
}

int gate_rules_read(const char *text, size_t bytes, struct gate *gate, struct error *err)
{
    struct request_faults faults = {.count = 0};
    struct json_object *root, *rules;
    const char *pointer = "";
    int rc = json_check(text, bytes, REQUEST_DEPTH_MAX, &root, &faults.items[0]);

    if (rc == ERROR_NO_MEMORY)
        return error_set(err, rc, "out of memory");
    if (rc == 0) {
        rules = root;
        if (json_object_is_type(root, json_type_object) && json_object_object_get_ex(root, "gate", &rules))
            pointer = "/gate";
        gate_rules_parse(rules, pointer, gate, &faults);
        json_object_put(root);
    }
    if (rc == 0 && faults.count == 0)
        return 0;
    return error_set(err, ERROR_REQUEST, "%s%s%s", faults.items[0].pointer, faults.items[0].pointer[0] ? ": " : "",
                     faults.items[0].detail);
}
