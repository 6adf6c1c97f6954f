/* PCRE2 counts its steps anew at each place where a match may begin, so what one match may take is shared out among
 * these: with a fixed number for each, 255 letters took 1.6 s and 200,000 of them 46 s. */
#include "core/patterns.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MATCH_STEPS_MAX = 400000, START_STEPS_MAX = 50000, MATCH_HEAP_KIB_MAX = 1024 };

struct pattern_set {
    pcre2_code **codes;
    size_t count;
    pcre2_match_context *limits;
    pcre2_match_data *match;
    char **texts;     /* for messages */
    int64_t until_ns; /* 0: no end */
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

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
    set->codes = calloc(patterns->count, sizeof(*set->codes));
    set->texts = calloc(patterns->count, sizeof(*set->texts));
    set->limits = pcre2_match_context_create_8(NULL);
    set->match = pcre2_match_data_create_8(1, NULL);
    context = pcre2_compile_context_create_8(NULL);
    if (!set->codes || !set->texts || !set->limits || !set->match || !context)
        goto out;
    pcre2_set_parens_nest_limit_8(context, PATTERN_NESTING_MAX);
    pcre2_set_depth_limit_8(set->limits, START_STEPS_MAX);
    pcre2_set_heap_limit_8(set->limits, MATCH_HEAP_KIB_MAX);
    for (size_t i = 0; i < patterns->count; i++) {
        rc = compile(patterns->text[i], context, &set->codes[i], err);
        if (rc)
            goto out;
        set->texts[set->count++] = strdup(patterns->text[i]);
        if (!set->texts[i]) {
            rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
            goto out;
        }
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
    for (size_t i = 0; i < set->count; i++) {
        pcre2_code_free_8(set->codes[i]);
        free(set->texts[i]);
    }
    free(set->codes);
    free(set->texts);
    pcre2_match_context_free_8(set->limits);
    pcre2_match_data_free_8(set->match);
    free(set);
}

void pattern_set_limit_time(struct pattern_set *set, unsigned ms)
{
    set->until_ns = now_ns() + (int64_t)ms * 1000000;
}

int pattern_set_match_one(struct pattern_set *set, size_t at, struct name name, bool *ret_matches, struct error *err)
{
    uint32_t steps = name.bytes ? MATCH_STEPS_MAX / name.bytes : MATCH_STEPS_MAX;
    char quoted[NAME_PRINTABLE_BYTES];
    int rc;

    if (name.bytes > NAME_MATCHED_MAX)
        return error_set(err, ERROR_LIMIT, "a name of %u bytes is longer than the %d that patterns take", name.bytes,
                         NAME_MATCHED_MAX);
    if (set->until_ns && now_ns() >= set->until_ns)
        return error_set(err, ERROR_LIMIT, "matching the pattern takes longer than it may");
    pcre2_set_match_limit_8(set->limits, steps < START_STEPS_MAX ? steps : START_STEPS_MAX);
    rc = pcre2_match_8(set->codes[at], (PCRE2_SPTR8)name.text, name.bytes, 0, PCRE2_NO_UTF_CHECK, set->match,
                       set->limits);
    if (rc == PCRE2_ERROR_NOMEMORY)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        return error_set(err, ERROR_LIMIT, "pattern \"%s\" needs more steps or memory than a pattern may",
                         name_printable(name_of(set->texts[at]), quoted));
    *ret_matches = rc >= 0;
    return 0;
}

int pattern_set_match(struct pattern_set *set, struct name name, bool *ret_matches, struct error *err)
{
    bool matches = false;
    int rc = 0;

    for (size_t i = 0; rc == 0 && !matches && i < set->count; i++)
        rc = pattern_set_match_one(set, i, name, &matches, err);
    if (rc == 0)
        *ret_matches = matches;
    return rc;
}
