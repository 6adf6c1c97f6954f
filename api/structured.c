/* One pass, nothing copied. What a grammar of RFC 9651 does not allow is refused, also in members that nobody asked
 * for: a field that is malformed anywhere says nothing. */
#include "api/structured.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_lower((char)(c | 0x20));
}

static void skip_blanks(const char **at)
{
    while (**at == ' ' || **at == '\t')
        (*at)++;
}

static void skip_spaces(const char **at)
{
    while (**at == ' ')
        (*at)++;
}

/* An integer of at most 15 digits, or a decimal of at most 12 and 3. */
static bool read_number(const char **at, struct structured_item *item)
{
    bool is_negative = **at == '-';
    int digits = 0, decimals = 0;
    int64_t value = 0;

    *at += is_negative;
    for (; is_digit(**at); (*at)++) {
        if (++digits > 15)
            return false;
        value = value * 10 + (**at - '0');
    }
    if (digits == 0)
        return false;
    item->kind = STRUCTURED_INTEGER;
    item->integer = is_negative ? -value : value;
    if (**at != '.')
        return true;
    for ((*at)++; is_digit(**at); (*at)++)
        decimals++;
    item->kind = STRUCTURED_OTHER;
    return digits <= 12 && decimals >= 1 && decimals <= 3;
}

static bool read_string(const char **at, struct structured_item *item)
{
    const char *start = ++*at;

    for (; **at != '"'; (*at)++) {
        if (**at < 0x20 || **at == 0x7f)
            return false; /* the end of the field is among these */
        if (**at == '\\' && *++*at != '"' && **at != '\\')
            return false;
    }
    *item = (struct structured_item){STRUCTURED_STRING, 0, start, (size_t)(*at - start)};
    (*at)++;
    return true;
}

static bool is_base64(char c)
{
    return is_letter(c) || is_digit(c) || c == '+' || c == '/' || c == '=';
}

static bool read_bytes(const char **at, struct structured_item *item)
{
    const char *start = ++*at;

    while (is_base64(**at))
        (*at)++;
    if (**at != ':')
        return false;
    *item = (struct structured_item){STRUCTURED_BYTES, 0, start, (size_t)(*at - start)};
    (*at)++;
    return true;
}

static bool read_token(const char **at, struct structured_item *item)
{
    while (is_letter(**at) || is_digit(**at) || (**at && strchr("!#$%&'*+-.^_`|~:/", **at)))
        (*at)++;
    item->kind = STRUCTURED_OTHER;
    return true;
}

static bool read_date(const char **at, struct structured_item *item)
{
    bool is_good;

    (*at)++;
    is_good = read_number(at, item) && item->kind == STRUCTURED_INTEGER;
    item->kind = STRUCTURED_OTHER;
    return is_good;
}

static bool read_boolean(const char **at, struct structured_item *item)
{
    (*at)++;
    if (**at != '0' && **at != '1')
        return false;
    *item = (struct structured_item){.kind = STRUCTURED_BOOLEAN, .integer = **at - '0'};
    (*at)++;
    return true;
}

static bool read_bare(const char **at, struct structured_item *item)
{
    *item = (struct structured_item){.kind = STRUCTURED_OTHER};
    switch (**at) {
    case '"':
        return read_string(at, item);
    case ':':
        return read_bytes(at, item);
    case '?':
        return read_boolean(at, item);
    case '@':
        return read_date(at, item);
    case '*':
        return read_token(at, item);
    default:
        if (**at == '-' || is_digit(**at))
            return read_number(at, item);
        return is_letter(**at) && read_token(at, item);
    }
}

static bool read_key(const char **at, const char **ret_key, size_t *ret_bytes)
{
    *ret_key = *at;
    if (!is_lower(**at) && **at != '*')
        return false;
    while (is_lower(**at) || is_digit(**at) || (**at && strchr("_-.*", **at)))
        (*at)++;
    *ret_bytes = (size_t)(*at - *ret_key);
    return true;
}

static bool skip_parameters(const char **at)
{
    struct structured_item value;
    const char *key;
    size_t bytes;

    while (**at == ';') {
        (*at)++;
        skip_spaces(at);
        if (!read_key(at, &key, &bytes))
            return false;
        if (**at == '=') {
            (*at)++;
            if (!read_bare(at, &value))
                return false;
        }
    }
    return true;
}

static bool skip_inner_list(const char **at, struct structured_item *item)
{
    (*at)++;
    for (;;) {
        skip_spaces(at);
        if (**at == ')')
            break;
        if (!read_bare(at, item) || !skip_parameters(at) || (**at != ' ' && **at != ')'))
            return false;
    }
    (*at)++;
    *item = (struct structured_item){.kind = STRUCTURED_OTHER};
    return true;
}

bool structured_item(const char *field, struct structured_item *ret_item)
{
    struct structured_item item;

    skip_spaces(&field);
    if (!read_bare(&field, &item) || !skip_parameters(&field))
        return false;
    skip_spaces(&field);
    if (*field)
        return false;
    *ret_item = item;
    return true;
}

bool structured_member(const char **at, struct structured_member *ret_member, bool *ret_has)
{
    struct structured_member member;

    skip_spaces(at);
    *ret_has = **at != '\0';
    if (!*ret_has)
        return true;
    member.item = (struct structured_item){.kind = STRUCTURED_BOOLEAN, .integer = 1};
    if (!read_key(at, &member.key, &member.key_bytes))
        return false;
    if (**at == '=') {
        (*at)++;
        if (**at == '(' ? !skip_inner_list(at, &member.item) : !read_bare(at, &member.item))
            return false;
    }
    if (!skip_parameters(at))
        return false;
    skip_blanks(at);
    if (**at == ',') {
        (*at)++;
        skip_blanks(at);
        if (!**at)
            return false; /* a comma at the end */
    } else if (**at) {
        return false;
    }
    *ret_member = member;
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (is_lower(c))
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode_exactly(const char *text, size_t bytes, unsigned char *out, size_t size)
{
    size_t digits = bytes, made = 0;
    unsigned bits = 0, held = 0;

    if (bytes != (size + 2) / 3 * 4)
        return false;
    while (digits > 0 && bytes - digits < 2 && text[digits - 1] == '=')
        digits--;
    if (digits != (size * 8 + 5) / 6)
        return false;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xffffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[made++] = (unsigned char)(bits >> held);
        }
    }
    return (bits & ((1u << held) - 1)) == 0; /* one spelling for one value */
}
