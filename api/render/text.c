/* text/plain and the lines of the command diffai: what was found, one line a finding.
 *   changed: `  ~ name: mean=a->b, std=a->b`
 *   added:   `  + name: shape=[10, 128], dtype=f32, params=1280`, removed with `  - `
 *   shape:   `! name: [64, 128] -> [64, 256] (shape)` */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/render/lines.h"
#include "core/analysis/analysis.h"
#include "core/document.h"

/* Figures and short words only: text is cut. */
static void put(struct output *output, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct output *output, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    output_text(output, text);
}

static void put_name(struct output *output, struct name name)
{
    char printable[NAME_PRINTABLE_BYTES];

    output_text(output, name_printable(name, printable));
}

static void put_shape(struct output *output, const struct shape *shape)
{
    output_text(output, "[");
    for (uint32_t d = 0; d < shape->rank; d++)
        put(output, d ? ", %" PRIu64 : "%" PRIu64, shape->dims[d]);
    output_text(output, "]");
}

static void put_dtype(struct output *output, const struct tensor *tensor)
{
    if (tensor->storage && tensor->storage->stored_as.text)
        put_name(output, tensor_dtype_name(tensor));
    else
        output_text(output, dtype_traits(tensor->dtype)->short_name);
}

static void put_color(struct output *output, const struct render_options *options, const char *code)
{
    if (options->is_color)
        put(output, "\033[%sm", code);
}

/* Four decimals, as the lines' readers know them, or scientific where these would lose the figure. */
static void put_figure(struct output *output, double value)
{
    if (!isfinite(value))
        output_text(output, "n/a");
    else if (value == 0 || (fabs(value) >= 0.00005 && fabs(value) < 1e6))
        put(output, "%.4f", value);
    else
        put(output, "%.4e", value);
}

static void put_change(struct output *output, const char *title, double from, double to)
{
    output_text(output, title);
    put_figure(output, from);
    output_text(output, "->");
    put_figure(output, to);
}

static void put_changed(const struct comparison *c, size_t pair, struct output *output)
{
    const struct side_record *a = comparison_side(c, pair, 0);
    const struct side_record *b = comparison_side(c, pair, c->model_count - 1);
    const struct delta_record *delta = comparison_delta(c, pair);
    const struct tensor *from = comparison_tensor(c, pair, 0);
    const struct tensor *to = comparison_tensor(c, pair, c->model_count - 1);
    const char *separator = ": ";

    if (c->request->analyses & (1u << analysis_by_name("stats", 5))) {
        put_change(output, ": mean=", side_mean(a), side_mean(b));
        put_change(output, ", std=", side_std(a), side_std(b));
        separator = ", ";
    }
    if (isfinite(delta_relative_l2(delta))) {
        output_text(output, separator);
        put(output, "relative_l2=%.4g", delta_relative_l2(delta));
    } else {
        put(output, "%smax_abs=%.4g", separator, delta->max_abs);
    }
    if (delta->nonfinite_changed)
        put(output, ", nonfinite_changed=%" PRIu64, delta->nonfinite_changed);
    if (from->dtype != to->dtype) {
        output_text(output, ", dtype=");
        put_dtype(output, from);
        output_text(output, "->");
        put_dtype(output, to);
    }
}

static void put_present(const struct tensor *tensor, struct output *output)
{
    output_text(output, ": shape=");
    put_shape(output, &tensor->shape);
    output_text(output, ", dtype=");
    put_dtype(output, tensor);
    put(output, ", params=%" PRIu64, tensor->shape.elements);
}

static void put_reshaped(const struct comparison *c, size_t pair, struct output *output)
{
    output_text(output, ": ");
    put_shape(output, &comparison_tensor(c, pair, 0)->shape);
    output_text(output, " -> ");
    put_shape(output, &comparison_tensor(c, pair, c->model_count - 1)->shape);
    output_text(output, " (shape)");
}

struct mark {
    const char *sign, *color;
};
static const struct mark marks[STATUS_COUNT] = {
    [STATUS_BIT_EQUAL] = {"  = ", "2"},     [STATUS_VALUE_EQUAL] = {"  = ", "2"}, [STATUS_CHANGED] = {"  ~ ", "33"},
    [STATUS_SHAPE_CHANGED] = {"! ", "35"},  [STATUS_ADDED] = {"  + ", "32"},      [STATUS_REMOVED] = {"  - ", "31"},
    [STATUS_NOT_COMPARED] = {"  ? ", "36"},
};

static bool is_equal(enum tensor_status status)
{
    return status == STATUS_BIT_EQUAL || status == STATUS_VALUE_EQUAL;
}

static void put_tensor(const struct comparison *c, size_t pair, const struct render_options *options,
                       struct output *output)
{
    enum tensor_status status = (enum tensor_status)c->status[pair];

    if (is_equal(status) && !options->is_verbose)
        return;
    put_color(output, options, marks[status].color);
    output_text(output, marks[status].sign);
    put_name(output, pairing_name(c->pairing, (const struct model *const *)c->models, pair));
    put_color(output, options, "0");
    if (options->is_brief) {
        output_text(output, "\n");
        return;
    }
    switch (status) {
    case STATUS_CHANGED:
        put_changed(c, pair, output);
        break;
    case STATUS_SHAPE_CHANGED:
        put_reshaped(c, pair, output);
        break;
    case STATUS_ADDED:
        put_present(comparison_tensor(c, pair, c->model_count - 1), output);
        break;
    case STATUS_REMOVED:
        put_present(comparison_tensor(c, pair, 0), output);
        break;
    case STATUS_NOT_COMPARED:
        put(output, ": %s", comparison_status_reason(c, pair));
        break;
    case STATUS_BIT_EQUAL:
        output_text(output, ": same bytes");
        break;
    case STATUS_VALUE_EQUAL:
        output_text(output, ": same values");
        break;
    case STATUS_COUNT:
        break;
    }
    output_text(output, "\n");
}

