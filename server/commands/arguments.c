#include "server/commands/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/gate_rules.h"
#include "core/analysis/analysis.h"
#include "core/format/format.h"

struct flag {
    const char *name;
    const char *value_name; /* NULL: takes none */
    unsigned personalities; /* bits: 1 << enum personality */
    int (*set)(struct arguments *arguments, const char *value, struct error *err);
    const char *help;
};

enum {
    FOR_COMPARE = 1 << PERSONALITY_COMPARE,
    FOR_INSPECT = 1 << PERSONALITY_INSPECT,
    FOR_DIFFAI = 1 << PERSONALITY_DIFFAI,
    FOR_DIFFAID = FOR_COMPARE | FOR_INSPECT,
    FOR_ALL = FOR_DIFFAID | FOR_DIFFAI,
};

static int set_format(struct arguments *a, const char *value, struct error *err)
{
    for (size_t i = 0; i < renderer_count; i++)
        if (strcmp(renderers[i]->name, value) == 0) {
            a->renderer = renderers[i];
            return 0;
        }
    return error_set(err, ERROR_REQUEST, "--format must be json, ndjson, text, markdown or junit, not \"%s\"", value);
}

static int set_json(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    return set_format(a, "json", err);
}

/* The seed's --output; YAML is served as JSON, which is YAML. */
static int set_output(struct arguments *a, const char *value, struct error *err)
{
    if (strcmp(value, "json") == 0 || strcmp(value, "yaml") == 0)
        a->renderer = a->personality == PERSONALITY_DIFFAI ? &diffai_json_renderer : &json_renderer;
    else if (strcmp(value, "text") == 0 || strcmp(value, "cli") == 0)
        a->renderer = a->personality == PERSONALITY_DIFFAI ? &diffai_text_renderer : &text_renderer;
    else
        return error_set(err, ERROR_REQUEST, "--output must be json, yaml or text, not \"%s\"", value);
    return 0;
}

/* The seed's --format names what its inputs are. */
static int set_input_format(struct arguments *a, const char *value, struct error *err)
{
    char known[256] = "auto";
    size_t used = strlen(known);

    if (strcmp(value, "auto") == 0)
        return 0;
    for (size_t i = 0; i < format_count && used < sizeof(known); i++) {
        if (strcmp(formats[i]->name, value) == 0) {
            a->input_format = formats[i]->name;
            return 0;
        }
        used += (size_t)snprintf(known + used, sizeof(known) - used, ", %s", formats[i]->name);
    }
    return error_set(err, ERROR_REQUEST,
                     "--format \"%.100s\" is not what models can be (%s); --output chooses the form of the result",
                     value, known);
}

static int set_out(struct arguments *a, const char *value, struct error *err)
{
    (void)err;
    a->out = value;
    return 0;
}

static int set_adapter(struct arguments *a, const char *value, struct error *err)
{
    (void)err;
    a->adapter = value;
    return 0;
}

static int set_junit(struct arguments *a, const char *value, struct error *err)
{
    (void)err;
    a->junit = value;
    return 0;
}

/* Rules from a file, whole: they are small. *ret_text is the caller's to free. */
static int read_rules(const char *flag, const char *path, char **ret_text, size_t *ret_bytes, struct error *err)
{
    enum { RULES_BYTES_MAX = 1 << 20 };
    FILE *file = fopen(path, "re");
    char *text = malloc(RULES_BYTES_MAX + 1);
    size_t bytes = file && text ? fread(text, 1, RULES_BYTES_MAX + 1, file) : 0;
    int rc = 0;

    if (!file)
        rc = error_set(err, ERROR_NOT_FOUND, "%s %s: %s%s", flag, path, strerror(errno),
                       strcmp(flag, "--align") == 0 ? "; it takes auto, none or a file of rules" : "");
    else if (!text)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    else if (ferror(file))
        rc = error_set(err, ERROR_READ, "%s %s: %s", flag, path, strerror(errno));
    else if (bytes > RULES_BYTES_MAX)
        rc = error_set(err, ERROR_LIMIT, "%s %s: larger than 1 MiB", flag, path);
    if (file)
        fclose(file);
    if (rc) {
        free(text);
        return rc;
    }
    text[bytes] = '\0';
    *ret_text = text;
    *ret_bytes = bytes;
    return 0;
}

static int set_gate(struct arguments *a, const char *value, struct error *err)
{
    char *text;
    size_t bytes;
    int rc = read_rules("--gate", value, &text, &bytes, err);

    if (rc)
        return rc;
    rc = gate_rules_read(text, bytes, &a->request.gate, err);
    if (rc)
        error_prefix(err, rc, "--gate %s: ", value);
    free(text);
    return rc;
}

