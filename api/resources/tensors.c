/* Pages of the per-tensor records: chosen and ordered by the index, copied out of the result without parsing it. */
#include "api/resources/resources.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources/record_index.h"
#include "core/compare.h"
#include "core/patterns.h"

enum { MATCHING_MS = 2000 }; /* of one request; a pattern is the client's, the thread is everybody's */

enum tensor_order { ORDER_OWN, ORDER_ASCENDING, ORDER_DESCENDING };

struct tensor_query {
    int sort; /* enum sort_key, −1: as the result lists them */
    enum tensor_order order;
    uint32_t statuses; /* bit s: enum tensor_status */
    struct pattern_set *include;
    size_t page_size;
    uint64_t place, filter;
};

static bool refuse(struct response *response, const struct request *request, const char *what, const char *const *known,
                   size_t count)
{
    char list[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < count && used + strlen(known[i]) + 3 < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", known[i]);
    problem_reply(response, request, PROBLEM_INVALID_PARAMETER, "%s must be one of %s", what, list);
    return false;
}

static int find_name(const char *text, size_t bytes, const char *const *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(known[i]) == bytes && memcmp(known[i], text, bytes) == 0)
            return (int)i;
    return -1;
}

/* One status, or several with commas. */
static bool read_statuses(const struct request *request, struct tensor_query *query, struct response *response)
{
    const char *text = request_query(request, "status");

    query->statuses = UINT32_MAX;
    if (!text || !*text)
        return true;
    query->statuses = 0;
    while (*text) {
        size_t bytes = strcspn(text, ",");
        int status = find_name(text, bytes, status_names, STATUS_COUNT);

        if (status < 0)
            return refuse(response, request, "status", status_names, STATUS_COUNT);
        query->statuses |= 1u << status;
        text += bytes;
        if (*text)
            text++;
    }
    return true;
}

static bool read_query(const struct request *request, struct tensor_query *query, struct response *response)
{
    static const char *const known[] = {"sort", "order", "status", "include", "page_size", "page_token", NULL};
    static const char *const orders[] = {"ascending", "descending"};
    const char *sort = request_query(request, "sort");
    const char *order = request_query(request, "order");
    const char *include = request_query(request, "include");
    struct error err = {.code = ERROR_NONE};

    query->filter = page_filter(request);
    query->sort = -1;
    if (!query_is_known(request, known, response) || !page_size_read(request, &query->page_size, response) ||
        !page_token_read(request, query->filter, &query->place, response) || !read_statuses(request, query, response))
        return false;
    if (sort && *sort) {
        query->sort = find_name(sort, strlen(sort), sort_names, SORT_COUNT);
        if (query->sort < 0)
            return refuse(response, request, "sort", sort_names, SORT_COUNT);
    }
    if (order && *order) {
        int found = find_name(order, strlen(order), orders, 2);

        if (found < 0)
            return refuse(response, request, "order", orders, 2);
        query->order = found == 0 ? ORDER_ASCENDING : ORDER_DESCENDING;
        if (query->sort < 0)
            query->sort = SORT_NAME;
    }
    if (include && *include) {
        char *text = strdup(include); /* the list's type does not borrow */
        struct patterns patterns = {&text, 1};
        int rc = text ? pattern_set_new(&patterns, &query->include, &err)
                      : error_set(&err, ERROR_NO_MEMORY, "out of memory");

        free(text);
        if (rc == ERROR_NO_MEMORY) {
            problem_reply_error(response, request, &err);
            return false;
        }
        if (rc) {
            problem_reply(response, request, PROBLEM_INVALID_PARAMETER, "include: %s", err.text);
            return false;
        }
        pattern_set_limit_time(query->include, MATCHING_MS);
    }
    return true;
}

/* A record's place in the order: figure first, absent figures last, then as listed. */
struct ranked {
    double figure;
    uint32_t record;
};

