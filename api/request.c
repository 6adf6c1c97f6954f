/* json_check makes a tree of the text, or says why it is none; the rest of this file holds each member against the
 * tables of analyses and options. All faults are gathered, up to REQUEST_FAULTS_MAX. */
#include "api/request.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/faults.h"
#include "api/gate_rules.h"
#include "api/json_check.h"
#include "api/json_text.h"
#include "core/analysis/analysis.h"

enum {
    PATH_BYTES_MAX = 4096,
    LABELS_MAX = 64,
    LABEL_KEY_BYTES_MAX = 63,
    LABEL_VALUE_BYTES_MAX = 255,
    CALLBACK_BYTES_MAX = 2048,
};

/* Where a model lies: "path", {"path": …} or {"upload": …}. */
static void parse_place(struct json_object *value, struct job_model *model, const char *pointer,
                        struct request_faults *faults)
{
    static const char *const known[] = {"path", "upload"};
    struct json_object *path = NULL, *upload = NULL;
    struct json_object *given;

    if (json_object_get_type(value) == json_type_string) {
        path = value;
    } else if (json_object_get_type(value) == json_type_object) {
        json_object_object_foreach(value, name, member)
        {
            if (strcmp(name, "path") == 0)
                path = member;
            else if (strcmp(name, "upload") == 0)
                upload = member;
            else
                fault_unknown(faults, pointer, "member", name, strlen(name), known, 2);
        }
        if (faults->count)
            return;
    } else {
        request_fault_add(faults, pointer, "must be a path, {\"path\": …} or {\"upload\": ID}, is %s",
                          json_type_text(value));
        return;
    }
    if (!path == !upload) {
        request_fault_add(faults, pointer, "must have either \"path\" or \"upload\"");
        return;
    }
    given = path ? path : upload;
    if (!is_json_type(given, json_type_string, pointer, "a string", faults))
        return;
    if (json_object_get_string_len(given) == 0 || json_object_get_string_len(given) > PATH_BYTES_MAX) {
        request_fault_add(faults, pointer, "must have 1 to %d bytes, has %d", PATH_BYTES_MAX,
                          json_object_get_string_len(given));
        return;
    }
    if (path)
        model->path = strdup(json_object_get_string(path));
    else
        model->upload = strdup(json_object_get_string(upload));
    if (!model->path && !model->upload)
        faults->has_no_memory = true;
}

/* A place, or {"base": place, "adapter": place}. */
static void parse_model(struct json_object *value, struct job_model *model, const char *pointer,
                        struct request_faults *faults)
{
    static const char *const known[] = {"base", "adapter"};
    struct json_object *base = NULL, *adapter = NULL;
    char place[96];

    if (json_object_get_type(value) != json_type_object || !json_object_object_get_ex(value, "base", &base)) {
        parse_place(value, model, pointer, faults);
        return;
    }
    json_object_object_foreach(value, name, member)
    {
        if (strcmp(name, "adapter") == 0)
            adapter = member;
        else if (strcmp(name, "base") != 0)
            fault_unknown(faults, pointer, "member", name, strlen(name), known, 2);
    }
    if (faults->count)
        return;
    snprintf(place, sizeof(place), "%s/base", pointer);
    parse_place(base, model, place, faults);
    if (!json_object_object_get_ex(value, "adapter", NULL)) {
        request_fault_add(faults, pointer, "\"base\" needs an \"adapter\"");
        return;
    }
    model->adapter = calloc(1, sizeof(*model->adapter));
    if (!model->adapter) {
        faults->has_no_memory = true;
        return;
    }
    snprintf(place, sizeof(place), "%s/adapter", pointer);
    parse_place(adapter, model->adapter, place, faults);
}

/* The last `parts` models are uploads that come with the request. */
static void parse_models(struct json_object *value, size_t parts, struct job_request *request,
                         struct request_faults *faults)
{
    size_t count, named = 0;

