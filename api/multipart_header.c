/* Parameters are NAME=TOKEN or NAME="QUOTED"; in quotes \" and \\ are escapes and any other backslash is itself,
 * because clients send paths in which they are. filename* is UTF-8 with percent escapes (RFC 8187), and wins over
 * filename. */
#include "api/multipart_header.h"

#include <string.h>
#include <strings.h>

enum { VALUE_BYTES_MAX = 1024 };

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct parameter {
    const char *name;
    size_t name_bytes;
    char value[VALUE_BYTES_MAX + 1];
    size_t value_bytes;
};

static bool is_named(const struct parameter *parameter, const char *name)
{
    return strlen(name) == parameter->name_bytes && strncasecmp(parameter->name, name, parameter->name_bytes) == 0;
}

static bool put(struct parameter *parameter, char c)
{
    if (parameter->value_bytes == VALUE_BYTES_MAX)
        return false;
    parameter->value[parameter->value_bytes++] = c;
    return true;
}

static bool read_quoted(const char **at, const char *end, struct parameter *parameter)
{
    for ((*at)++; *at < end && **at != '"'; (*at)++) {
        if (**at == '\\' && *at + 1 < end && ((*at)[1] == '"' || (*at)[1] == '\\'))
            (*at)++;
        if (!put(parameter, **at))
            return false;
    }
    if (*at == end)
        return false;
    (*at)++;
    return true;
}

/* The next of "; NAME=VALUE"; *ret_has is false at the end. False when malformed. */
static bool read_parameter(const char **at, const char *end, struct parameter *parameter, bool *ret_has)
{
    while (*at < end && (is_blank(**at) || **at == ';'))
        (*at)++;
    *ret_has = *at < end;
    if (!*ret_has)
        return true;
    parameter->name = *at;
    parameter->value_bytes = 0;
    while (*at < end && is_token_char(**at))
        (*at)++;
    parameter->name_bytes = (size_t)(*at - parameter->name);
    if (parameter->name_bytes == 0 || *at == end || **at != '=')
        return false;
    (*at)++;
    if (*at < end && **at == '"') {
        if (!read_quoted(at, end, parameter))
            return false;
    } else {
        for (; *at < end && is_token_char(**at); (*at)++)
            if (!put(parameter, **at))
                return false;
        if (parameter->value_bytes == 0)
            return false;
    }
    parameter->value[parameter->value_bytes] = '\0';
    while (*at < end && is_blank(**at))
        (*at)++;
    return *at == end || **at == ';';
}

static bool is_boundary_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("'()+_,-./:=? ", c));
}

