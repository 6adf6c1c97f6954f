/* One recursive walk with the engine's own reader, over a copy, because that unescapes in place. An object's members
 * are remembered by a 64-bit hash of the decoded name: two different names with the same hash are refused as equal,
 * which only a request made for it can bring about. */
#include "api/json_check.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_tree.h"
#include "core/format/json_scan.h"
#include "core/utf8.h"

struct check {
    struct json_scan scan;
    unsigned depth, depth_max;
    bool has_no_memory;
    struct request_fault fault;
};

static bool check_value(struct check *c, struct json_object **ret_value);

void pointer_append(char *pointer, size_t capacity, const char *name, size_t bytes)
{
    size_t used = strlen(pointer);

    if (used + 2 > capacity)
        return;
    pointer[used++] = '/';
    for (size_t i = 0; i < bytes && used + 3 < capacity; i++) {
        if (name[i] == '~' || name[i] == '/') {
            pointer[used++] = '~';
            pointer[used++] = name[i] == '~' ? '0' : '1';
        } else {
            pointer[used++] = name[i];
        }
    }
    /* Not in the middle of a character. */
    if (used + 3 >= capacity)
        while (used > 0 && !utf8_is_valid(pointer, used))
            used--;
    pointer[used] = '\0';
}

void pointer_append_index(char *pointer, size_t capacity, size_t index)
{
    char digits[24];

    pointer_append(pointer, capacity, digits, (size_t)snprintf(digits, sizeof(digits), "%zu", index));
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct check *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->fault.detail, sizeof(c->fault.detail), format, args);
    va_end(args);
    return false;
}

static bool refuse_syntax(struct check *c)
{
    return refuse(c, "not JSON: %s at byte %zu", c->scan.problem, c->scan.problem_at);
}

static bool refuse_memory(struct check *c)
{
    c->has_no_memory = true;
    return false;
}

static bool check_text(struct check *c, struct name text)
{
    if (memchr(text.text, '\0', text.bytes))
        return refuse(c, "holds \\u0000, which no text of a request may hold");
    return true;
}

static bool check_name(struct check *c, struct name name, uint64_t hashes[JSON_MEMBERS_MAX], size_t members)
{
    if (!check_text(c, name))
        return false;
    if (name.bytes > JSON_NAME_BYTES_MAX)
        return refuse(c, "a member's name has %u bytes, %d are allowed", name.bytes, JSON_NAME_BYTES_MAX);
    pointer_append(c->fault.pointer, sizeof(c->fault.pointer), name.text, name.bytes);
    if (members == JSON_MEMBERS_MAX)
        return refuse(c, "more than %d members in one object", JSON_MEMBERS_MAX);
    hashes[members] = name_hash(name);
    for (size_t i = 0; i < members; i++)
        if (hashes[i] == hashes[members])
            return refuse(c, "this member is given twice");
    return true;
}

static bool check_member(struct check *c, struct name name, struct json_object *object)
{
    struct json_object *value;
    char text[JSON_NAME_BYTES_MAX + 1];

    memcpy(text, name.text, name.bytes);
    text[name.bytes] = '\0';
    if (!check_value(c, &value))
        return false;
    return json_tree_add(object, text, value) || refuse_memory(c);
}

static bool check_object(struct check *c, struct json_object *object)
{
    size_t parent = strlen(c->fault.pointer);
    uint64_t hashes[JSON_MEMBERS_MAX];
    struct name name;
    bool has;

    json_object(&c->scan);
    for (size_t members = 0; json_member(&c->scan, &name, &has); members++) {
        if (!has)
            return true;
        if (!check_name(c, name, hashes, members) || !check_member(c, name, object))
            return false;
        c->fault.pointer[parent] = '\0';
    }
    return refuse_syntax(c);
}

static bool check_array(struct check *c, struct json_object *array)
{
    size_t parent = strlen(c->fault.pointer);
    struct json_object *value;
    bool has;

    json_array(&c->scan);
    for (size_t index = 0; json_element(&c->scan, &has); index++) {
        if (!has)
            return true;
        pointer_append_index(c->fault.pointer, sizeof(c->fault.pointer), index);
        if (!check_value(c, &value))
            return false;
        if (!json_tree_add(array, NULL, value))
            return refuse_memory(c);
        c->fault.pointer[parent] = '\0';
    }
    return refuse_syntax(c);
}

static bool check_container(struct check *c, bool is_object, struct json_object **ret_value)
{
    struct json_object *container;

    if (c->depth == c->depth_max)
        return refuse(c, "nested deeper than %u levels", c->depth_max);
    container = json_tree_container(is_object);
    if (!container)
        return refuse_memory(c);
    c->depth++;
    if (!(is_object ? check_object(c, container) : check_array(c, container))) {
        json_tree_free(container);
        return false;
    }
    c->depth--;
    *ret_value = container;
    return true;
}

static bool check_value(struct check *c, struct json_object **ret_value)
{
    char first = json_peek(&c->scan);
    const char *start = c->scan.text + c->scan.at;
    struct name text;

    if (first == '{' || first == '[')
        return check_container(c, first == '{', ret_value);
    if (first == '"') {
        if (!json_string(&c->scan, &text))
            return refuse_syntax(c);
        if (!check_text(c, text))
            return false;
        *ret_value = json_tree_text(text);
    } else {
        if (!json_skip(&c->scan))
            return refuse_syntax(c);
        if (first == 'n') {
            *ret_value = NULL;
            return true;
        }
        *ret_value = first == 't' || first == 'f'
                         ? json_tree_flag(first == 't')
                         : json_tree_number(start, (size_t)(c->scan.text + c->scan.at - start));
    }
    return *ret_value || refuse_memory(c);
}

int json_check(const char *text, size_t bytes, unsigned depth_max, struct json_object **ret_root,
               struct request_fault *ret_fault)
{
    struct check check = {.depth_max = depth_max};
    struct json_object *root = NULL;
    char *copy = malloc(bytes + 1);
    bool is_good;

    if (!copy)
        return ERROR_NO_MEMORY;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0'; /* where strtod stops */
    json_init(&check.scan, copy, bytes, depth_max);
    is_good = check_value(&check, &root) && (json_end(&check.scan) || refuse_syntax(&check));
    free(copy);
    if (is_good) {
        *ret_root = root;
        return 0;
    }
    json_tree_free(root);
    if (check.has_no_memory)
        return ERROR_NO_MEMORY;
    *ret_fault = check.fault;
    return ERROR_REQUEST;
}