    if (!value && !parts) {
        request_fault_add(faults, "", "\"models\" is missing: an array of 1 to %d models", REQUEST_MODELS_MAX);
        return;
    }
    if (value && !is_json_type(value, json_type_array, "/models", "an array of models", faults))
        return;
    if (value)
        named = json_object_array_length(value);
    count = named + parts;
    if (count < 1 || count > REQUEST_MODELS_MAX) {
        request_fault_add(faults, "/models", "must hold 1 to %d models (one for a profile, more to compare), holds %zu",
                          REQUEST_MODELS_MAX, count);
        return;
    }
    request->models = calloc(count, sizeof(*request->models));
    if (!request->models) {
        faults->has_no_memory = true;
        return;
    }
    request->model_count = count;
    for (size_t i = 0; i < named; i++) {
        char pointer[64] = "/models";
        struct request_faults here = {.count = 0};

        pointer_append_index(pointer, sizeof(pointer), i);
        parse_model(json_object_array_get_idx(value, i), &request->models[i], pointer, &here);
        faults->has_no_memory |= here.has_no_memory;
        for (size_t f = 0; f < here.count; f++)
            request_fault_add(faults, here.items[f].pointer, "%s", here.items[f].detail);
    }
    for (size_t i = named; i < count; i++) {
        request->models[i].upload = strdup("");
        faults->has_no_memory |= !request->models[i].upload;
    }
}

static void fault_unknown_analysis(struct json_object *value, const char *pointer, struct request_faults *faults)
{
    const char *known[32];
    size_t count = 0;

    while (count < analysis_count && count < 32) {
        known[count] = analyses[count]->name;
        count++;
    }
    fault_unknown(faults, pointer, "analysis", json_object_get_string(value), (size_t)json_object_get_string_len(value),
                  known, count);
}

static void parse_analyses(struct json_object *value, struct job_request *request, struct request_faults *faults)
{
    size_t count = 0;

    if (value && !is_json_type(value, json_type_array, "/analyses", "an array of names", faults))
        return;
    if (value)
        count = json_object_array_length(value);
    for (size_t i = 0; i < count; i++) {
        struct json_object *name = json_object_array_get_idx(value, i);
        char pointer[64] = "/analyses";
        int index;

        pointer_append_index(pointer, sizeof(pointer), i);
        if (!is_json_type(name, json_type_string, pointer, "the name of an analysis", faults))
            continue;
        index = analysis_by_name(json_object_get_string(name), (size_t)json_object_get_string_len(name));
        if (index < 0) {
            fault_unknown_analysis(name, pointer, faults);
            continue;
        }
        request->compare.analyses |= 1u << index;
        if (request->model_count == 0)
            continue; /* already a fault of its own */
        if (request->model_count < analyses[index]->models_min)
            request_fault_add(faults, pointer, "%s needs at least %u models, %zu given", analyses[index]->name,
                              analyses[index]->models_min, request->model_count);
        else if (analyses[index]->models_max && request->model_count > analyses[index]->models_max)
            request_fault_add(faults, pointer, "%s takes at most %u models, %zu given", analyses[index]->name,
                              analyses[index]->models_max, request->model_count);
    }
    if (count == 0) {
        int stats = analysis_by_name("stats", 5);

        request->compare.analyses = stats < 0 ? 0 : 1u << stats;
    }
}

static void set_text(struct options *options, const struct option *option, struct json_object *value,
                     const char *pointer, struct request_faults *faults)
{
    struct error err = {.code = ERROR_NONE};
    int rc;

    if (!is_json_type(value, json_type_string, pointer, "a string", faults))
        return;
    rc = option_set_text(options, option, json_object_get_string(value), &err);
    if (rc)
        request_fault_add_error(faults, pointer, rc, &err);
}

