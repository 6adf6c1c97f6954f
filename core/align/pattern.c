#include "core/align/pattern.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct name skip(struct name name, size_t bytes)
{
    return (struct name){name.text + bytes, name.bytes - (uint32_t)bytes};
}

static bool has_hole(struct name pattern, char *ret)
{
    if (pattern.bytes < 3 || pattern.text[0] != '{' || pattern.text[2] != '}')
        return false;
    *ret = pattern.text[1];
    return *ret == 'n' || *ret == 'e' || *ret == 'p' || *ret == 's';
}

static uint32_t literal_bytes(struct name pattern)
{
    const char *hole = pattern.bytes ? memchr(pattern.text, '{', pattern.bytes) : NULL;

    return hole ? (uint32_t)(hole - pattern.text) : pattern.bytes;
}

/* Whether the name ends as the pattern does behind its last hole: most names that do not match fail here. */
static bool has_end(struct name pattern, struct name name)
{
    uint32_t bytes = 0;

    while (bytes < pattern.bytes && pattern.text[pattern.bytes - bytes - 1] != '}') {
        if (bytes == name.bytes || pattern.text[pattern.bytes - bytes - 1] != name.text[name.bytes - bytes - 1])
            return false;
        bytes++;
    }
    return true;
}

static bool match(struct name pattern, struct name name, struct captures *ret);

/* Any text, and then what follows: only where its first words stand. */
static bool match_any(struct name pattern, struct name name, struct captures *ret)
{
    const uint32_t literal = literal_bytes(pattern);
    const struct name start = name;

    if (pattern.bytes == 0) {
        ret->p = name;
        return true;
    }
    while (literal ? name.bytes >= literal : name.bytes > 0) {
        const char *found = literal ? memmem(name.text, name.bytes, pattern.text, literal) : name.text;
        struct captures inner = *ret;

        if (!found)
            return false;
        name = skip(name, (size_t)(found - name.text));
        if (match(pattern, name, &inner)) {
            inner.p = (struct name){start.text, (uint32_t)(name.text - start.text)};
            *ret = inner;
            return true;
        }
        name = skip(name, 1);
    }
    return false;
}

static bool match(struct name pattern, struct name name, struct captures *ret)
{
    const uint32_t literal = literal_bytes(pattern);
    uint32_t digits = 0;
    char hole;

    if (name.bytes < literal || memcmp(pattern.text, name.text, literal) != 0)
        return false;
    pattern = skip(pattern, literal);
    name = skip(name, literal);
    if (pattern.bytes == 0)
        return name.bytes == 0;
    if (!has_hole(pattern, &hole))
        return false;
    pattern = skip(pattern, 3);
    if (hole == 'p')
        return match_any(pattern, name, ret);
    if (hole == 's') {
        ret->s = name;
        return pattern.bytes == 0 && (name_equal(name, name_of("weight")) || name_equal(name, name_of("bias")));
    }
    while (digits < name.bytes && is_digit(name.text[digits]))
        digits++;
    if (digits == 0)
        return false;
    *(hole == 'n' ? &ret->n : &ret->e) = (struct name){name.text, digits};
    return match(pattern, skip(name, digits), ret);
}

bool pattern_match(struct name pattern, struct name name, struct captures *ret)
{
    return has_end(pattern, name) && match(pattern, name, ret);
}

bool pattern_fill(struct name pattern, const struct captures *captures, char out[PATTERN_NAME_BYTES],
                  struct name *ret_name)
{
    uint32_t used = 0;

    while (pattern.bytes > 0) {
        struct name piece = {pattern.text, literal_bytes(pattern)};
        char hole;

        if (piece.bytes) {
            pattern = skip(pattern, piece.bytes);
        } else if (has_hole(pattern, &hole)) {
            piece = hole == 'n' ? captures->n : hole == 'e' ? captures->e : hole == 'p' ? captures->p : captures->s;
            pattern = skip(pattern, 3);
        } else {
            return false;
        }
        if (piece.bytes > PATTERN_NAME_BYTES - used)
            return false;
        if (piece.bytes)
            memcpy(out + used, piece.text, piece.bytes);
        used += piece.bytes;
    }
    *ret_name = (struct name){out, used};
    return true;
}

bool pattern_next(struct name *rest, const char *separator, struct name *ret)
{
    const size_t bytes = strlen(separator);
    const char *end;

    if (!rest->text || rest->bytes == 0)
        return false;
    end = memmem(rest->text, rest->bytes, separator, bytes);
    *ret = (struct name){rest->text, end ? (uint32_t)(end - rest->text) : rest->bytes};
    *rest = end ? skip(*rest, ret->bytes + bytes) : (struct name){NULL, 0};
    while (ret->bytes && ret->text[0] == ' ')
        *ret = skip(*ret, 1);
    while (ret->bytes && ret->text[ret->bytes - 1] == ' ')
        ret->bytes--;
    return true;
}

struct name name_plain(struct name name)
{
    static const char *const silent[] = {"model.",      "module.",     "_orig_mod.",  "language_model.", "transformer.",
                                         "backbone.",   "text_model.", "gpt_neox.",   "bert.",           "roberta.",
                                         "base_model.", "state_dict.", "distilbert.", "xlm_roberta.",    "nomic_bert.",
                                         "camembert.",  "electra.",    "llm."};
    bool is_stripped = true;

    while (is_stripped) {
        is_stripped = false;
        for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
            const size_t bytes = strlen(silent[i]);

            if (name.bytes > bytes && memcmp(name.text, silent[i], bytes) == 0) {
                name.text += bytes;
                name.bytes -= (uint32_t)bytes;
                is_stripped = true;
            }
        }
    }
    return name;
}
