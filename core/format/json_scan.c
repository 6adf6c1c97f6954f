/* Plain runs of string bytes are taken eight at a time; everything else goes byte by byte. A string never grows when it
 * is unescaped, so it is rewritten where it stands. Members and elements know whether they are the first by looking
 * back at the byte that opened or separated them, so that nesting needs no stack. */
#include "core/format/json_scan.h"

#include <string.h>

#include "core/utf8.h"

void json_init(struct json_scan *scan, char *text, size_t bytes, uint32_t nesting)
{
    *scan = (struct json_scan){.text = text, .bytes = bytes};
    scan->nesting = nesting < JSON_NESTING_MAX ? nesting : JSON_NESTING_MAX;
}

static bool fault_at(struct json_scan *scan, size_t at, const char *problem)
{
    if (!scan->problem) {
        scan->problem = problem;
        scan->problem_at = at;
    }
    return false;
}

bool json_fault(struct json_scan *scan, const char *problem)
{
    return fault_at(scan, scan->at, problem);
}

static void skip_space(struct json_scan *scan)
{
    while (scan->at < scan->bytes) {
        char c = scan->text[scan->at];

        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
        scan->at++;
    }
}

char json_peek(struct json_scan *scan)
{
    skip_space(scan);
    return scan->at < scan->bytes ? scan->text[scan->at] : '\0';
}

/* The fault of finding something else than what was expected. */
static bool unexpected(struct json_scan *scan, const char *problem)
{
    if (scan->at >= scan->bytes)
        return json_fault(scan, "the JSON ends too early");
    if ((unsigned char)scan->text[scan->at] >= 0x80)
        return json_fault(scan, "a byte outside of ASCII where JSON allows none");
    return json_fault(scan, problem);
}

static bool expect(struct json_scan *scan, char wanted, const char *problem)
{
    if (scan->problem)
        return false;
    if (json_peek(scan) != wanted || scan->at >= scan->bytes)
        return unexpected(scan, problem);
    scan->at++;
    return true;
}

static bool enter(struct json_scan *scan)
{
    if (scan->depth >= scan->nesting) {
        scan->at--;
        return json_fault(scan, "JSON is nested too deeply");
    }
    scan->depth++;
    scan->has_item = false;
    return true;
}

bool json_object(struct json_scan *scan)
{
    return expect(scan, '{', "expected an object") && enter(scan);
}

bool json_array(struct json_scan *scan)
{
    return expect(scan, '[', "expected an array") && enter(scan);
}

/* Steps to the next item of a level, or out of it. */
static bool step(struct json_scan *scan, char closing, const char *problem, bool *ret_has)
{
    if (scan->problem)
        return false;
    if (json_peek(scan) == closing) {
        scan->at++;
        scan->depth--;
        scan->has_item = true;
        *ret_has = false;
        return true;
    }
    if (scan->has_item && !expect(scan, ',', problem))
        return false;
    *ret_has = true;
    return true;
}

bool json_member(struct json_scan *scan, struct name *ret_key, bool *ret_has)
{
    if (!step(scan, '}', "expected ',' or '}'", ret_has))
        return false;
    if (!*ret_has)
        return true;
    if (json_peek(scan) != '"')
        return unexpected(scan, "expected a key in quotes");
    return json_string(scan, ret_key) && expect(scan, ':', "expected ':' after a key");
}

bool json_element(struct json_scan *scan, bool *ret_has)
{
    return step(scan, ']', "expected ',' or ']'", ret_has);
}