static int set_align_rules(struct arguments *a, const char *value, struct error *err)
{
    char *text;
    size_t bytes;
    int rc = read_rules("--align", value, &text, &bytes, err);

    if (rc)
        return rc;
    rc = options_set_align_rules(&a->request.options, text, bytes, err);
    if (rc)
        error_prefix(err, rc, "--align %s: ", value);
    free(text);
    return rc;
}

static int set_expected_digest(struct arguments *a, const char *value, struct error *err)
{
    int rc = fingerprint_parse(value, a->expected_digest, err);

    a->has_expected_digest = a->request.options.digest = true;
    return rc ? error_prefix(err, rc, "--expect-digest ") : 0;
}

static int set_threads(struct arguments *a, const char *value, struct error *err)
{
    char *end;
    unsigned long threads = strtoul(value, &end, 10);

    if (end == value || *end || value[0] == '-' || threads < 1 || threads > 1024)
        return error_set(err, ERROR_REQUEST, "--threads must be a whole number from 1 to 1024, not \"%s\"", value);
    a->threads = (unsigned)threads;
    return 0;
}

static int set_cache(struct arguments *a, const char *value, struct error *err)
{
    for (int i = 0; cache_policy_names[i]; i++)
        if (strcmp(cache_policy_names[i], value) == 0) {
            a->cache = (enum cache_policy)i;
            return 0;
        }
    return error_set(err, ERROR_REQUEST, "--cache must be auto, keep or release, not \"%s\"", value);
}

static int set_quiet(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->is_quiet = true;
    return 0;
}

static int set_brief(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->is_brief = true;
    return 0;
}

static int set_verbose(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->is_verbose = true;
    return 0;
}

static int set_colorless(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->is_colorless = true;
    return 0;
}

static int set_progress(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->has_progress = true;
    return 0;
}

static int set_timings(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->has_timings = true;
    return 0;
}

static int set_unwalled(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->is_unwalled = true;
    return 0;
}

static int set_help(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->is_help = true;
    return 0;
}

static int set_magnitude(struct arguments *a, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    a->request.options.sort = SORT_CHANGE_MAGNITUDE;
    return 0;
}

/* Those that take as many models as the command does. */
static uint32_t all_analyses(enum personality personality)
{
    uint32_t all = 0;

    for (size_t i = 0; i < analysis_count; i++)
        if (personality != PERSONALITY_INSPECT || analyses[i]->models_min == 1)
            all |= 1u << i;
    return all;
}

static int set_analyses(struct arguments *a, const char *value, struct error *err)
{
    while (*value) {
        size_t bytes = strcspn(value, ",");
        int index = analysis_by_name(value, bytes);

        if (bytes == 3 && memcmp(value, "all", 3) == 0)
            a->request.analyses |= all_analyses(a->personality);
        else if (index >= 0)
            a->request.analyses |= 1u << index;
        else
            return error_set(err, ERROR_REQUEST, "unknown analysis \"%.*s\"; diffaid analyses lists them", (int)bytes,
                             value);
        value += bytes + (value[bytes] == ',');
    }
    return 0;
}

/* The seed's --path: names that begin with it, taken literally. */
static int set_path(struct arguments *a, const char *value, struct error *err)
{
    char pattern[600];

    if (strlen(value) > 500)
        return error_set(err, ERROR_REQUEST, "--path is too long");
    if (strstr(value, "\\E"))
        return error_set(err, ERROR_REQUEST, "--path may not hold \\E");
    snprintf(pattern, sizeof(pattern), "^\\Q%s\\E", value);
    return option_set_text(&a->request.options, option_find("include", 7), pattern, err);
}

static int set_ignored(struct arguments *a, const char *value, struct error *err)
{
    return option_set_text(&a->request.options, option_find("exclude", 7), value, err);
}

