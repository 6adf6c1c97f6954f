/* Names as files spell them. Natural order compares digit runs as numbers of any length, so that nothing overflows. */
#include "core/name.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

struct name name_of(const char *text)
{
    return (struct name){text, (uint32_t)strlen(text)};
}

bool name_equal(struct name a, struct name b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.text, b.text, a.bytes) == 0);
}

/* FNV-1a, finished with a mix so that the low bits of similar names differ. */
uint64_t name_hash(struct name name)
{
    uint64_t hash = 14695981039346656037u;

    for (uint32_t i = 0; i < name.bytes; i++)
        hash = (hash ^ (unsigned char)name.text[i]) * 1099511628211u;
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 29);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Past the run of digits at at; *ret_start is its first digit that is not a leading zero. */
static uint32_t digit_run(struct name name, uint32_t at, uint32_t *ret_start)
{
    while (at < name.bytes && name.text[at] == '0')
        at++;
    *ret_start = at;
    while (at < name.bytes && is_digit(name.text[at]))
        at++;
    return at;
}

/* Length of the prefix that both share. */
static uint32_t common_prefix(struct name a, struct name b)
{
    uint32_t shorter = a.bytes < b.bytes ? a.bytes : b.bytes, at = 0;

    while (shorter - at >= 8) {
        uint64_t one, two;

        memcpy(&one, a.text + at, 8);
        memcpy(&two, b.text + at, 8);
        if (one != two)
            break;
        at += 8;
    }
    while (at < shorter && a.text[at] == b.text[at])
        at++;
    return at;
}

int name_compare_natural(struct name a, struct name b)
{
    uint32_t i = common_prefix(a, b), j, shorter;
    int order;

    /* Names of one model share long prefixes: start where they part, or at the digits that lead up to there. */
    while (i > 0 && is_digit(a.text[i - 1]))
        i--;
    j = i;
    while (i < a.bytes && j < b.bytes) {
        if (is_digit(a.text[i]) && is_digit(b.text[j])) {
            uint32_t from_a, from_b;

            i = digit_run(a, i, &from_a);
            j = digit_run(b, j, &from_b);
            if (i - from_a != j - from_b)
                return i - from_a < j - from_b ? -1 : 1;
            for (; from_a < i; from_a++, from_b++)
                if (a.text[from_a] != b.text[from_b])
                    return a.text[from_a] < b.text[from_b] ? -1 : 1;
        } else if (a.text[i] != b.text[j]) {
            return (unsigned char)a.text[i] < (unsigned char)b.text[j] ? -1 : 1;
        } else {
            i++;
            j++;
        }
    }
    if ((i < a.bytes) != (j < b.bytes))
        return i < a.bytes ? 1 : -1;
    shorter = a.bytes < b.bytes ? a.bytes : b.bytes;
    order = shorter ? memcmp(a.text, b.text, shorter) : 0;
    if (order)
        return order;
    return a.bytes == b.bytes ? 0 : a.bytes < b.bytes ? -1 : 1;
}

/* Appends characters [from, to) of name while they fit; returns the new length of out. */
static size_t append_printable(struct name name, uint32_t from, uint32_t to, char *out, size_t used, size_t cap)
{
    while (from < to) {
        uint32_t code = 0;
        uint32_t length = (uint32_t)utf8_decode(name.text + from, name.bytes - from, &code);
        char piece[16];
        int bytes;

        if (length == 0) {
            bytes = snprintf(piece, sizeof(piece), "\\x%02x", (unsigned char)name.text[from]);
            length = 1;
        } else if (code < 0x80 && utf8_is_harmful(code)) {
            bytes = snprintf(piece, sizeof(piece), "\\x%02x", code);
        } else if (utf8_is_harmful(code)) {
            bytes = snprintf(piece, sizeof(piece), "\\u{%x}", code);
        } else {
            memcpy(piece, name.text + from, length);
            bytes = (int)length;
        }
        if (used + (size_t)bytes >= cap)
            break;
        memcpy(out + used, piece, (size_t)bytes);
        used += (size_t)bytes;
        from += length;
    }
    out[used] = '\0';
    return used;
}

const char *name_printable(struct name name, char out[NAME_PRINTABLE_BYTES])
{
    enum { WHOLE = 160, HEAD = 100, TAIL = 40 };
    uint32_t tail;
    size_t used;

    out[0] = '\0';
    if (name.bytes <= WHOLE) {
        append_printable(name, 0, name.bytes, out, 0, NAME_PRINTABLE_BYTES);
        return out;
    }
    used = append_printable(name, 0, HEAD, out, 0, NAME_PRINTABLE_BYTES / 2 + 80);
    used += (size_t)snprintf(out + used, NAME_PRINTABLE_BYTES - used, "…");
    tail = name.bytes - TAIL;
    while (tail < name.bytes && ((unsigned char)name.text[tail] & 0xc0) == 0x80)
        tail++;
    used = append_printable(name, tail, name.bytes, out, used, NAME_PRINTABLE_BYTES - 24);
    snprintf(out + used, NAME_PRINTABLE_BYTES - used, " (%u bytes)", name.bytes);
    return out;
}
