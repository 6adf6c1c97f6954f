#include "api/render/exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/decimal.h"

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

void exposition_init(struct exposition *exposition)
{
    *exposition = (struct exposition){.text = NULL};
    exposition->out = open_memstream(&exposition->text, &exposition->bytes);
}

char *exposition_take(struct exposition *exposition, size_t *ret_bytes)
{
    bool is_whole;

    if (!exposition->out)
        return NULL;
    is_whole = !ferror(exposition->out);
    is_whole = fclose(exposition->out) == 0 && is_whole;
    exposition->out = NULL;
    if (!is_whole) {
        free(exposition->text);
        return NULL;
    }
    *ret_bytes = exposition->bytes;
    return exposition->text;
}

/* Backslash and line feed are escaped everywhere, quotes in a label's value only. */
static void put_escaped(FILE *out, const char *text, bool is_label)
{
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\\' || (is_label && *text == '"'))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void put_number(FILE *out, double value)
{
    char digits[DECIMAL_BYTES];

    if (isnan(value))
        fputs("NaN", out);
    else if (isinf(value))
        fputs(value > 0 ? "+Inf" : "-Inf", out);
    else
        fwrite(digits, 1, decimal_write(value, digits), out);
}

/* bound: the label "le" of a bucket, or NULL. */
static void put_labels(FILE *out, va_list labels, const double *bound)
{
    const char *name, *separator = "{";

    while ((name = va_arg(labels, const char *))) {
        fprintf(out, "%s%s=\"", separator, name);
        put_escaped(out, va_arg(labels, const char *), true);
        fputc('"', out);
        separator = ",";
    }
    if (bound) {
        fprintf(out, "%sle=\"", separator);
        put_number(out, *bound);
        fputc('"', out);
    }
    if (*separator == ',' || bound)
        fputc('}', out);
}

void exposition_family(struct exposition *exposition, const char *name, enum metric_type type, const char *help)
{
    exposition->name = name;
    if (!exposition->out)
        return;
    fprintf(exposition->out, "# HELP %s ", name);
    put_escaped(exposition->out, help, false);
    fprintf(exposition->out, "\n# TYPE %s %s\n", name, type_names[type]);
}

void exposition_value(struct exposition *exposition, double value, ...)
{
    va_list labels;

    if (!exposition->out)
        return;
    fputs(exposition->name, exposition->out);
    va_start(labels, value);
    put_labels(exposition->out, labels, NULL);
    va_end(labels);
    fputc(' ', exposition->out);
    put_number(exposition->out, value);
    fputc('\n', exposition->out);
}

void exposition_histogram(struct exposition *exposition, const double *bounds, size_t bound_count,
                          const uint64_t *counts, double sum, ...)
{
    uint64_t count = 0;
    va_list labels, again;

    if (!exposition->out)
        return;
    va_start(labels, sum);
    for (size_t i = 0; i <= bound_count; i++) {
        double bound = i < bound_count ? bounds[i] : INFINITY;

        count += counts[i];
        fprintf(exposition->out, "%s_bucket", exposition->name);
        va_copy(again, labels);
        put_labels(exposition->out, again, &bound);
        va_end(again);
        fprintf(exposition->out, " %" PRIu64 "\n", count);
    }
    fprintf(exposition->out, "%s_sum", exposition->name);
    va_copy(again, labels);
    put_labels(exposition->out, again, NULL);
    va_end(again);
    fputc(' ', exposition->out);
    put_number(exposition->out, sum);
    fprintf(exposition->out, "\n%s_count", exposition->name);
    put_labels(exposition->out, labels, NULL);
    va_end(labels);
    fprintf(exposition->out, " %" PRIu64 "\n", count);
}
