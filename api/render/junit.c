/* application/junit+xml: the gate as a test suite, a test a rule, so that a pipeline shows what failed. Without a gate,
 * one test that carries the headline. */
#include <stdio.h>
#include <string.h>

#include "api/render/render.h"

enum { SHOWN = 100 };

/* XML 1.0 text: names and figures are made printable first, so no control byte is left. */
static void put_xml(struct output *output, const char *text)
{
    char printable[NAME_PRINTABLE_BYTES];

    name_printable(name_of(text), printable);
    for (const char *at = printable; *at; at++)
        switch (*at) {
        case '&':
            output_text(output, "&amp;");
            break;
        case '<':
            output_text(output, "&lt;");
            break;
        case '>':
            output_text(output, "&gt;");
            break;
        case '"':
            output_text(output, "&quot;");
            break;
        default:
            output_write(output, at, 1);
        }
}

static void put_violation(const struct gate_violation *violation, struct output *output)
{
    if (violation->name) {
        put_xml(output, violation->name);
        output_text(output, ": ");
    }
    if (violation->figure)
        put_xml(output, violation->figure);
    if (violation->reason) {
        output_text(output, violation->figure ? ", " : "");
        put_xml(output, violation->reason);
    }
    output_text(output, "\n");
}

/* One test: a rule and its violations; rule NULL is the one that always holds. Tells whether it failed. */
static bool put_test(const struct gate_result *gate, const struct gate_rule *rule, struct output *output)
{
    unsigned long long count = 0;
    char text[256];

    for (size_t i = 0; i < gate->violation_count; i++)
        count += gate->violations[i].rule == rule;
    if (!output)
        return count > 0;
    output_text(output, "    <testcase classname=\"diffaid.gate\" name=\"");
    put_xml(output, rule ? rule->metric : "no new non-finite elements");
    if (rule) {
        gate_limit_text(rule, text, sizeof(text));
        output_text(output, " ");
        put_xml(output, text);
        output_text(output, rule->include ? " of " : "");
        put_xml(output, rule->include ? rule->include : "");
        snprintf(text, sizeof(text), " (%s)", gate_scope_names[rule->scope]);
        output_text(output, text);
    }
    output_text(output, count ? "\">\n" : "\"/>\n");
    if (count == 0)
        return false;
    snprintf(text, sizeof(text), "      <failure type=\"%s\" message=\"%llu violation%s\">",
             gate_severity_names[rule ? rule->severity : GATE_SEVERITY_ERROR], count, count == 1 ? "" : "s");
    output_text(output, text);
    count = 0;
    for (size_t i = 0; i < gate->violation_count && count < SHOWN; i++)
        if (gate->violations[i].rule == rule) {
            put_violation(&gate->violations[i], output);
            count++;
        }
    output_text(output, "</failure>\n    </testcase>\n");
    return true;
}

static void render_junit(const struct comparison *c, const struct render_options *options, struct output *output)
{
    const struct gate *rules = &c->request->gate;
    size_t tests = 1, failures = 0;
    char headline[512], text[160];

    (void)options;
    comparison_headline(c, headline, sizeof(headline));
    if (c->gate) {
        failures += put_test(c->gate, NULL, NULL);
        for (size_t i = 0; i < rules->count; i++)
            failures += put_test(c->gate, &rules->rules[i], NULL);
        tests += rules->count;
    }
    output_text(output, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    snprintf(text, sizeof(text),
             "<testsuites name=\"diffaid\" tests=\"%zu\" failures=\"%zu\">\n"
             "  <testsuite name=\"gate\" tests=\"%zu\" failures=\"%zu\">\n",
             tests, failures, tests, failures);
    output_text(output, text);
    if (c->gate) {
        for (size_t i = 0; i < rules->count; i++)
            put_test(c->gate, &rules->rules[i], output);
        put_test(c->gate, NULL, output);
    } else {
        output_text(output, "    <testcase classname=\"diffaid\" name=\"comparison\"/>\n");
    }
    output_text(output, "    <system-out>");
    put_xml(output, headline);
    output_text(output, "</system-out>\n  </testsuite>\n</testsuites>\n");
}

const struct renderer junit_renderer = {"junit", "application/junit+xml", render_junit};
