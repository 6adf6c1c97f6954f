/* One recursive walk, no memory beyond the stack: an object's members are remembered by a 64-bit hash of the decoded
 * name. Two different names with the same hash are refused as equal, which only a request made for it can bring about.
 */
#include "api/json_scan.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "api/utf8.h"

struct scanner {
    const char *text;
    size_t bytes, at;
    unsigned depth, depth_max;
    struct request_fault *fault;
};

static bool scan_value(struct scanner *s);

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

__attribute__((format(printf, 2, 3))) static bool refuse(struct scanner *s, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(s->fault->detail, sizeof(s->fault->detail), format, args);
    va_end(args);
    return false;
}

static bool refuse_syntax(struct scanner *s, const char *expected)
{
    if (s->at >= s->bytes)
        return refuse(s, "not JSON: ends where %s is expected", expected);
    return refuse(s, "not JSON: %s is expected at byte %zu", expected, s->at);
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->bytes && strchr(" \t\r\n", s->text[s->at]) && s->text[s->at])
        s->at++;
}

static bool is_next(struct scanner *s, char c)
{
    return s->at < s->bytes && s->text[s->at] == c;
}

static bool scan_hex(struct scanner *s, uint32_t *ret_code)
{
    uint32_t code = 0;

    for (int i = 0; i < 4; i++, s->at++) {
        char c = s->at < s->bytes ? s->text[s->at] : '\0';

        if (c >= '0' && c <= '9')
            code = code * 16 + (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            code = code * 16 + (uint32_t)((c | 0x20) - 'a') + 10;
        else
            return refuse_syntax(s, "a hexadecimal digit");
    }
    *ret_code = code;
    return true;
}

/* After the backslash and the u. */
static bool scan_unicode_escape(struct scanner *s, uint32_t *ret_code)
{
    uint32_t low;

    if (!scan_hex(s, ret_code))
        return false;
    if (*ret_code == 0)
        return refuse(s, "holds \\u0000, which no text of a request may hold");
    if (*ret_code < 0xd800 || *ret_code > 0xdfff)
        return true;
    if (*ret_code > 0xdbff || s->bytes - s->at < 2 || s->text[s->at] != '\\' || s->text[s->at + 1] != 'u')
        return refuse(s, "not JSON: half a surrogate pair before byte %zu", s->at);
    s->at += 2;
    if (!scan_hex(s, &low))
        return false;
    if (low < 0xdc00 || low > 0xdfff)
        return refuse(s, "not JSON: half a surrogate pair before byte %zu", s->at);
    *ret_code = 0x10000 + ((*ret_code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static size_t encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((code >> 6) & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Copies the decoded text to out (capacity bytes, cut) when out is given; *ret_bytes is its full length. */
static bool scan_string(struct scanner *s, char *out, size_t capacity, size_t *ret_bytes)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    size_t used = 0;

    if (!is_next(s, '"'))
        return refuse_syntax(s, "'\"'");
    s->at++;
    while (s->at < s->bytes && s->text[s->at] != '"') {
        uint32_t code;
        char piece[4];
        size_t length = utf8_decode(s->text + s->at, s->bytes - s->at, &code);

        if (length == 0)
            return refuse(s, "not valid UTF-8 at byte %zu", s->at);
        if (code < 0x20)
            return refuse(s, "not JSON: a control character in a string at byte %zu", s->at);
        s->at += length;
        if (code == '\\') {
            char c = s->at < s->bytes ? s->text[s->at] : '\0';
            const char *pair = escapes;

            if (c == 'u') {
                s->at++;
                if (!scan_unicode_escape(s, &code))
                    return false;
            } else {
                while (*pair && *pair != c)
                    pair += 2;
                if (!*pair || !c)
                    return refuse_syntax(s, "one of \"\\/bfnrtu after a backslash");
                code = (unsigned char)pair[1];
                s->at++;
            }
        }
        length = encode(code, piece);
        if (out && used + length < capacity)
            memcpy(out + used, piece, length);
        used += length;
    }
    if (!is_next(s, '"'))
        return refuse_syntax(s, "'\"'");
    s->at++;
    if (ret_bytes)
        *ret_bytes = used;
    return true;
}

static uint64_t hash_of(const char *name, size_t bytes)
{
    return name_hash((struct name){name, (uint32_t)bytes});
}

static bool scan_object(struct scanner *s)
{
    size_t parent = strlen(s->fault->pointer);
    uint64_t hashes[JSON_MEMBERS_MAX];
    size_t members = 0;

    s->at++;
    skip_space(s);
    if (is_next(s, '}')) {
        s->at++;
        return true;
    }
    for (;;) {
        char name[JSON_NAME_BYTES_MAX + 1] = "";
        size_t bytes;

        skip_space(s);
        if (!scan_string(s, name, sizeof(name), &bytes))
            return false;
        if (bytes > JSON_NAME_BYTES_MAX)
            return refuse(s, "a member's name has %zu bytes, %d are allowed", bytes, JSON_NAME_BYTES_MAX);
        pointer_append(s->fault->pointer, sizeof(s->fault->pointer), name, bytes);
        if (members == JSON_MEMBERS_MAX)
            return refuse(s, "more than %d members in one object", JSON_MEMBERS_MAX);
        hashes[members] = hash_of(name, bytes);
        for (size_t i = 0; i < members; i++)
            if (hashes[i] == hashes[members])
                return refuse(s, "this member is given twice");
        members++;
        skip_space(s);
        if (!is_next(s, ':'))
            return refuse_syntax(s, "':'");
        s->at++;
        if (!scan_value(s))
            return false;
        s->fault->pointer[parent] = '\0';
        skip_space(s);
        if (is_next(s, '}'))
            break;
        if (!is_next(s, ','))
            return refuse_syntax(s, "',' or '}'");
        s->at++;
    }
    s->at++;
    return true;
}

static bool scan_array(struct scanner *s)
{
    size_t parent = strlen(s->fault->pointer);

    s->at++;
    skip_space(s);
    if (is_next(s, ']')) {
        s->at++;
        return true;
    }
    for (size_t index = 0;; index++) {
        pointer_append_index(s->fault->pointer, sizeof(s->fault->pointer), index);
        if (!scan_value(s))
            return false;
        s->fault->pointer[parent] = '\0';
        skip_space(s);
        if (is_next(s, ']'))
            break;
        if (!is_next(s, ','))
            return refuse_syntax(s, "',' or ']'");
        s->at++;
    }
    s->at++;
    return true;
}

static size_t scan_digits(struct scanner *s)
{
    size_t from = s->at;

    while (s->at < s->bytes && s->text[s->at] >= '0' && s->text[s->at] <= '9')
        s->at++;
    return s->at - from;
}

static bool scan_number(struct scanner *s)
{
    if (is_next(s, '-'))
        s->at++;
    if (is_next(s, '0'))
        s->at++;
    else if (scan_digits(s) == 0)
        return refuse_syntax(s, "a value");
    if (is_next(s, '.')) {
        s->at++;
        if (scan_digits(s) == 0)
            return refuse_syntax(s, "a digit");
    }
    if (is_next(s, 'e') || is_next(s, 'E')) {
        s->at++;
        if (is_next(s, '+') || is_next(s, '-'))
            s->at++;
        if (scan_digits(s) == 0)
            return refuse_syntax(s, "a digit");
    }
    return true;
}

static bool scan_value(struct scanner *s)
{
    static const char *const words[] = {"true", "false", "null"};
    bool is_good;

    skip_space(s);
    if (is_next(s, '{') || is_next(s, '[')) {
        if (s->depth == s->depth_max)
            return refuse(s, "nested deeper than %u levels", s->depth_max);
        s->depth++;
        is_good = is_next(s, '{') ? scan_object(s) : scan_array(s);
        s->depth--;
        return is_good;
    }
    if (is_next(s, '"'))
        return scan_string(s, NULL, 0, NULL);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);

        if (s->bytes - s->at >= length && memcmp(s->text + s->at, words[i], length) == 0) {
            s->at += length;
            return true;
        }
    }
    return scan_number(s);
}

bool json_scan(const char *text, size_t bytes, unsigned depth_max, struct request_fault *ret_fault)
{
    struct request_fault fault = {"", ""};
    struct scanner s = {.text = text, .bytes = bytes, .depth_max = depth_max, .fault = &fault};
    bool is_good = scan_value(&s);

    if (is_good) {
        skip_space(&s);
        if (s.at < bytes)
            is_good = refuse_syntax(&s, "the end");
    }
    if (!is_good)
        *ret_fault = fault;
    return is_good;
}
