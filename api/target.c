#include "api/target.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes bytes of text to out, which has room for them and a NUL. Returns past the NUL. */
static int decode(const char *text, size_t bytes, bool is_query, char **out, bool *ret_has_slash, struct error *err)
{
    char *at = *out;

    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < bytes ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < bytes ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return error_set(err, ERROR_REQUEST, "a '%%' in the target is not followed by two hexadecimal digits");
            c = (char)(high * 16 + low);
            if (c == '\0')
                return error_set(err, ERROR_REQUEST, "the target holds %%00");
            if (c == '/' && ret_has_slash)
                *ret_has_slash = true;
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        *at++ = c;
    }
    if (!utf8_is_valid(*out, (size_t)(at - *out)))
        return error_set(err, ERROR_REQUEST, "the target is not valid UTF-8 when decoded");
    *at++ = '\0';
    *out = at;
    return 0;
}

static int parse_path(const char *path, struct target *target, char **out, struct error *err)
{
    while (*path == '/') {
        size_t bytes = strcspn(path + 1, "/");
        const char *segment = *out;
        bool has_slash = false;
        int rc = decode(path + 1, bytes, false, out, &has_slash, err);

        if (rc)
            return rc;
        if (target->segment_count == TARGET_SEGMENTS_MAX) {
            target->is_deep = true;
        } else {
            target->has_slash[target->segment_count] = has_slash;
            target->segments[target->segment_count++] = segment;
        }
        path += 1 + bytes;
    }
    return 0;
}

/* The one parameter that narrows a list each time it is given. */
static bool is_repeatable(const char *name)
{
    return strcmp(name, "label") == 0;
}

static int parse_query(const char *query, struct target *target, char **out, struct error *err)
{
    while (*query) {
        size_t bytes = strcspn(query, "&");
        size_t name_bytes = strcspn(query, "=&");
        struct field field;
        int rc;

        if (bytes > 0) {
            if (target->query_count == TARGET_QUERY_MAX)
                return error_set(err, ERROR_REQUEST, "more than %d query parameters", TARGET_QUERY_MAX);
            field.name = *out;
            rc = decode(query, name_bytes, true, out, NULL, err);
            if (rc)
                return rc;
            field.value = *out;
            rc = decode(query + name_bytes + (name_bytes < bytes), bytes - name_bytes - (name_bytes < bytes), true, out,
                        NULL, err);
            if (rc)
                return rc;
            for (size_t i = 0; i < target->query_count && !is_repeatable(field.name); i++)
                if (strcmp(target->query[i].name, field.name) == 0)
                    return error_set(err, ERROR_REQUEST, "a query parameter is given twice");
            target->query[target->query_count++] = field;
        }
        query += bytes;
        if (*query == '&')
            query++;
    }
    return 0;
}

int target_parse(const char *raw, struct target *ret, struct error *err)
{
    struct target target = {.query_count = 0};
    size_t bytes = strlen(raw), path_bytes = strcspn(raw, "?");
    char *out;
    int rc = 0;

    if (raw[0] != '/')
        return error_set(err, ERROR_REQUEST, "the target does not begin with '/'");
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)raw[i] <= 0x20 || raw[i] == 0x7f || raw[i] == '#')
            return error_set(err, ERROR_REQUEST, "the target holds a character that must be escaped");
    target.path = strndup(raw, path_bytes);
    /* Each piece takes at most its own bytes and a NUL in the place of its separator; name and value of a parameter
     * without '=' take one more. */
    target.text = calloc(2, bytes + 2);
    if (!target.path || !target.text)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc == 0) {
        out = target.text;
        rc = parse_path(target.path, &target, &out, err);
    }
    if (rc == 0 && raw[path_bytes] == '?')
        rc = parse_query(raw + path_bytes + 1, &target, &out, err);
    if (rc) {
        target_done(&target);
        return rc;
    }
    *ret = target;
    return 0;
}

void target_done(struct target *target)
{
    free(target->path);
    free(target->text);
    target->path = target->text = NULL;
}