static const struct flag flags[] = {
    {"analyses", "LIST", FOR_ALL, set_analyses, "Analyses by name, separated by commas, or all."},
    {"sort-by-change-magnitude", NULL, FOR_COMPARE | FOR_DIFFAI, set_magnitude, "Largest relative change first."},
    {"format", "FORM", FOR_DIFFAID, set_format, "text (the default), json, ndjson, markdown or junit."},
    {"json", NULL, FOR_DIFFAID, set_json, "Short for --format json."},
    {"output", "FORM", FOR_ALL, set_output, "json, yaml (printed as JSON, which is YAML) or text."},
    {"format", "NAME", FOR_DIFFAI, set_input_format, "What the models are: auto or a format's name."},
    {"path", "PREFIX", FOR_DIFFAI, set_path, "Only tensors whose name begins with PREFIX."},
    {"ignore-keys-regex", "PATTERN", FOR_DIFFAI, set_ignored, "Leave out tensors whose name matches."},
    {"adapter", "PATH", FOR_ALL, set_adapter,
     "An adapter (LoRA, DoRA) that is put on the first model; tells whether the other is their merge."},
    {"out", "FILE", FOR_ALL, set_out, "Write the result there, whole or not at all."},
    {"gate", "FILE", FOR_ALL, set_gate, "Hold the result against the rules in FILE (JSON); exit 4 when one is broken."},
    {"junit", "FILE", FOR_ALL, set_junit, "Write the gate as JUnit XML there, beside the result."},
    {"expect-digest", "DIGEST", FOR_INSPECT, set_expected_digest,
     "--digest, held against one that was kept (sha256:HEX, or its whole line); exit 1 when it is another."},
    {"threads", "N", FOR_ALL, set_threads, "Threads of the pass; the result does not depend on it."},
    {"cache", "HOW", FOR_ALL, set_cache,
     "Whether files that were read stay in the page cache: keep, release, or auto (unless they are large)."},
    {"progress", NULL, FOR_ALL, set_progress, "Show progress on standard error, terminal or not."},
    {"timings", NULL, FOR_ALL, set_timings, "Tell on standard error where the time went."},
    {"quiet", NULL, FOR_ALL, set_quiet, "Text: the verdict only; under diffai nothing: the exit status tells."},
    {"brief", NULL, FOR_ALL, set_brief, "Text: names only."},
    {"verbose", NULL, FOR_ALL, set_verbose, "Text: also what is equal, and whole lists."},
    {"no-color", NULL, FOR_ALL, set_colorless, "No colours on a terminal (also with NO_COLOR set)."},
    {"no-sandbox", NULL, FOR_ALL, set_unwalled,
     "Read the models without walls around the process (seccomp, Landlock)."},
    {"help", NULL, FOR_ALL, set_help, "This text."},
};

static bool names_equal(const char *known, const char *name, size_t bytes)
{
    return strlen(known) == bytes && memcmp(known, name, bytes) == 0;
}

static int take_value(const char *name, size_t bytes, const char *inline_value, int argc, char **argv, int *at,
                      const char **ret_value, struct error *err)
{
    if (inline_value) {
        *ret_value = inline_value;
        return 0;
    }
    if (*at + 1 >= argc)
        return error_set(err, ERROR_REQUEST, "--%.*s needs a value", (int)bytes, name);
    *ret_value = argv[++*at];
    return 0;
}

static int parse_flag(struct arguments *a, int argc, char **argv, int *at, struct error *err)
{
    const char *name = argv[*at] + 2, *inline_value = strchr(name, '=');
    size_t bytes = inline_value ? (size_t)(inline_value - name) : strlen(name);
    const struct option *option;
    const char *value = NULL;
    int rc;

    inline_value = inline_value ? inline_value + 1 : NULL;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (!(flags[i].personalities & (1u << a->personality)) || !names_equal(flags[i].name, name, bytes))
            continue;
        if (!flags[i].value_name && inline_value)
            return error_set(err, ERROR_REQUEST, "--%s takes no value", flags[i].name);
        rc = flags[i].value_name ? take_value(name, bytes, inline_value, argc, argv, at, &value, err) : 0;
        return rc ? rc : flags[i].set(a, value, err);
    }
    for (size_t i = 0; i < analysis_count; i++)
        if (names_equal(analyses[i]->flag, name, bytes)) {
            a->request.analyses |= 1u << i;
            return inline_value ? error_set(err, ERROR_REQUEST, "--%s takes no value", analyses[i]->flag) : 0;
        }
    option = memchr(name, '_', bytes) ? NULL : option_find(name, bytes);
    if (!option)
        return error_set(err, ERROR_REQUEST, "unknown flag --%.*s; --help lists them", (int)bytes, name);
    if (option->kind == OPTION_FLAG && inline_value)
        return error_set(err, ERROR_REQUEST, "--%.*s takes no value", (int)bytes, name);
    rc = option->kind == OPTION_FLAG ? 0 : take_value(name, bytes, inline_value, argc, argv, at, &value, err);
    if (rc)
        return rc;
    if (strcmp(option->name, "align") == 0 && !option_is_choice(option, value))
        return set_align_rules(a, value, err);
    rc = option_parse(&a->request.options, option, value, err);
    return rc ? error_prefix(err, rc, "--") : 0;
}

static int check_counts(const struct arguments *a, struct error *err)
{
    if (a->personality == PERSONALITY_INSPECT && a->model_count != 1)
        return error_set(err, ERROR_REQUEST, "inspect takes one model, not %zu; --help tells more", a->model_count);
    if (a->personality != PERSONALITY_INSPECT && a->model_count < 2)
        return error_set(err, ERROR_REQUEST, "needs two models to compare, got %zu; --help tells more", a->model_count);
    return 0;
}