static void parse_option(struct options *options, const struct option *option, struct json_object *value,
                         const char *pointer, struct request_faults *faults)
{
    struct error err = {.code = ERROR_NONE};
    int rc = 0;

    switch (option->kind) {
    case OPTION_FLAG:
        if (is_json_type(value, json_type_boolean, pointer, "true or false", faults))
            rc = option_set_flag(options, option, json_object_get_boolean(value), &err);
        break;
    case OPTION_COUNT:
    case OPTION_NUMBER:
        if (json_object_get_type(value) == json_type_int || json_object_get_type(value) == json_type_double)
            rc = option_set_number(options, option, json_object_get_double(value), &err);
        else
            request_fault_add(faults, pointer, "must be a number, is %s", json_type_text(value));
        break;
    case OPTION_CHOICE:
        if (strcmp(option->name, "align") == 0 && json_object_get_type(value) == json_type_object) {
            const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);

            rc = options_set_align_rules(options, text, strlen(text), &err);
        } else {
            set_text(options, option, value, pointer, faults);
        }
        break;
    case OPTION_PATTERNS:
        if (json_object_get_type(value) != json_type_array) {
            if (json_object_get_type(value) == json_type_string)
                set_text(options, option, value, pointer, faults);
            else
                request_fault_add(faults, pointer, "must be a pattern or an array of patterns, is %s",
                                  json_type_text(value));
            break;
        }
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            char place[320];

            snprintf(place, sizeof(place), "%s", pointer);
            pointer_append_index(place, sizeof(place), i);
            set_text(options, option, json_object_array_get_idx(value, i), place, faults);
        }
        break;
    }
    if (rc)
        request_fault_add_error(faults, pointer, rc, &err);
}

static void parse_options(struct json_object *value, struct job_request *request, struct request_faults *faults)
{
    const char *known[64];

    if (!value || !is_json_type(value, json_type_object, "/options", "an object", faults))
        return;
    for (size_t i = 0; i < options_count && i < 64; i++)
        known[i] = options_table[i].name;
    json_object_object_foreach(value, name, member)
    {
        const struct option *option = option_find(name, strlen(name));
        char pointer[256] = "/options";

        pointer_append(pointer, sizeof(pointer), name, strlen(name));
        /* Dashes are the command line's. */
        if (!option || strcmp(option->name, name) != 0)
            fault_unknown(faults, pointer, "option", name, strlen(name), known,
                          options_count < 64 ? options_count : 64);
        else
            parse_option(&request->compare.options, option, member, pointer, faults);
    }
}

struct label_member {
    const char *name;
    struct json_object *value;
};

static int label_order(const void *a, const void *b)
{
    return strcmp(((const struct label_member *)a)->name, ((const struct label_member *)b)->name);
}

static void check_label(const char *name, struct json_object *value, struct request_faults *faults)
{
    char pointer[256] = "/labels";

    pointer_append(pointer, sizeof(pointer), name, strlen(name));
    if (*name == '\0' || strlen(name) > LABEL_KEY_BYTES_MAX || strpbrk(name, ":="))
        request_fault_add(faults, pointer,
                          "a label's name must have 1 to %d bytes and hold neither : nor =", LABEL_KEY_BYTES_MAX);
    else if (is_json_type(value, json_type_string, pointer, "a string", faults) &&
             json_object_get_string_len(value) > LABEL_VALUE_BYTES_MAX)
        request_fault_add(faults, pointer, "a label's value may have %d bytes, has %d", LABEL_VALUE_BYTES_MAX,
                          json_object_get_string_len(value));
}

/* Kept in the order of their names, so that equal labels are equal texts. */
static void parse_labels(struct json_object *value, struct job_request *request, struct request_faults *faults)
{
    struct label_member members[LABELS_MAX];
    size_t before = faults->count, count = 0;
    struct json_text json;

    if (!value || !is_json_type(value, json_type_object, "/labels", "an object of strings", faults))
        return;
    if (json_object_object_length(value) > LABELS_MAX) {
        request_fault_add(faults, "/labels", "%d labels are allowed, %d given", LABELS_MAX,
                          json_object_object_length(value));
        return;
    }
    json_object_object_foreach(value, name, member)
    {
        check_label(name, member, faults);
        members[count++] = (struct label_member){name, member};
    }
    if (count == 0 || faults->count > before)
        return;
    qsort(members, count, sizeof(*members), label_order);
    json_text_init(&json);
    write_begin_object(&json.writer);
    for (size_t i = 0; i < count; i++)
        write_named(&json.writer, members[i].name, name_of(json_object_get_string(members[i].value)));
    write_end(&json.writer);
    request->labels = json_text_take(&json, NULL);
    if (!request->labels)
        faults->has_no_memory = true;
}

