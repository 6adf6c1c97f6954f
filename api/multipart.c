/* The delimiter is CR LF "--" boundary. A boundary holds no CR, so a match that fails can only begin anew at the byte
 * that made it fail: what was matched so far is a known text, and nothing of it has to be kept. */
#include "api/multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/multipart_header.h"

enum state {
    STATE_START,  /* before the first delimiter */
    STATE_BODY,   /* in a part */
    STATE_AFTER,  /* behind a delimiter: blanks and CR LF, or "--" */
    STATE_CLOSE,  /* behind its first "-" */
    STATE_HEADER, /* of a part */
    STATE_END,    /* behind the last delimiter */
};

struct multipart {
    const struct multipart_events *events;
    void *context;
    enum state state;
    char delimiter[MULTIPART_BOUNDARY_MAX + 4];
    size_t delimiter_bytes, matched;
    size_t foreign; /* of what is matched: bytes before the part's body, never handed on */
    bool is_cr;     /* STATE_AFTER, STATE_END: the last byte was CR */
    char header[MULTIPART_HEADER_BYTES_MAX];
    size_t header_bytes;
};

bool multipart_is(const char *content_type)
{
    static const char name[] = "multipart/form-data";
    size_t bytes = content_type ? strcspn(content_type, "; \t") : 0;

    return bytes == sizeof(name) - 1 && strncasecmp(content_type, name, bytes) == 0;
}

int multipart_new(const char *content_type, const struct multipart_events *events, void *context,
                  struct multipart **ret_multipart, struct error *err)
{
    struct multipart *multipart = calloc(1, sizeof(*multipart));

    if (!multipart)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a multipart body");
    memcpy(multipart->delimiter, "\r\n--", 4);
    multipart->delimiter_bytes = 4 + multipart_boundary(content_type, multipart->delimiter + 4);
    if (multipart->delimiter_bytes == 4) {
        free(multipart);
        return error_set(err, ERROR_REQUEST, "Content-Type has no boundary of 1 to %d characters",
                         MULTIPART_BOUNDARY_MAX);
    }
    multipart->events = events;
    multipart->context = context;
    multipart->matched = 2; /* the first delimiter needs no line before it */
    *ret_multipart = multipart;
    return 0;
}

void multipart_free(struct multipart *multipart)
{
    free(multipart);
}

/* How much of the end of data is a beginning of the delimiter. */
static size_t match_tail(const struct multipart *m, const char *data, size_t bytes)
{
    size_t window = bytes < m->delimiter_bytes - 1 ? bytes : m->delimiter_bytes - 1;
    const char *cr = memrchr(data + bytes - window, '\r', window);
    size_t length = cr ? (size_t)(data + bytes - cr) : 0;

    return length && memcmp(cr, m->delimiter, length) == 0 ? length : 0;
}

/* A part's body up to the delimiter; *ret_used is how far it goes. */
static int feed_body(struct multipart *m, const char *data, size_t bytes, size_t *ret_used)
{
    const char *found;
    size_t body, used = 0;
    int rc;

    while (m->matched && m->matched < m->delimiter_bytes && used < bytes && data[used] == m->delimiter[m->matched]) {
        m->matched++;
        used++;
    }
    if (m->matched && m->matched < m->delimiter_bytes && used < bytes) { /* it was no delimiter */
        body = m->matched - m->foreign;
        rc = body ? m->events->data(m->context, m->delimiter + m->foreign, body) : 0;
        m->matched = m->foreign = 0;
        if (rc)
            return rc;
    }
    if (m->matched == 0 && used < bytes) {
        found = memmem(data + used, bytes - used, m->delimiter, m->delimiter_bytes);
        if (found) {
            body = (size_t)(found - data) - used;
            m->matched = m->delimiter_bytes;
        } else {
            m->matched = match_tail(m, data + used, bytes - used);
            body = bytes - used - m->matched;
        }
        rc = body ? m->events->data(m->context, data + used, body) : 0;
        if (rc)
            return rc;
        used += body + m->matched;
    }
    *ret_used = used;
    if (m->matched < m->delimiter_bytes)
        return 0;
    m->state = STATE_AFTER;
    m->matched = 0;
    return m->events->end(m->context);
}