static void put_profile(const struct comparison *c, size_t pair, struct output *output)
{
    const struct tensor *tensor = comparison_tensor(c, pair, 0), *within = comparison_within(c, pair, 0);
    const struct side_record *side = comparison_side(c, pair, 0);

    output_text(output, "  ");
    put_name(output, tensor->name);
    put_present(tensor, output);
    if (!tensor_is_decodable(tensor))
        put(output, ", values not read: %s", tensor_unread_reason(tensor));
    if (within) {
        output_text(output, ", stored in ");
        put_name(output, within->name);
    }
    if (side && (c->request->analyses & (1u << analysis_by_name("stats", 5)))) {
        output_text(output, ", mean=");
        put_figure(output, side_mean(side));
        output_text(output, ", std=");
        put_figure(output, side_std(side));
    }
    output_text(output, "\n");
}

static void put_tensors(const struct comparison *c, const struct render_options *options, struct output *output)
{
    for (size_t i = 0; i < c->listing_count; i++)
        if (c->model_count > 1)
            put_tensor(c, c->listing[i], options, output);
        else
            put_profile(c, c->listing[i], output);
}

struct told {
    const struct comparison *comparison;
    size_t analysis;
};

static void write_told(const void *context, struct writer *w)
{
    const struct told *told = context;

    analyses[told->analysis]->write(told->comparison, told->comparison->states[told->analysis], w);
}

static void write_gate(const void *context, struct writer *w)
{
    gate_result_write(context, w);
}

static void put_gate(const struct comparison *c, const struct render_options *options, struct output *output)
{
    if (!c->gate)
        return;
    output_text(output, "\n");
    lines_put(lines_layout_of("gate"), &(struct lines_source){write_gate, c->gate}, options, output);
}

/* before: what stands before each. */
static void put_analyses(const struct comparison *c, const char *before, const struct render_options *options,
                         struct output *output)
{
    for (size_t i = 0; i < analysis_count; i++) {
        const struct lines_layout *layout = lines_layout_of(analyses[i]->name);
        struct told told = {c, i};

        if (!layout || !(c->request->analyses & (1u << i)))
            continue;
        output_text(output, before);
        lines_put(layout, &(struct lines_source){write_told, &told}, options, output);
    }
}

static void put_warning(struct output *output, const char *message)
{
    output_text(output, "warning: ");
    output_text(output, message);
    output_text(output, "\n");
}

static void put_warnings(const struct comparison *c, struct output *output)
{
    for (size_t i = 0; i < c->warning_count; i++)
        put_warning(output, c->warnings[i].message);
    for (size_t m = 0; m < c->model_count; m++)
        for (size_t i = 0; i < c->models[m]->warning_count; i++)
            put_warning(output, c->models[m]->warnings[i].message);
}

static void put_headline(const struct comparison *c, const struct render_options *options, struct output *output)
{
    static const char *const colors[] = {[VERDICT_IDENTICAL] = "1;32",
                                         [VERDICT_EQUIVALENT] = "1;32",
                                         [VERDICT_CHANGED] = "1;33",
                                         [VERDICT_INCOMPARABLE] = "1;31"};
    char headline[512];

    if (c->model_count == 1) {
        put_name(output, name_of(c->models[0]->uri));
        put(output, ": %zu tensors, %" PRIu64 " parameters, %" PRIu64 " bytes in %zu %s\n", c->models[0]->tensor_count,
            c->models[0]->parameters, c->models[0]->bytes, model_count_files(c->models[0]),
            model_count_files(c->models[0]) == 1 ? "file" : "files");
        return;
    }
    comparison_headline(c, headline, sizeof(headline));
    put_color(output, options, colors[c->verdict]);
    output_text(output, headline);
    put_color(output, options, "0");
    output_text(output, "\n");
}

/* As a checksum program prints it. */
static void put_digest(const struct comparison *c, struct output *output)
{
    char digest[FINGERPRINT_TEXT_BYTES];

    fingerprint_text(c->fingerprint.digest, digest);
    output_text(output, digest);
    output_text(output, "  ");
    put_name(output, name_of(c->models[0]->uri));
    output_text(output, "\n");
}

/* Of a series, what the numbers in matrices and steps stand for. */
static void put_series(const struct comparison *c, struct output *output)
{
    for (size_t m = 0; c->model_count > 2 && m < c->model_count; m++) {
        put(output, "  %zu = ", m);
        put_name(output, name_of(c->models[m]->uri));
        output_text(output, "\n");
    }
}

static void render_text(const struct comparison *c, const struct render_options *options, struct output *output)
{
    if (c->request->options.digest)
        put_digest(c, output);
    if (c->request->options.digest && (options->is_quiet || (!c->request->analyses && !c->gate)))
        return;
    put_headline(c, options, output);
    if (options->is_quiet)
        return;
    put_series(c, output);
    put_warnings(c, output);
    put_tensors(c, options, output);
    if (!options->is_brief)
        put_analyses(c, "\n", options, output);
    put_gate(c, options, output);
}

/* The seed's form: the findings alone. */
static void render_diffai(const struct comparison *c, const struct render_options *options, struct output *output)
{
    if (options->is_quiet)
        return;
    put_tensors(c, options, output);
    if (!options->is_brief)
        put_analyses(c, "", options, output);
}

const struct renderer text_renderer = {"text", "text/plain", render_text};
const struct renderer diffai_text_renderer = {"text", "text/plain", render_diffai};
