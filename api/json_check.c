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

#include "core/format/json_scan.h"
#include "core/utf8.h"

struct check {
    struct json_scan scan;
    unsigned depth, depth_max;
    struct request_fault fault;
};

static bool check_value(struct check *c);

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

static bool check_object(struct check *c)
{
    size_t parent = strlen(c->fault.pointer);
    uint64_t hashes[JSON_MEMBERS_MAX];
    struct name name;
    bool has;

    json_object(&c->scan);
    for (size_t members = 0; json_member(&c->scan, &name, &has); members++) {
        if (!has)
            return true;
        if (!check_name(c, name, hashes, members) || !check_value(c))
            return false;
        c->fault.pointer[parent] = '\0';
    }
    return refuse_syntax(c);
}

static bool check_array(struct check *c)
{
    size_t parent = strlen(c->fault.pointer);
    bool has;

    json_array(&c->scan);
    for (size_t index = 0; json_element(&c->scan, &has); index++) {
        if (!has)
            return true;
        pointer_append_index(c->fault.pointer, sizeof(c->fault.pointer), index);
        if (!check_value(c))
            return false;
        c->fault.pointer[parent] = '\0';
    }
    return refuse_syntax(c);
}

static bool check_value(struct check *c)
{
    char first = json_peek(&c->scan);
    struct name text;
    bool is_good;

    if (first == '"')
        return json_string(&c->scan, &text) ? check_text(c, text) : refuse_syntax(c);
    if (first != '{' && first != '[')
        return json_skip(&c->scan) || refuse_syntax(c);
    if (c->depth == c->depth_max)
        return refuse(c, "nested deeper than %u levels", c->depth_max);
    c->depth++;
    is_good = first == '{' ? check_object(c) : check_array(c);
    c->depth--;
    return is_good;
}

int json_check(const char *text, size_t bytes, unsigned depth_max, struct request_fault *ret_fault)
{
    struct check check = {.depth_max = depth_max};
    char *copy = malloc(bytes + 1);
    bool is_good;

    if (!copy)
        return ERROR_NO_MEMORY;
    memcpy(copy, text, bytes);
    json_init(&check.scan, copy, bytes, depth_max);
    is_good = check_value(&check) && (json_end(&check.scan) || refuse_syntax(&check));
    free(copy);
    if (!is_good)
        *ret_fault = check.fault;
    return is_good ? 0 : ERROR_REQUEST;
}
