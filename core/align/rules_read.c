/* Rules from outside. They are held against what a rule can say at once, so that a job with a slip in one is refused
 * and not run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layouts.h"
#include "core/align/pattern.h"
#include "core/model/config.h"

enum { RULES_MAX = 1024, TEXT_BYTES_MAX = 500, RULES_BYTES_MAX = 4 << 20, ANY_MAX = 2 };

static const char *const parts[] = {"all", "next", "[e]", "[e] next"};

void layout_rules_done(struct layout_rules *rules)
{
    if (!rules)
        return;
    arena_done(&rules->arena);
    *rules = (struct layout_rules){0};
}

/* Holes that are none, and more {p} than can be told apart in good time. */
static bool is_pattern(struct name pattern)
{
    unsigned any = 0;

    for (uint32_t i = 0; i < pattern.bytes; i++) {
        if (pattern.text[i] == '\0')
            return false;
        if (pattern.text[i] != '{')
            continue;
        if (i + 2 >= pattern.bytes || pattern.text[i + 2] != '}' || !memchr("neps", pattern.text[i + 1], 4))
            return false;
        any += pattern.text[i + 1] == 'p';
        if (pattern.text[i + 1] == 's' && i + 3 != pattern.bytes && pattern.text[i + 3] != '|')
            return false;
    }
    return pattern.bytes > 0 && any <= ANY_MAX;
}

static int check_pattern(struct name pattern, size_t at, const char *member, struct error *err)
{
    char printable[NAME_PRINTABLE_BYTES];

    return is_pattern(pattern) ? 0
                               : error_set(err, ERROR_REQUEST, "rules/%zu/%s: \"%s\" is no pattern of names", at,
                                           member, name_printable(pattern, printable));
}

static int check_sources(struct name sources, size_t at, struct error *err)
{
    struct name source;
    int rc = 0;

    while (rc == 0 && pattern_next(&sources, "|", &source))
        rc = check_pattern(source, at, "source", err);
    return rc;
}

static int check_readings(struct name readings, size_t at, struct error *err)
{
    struct name reading;

    while (pattern_next(&readings, "||", &reading)) {
        int rc = transformation_check(reading, err);

        if (rc)
            return error_prefix(err, rc, "rules/%zu/transformation: ", at);
    }
    return 0;
}

/* A text member, or what stands for it; NULL with an error set. */
static const char *take_text(struct layout_rules *rules, const struct config *config, size_t at, const char *member,
                             const char *otherwise, size_t *members, struct error *err)
{
    struct name text;
    char path[64];
    char *copy;

    snprintf(path, sizeof(path), "rules.%zu.%s", at, member);
    if (!config_text(config, path, &text)) {
        if (!otherwise)
            error_set(err, ERROR_REQUEST, "rules/%zu: \"%s\" is missing, or no text", at, member);
        return otherwise;
    }
    ++*members;
    if (text.bytes == 0 || text.bytes > TEXT_BYTES_MAX || memchr(text.text, '\0', text.bytes)) {
        error_set(err, ERROR_REQUEST, "rules/%zu/%s: must have 1 to %d bytes, none of them NUL", at, member,
                  TEXT_BYTES_MAX);
        return NULL;
    }
    copy = arena_copy(&rules->arena, text.text, text.bytes);
    if (!copy)
        error_set(err, ERROR_NO_MEMORY, "no memory for rules");
    return copy;
}

static int read_rule(struct layout_rules *rules, const struct config *config, size_t at, struct error *err)
{
    struct layout_rule rule = {0};
    char path[32];
    size_t members = 0;
    bool is_part = false;
    int rc;

    rule.name = take_text(rules, config, at, "name", "rules", &members, err);
    rule.target = rule.name ? take_text(rules, config, at, "target", NULL, &members, err) : NULL;
    rule.source = rule.target ? take_text(rules, config, at, "source", NULL, &members, err) : NULL;
    rule.part = rule.source ? take_text(rules, config, at, "part", "all", &members, err) : NULL;
    rule.transformation = rule.part ? take_text(rules, config, at, "transformation", "none", &members, err) : NULL;
    if (!rule.transformation)
        return err && err->code ? err->code : ERROR_REQUEST;
    snprintf(path, sizeof(path), "rules.%zu", at);
    if (config_count(config, path) != members)
        return error_set(err, ERROR_REQUEST,
                         "rules/%zu: has a member that is no text, or none of name, target, source, part and "
                         "transformation",
                         at);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        is_part |= strcmp(rule.part, parts[i]) == 0;
    if (!is_part)
        return error_set(err, ERROR_REQUEST, "rules/%zu/part: must be \"all\", \"next\", \"[e]\" or \"[e] next\"", at);
    if (strchr(rule.target, '|'))
        return error_set(err, ERROR_REQUEST, "rules/%zu/target: is one pattern of names, not several", at);
    rc = check_pattern(name_of(rule.target), at, "target", err);
    if (rc == 0)
        rc = check_sources(name_of(rule.source), at, err);
    if (rc == 0)
        rc = check_readings(name_of(rule.transformation), at, err);
    if (rc == 0)
        rules->items[rules->count++] = rule;
    return rc;
}

int layout_rules_read(const char *text, size_t bytes, struct layout_rules *ret_rules, struct error *err)
{
    struct layout_rules rules = {.arena = {.limit = RULES_BYTES_MAX}};
    struct error first = {0};
    struct config *config;
    size_t count;
    int rc = config_parse(text, bytes, &config, &first);

    *ret_rules = (struct layout_rules){0};
    if (rc)
        return error_set(err, rc == ERROR_NO_MEMORY ? ERROR_NO_MEMORY : ERROR_REQUEST, "rules: %s", first.text);
    count = config_length(config, "rules");
    if (count == 0 || config_count(config, "") != 1)
        rc = error_set(&first, ERROR_REQUEST, "rules must be {\"rules\": […]} with at least one rule");
    else if (count > RULES_MAX)
        rc = error_set(&first, ERROR_REQUEST, "at most %d rules are allowed, %zu given", RULES_MAX, count);
    if (rc == 0) {
        rules.items = arena_take_array(&rules.arena, count, sizeof(*rules.items));
        if (!rules.items)
            rc = error_set(&first, ERROR_NO_MEMORY, "no memory for rules");
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = read_rule(&rules, config, i, &first);
    config_free(config);
    if (rc) {
        layout_rules_done(&rules);
        return error_set(err, rc, "%s", first.text);
    }
    *ret_rules = rules;
    return 0;
}

void layout_rules_write(const struct layout_rules *rules, struct writer *w)
{
    write_array(w, "rules");
    for (size_t i = 0; i < rules->count; i++) {
        const struct layout_rule *rule = &rules->items[i];

        write_begin_object(w);
        write_named(w, "name", name_of(rule->name));
        write_named(w, "target", name_of(rule->target));
        write_named(w, "source", name_of(rule->source));
        write_named(w, "part", name_of(rule->part));
        write_named(w, "transformation", name_of(rule->transformation));
        write_end(w);
    }
    write_end(w);
}