static int compare_ranked(const void *a, const void *b, void *is_descending)
{
    const struct ranked *x = a, *y = b;

    if (isnan(x->figure) != isnan(y->figure))
        return isnan(x->figure) ? 1 : -1;
    if (x->figure < y->figure || x->figure > y->figure)
        return (x->figure < y->figure) == !*(bool *)is_descending ? -1 : 1;
    return x->record < y->record ? -1 : 1;
}

/* The records that the query wants, in its order. */
static int choose(const struct record_index *index, const struct tensor_query *query, struct ranked **ret_chosen,
                  size_t *ret_count, struct error *err)
{
    bool is_descending = query->order == ORDER_DESCENDING || (query->order == ORDER_OWN && query->sort > SORT_NAME);
    struct ranked *chosen = calloc(index->count ? index->count : 1, sizeof(*chosen));
    size_t count = 0;
    int rc;

    if (!chosen)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < index->count; i++) {
        const struct index_record *record = &index->records[i];
        bool is_wanted;

        rc = record_index_check(index, i, err);
        is_wanted = rc == 0 && (query->statuses & (1u << record->status)) != 0;
        if (is_wanted && query->include)
            rc = pattern_set_match(query->include, (struct name){index->names + record->name_at, record->name_bytes},
                                   &is_wanted, err);
        if (rc) {
            free(chosen);
            return rc;
        }
        if (is_wanted)
            chosen[count++] = (struct ranked){query->sort < 0 ? 0 : record->figures[query->sort], (uint32_t)i};
    }
    if (query->sort >= 0)
        qsort_r(chosen, count, sizeof(*chosen), compare_ranked, &is_descending);
    *ret_chosen = chosen;
    *ret_count = count;
    return 0;
}

/* Takes json on success. */
static int reply_page(const struct request *request, struct blob *json, const struct record_index *index,
                      const struct tensor_query *query, struct response *response, struct error *err)
{
    char token[PAGE_TOKEN_BYTES] = "", after[128];
    struct segment *segments = NULL;
    struct ranked *chosen = NULL;
    size_t count = 0, first, page;
    int rc = choose(index, query, &chosen, &count, err);

    if (rc)
        return rc;
    first = query->place < count ? (size_t)query->place : count;
    page = count - first < query->page_size ? count - first : query->page_size;
    segments = calloc(page ? page : 1, sizeof(*segments));
    if (!segments) {
        free(chosen);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < page; i++) {
        const struct index_record *record = &index->records[chosen[first + i].record];

        segments[i] = (struct segment){record->offset, record->bytes};
    }
    free(chosen);
    if (first + page < count)
        page_token_write(first + page, query->filter, token);
    snprintf(after, sizeof(after), "],\"next_page_token\":\"%s\",\"total_size\":%zu}", token, count);
    response_segments(response, "application/json", json, segments, page, "{\"tensors\":[", ",", after);
    if (response->status != 200)
        return 0;
    /* Of the result, the filter and the page: all that the body depends on. */
    response_header_format(response, "ETag", "%.*s-%" PRIx64 "-%" PRIx64 "-%zx\"", (int)strlen(json->etag) - 1,
                           json->etag, query->filter, query->place, query->page_size);
    response_header(response, "Cache-Control", "private, max-age=31536000, immutable");
    if (*token)
        page_link(request, token, response);
    return 0;
}

void tensors_list(const struct request *request, struct backend *backend, struct response *response)
{
    struct tensor_query query = {.include = NULL};
    struct record_index index = {.blob = {.fd = -1}};
    struct error err = {.code = ERROR_NOT_FOUND};
    struct blob json = {.fd = -1};

    if (!read_query(request, &query, response))
        return;
    if (!id_is_valid(request->parameters[0]) ||
        backend->ops->open_result(backend, request->parameters[0], REPRESENTATION_JSON, &json, &err)) {
        reply_no_result(response, request, backend, &err);
    } else if (record_index_open(backend, request->parameters[0], json.bytes, &index, &err) ||
               reply_page(request, &json, &index, &query, response, &err)) {
        reply_job_error(response, request, &err);
        blob_done(&json);
    }
    record_index_close(&index);
    pattern_set_free(query.include);
}