/* Four hexadecimal digits at at, or -1. */
static int32_t hex4(const struct json_scan *scan, size_t at)
{
    int32_t value = 0;

    if (at > scan->bytes || scan->bytes - at < 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        char c = scan->text[i];
        int32_t digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The escape at *at (a backslash): writes its character to out and moves *at behind it. Returns the bytes written, or
 * 0 after a fault. */
static size_t unescape(struct json_scan *scan, size_t *at, char *out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter;
    int32_t high, low;
    char c = *at + 1 < scan->bytes ? scan->text[*at + 1] : '\0';

    if (c != 'u') {
        letter = c ? strchr(letters, c) : NULL;
        if (!letter) {
            fault_at(scan, *at, "an escape that JSON does not know");
            return 0;
        }
        out[0] = meanings[letter - letters];
        *at += 2;
        return 1;
    }
    high = hex4(scan, *at + 2);
    if (high < 0) {
        fault_at(scan, *at, "\\u without four hexadecimal digits");
        return 0;
    }
    if (high < 0xd800 || high > 0xdfff) {
        *at += 6;
        return utf8_encode((uint32_t)high, out);
    }
    low = -1;
    if (high <= 0xdbff && *at + 7 < scan->bytes && scan->text[*at + 6] == '\\' && scan->text[*at + 7] == 'u')
        low = hex4(scan, *at + 8);
    if (low < 0xdc00 || low > 0xdfff) {
        fault_at(scan, *at, "half of a surrogate pair");
        return 0;
    }
    *at += 12;
    return utf8_encode(0x10000u + (((uint32_t)high & 0x3ff) << 10) + ((uint32_t)low & 0x3ff), out);
}

/* Past the bytes that stand for themselves: ASCII without control characters, quotes and backslashes. */
static size_t plain_run(const struct json_scan *scan, size_t at)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;

    while (scan->bytes - at >= 8) {
        uint64_t word, quote, slash;

        memcpy(&word, scan->text + at, 8);
        quote = word ^ (ones * '"');
        slash = word ^ (ones * '\\');
        /* Each term sets a byte's top bit when that byte is below 0x20, a quote, a backslash (zero after the xor), or
         * is not ASCII; a borrow can only spoil bytes above one that is found already. */
        if (((word - ones * 0x20) | (quote - ones) | (slash - ones) | word) & tops)
            break;
        at += 8;
    }
    while (at < scan->bytes) {
        unsigned char c = (unsigned char)scan->text[at];

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
        at++;
    }
    return at;
}

bool json_string(struct json_scan *scan, struct name *ret_text)
{
    size_t start, at, out;

    if (!expect(scan, '"', "expected a string"))
        return false;
    start = at = out = scan->at;
    for (;;) {
        size_t run = plain_run(scan, at), length;
        uint32_t code;
        unsigned char c;

        if (out != at)
            memmove(scan->text + out, scan->text + at, run - at);
        out += run - at;
        at = run;
        if (at >= scan->bytes)
            return fault_at(scan, at, "a string that does not end");
        c = (unsigned char)scan->text[at];
        if (c == '"')
            break;
        if (c == '\\') {
            length = unescape(scan, &at, scan->text + out);
            if (length == 0)
                return false;
            out += length;
            continue;
        }
        if (c < 0x20)
            return fault_at(scan, at, "a control character in a string");
        length = utf8_decode(scan->text + at, scan->bytes - at, &code);
        if (length == 0)
            return fault_at(scan, at, "not valid UTF-8");
        if (out != at)
            memmove(scan->text + out, scan->text + at, length);
        out += length;
        at += length;
    }
    scan->at = at + 1;
    scan->has_item = true;
    if (out - start > UINT32_MAX)
        return fault_at(scan, start, "a string of more than 4 GiB");
    *ret_text = (struct name){scan->text + start, (uint32_t)(out - start)};
    return true;
}

static bool is_digit_at(const struct json_scan *scan, size_t at)
{
    return at < scan->bytes && scan->text[at] >= '0' && scan->text[at] <= '9';
}

bool json_u64(struct json_scan *scan, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t at;
    char c;

    if (scan->problem)
        return false;
    json_peek(scan);
    at = scan->at;
    if (!is_digit_at(scan, at))
        return unexpected(scan, "expected a non-negative integer");
    if (scan->text[at] == '0' && is_digit_at(scan, at + 1))
        return json_fault(scan, "a number with a leading zero");
    for (; is_digit_at(scan, at); at++) {
        uint64_t digit = (uint64_t)(scan->text[at] - '0');

        if (value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit)
            return json_fault(scan, "an integer that does not fit 64 bits");
        value = value * 10 + digit;
    }
    c = at < scan->bytes ? scan->text[at] : '\0';
    if (c == '.' || c == 'e' || c == 'E')
        return json_fault(scan, "expected a non-negative integer, not a fraction or an exponent");
    scan->at = at;
    scan->has_item = true;
    *ret_value = value;
    return true;
}

static bool literal(struct json_scan *scan, const char *word)
{
    size_t bytes = strlen(word);

    if (scan->bytes - scan->at < bytes || memcmp(scan->text + scan->at, word, bytes) != 0)
        return unexpected(scan, "expected a value");
    scan->at += bytes;
    scan->has_item = true;
    return true;
}

bool json_null(struct json_scan *scan, bool *ret_is_null)
{
    if (scan->problem)
        return false;
    *ret_is_null = json_peek(scan) == 'n';
    return *ret_is_null ? literal(scan, "null") : true;
}

static bool skip_number(struct json_scan *scan)
{
    size_t at = scan->at;

    if (scan->text[at] == '-')
        at++;
    if (!is_digit_at(scan, at))
        return unexpected(scan, "expected a value");
    if (scan->text[at] == '0' && is_digit_at(scan, at + 1))
        return json_fault(scan, "a number with a leading zero");
    while (is_digit_at(scan, at))
        at++;
    if (at < scan->bytes && scan->text[at] == '.') {
        at++;
        if (!is_digit_at(scan, at))
            return json_fault(scan, "a number without digits after its point");
        while (is_digit_at(scan, at))
            at++;
    }
    if (at < scan->bytes && (scan->text[at] | 0x20) == 'e') {
        at++;
        if (at < scan->bytes && (scan->text[at] == '+' || scan->text[at] == '-'))
            at++;
        if (!is_digit_at(scan, at))
            return json_fault(scan, "a number without digits in its exponent");
        while (is_digit_at(scan, at))
            at++;
    }
    scan->at = at;
    scan->has_item = true;
    return true;
}

static bool skip_scalar(struct json_scan *scan)
{
    struct name text;

    switch (json_peek(scan)) {
    case '"':
        return json_string(scan, &text);
    case 't':
        return literal(scan, "true");
    case 'f':
        return literal(scan, "false");
    case 'n':
        return literal(scan, "null");
    default:
        if (scan->at >= scan->bytes)
            return unexpected(scan, "expected a value");
        return skip_number(scan);
    }
}

bool json_skip(struct json_scan *scan)
{
    bool is_object[JSON_NESTING_MAX]; /* the levels opened in here; nesting keeps them within bounds */
    uint32_t base = scan->depth;
    struct name key;
    bool has;

    if (scan->problem)
        return false;
    for (;;) {
        char c = json_peek(scan);

        if (c == '{' || c == '[') {
            if (c == '{' ? !json_object(scan) : !json_array(scan))
                return false;
            is_object[scan->depth - base - 1] = c == '{';
        } else if (!skip_scalar(scan)) {
            return false;
        }
        /* Leave every level that ends here, then enter the next item. */
        for (;;) {
            if (scan->depth == base)
                return true;
            if (is_object[scan->depth - base - 1] ? !json_member(scan, &key, &has) : !json_element(scan, &has))
                return false;
            if (has)
                break;
        }
    }
}

bool json_end(struct json_scan *scan)
{
    if (scan->problem)
        return false;
    json_peek(scan);
    if (scan->at < scan->bytes)
        return json_fault(scan, "something follows the JSON");
    return true;
}
