/* What resources share: JSON replies, query parameters, pages. */
#include "api/resources/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_SIZE = 50, PAGE_SIZE_MAX = 1000 };

void reply_json(struct response *response, int status, struct json_text *json)
{
    size_t bytes = 0;
    char *text = json_text_take(json, &bytes);

    response_text(response, status, "application/json", text, bytes);
}

bool query_is_known(const struct request *request, const char *const *known, struct response *response)
{
    for (size_t i = 0; i < request->query_count; i++) {
        size_t k = 0;

        while (known[k] && strcmp(known[k], request->query[i].name) != 0)
            k++;
        if (known[k])
            continue;
        problem_reply(response, request, PROBLEM_INVALID_PARAMETER, "unknown parameter \"%.100s\"",
                      request->query[i].name);
        return false;
    }
    return true;
}

bool page_size_read(const struct request *request, size_t *ret_size, struct response *response)
{
    const char *text = request_query(request, "page_size");
    size_t size = 0;

    *ret_size = PAGE_SIZE;
    if (!text || !*text)
        return true;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9') {
            problem_reply(response, request, PROBLEM_INVALID_PARAMETER, "page_size must be a number from 1 to %d",
                          PAGE_SIZE_MAX);
            return false;
        }
        size = size > PAGE_SIZE_MAX ? size : size * 10 + (size_t)(*c - '0');
    }
    if (size > 0)
        *ret_size = size > PAGE_SIZE_MAX ? PAGE_SIZE_MAX : size;
    return true;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void page_token_write(uint64_t place, uint64_t filter, char out[PAGE_TOKEN_BYTES])
{
    unsigned __int128 value = ((unsigned __int128)place << 64) | filter;

    /* 22 digits of six bits: 132 bits, the first four of them 0. */
    for (int i = 21; i >= 0; i--) {
        out[i] = alphabet[(unsigned)(value & 63)];
        value >>= 6;
    }
    out[22] = '\0';
}

bool page_token_read(const struct request *request, uint64_t filter, uint64_t *ret_place, struct response *response)
{
    const char *token = request_query(request, "page_token");
    unsigned __int128 value = 0;
    const char *digit = NULL;

    *ret_place = 0;
    if (!token || !*token)
        return true;
    if (strlen(token) == 22 && token[0] <= 'D' && token[0] >= 'A') {
        for (const char *c = token; *c; c++) {
            digit = strchr(alphabet, *c);
            if (!digit)
                break;
            value = (value << 6) | (unsigned)(digit - alphabet);
        }
    }
    if (!digit || (uint64_t)value != filter) {
        problem_reply(response, request, PROBLEM_INVALID_PARAMETER,
                      "page_token is not one of this list with this filter");
        return false;
    }
    *ret_place = (uint64_t)(value >> 64);
    return true;
}

static bool is_page_parameter(const char *name)
{
    return strcmp(name, "page_token") == 0 || strcmp(name, "page_size") == 0;
}

uint64_t page_filter(const struct request *request)
{
    const char *view = caller_view(&request->caller);
    uint64_t filter = name_hash(name_of(request->path)) ^ (view ? name_hash(name_of(view)) * 5 : 0);

    /* Whatever the order of the parameters. */
    for (size_t i = 0; i < request->query_count; i++)
        if (!is_page_parameter(request->query[i].name))
            filter += name_hash(name_of(request->query[i].name)) * 3 + name_hash(name_of(request->query[i].value)) * 7;
    return filter;
}

static size_t append_escaped(char *out, size_t used, size_t capacity, const char *text)
{
    for (; *text && used + 4 < capacity; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || strchr("-._~", c))
            out[used++] = (char)c;
        else
            used += (size_t)snprintf(out + used, capacity - used, "%%%02X", c);
    }
    out[used] = '\0';
    return used;
}

void page_link(const struct request *request, const char *token, struct response *response)
{
    char query[1536];
    size_t used = 0;

    query[0] = '\0';
    for (size_t i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, "page_token") == 0)
            continue;
        used = append_escaped(query, used, sizeof(query) - 2, request->query[i].name);
        query[used++] = '=';
        used = append_escaped(query, used, sizeof(query) - 2, request->query[i].value);
        query[used++] = '&';
        query[used] = '\0';
    }
    /* A filter too long for a header: the token in the body is enough. */
    if (used + 8 < sizeof(query))
        response_header_format(response, "Link", "<%s?%spage_token=%s>; rel=\"next\"", request->path, query, token);
}

void reply_list(const struct request *request, uint64_t next, uint64_t filter, struct json_text *json,
                struct response *response)
{
    char token[PAGE_TOKEN_BYTES] = "";

    if (next)
        page_token_write(next, filter, token);
    write_end(&json->writer);
    write_text(&json->writer, "next_page_token", token);
    write_end(&json->writer);
    reply_json(response, 200, json);
    response_header(response, "Cache-Control", "private, no-cache");
    if (*token)
        page_link(request, token, response);
}