static void parse_callback(struct json_object *value, struct job_request *request, struct request_faults *faults)
{
    if (!value || !is_json_type(value, json_type_string, "/callback_url", "a string", faults))
        return;
    if (json_object_get_string_len(value) < 1 || json_object_get_string_len(value) > CALLBACK_BYTES_MAX) {
        request_fault_add(faults, "/callback_url", "must have 1 to %d bytes, has %d", CALLBACK_BYTES_MAX,
                          json_object_get_string_len(value));
        return;
    }
    request->callback_url = strdup(json_object_get_string(value));
    faults->has_no_memory |= !request->callback_url;
}

/* A rule asks for the analysis that it names, which may take more models than there are. */
static void check_gate(const struct job_request *request, struct request_faults *faults)
{
    const struct gate *gate = &request->compare.gate;

    for (size_t i = 0; request->model_count && i < gate->count; i++) {
        uint32_t asked = gate_analyses(&(struct gate){&gate->rules[i], 1});
        char pointer[64] = "/gate";

        pointer_append_index(pointer, sizeof(pointer), i);
        for (size_t a = 0; a < analysis_count; a++)
            if ((asked & (1u << a)) && request->model_count < analyses[a]->models_min)
                request_fault_add(faults, pointer, "%s needs at least %u models, %zu given", analyses[a]->name,
                                  analyses[a]->models_min, request->model_count);
    }
}

/* compare_request_check speaks of the request as a whole; a bad pattern is looked for, to point at it. */
static void check_patterns(const struct patterns *patterns, const char *option, struct json_object *options,
                           struct request_faults *faults)
{
    struct json_object *given = NULL;

    for (size_t i = 0; i < patterns->count; i++) {
        struct compare_request alone = {.analyses = 0};
        struct error err = {.code = ERROR_NONE};
        char pointer[64] = "/options";
        int rc;

        options_init(&alone.options);
        alone.options.include = (struct patterns){&patterns->text[i], 1}; /* borrowed: not freed */
        rc = compare_request_check(&alone, &err);
        if (rc == 0)
            continue;
        pointer_append(pointer, sizeof(pointer), option, strlen(option));
        if (json_object_object_get_ex(options, option, &given) && json_object_get_type(given) == json_type_array)
            pointer_append_index(pointer, sizeof(pointer), i);
        request_fault_add_error(faults, pointer, rc, &err);
    }
}

static void check_options(const struct job_request *request, struct json_object *options, struct request_faults *faults)
{
    struct error err = {.code = ERROR_NONE};
    int rc = faults->count || faults->has_no_memory ? 0 : compare_request_check(&request->compare, &err);

    if (rc == 0)
        return;
    check_patterns(&request->compare.options.include, "include", options, faults);
    check_patterns(&request->compare.options.exclude, "exclude", options, faults);
    if (faults->count == 0)
        request_fault_add_error(faults, "/options", rc, &err);
}

static void parse_members(struct json_object *root, size_t parts, struct job_request *request,
                          struct request_faults *faults)
{
    static const char *const known[] = {"models", "analyses", "options", "labels", "gate", "callback_url"};
    enum { KNOWN = sizeof(known) / sizeof(known[0]) };
    struct json_object *members[KNOWN] = {NULL};