static int check_analyses(const struct arguments *a, struct error *err)
{
    for (size_t i = 0; i < analysis_count; i++)
        if ((a->request.analyses & (1u << i)) && a->model_count < analyses[i]->models_min)
            return error_set(err, ERROR_REQUEST, "%s needs at least %u models, got %zu", analyses[i]->name,
                             analyses[i]->models_min, a->model_count);
    return 0;
}

int arguments_parse(struct arguments *a, enum personality personality, int argc, char **argv, struct error *err)
{
    bool is_operand = false, is_header;
    int rc;

    memset(a, 0, sizeof(*a));
    a->personality = personality;
    options_init(&a->request.options);
    a->renderer = personality == PERSONALITY_DIFFAI ? &diffai_text_renderer : &text_renderer;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];

        if (!is_operand && strcmp(word, "--") == 0) {
            is_operand = true;
        } else if (!is_operand && strcmp(word, "-h") == 0) {
            a->is_help = true;
        } else if (!is_operand && strcmp(word, "-q") == 0) {
            a->is_quiet = true;
        } else if (!is_operand && strcmp(word, "-v") == 0) {
            a->is_verbose = true;
        } else if (!is_operand && strncmp(word, "--", 2) == 0) {
            rc = parse_flag(a, argc, argv, &at, err);
            if (rc)
                return rc;
        } else if (!is_operand && word[0] == '-' && word[1]) {
            return error_set(err, ERROR_REQUEST, "unknown flag %s; --help lists them", word);
        } else if (a->model_count == MODELS_MAX) {
            return error_set(err, ERROR_REQUEST, "more than %d models", MODELS_MAX);
        } else {
            a->models[a->model_count++] = word;
        }
    }
    if (a->is_help)
        return 0;
    rc = check_counts(a, err);
    if (rc)
        return rc;
    is_header = personality == PERSONALITY_INSPECT && a->request.gate.count == 0;
    if (a->request.analyses == 0 && is_header && !a->request.options.digest)
        a->request.options.headers_only = true;
    if (personality == PERSONALITY_DIFFAI || (a->request.analyses == 0 && !is_header))
        a->request.analyses |= 1u << analysis_by_name("stats", 5); /* diffai's lines and elements always hold them */
    a->request.analyses |= gate_analyses(&a->request.gate);
    rc = check_analyses(a, err);
    return rc ? rc : compare_request_check(&a->request, err);
}

void arguments_done(struct arguments *a)
{
    options_done(&a->request.options);
    gate_done(&a->request.gate);
}

void arguments_each(enum personality personality, enum flag_group group,
                    void (*take)(const char *name, const char *value_name, const char *help))
{
    switch (group) {
    case GROUP_ANALYSES:
        for (size_t i = 0; i < analysis_count; i++)
            if (personality != PERSONALITY_INSPECT || analyses[i]->models_min == 1)
                take(analyses[i]->flag, NULL, analyses[i]->summary);
        break;
    case GROUP_OPTIONS:
        for (size_t i = 0; i < options_count; i++)
            take(options_table[i].name, options_table[i].value_name, options_table[i].help);
        break;
    case GROUP_OUTPUT:
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
            if (flags[i].personalities & (1u << personality))
                take(flags[i].name, flags[i].value_name, flags[i].help);
        break;
    }
}

static void print_flag(const char *name, const char *value_name, const char *help)
{
    char left[64];
    size_t used = 0;

    for (; *name && used < 40; name++)
        left[used++] = *name == '_' ? '-' : *name;
    left[used] = '\0';
    if (value_name)
        snprintf(left + used, sizeof(left) - used, " %s", value_name);
    printf("  --%-26s %s\n", left, help);
}

void arguments_print_help(enum personality personality)
{
    static const char *const usages[] = {
        [PERSONALITY_COMPARE] =
            "diffaid compare A B [C…] [FLAGS]\n\nCompares models: files or directories. Every byte is "
            "read once; every figure is measured.",
        [PERSONALITY_INSPECT] = "diffaid inspect A [FLAGS]\n\nShows what a model holds, from its headers; with an "
                                "analysis or --digest its values are read too.\n--digest alone prints one line, "
                                "sha256:HEX  A, to be kept and checked later.",
        [PERSONALITY_DIFFAI] = "diffai A B [FLAGS]\n\nCompares two models and prints one line a finding.",
    };

    printf("usage: %s\n\nanalyses:\n", usages[personality]);
    arguments_each(personality, GROUP_ANALYSES, print_flag);
    printf("\noptions:\n");
    arguments_each(personality, GROUP_OPTIONS, print_flag);
    printf("\noutput:\n");
    arguments_each(personality, GROUP_OUTPUT, print_flag);
    printf("\nexit status: 0 identical or equivalent, 1 changed or incomparable, 2 usage or bad input,\n"
           "             3 write or device error, 4 gate failed (0 when a gate passes), 130 interrupted\n");
}
