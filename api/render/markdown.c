/* text/markdown: a comment for a pull request. Verdict, headline, what the gate says, the ten most changed tensors. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/render/render.h"
#include "core/document.h"
#include "core/listing.h"

enum { MOST_CHANGED = 10, VIOLATIONS_SHOWN = 50 };

/* Text inside a table's cell or a code span: what would end either is replaced. */
static void put_cell(struct output *output, const char *text, size_t bytes)
{
    char printable[NAME_PRINTABLE_BYTES];

    name_printable((struct name){text, (uint32_t)bytes}, printable);
    for (const char *at = printable; *at; at++)
        if (*at == '|')
            output_text(output, "\\|");
        else if (*at == '`')
            output_text(output, "'");
        else if (*at == '<')
            output_text(output, "&lt;");
        else
            output_write(output, at, 1);
}

static void put_figure(struct output *output, double value)
{
    char text[32];

    if (isfinite(value))
        snprintf(text, sizeof(text), "%.4g", value);
    output_text(output, isfinite(value) ? text : "n/a");
    output_text(output, " | ");
}

/* The pairs that changed most, the largest first; equal ones in canonical order. */
static size_t most_changed(const struct comparison *c, size_t pairs[MOST_CHANGED])
{
    double figures[MOST_CHANGED];
    size_t count = 0;

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        double figure = listing_figure(c, pair, SORT_CHANGE_MAGNITUDE);
        size_t at = count;

        if (!(figure > 0))
            continue;
        while (at > 0 && figures[at - 1] < figure)
            at--;
        if (at == MOST_CHANGED)
            continue;
        count += count < MOST_CHANGED;
        memmove(&figures[at + 1], &figures[at], (count - at - 1) * sizeof(*figures));
        memmove(&pairs[at + 1], &pairs[at], (count - at - 1) * sizeof(*pairs));
        figures[at] = figure;
        pairs[at] = pair;
    }
    return count;
}

static void put_most_changed(const struct comparison *c, struct output *output)
{
    size_t pairs[MOST_CHANGED], count = most_changed(c, pairs);

    if (count == 0)
        return;
    output_text(output, "\n| most changed | status | relative L2 | max abs | cosine |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        struct name name = pairing_name(c->pairing, (const struct model *const *)c->models, pairs[i]);
        const struct delta_record *delta = comparison_delta(c, pairs[i]);

        output_text(output, "| `");
        put_cell(output, name.text, name.bytes);
        output_text(output, "` | ");
        output_text(output, status_names[c->status[pairs[i]]]);
        output_text(output, " | ");
        put_figure(output, delta ? delta_relative_l2(delta) : NAN);
        put_figure(output, delta && delta->finite ? delta->max_abs : NAN);
        put_figure(output, delta && delta->finite ? delta_cosine(delta) : NAN);
        output_text(output, "\n");
    }
}

static void put_gate(const struct gate_result *gate, struct output *output)
{
    char line[256];

    if (gate->passed) {
        output_text(output, "\nThe gate **passed**.\n");
        return;
    }
    snprintf(line, sizeof(line), "\nThe gate **failed**: %llu violation%s.\n\n",
             (unsigned long long)gate->violations_all, gate->violations_all == 1 ? "" : "s");
    output_text(output, line);
    output_text(output, "| severity | rule | where | figure |\n|---|---|---|---|\n");
    for (size_t i = 0; i < gate->violation_count && i < VIOLATIONS_SHOWN; i++) {
        const struct gate_violation *violation = &gate->violations[i];
        const struct gate_rule *rule = violation->rule;

        output_text(output, "| ");
        output_text(output, gate_severity_names[rule ? rule->severity : GATE_SEVERITY_ERROR]);
        output_text(output, " | ");
        put_cell(output, rule ? rule->metric : "nonfinite_changed", rule ? strlen(rule->metric) : 17);
        if (rule) {
            gate_limit_text(rule, line, sizeof(line));
            output_text(output, " ");
            put_cell(output, line, strlen(line));
        }
        output_text(output, " | `");
        if (violation->name)
            put_cell(output, violation->name, strlen(violation->name));
        else
            output_text(output, "model");
        output_text(output, "` | ");
        if (violation->figure)
            put_cell(output, violation->figure, strlen(violation->figure));
        if (violation->reason) {
            output_text(output, violation->figure ? " (" : "(");
            output_text(output, violation->reason);
            output_text(output, ")");
        }
        output_text(output, " |\n");
    }
    if (gate->violations_all > VIOLATIONS_SHOWN) {
        snprintf(line, sizeof(line), "\n%llu more are in the result.\n",
                 (unsigned long long)gate->violations_all - VIOLATIONS_SHOWN);
        output_text(output, line);
    }
}

static void render_markdown(const struct comparison *c, const struct render_options *options, struct output *output)
{
    char headline[512];

    (void)options;
    output_text(output, "### diffaid: ");
    if (c->model_count == 1) {
        put_cell(output, c->models[0]->uri, strlen(c->models[0]->uri));
        output_text(output, "\n\n");
        comparison_headline(c, headline, sizeof(headline));
        output_text(output, headline);
        output_text(output, "\n");
        if (c->request->options.digest) {
            fingerprint_text(c->fingerprint.digest, headline);
            output_text(output, "\n`");
            output_text(output, headline);
            output_text(output, "`\n");
        }
    } else {
        comparison_headline(c, headline, sizeof(headline));
        output_text(output, verdict_names[c->verdict]);
        output_text(output, "\n\n");
        output_text(output, headline);
        output_text(output, "\n");
    }
    if (c->gate)
        put_gate(c->gate, output);
    if (c->model_count > 1)
        put_most_changed(c, output);
}

const struct renderer markdown_renderer = {"markdown", "text/markdown", render_markdown};
