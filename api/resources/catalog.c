/* What this build can do, straight from its tables. */
#include <math.h>
#include <string.h>

#include "api/resources/resources.h"
#include "core/analysis/analysis.h"
#include "core/format/format.h"
#include "core/options.h"

static const char *const kinds[] = {
    [OPTION_FLAG] = "boolean",  [OPTION_COUNT] = "integer",     [OPTION_NUMBER] = "number",
    [OPTION_CHOICE] = "string", [OPTION_PATTERNS] = "patterns",
};

static void write_bound(struct writer *w, const char *key, double value)
{
    if (isfinite(value))
        write_figure(w, key, value, NULL);
}

static void write_option(struct writer *w, const struct option *option)
{
    write_begin_object(w);
    write_text(w, "name", option->name);
    write_text(w, "type", kinds[option->kind]);
    switch (option->kind) {
    case OPTION_FLAG:
        write_flag(w, "default", false);
        break;
    case OPTION_COUNT:
    case OPTION_NUMBER:
        write_figure(w, "default", option->fallback, NULL);
        write_bound(w, "minimum", option->min);
        write_bound(w, "maximum", option->max);
        break;
    case OPTION_CHOICE:
        write_text(w, "default", option->choices[(unsigned)option->fallback]);
        write_array(w, "choices");
        for (unsigned i = 0; option->choices[i]; i++)
            write_name(w, name_of(option->choices[i]));
        write_end(w);
        break;
    case OPTION_PATTERNS:
        write_array(w, "default");
        write_end(w);
        break;
    }
    write_text(w, "description", option->help);
    write_end(w);
}

static void write_options(struct writer *w, const char *analysis)
{
    write_array(w, "options");
    for (size_t i = 0; i < options_count; i++) {
        const char *of = options_table[i].analysis;

        if (analysis ? of && strcmp(of, analysis) == 0 : !of)
            write_option(w, &options_table[i]);
    }
    write_end(w);
}

static void write_docs(struct writer *w, const struct analysis_docs *docs)
{
    write_object(w, "docs");
    write_text(w, "measures", docs->measures);
    write_text(w, "formula", docs->formula);
    write_text(w, "thresholds", docs->thresholds);
    write_text(w, "example", docs->example);
    write_end(w);
}

void analyses_list(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {NULL};
    struct json_text json;
    struct writer *w = &json.writer;

    (void)backend;
    if (!query_is_known(request, known, response))
        return;
    json_text_init(&json);
    write_begin_object(w);
    write_array(w, "analyses");
    for (size_t i = 0; i < analysis_count; i++) {
        write_begin_object(w);
        write_text(w, "name", analyses[i]->name);
        write_text(w, "summary", analyses[i]->summary);
        write_u64(w, "models_min", analyses[i]->models_min);
        write_u64(w, "models_max", analyses[i]->models_max ? analyses[i]->models_max : REQUEST_MODELS_MAX);
        write_docs(w, analyses[i]->docs);
        write_options(w, analyses[i]->name);
        write_end(w);
    }
    write_end(w);
    write_options(w, NULL);
    write_end(w);
    reply_json(response, 200, &json);
}

void formats_list(const struct request *request, struct backend *backend, struct response *response)
{
    static const char *const known[] = {NULL};
    struct json_text json;
    struct writer *w = &json.writer;

    (void)backend;
    if (!query_is_known(request, known, response))
        return;
    json_text_init(&json);
    write_begin_object(w);
    write_array(w, "formats");
    for (size_t i = 0; i < format_count; i++) {
        write_begin_object(w);
        write_text(w, "name", formats[i]->name);
        write_text(w, "summary", formats[i]->summary);
        write_text(w, "reads", formats[i]->docs->reads);
        write_text(w, "lists", formats[i]->docs->lists);
        write_text(w, "refuses", formats[i]->docs->refuses);
        write_end(w);
    }
    write_end(w);
    write_end(w);
    reply_json(response, 200, &json);
}