/* The first delimiter, with or without an empty line before it. */
static int feed_start(struct multipart *m, char c, struct error *err)
{
    if (m->matched == 2 && c == '\r' && !m->is_cr) {
        m->is_cr = true;
        m->matched = 1;
        return 0;
    }
    if (c != m->delimiter[m->matched])
        return error_set(err, ERROR_REQUEST, "the multipart body does not begin with its boundary");
    if (++m->matched == m->delimiter_bytes) {
        m->state = STATE_AFTER;
        m->matched = 0;
        m->is_cr = false;
    }
    return 0;
}

static int feed_after(struct multipart *m, char c, struct error *err)
{
    if (m->is_cr && c == '\n') {
        m->is_cr = false;
        m->header_bytes = 0;
        m->state = STATE_HEADER;
    } else if (!m->is_cr && c == '-') {
        m->state = STATE_CLOSE;
    } else if (!m->is_cr && c == '\r') {
        m->is_cr = true;
    } else if (m->is_cr || (c != ' ' && c != '\t')) {
        return error_set(err, ERROR_REQUEST, "a boundary of the multipart body is not followed by CR LF");
    }
    return 0;
}

static int feed_header(struct multipart *m, char c, struct error *err)
{
    struct multipart_part part;
    int rc;

    if (m->header_bytes == sizeof(m->header))
        return error_set(err, ERROR_REQUEST, "the header of a part has more than %d bytes", MULTIPART_HEADER_BYTES_MAX);
    m->header[m->header_bytes++] = c;
    if (c != '\n')
        return 0;
    /* The empty line ends it. */
    if (m->header_bytes != 2 && (m->header_bytes < 4 || memcmp(m->header + m->header_bytes - 4, "\r\n\r\n", 4) != 0))
        return 0;
    rc = multipart_header_parse(m->header, m->header_bytes, &part, err);
    if (rc)
        return rc;
    m->state = STATE_BODY;
    m->matched = m->foreign = 2; /* with an empty body the delimiter's CR LF may be the header's last */
    return m->events->begin(m->context, &part);
}

static int feed_end(struct multipart *m, char c, struct error *err)
{
    bool is_good = m->is_cr ? c == '\n' : c == '\r' || c == ' ' || c == '\t';

    m->is_cr = c == '\r';
    return is_good ? 0 : error_set(err, ERROR_REQUEST, "something follows the last boundary of the multipart body");
}

int multipart_feed(struct multipart *m, const char *data, size_t bytes, struct error *err)
{
    size_t at = 0, used;
    int rc = 0;

    while (!rc && at < bytes) {
        switch (m->state) {
        case STATE_START:
            rc = feed_start(m, data[at++], err);
            break;
        case STATE_BODY:
            rc = feed_body(m, data + at, bytes - at, &used);
            if (!rc)
                at += used;
            break;
        case STATE_AFTER:
            rc = feed_after(m, data[at++], err);
            break;
        case STATE_CLOSE:
            if (data[at++] != '-')
                rc = error_set(err, ERROR_REQUEST, "a boundary of the multipart body is not followed by CR LF");
            m->state = STATE_END;
            break;
        case STATE_HEADER:
            rc = feed_header(m, data[at++], err);
            break;
        case STATE_END:
            rc = feed_end(m, data[at++], err);
            break;
        }
    }
    return rc;
}

int multipart_end(const struct multipart *m, struct error *err)
{
    if (m->state == STATE_END)
        return 0;
    return error_set(err, ERROR_REQUEST, "the multipart body ends before its last boundary");
}