    if (!is_json_type(root, json_type_object, "", "an object", faults))
        return;
    json_object_object_foreach(root, name, member)
    {
        char pointer[256] = "";
        size_t i = 0;

        while (i < KNOWN && strcmp(name, known[i]) != 0)
            i++;
        pointer_append(pointer, sizeof(pointer), name, strlen(name));
        if (i == KNOWN)
            fault_unknown(faults, pointer, "member", name, strlen(name), known, KNOWN);
        else if (!member)
            request_fault_add(faults, pointer, "must not be null");
        else
            members[i] = member;
    }
    if (!members[0] && json_object_object_get_ex(root, "models", NULL))
        return;
    parse_models(members[0], parts, request, faults);
    parse_analyses(members[1], request, faults);
    parse_options(members[2], request, faults);
    parse_labels(members[3], request, faults);
    parse_callback(members[5], request, faults);
    if (members[4])
        gate_rules_parse(members[4], "/gate", &request->compare.gate, faults);
    request->compare.analyses |= gate_analyses(&request->compare.gate);
    check_gate(request, faults);
    if (request->compare.options.digest && request->model_count > 1)
        request_fault_add(faults, "/options/digest", "takes one model, %zu given", request->model_count);
    check_options(request, members[2], faults);
}

int job_request_parse(const char *json, size_t bytes, struct job_request **ret_request, struct request_faults *faults,
                      struct error *err)
{
    return job_request_parse_with(json, bytes, 0, ret_request, faults, err);
}

int job_request_parse_with(const char *json, size_t bytes, size_t parts, struct job_request **ret_request,
                           struct request_faults *faults, struct error *err)
{
    struct request_faults own = {.count = 0};
    struct job_request *request = NULL;
    struct json_object *root = NULL;
    int rc = 0;

    if (!faults)
        faults = &own;
    faults->count = 0;
    faults->has_no_memory = false;
    if (bytes > INT32_MAX) {
        request_fault_add(faults, "", "too long");
        goto out;
    }
    rc = json_check(json, bytes, REQUEST_DEPTH_MAX, &root, &faults->items[0]);
    faults->count = rc == ERROR_REQUEST;
    faults->has_no_memory = rc == ERROR_NO_MEMORY;
    if (rc)
        goto out;
    request = calloc(1, sizeof(*request));
    if (!request) {
        faults->has_no_memory = true;
        goto out;
    }
    options_init(&request->compare.options);
    parse_members(root, parts, request, faults);
out:
    if (faults->has_no_memory) {
        faults->count = 0;
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    } else if (faults->count) {
        rc = error_set(err, ERROR_REQUEST, "%s%s%s", faults->items[0].pointer, faults->items[0].pointer[0] ? ": " : "",
                       faults->items[0].detail);
    } else {
        *ret_request = request;
        request = NULL;
    }
    job_request_free(request);
    json_object_put(root);
    return rc;
}

void job_request_free(struct job_request *request)
{
    if (!request)
        return;
    for (size_t i = 0; i < request->model_count; i++) {
        struct job_model *adapter = request->models[i].adapter;

        free(request->models[i].path);
        free(request->models[i].upload);
        if (adapter) {
            free(adapter->path);
            free(adapter->upload);
        }
        free(adapter);
    }
    free(request->models);
    options_done(&request->compare.options);
    gate_done(&request->compare.gate);
    free(request->labels);
    free(request->callback_url);
    free(request);
}

static void write_place(struct writer *w, const struct job_model *model)
{
    if (model->path) {
        write_name(w, name_of(model->path));
        return;
    }
    write_begin_object(w);
    write_text(w, "upload", model->upload);
    write_end(w);
}

char *job_request_text(const struct job_request *request)
{
    struct json_text json;
    struct writer *w = &json.writer;

    json_text_init(&json);
    write_begin_object(w);
    write_array(w, "models");
    for (size_t i = 0; i < request->model_count; i++) {
        const struct job_model *model = &request->models[i];

        if (!model->adapter) {
            write_place(w, model);
            continue;
        }
        write_begin_object(w);
        w->ops->key(w, "base", 4);
        write_place(w, model);
        w->ops->key(w, "adapter", 7);
        write_place(w, model->adapter);
        write_end(w);
    }
    write_end(w);
    write_array(w, "analyses");
    for (size_t i = 0; i < analysis_count; i++)
        if (request->compare.analyses & (1u << i))
            write_name(w, name_of(analyses[i]->name));
    write_end(w);
    write_object(w, "options");
    options_write(&request->compare.options, w);
    write_end(w);
    if (request->compare.gate.count)
        gate_write(&request->compare.gate, w);
    write_end(w);
    return json_text_take(&json, NULL);
}
