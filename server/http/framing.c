/* libmicrohttpd before 1.0 lets pass what proxies read differently: two lengths, a length beside chunked, bare LF, NUL,
 * folded lines. Header values then look normal, but their places in the buffer betray them: it parses in place, so each
 * name must begin where the line before it ended. */
#include "server/http/framing.h"

#include <string.h>
#include <strings.h>

static bool is_token(const char *text, size_t bytes)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr(others, c))))
            return false;
    }
    return bytes > 0;
}

static bool is_value(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

static bool is_named(const struct framed_header *header, const char *name)
{
    return strlen(name) == header->name_bytes && strncasecmp(header->name, name, header->name_bytes) == 0;
}

static enum MHD_Result collect(void *context, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
                               const char *value, size_t value_bytes)
{
    struct framing *framing = context;

    (void)kind;
    if (framing->header_count == FRAMING_HEADERS_MAX) {
        framing->is_too_many = true;
        return MHD_NO;
    }
    framing->headers[framing->header_count++] =
        (struct framed_header){name, value ? value : "", name_bytes, value ? value_bytes : 0};
    return MHD_YES;
}

static bool read_length(const char *text, size_t bytes, uint64_t *ret_length)
{
    uint64_t length = 0;

    if (bytes == 0 || bytes > 18)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(text[i] - '0');
    }
    *ret_length = length;
    return true;
}

#if MHD_VERSION < 0x01000000
/* Where the lines lie: from the version's CRLF on, each name directly after the line before it, nothing between a name
 * and its value but a colon and blanks, and the blank line directly after the last value. */
static bool are_lines_whole(struct MHD_Connection *connection, const struct framing *framing, const char *method,
                            const char *version)
{
    const union MHD_ConnectionInfo *info =
        libmicrohttpd.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *line = version + strlen("HTTP/1.1\r\n");

    for (size_t i = 0; i < framing->header_count; i++) {
        const struct framed_header *h = &framing->headers[i];

        if (h->name != line || h->value <= h->name + h->name_bytes)
            return false;
        for (const char *c = h->name + h->name_bytes + 1; c < h->value; c++)
            if (*c != ' ' && *c != '\t')
                return false;
        line = h->value + h->value_bytes + 2;
    }
    return info && method + info->header_size == line + 2;
}
#endif

static const char *check_fields(struct framing *framing)
{
    unsigned hosts = 0, lengths = 0, encodings = 0;

    for (size_t i = 0; i < framing->header_count; i++) {
        const struct framed_header *h = &framing->headers[i];

        if (!is_token(h->name, h->name_bytes))
            return "the name of a header field holds a character that it may not";
        if (!is_value(h->value, h->value_bytes))
            return "the value of a header field holds a control character";
        if (is_named(h, "Host")) {
            hosts++;
            framing->host = h->value;
        } else if (is_named(h, "Content-Length")) {
            lengths++;
            if (!read_length(h->value, h->value_bytes, &framing->length))
                return "Content-Length is not a number";
        } else if (is_named(h, "Transfer-Encoding")) {
            encodings++;
            if (h->value_bytes != 7 || strncasecmp(h->value, "chunked", 7) != 0)
                return "Transfer-Encoding is not chunked";
        } else if (is_named(h, "Expect")) {
            framing->expects_continue = strcasecmp(h->value, "100-continue") == 0;
        }
    }
    if (hosts > 1)
        return "there is more than one Host";
    if (hosts == 0 && !framing->is_http_1_0)
        return "there is no Host";
    if (lengths > 1)
        return "there is more than one Content-Length";
    if (encodings > 1)
        return "there is more than one Transfer-Encoding";
    if (encodings && lengths)
        return "there are both Transfer-Encoding and Content-Length";
    if (encodings && framing->is_http_1_0)
        return "HTTP/1.0 knows no Transfer-Encoding";
    framing->has_length = lengths == 1;
    framing->is_chunked = encodings == 1;
    return NULL;
}

/* absolute-form is the same as origin-form when its authority is the Host. */
static const char *check_target(const struct framing *framing, const char *target, const char **ret_target)
{
    const char *authority = NULL;
    size_t bytes;

    *ret_target = target;
    if (*target == '/')
        return NULL;
    if (strncasecmp(target, "http://", 7) == 0)
        authority = target + 7;
    else if (strncasecmp(target, "https://", 8) == 0)
        authority = target + 8;
    if (!authority)
        return "the target is not a path";
    bytes = strcspn(authority, "/?");
    if (!framing->host || strlen(framing->host) != bytes || strncasecmp(authority, framing->host, bytes) != 0)
        return "the target's authority is not the Host";
    *ret_target = authority[bytes] == '/' ? authority + bytes : "/";
    return authority[bytes] == '?' ? "the target has no path" : NULL;
}

const char *framing_check(struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                          const char *target, struct framed_header headers[FRAMING_HEADERS_MAX],
                          struct framing *ret_framing, const char **ret_target)
{
    struct framing *framing = ret_framing;
    const char *fault;

    *framing = (struct framing){.headers = headers, .is_http_1_0 = strcmp(version, "HTTP/1.0") == 0};
    *ret_target = target;
    libmicrohttpd.MHD_get_connection_values_n(connection, MHD_HEADER_KIND, collect, framing);
    if (framing->is_too_many)
        return "there are too many header fields";
    if (!framing->is_http_1_0 && strcmp(version, "HTTP/1.1") != 0)
        return "the version is neither HTTP/1.1 nor HTTP/1.0";
    if (!is_token(method, strlen(method)))
        return "the method holds a character that it may not";
    if (strpbrk(target, " \t"))
        return "the request line is malformed";
#if MHD_VERSION < 0x01000000
    if (url != method + strlen(method) + 1 || url + strlen(target) + 1 != version)
        return "the request line is malformed";
    if (!are_lines_whole(connection, framing, method, version))
        return "the header has a line that is folded, cut by a bare LF, or holds NUL";
#else
    (void)url;
    (void)connection;
#endif
    fault = check_fields(framing);
    return fault ? fault : check_target(framing, target, ret_target);
}
