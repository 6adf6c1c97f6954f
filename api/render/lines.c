#include "api/render/lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { INLINE_VALUES_MAX = 8 };

void lines_number(double value, char out[32])
{
    snprintf(out, 32, "%.6g", value == 0 ? 0 : value);
}

static struct lines_writer *lines_of(struct writer *w)
{
    return (struct lines_writer *)w;
}

static bool is_skipping(const struct lines_writer *lines)
{
    return lines->skipped_depth > 0;
}

/* The keys of the objects around a member, from its row or the title on, then its own: "bits_per_weight.baseline". */
static void put_path(struct lines_writer *lines, unsigned depth, const char *key)
{
    unsigned from = depth;

    while (from > 1 && lines->stack[from - 1].scope == WRITER_OBJECT && lines->stack[from - 2].scope == WRITER_OBJECT)
        from--;
    for (unsigned d = from; d < depth; d++) {
        output_text(lines->output, lines->stack[d].key);
        output_text(lines->output, ".");
    }
    output_text(lines->output, key);
    output_text(lines->output, "=");
}

static void begin_line(struct lines_writer *lines, unsigned indent)
{
    output_text(lines->output, "\n");
    for (unsigned i = 0; i < indent; i++)
        output_text(lines->output, "  ");
    lines->is_line_begun = true;
    lines->has_members = false;
}

static unsigned rows_around(const struct lines_writer *lines)
{
    unsigned rows = 0;

    for (unsigned d = 0; d < lines->depth; d++)
        rows += lines->stack[d].has_rows;
    return rows;
}

/* Puts what stands before a plain value (a comma, its path, its list's bracket); tells whether the value is shown. */
static bool before_value(struct lines_writer *lines)
{
    uint64_t item;

    if (is_skipping(lines))
        return false;
    if (lines->stack[lines->depth - 1].scope == WRITER_ARRAY) {
        item = lines->stack[lines->depth - 1].items++;
        if (item > 0) {
            if (item <= INLINE_VALUES_MAX)
                output_text(lines->output, item < INLINE_VALUES_MAX ? ", " : ", …");
            return item < INLINE_VALUES_MAX;
        }
    }
    if (!lines->is_line_begun)
        begin_line(lines, 1 + 2 * rows_around(lines));
    if (lines->has_members)
        output_text(lines->output, ", ");
    lines->has_members = true;
    if (lines->stack[lines->depth - 1].scope == WRITER_ARRAY) {
        put_path(lines, lines->depth - 1, lines->stack[lines->depth - 1].key);
        output_text(lines->output, "[");
    } else {
        put_path(lines, lines->depth, lines->key);
    }
    return true;
}

static void begin_row(struct lines_writer *lines)
{
    unsigned array = lines->depth - 1;
    uint64_t row = lines->stack[array].items++;

    if (lines->rows_max && row >= lines->rows_max) {
        lines->skipped_depth = 1;
        return;
    }
    if (row == 0) {
        begin_line(lines, 1 + 2 * rows_around(lines));
        output_text(lines->output, lines->stack[array].key);
        output_text(lines->output, ":");
        lines->stack[array].has_rows = true;
    }
    begin_line(lines, 2 * rows_around(lines));
}

static void lines_begin(struct writer *w, enum writer_scope scope)
{
    struct lines_writer *lines = lines_of(w);

    if (!is_skipping(lines) && lines->depth > 0 && lines->stack[lines->depth - 1].scope == WRITER_ARRAY)
        begin_row(lines);
    else if (is_skipping(lines))
        lines->skipped_depth++;
    if (is_skipping(lines) || lines->depth == LINES_DEPTH)
        return;
    lines->stack[lines->depth].scope = scope;
    lines->stack[lines->depth].items = 0;
    lines->stack[lines->depth].has_rows = false;
    memcpy(lines->stack[lines->depth].key, lines->key, sizeof(lines->key));
    lines->depth++;
}

static void lines_end(struct writer *w)
{
    struct lines_writer *lines = lines_of(w);
    char more[64];

    if (is_skipping(lines)) {
        lines->skipped_depth--;
        return;
    }
    lines->depth--;
    if (lines->depth == 0)
        output_text(lines->output, "\n");
    if (lines->stack[lines->depth].scope != WRITER_ARRAY || lines->stack[lines->depth].items == 0)
        return;
    if (!lines->stack[lines->depth].has_rows) {
        output_text(lines->output, "]");
        return;
    }
    if (lines->rows_max && lines->stack[lines->depth].items > lines->rows_max) {
        begin_line(lines, 2 * rows_around(lines) + 2);
        snprintf(more, sizeof(more), "… %" PRIu64 " more", lines->stack[lines->depth].items - lines->rows_max);
        output_text(lines->output, more);
    }
    lines->is_line_begun = false;
}

static void lines_key(struct writer *w, const char *key, size_t bytes)
{
    struct lines_writer *lines = lines_of(w);

    if (!is_skipping(lines))
        snprintf(lines->key, sizeof(lines->key), "%.*s", (int)bytes, key);
}

static void lines_f64(struct writer *w, double value)
{
    char text[32];

    lines_number(value, text);
    if (before_value(lines_of(w)))
        output_text(lines_of(w)->output, text);
}

static void lines_u64(struct writer *w, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    if (before_value(lines_of(w)))
        output_text(lines_of(w)->output, text);
}

static void lines_i64(struct writer *w, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    if (before_value(lines_of(w)))
        output_text(lines_of(w)->output, text);
}

static void lines_text(struct writer *w, const char *text, size_t bytes)
{
    char printable[NAME_PRINTABLE_BYTES];

    if (before_value(lines_of(w)))
        output_text(lines_of(w)->output, name_printable((struct name){text, (uint32_t)bytes}, printable));
}

static void lines_flag(struct writer *w, bool value)
{
    if (before_value(lines_of(w)))
        output_text(lines_of(w)->output, value ? "yes" : "no");
}

static void lines_null(struct writer *w, const char *reason)
{
    if (!before_value(lines_of(w)))
        return;
    output_text(lines_of(w)->output, "n/a");
    if (reason && rows_around(lines_of(w)) == 0) {
        output_text(lines_of(w)->output, " (");
        output_text(lines_of(w)->output, reason);
        output_text(lines_of(w)->output, ")");
    }
}

static const struct writer_ops lines_ops = {lines_begin, lines_end,  lines_key,  lines_f64, lines_u64,
                                            lines_i64,   lines_text, lines_flag, lines_null};

void lines_writer_init(struct lines_writer *lines, struct output *output, const char *title, uint64_t rows_max)
{
    memset(lines, 0, sizeof(*lines));
    lines->writer.ops = &lines_ops;
    lines->output = output;
    lines->rows_max = rows_max;
    lines->is_line_begun = true;
    output_text(output, title);
    output_text(output, ": ");
}