size_t multipart_boundary(const char *content_type, char out[MULTIPART_BOUNDARY_MAX])
{
    const char *at = content_type + strcspn(content_type, ";"), *end = content_type + strlen(content_type);
    struct parameter parameter;
    size_t bytes = 0;
    bool has = true;

    while (has) {
        if (!read_parameter(&at, end, &parameter, &has))
            return 0;
        if (!has || !is_named(&parameter, "boundary"))
            continue;
        if (bytes || parameter.value_bytes > MULTIPART_BOUNDARY_MAX || parameter.value_bytes == 0 ||
            parameter.value[parameter.value_bytes - 1] == ' ')
            return 0;
        bytes = parameter.value_bytes;
        for (size_t i = 0; i < bytes; i++)
            if (!is_boundary_char(parameter.value[i]))
                return 0;
        memcpy(out, parameter.value, bytes);
    }
    return bytes;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* UTF-8'language'percent-encoded, decoded in place. */
static bool decode_extended(struct parameter *parameter)
{
    const char *at = strchr(parameter->value, '\'');
    size_t used = 0;

    if (!at || at - parameter->value != 5 || strncasecmp(parameter->value, "UTF-8", 5) != 0)
        return false;
    at = strchr(at + 1, '\'');
    if (!at)
        return false;
    for (at++; *at; at++) {
        int high, low;

        if (*at != '%') {
            parameter->value[used++] = *at;
            continue;
        }
        high = hex_digit(at[1]);
        low = high < 0 ? -1 : hex_digit(at[2]);
        if (low < 0 || high * 16 + low == 0)
            return false;
        parameter->value[used++] = (char)(high * 16 + low);
        at += 2;
    }
    parameter->value[used] = '\0';
    parameter->value_bytes = used;
    return true;
}

/* One field of Content-Disposition. */
struct disposition {
    char *name, *filename; /* where to; name may be NULL */
    bool has_name, has_filename, has_extended;
};

static bool copy(const struct parameter *parameter, char *out, size_t most)
{
    if (parameter->value_bytes > most || memchr(parameter->value, '\0', parameter->value_bytes))
        return false;
    memcpy(out, parameter->value, parameter->value_bytes + 1);
    return true;
}

static bool read_disposition(const char *at, const char *end, struct disposition *d)
{
    struct parameter parameter;
    bool has = true;

    while (at < end && *at != ';')
        at++;
    while (has) {
        if (!read_parameter(&at, end, &parameter, &has))
            return false;
        if (has && d->name && is_named(&parameter, "name")) {
            if (d->has_name || !copy(&parameter, d->name, MULTIPART_NAME_BYTES_MAX))
                return false;
            d->has_name = true;
        } else if (has && is_named(&parameter, "filename")) {
            if (d->has_filename || (!d->has_extended && !copy(&parameter, d->filename, MULTIPART_FILENAME_BYTES_MAX)))
                return false;
            d->has_filename = true;
        } else if (has && is_named(&parameter, "filename*")) {
            if (d->has_extended || !decode_extended(&parameter) ||
                !copy(&parameter, d->filename, MULTIPART_FILENAME_BYTES_MAX))
                return false;
            d->has_extended = true;
        }
    }
    return true;
}

int disposition_filename(const char *field, char out[MULTIPART_FILENAME_BYTES_MAX + 1], bool *ret_has,
                         struct error *err)
{
    struct disposition d = {.filename = out};

    if (!read_disposition(field, field + strlen(field), &d))
        return error_set(err, ERROR_REQUEST, "Content-Disposition is malformed, or its filename has more than %d bytes",
                         MULTIPART_FILENAME_BYTES_MAX);
    *ret_has = d.has_filename || d.has_extended;
    return 0;
}

/* The fields of a part that say something here. */
enum field { FIELD_DISPOSITION, FIELD_TYPE, FIELD_ENCODING, FIELD_REPR_DIGEST, FIELD_CONTENT_DIGEST, FIELD_COUNT };
static const char *const field_names[FIELD_COUNT] = {"Content-Disposition", "Content-Type", "Content-Transfer-Encoding",
                                                     "Repr-Digest", "Content-Digest"};

struct header {
    char values[FIELD_COUNT][VALUE_BYTES_MAX + 1];
    bool has[FIELD_COUNT];
};

static const char *take_line(struct header *header, const char *line, size_t bytes)
{
    size_t name_bytes = 0;
    const char *value;

    while (name_bytes < bytes && is_token_char(line[name_bytes]))
        name_bytes++;
    if (name_bytes == 0 || name_bytes == bytes || line[name_bytes] != ':')
        return "a line of a part's header is not NAME: VALUE";
    for (size_t i = 0; i < bytes; i++)
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return "the header of a part holds a control character";
    value = line + name_bytes + 1;
    bytes -= name_bytes + 1;
    while (bytes && is_blank(*value)) {
        value++;
        bytes--;
    }
    while (bytes && is_blank(value[bytes - 1]))
        bytes--;
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (strlen(field_names[i]) != name_bytes || strncasecmp(field_names[i], line, name_bytes) != 0)
            continue;
        if (header->has[i])
            return "a field of a part's header is given twice";
        if (bytes > VALUE_BYTES_MAX)
            return "a field of a part's header is too long";
        memcpy(header->values[i], value, bytes);
        header->values[i][bytes] = '\0';
        header->has[i] = true;
    }
    return NULL;
}

static const char *take_lines(struct header *header, const char *text, size_t bytes)
{
    const char *end = text + bytes - 2; /* of the empty line */
    const char *fault = NULL;

    while (!fault && text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));

        if (!line_end || line_end == text || line_end[-1] != '\r')
            return "a line of a part's header does not end with CR LF";
        fault = take_line(header, text, (size_t)(line_end - 1 - text));
        text = line_end + 1;
    }
    return fault;
}

static const char *read_fields(const struct header *header, struct multipart_part *part)
{
    const char *disposition = header->values[FIELD_DISPOSITION], *type = header->values[FIELD_TYPE];
    const char *encoding = header->values[FIELD_ENCODING];
    struct disposition d = {.name = part->name, .filename = part->filename};
    size_t type_bytes = strcspn(type, "; \t");

    if (strcspn(disposition, "; \t") != 9 || strncasecmp(disposition, "form-data", 9) != 0 ||
        !read_disposition(disposition, disposition + strlen(disposition), &d) || !d.has_name)
        return "a part has no good Content-Disposition: form-data; name=\"…\"";
    part->has_filename = d.has_filename || d.has_extended;
    if (*encoding && strcasecmp(encoding, "binary") != 0 && strcasecmp(encoding, "8bit") != 0 &&
        strcasecmp(encoding, "7bit") != 0)
        return "a part has a Content-Transfer-Encoding; send it as it is";
    if (type_bytes > MULTIPART_TYPE_BYTES_MAX)
        return "the Content-Type of a part is too long";
    for (size_t i = 0; i < type_bytes; i++)
        part->type[i] = type[i] >= 'A' && type[i] <= 'Z' ? (char)(type[i] | 0x20) : type[i];
    if (!digest_read(header->has[FIELD_REPR_DIGEST] ? header->values[FIELD_REPR_DIGEST] : NULL,
                     header->has[FIELD_CONTENT_DIGEST] ? header->values[FIELD_CONTENT_DIGEST] : NULL, part->sha256))
        return "the digest of a part is not sha-256=:BASE64:";
    return NULL;
}

int multipart_header_parse(const char *text, size_t bytes, struct multipart_part *ret_part, struct error *err)
{
    struct multipart_part part = {.has_filename = false};
    struct header header = {.has = {false}};
    const char *fault = take_lines(&header, text, bytes);

    if (!fault)
        fault = read_fields(&header, &part);
    if (fault)
        return error_set(err, ERROR_REQUEST, "%s", fault);
    *ret_part = part;
    return 0;
}
