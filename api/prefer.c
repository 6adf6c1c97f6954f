#include "api/prefer.h"

#include <string.h>
#include <strings.h>

#include "api/exchange.h"

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* The end of a list's element that begins at at: a comma outside quotes, or the end. */
static const char *element_end(const char *at, char separator, const char *end)
{
    bool is_quoted = false;

    for (; at < end; at++) {
        if (*at == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && *at == '\\' && at + 1 < end)
            at++;
        else if (!is_quoted && *at == separator)
            break;
    }
    return at;
}

static bool read_seconds(const char *at, const char *end, unsigned *ret_seconds)
{
    unsigned seconds = 0;

    if (end - at >= 2 && *at == '"' && end[-1] == '"') {
        at++;
        end--;
    }
    if (at == end)
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        seconds = seconds > WAIT_SECONDS_MAX ? seconds : seconds * 10 + (unsigned)(*at - '0');
    }
    *ret_seconds = seconds > WAIT_SECONDS_MAX ? WAIT_SECONDS_MAX : seconds;
    return true;
}

static const char *trim_end(const char *at, const char *end)
{
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return end;
}

unsigned prefer_wait(const char *header)
{
    const char *end;
    unsigned seconds;

    if (!header)
        return 0;
    end = header + strlen(header);
    while (header < end) {
        const char *next = element_end(header, ',', end);
        const char *at = skip_space(header, next);
        const char *stop = trim_end(at, element_end(at, ';', next));

        if (stop - at > 4 && strncasecmp(at, "wait", 4) == 0) {
            at = skip_space(at + 4, stop);
            if (at < stop && *at == '=' && read_seconds(skip_space(at + 1, stop), stop, &seconds))
                return seconds;
        }
        header = next < end ? next + 1 : end;
    }
    return 0;
}

/* Thousandths; −1: malformed, the range is ignored. */
static int read_quality(const char *at, const char *end)
{
    int value = 0, digits = 0;

    if (at == end || (*at != '0' && *at != '1'))
        return -1;
    value = (*at++ - '0') * 1000;
    if (at < end && *at == '.') {
        at++;
        for (int unit = 100; at < end && *at >= '0' && *at <= '9' && digits < 3; at++, unit /= 10, digits++)
            value += (*at - '0') * unit;
    }
    return at == end && value <= 1000 ? value : -1;
}

/* How exactly the range [at, end) names the media type: 0 not at all, 1 any, 2 its kind, 3 itself. */
static int specificity(const char *at, const char *end, const char *media_type)
{
    size_t bytes = (size_t)(end - at), kind = (size_t)(strchr(media_type, '/') - media_type) + 1;

    if (bytes == 3 && strncmp(at, "*/*", 3) == 0)
        return 1;
    if (bytes == kind + 1 && strncasecmp(at, media_type, kind) == 0 && at[kind] == '*')
        return 2;
    return bytes == strlen(media_type) && strncasecmp(at, media_type, bytes) == 0 ? 3 : 0;
}

/* The same of a content coding: 0 not at all, 1 any, 2 itself. */
static int coding_specificity(const char *at, const char *end, const char *coding)
{
    size_t bytes = (size_t)(end - at);

    if (bytes > 2 && strncasecmp(at, "x-", 2) == 0) { /* x-gzip is gzip */
        at += 2;
        bytes -= 2;
    }
    if (bytes == 1 && *at == '*')
        return 1;
    return bytes == strlen(coding) && strncasecmp(at, coding, bytes) == 0 ? 2 : 0;
}

/* The quality that the list gives to what is named, by its most specific element; other when no element speaks of it.
 */
static int quality_of(const char *header, const char *name,
                      int (*specificity_of)(const char *at, const char *end, const char *name), int other)
{
    const char *end = header + strlen(header);
    int best = 0, quality = other;

    while (header < end) {
        const char *next = element_end(header, ',', end);
        const char *at = skip_space(header, next);
        const char *stop = element_end(at, ';', next);
        int exactness = specificity_of(at, trim_end(at, stop), name);
        int q = 1000;

        while (stop < next) {
            const char *from = skip_space(stop + 1, next);

            stop = element_end(from, ';', next);
            if (stop - from >= 2 && (*from == 'q' || *from == 'Q') && from[1] == '=')
                q = read_quality(from + 2, trim_end(from + 2, stop));
        }
        if (exactness > best && q >= 0) {
            best = exactness;
            quality = q;
        }
        header = next < end ? next + 1 : end;
    }
    return quality;
}

int accept_choose(const char *header, const char *const *media_types, size_t count)
{
    int best = 0, chosen = -1;

    if (!header || !*skip_space(header, header + strlen(header)))
        return 0;
    for (size_t i = 0; i < count; i++) {
        int quality = quality_of(header, media_types[i], specificity, 0);

        if (quality > best) {
            best = quality;
            chosen = (int)i;
        }
    }
    return chosen;
}

enum encoding encoding_choose(const char *header, bool is_worthwhile)
{
    int gzip, identity;

    if (!header)
        return ENCODING_IDENTITY;
    gzip = quality_of(header, "gzip", coding_specificity, 0);
    identity = quality_of(header, "identity", coding_specificity, 1); /* acceptable, and the last choice */
    if (gzip > 0 && (identity == 0 || (is_worthwhile && gzip >= identity)))
        return ENCODING_GZIP;
    return identity > 0 ? ENCODING_IDENTITY : ENCODING_NONE;
}
