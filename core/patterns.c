#include "core/patterns.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_STEPS_MAX = 50000, MATCH_HEAP_KIB_MAX = 1024 };

struct pattern_set {
    pcre2_code **codes;
    size_t count;
    pcre2_match_context *limits;
    pcre2_match_data *match;
    const struct patterns *patterns; /* borrowed, for messages */
};

static int compile(const char *text, pcre2_compile_context *context, pcre2_code **ret_code, struct error *err)
{
    char quoted[NAME_PRINTABLE_BYTES];
    size_t bytes = strlen(text);
    PCRE2_UCHAR8 message[160];
    PCRE2_SIZE offset;
    int number;

    if (bytes > PATTERN_BYTES_MAX)
        return error_set(err, ERROR_REQUEST, "pattern of %zu bytes is longer than %d", bytes, PATTERN_BYTES_MAX);
    *ret_code =
        pcre2_compile_8((PCRE2_SPTR8)text, bytes, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &number, &offset, context);
    if (*ret_code)
        return 0;
    if (number == PCRE2_ERROR_HEAP_FAILED)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    pcre2_get_error_message_8(number, message, sizeof(message));
    return error_set(err, ERROR_REQUEST, "pattern \"%s\" at %zu: %s", name_printable(name_of(text), quoted), offset,
                     (const char *)message);
}

int pattern_set_new(const struct patterns *patterns, struct pattern_set **ret_set, struct error *err)
{
    pcre2_compile_context *context = NULL;
    struct pattern_set *set = NULL;
    int rc = ERROR_NO_MEMORY;

    if (patterns->count == 0) {
        *ret_set = NULL;
        return 0;
    }
    if (patterns->count > PATTERNS_MAX)
        return error_set(err, ERROR_REQUEST, "%zu patterns are more than %d", patterns->count, PATTERNS_MAX);
    error_set(err, ERROR_NO_MEMORY, "out of memory");
    set = calloc(1, sizeof(*set));
    if (!set)
        return rc;
    set->patterns = patterns;
    set->codes = calloc(patterns->count, sizeof(*set->codes));
    set->limits = pcre2_match_context_create_8(NULL);
    set->match = pcre2_match_data_create_8(1, NULL);
    context = pcre2_compile_context_create_8(NULL);
    if (!set->codes || !set->limits || !set->match || !context)
        goto out;
    pcre2_set_parens_nest_limit_8(context, PATTERN_NESTING_MAX);
    pcre2_set_match_limit_8(set->limits, MATCH_STEPS_MAX);
    pcre2_set_depth_limit_8(set->limits, MATCH_STEPS_MAX);
    pcre2_set_heap_limit_8(set->limits, MATCH_HEAP_KIB_MAX);
    for (size_t i = 0; i < patterns->count; i++) {
        rc = compile(patterns->text[i], context, &set->codes[i], err);
        if (rc)
            goto out;
        set->count++;
    }
    rc = 0;
    *ret_set = set;
    set = NULL;
out:
    pcre2_compile_context_free_8(context);
    pattern_set_free(set);
    return rc;
}

void pattern_set_free(struct pattern_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        pcre2_code_free_8(set->codes[i]);
    free(set->codes);
    pcre2_match_context_free_8(set->limits);
    pcre2_match_data_free_8(set->match);
    free(set);
}

int pattern_set_match(const struct pattern_set *set, struct name name, bool *ret_matches, struct error *err)
{
    char quoted[NAME_PRINTABLE_BYTES];

    for (size_t i = 0; i < set->count; i++) {
        int rc = pcre2_match_8(set->codes[i], (PCRE2_SPTR8)name.text, name.bytes, 0, PCRE2_NO_UTF_CHECK, set->match,
                               set->limits);

        if (rc >= 0) {
            *ret_matches = true;
            return 0;
        }
        if (rc == PCRE2_ERROR_NOMEMORY)
            return error_set(err, ERROR_NO_MEMORY, "out of memory");
        if (rc != PCRE2_ERROR_NOMATCH)
            return error_set(err, ERROR_LIMIT, "pattern \"%s\" needs more steps or memory than a pattern may",
                             name_printable(name_of(set->patterns->text[i]), quoted));
    }
    *ret_matches = false;
    return 0;
}
