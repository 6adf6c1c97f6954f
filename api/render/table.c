#include "api/render/table.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT = 4, GAP = 2, DIGITS = 6, DIGITS_MIN = 3 };

void bytes_text(double bytes, bool is_change, char out[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;

    while (fabs(bytes) >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, 32, unit ? "%s%#.4g %s" : "%s%.0f %s", is_change && bytes > 0 ? "+" : "", bytes, units[unit]);
}

void put_colored(const char *color, const char *text, const struct render_options *options, struct output *output)
{
    if (!options->is_color) {
        output_text(output, text);
        return;
    }
    output_text(output, "\033[");
    output_text(output, color);
    output_text(output, "m");
    output_text(output, text);
    output_text(output, "\033[0m");
}

void put_word(const char *text, const struct render_options *options, struct output *output)
{
    static const struct {
        const char *word, *color;
    } words[] = {
        {"critical", "1;31"}, {"error", "31"},      {"high", "31"},        {"severe", "31"},       {"diverging", "31"},
        {"exploding", "31"},  {"vanishing", "31"},  {"warning", "33"},     {"moderate", "33"},     {"≠", "33"},
        {"medium", "33"},     {"plateaued", "33"},  {"oscillating", "33"}, {"undetermined", "33"}, {"minimal", "32"},
        {"converged", "32"},  {"converging", "32"},
    };

    for (size_t i = 0; options->is_color && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(text, words[i].word) == 0) {
            put_colored(words[i].color, text, options, output);
            return;
        }
    output_text(output, text);
}

static void free_row(struct table *table, struct table_row *row)
{
    for (unsigned i = 0; row->cells && i < table->column_count; i++)
        free(row->cells[i].text);
    free(row->cells);
}

static int compare_rows(const void *left, const void *right)
{
    const struct table_row *a = left, *b = right;

    if (a->key < b->key || a->key > b->key)
        return a->key > b->key ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* Keeps the first of the order, no more than the limit. */
static void settle(struct table *table)
{
    if (table->is_sorted && table->count > 1)
        qsort(table->rows, table->count, sizeof(*table->rows), compare_rows);
    while (table->count > table->limit)
        free_row(table, &table->rows[--table->count]);
}

static bool reserve(struct table *table)
{
    size_t wanted = table->capacity ? table->capacity * 2 : 32;
    struct table_row *grown;

    if (table->count < table->capacity)
        return true;
    grown = reallocarray(table->rows, wanted, sizeof(*grown));
    if (!grown) {
        table->error = ENOMEM;
        return false;
    }
    table->rows = grown;
    table->capacity = wanted;
    return true;
}

void table_add(struct table *table, const struct cell *cells, double key)
{
    struct table_row row = {.key = isnan(key) ? 0 : fabs(key), .order = table->total++};

    if (table->error || (table->is_sorted ? row.key == 0 && !table->has_zeros : table->count >= table->limit))
        return;
    if (table->count >= 2 * table->limit)
        settle(table);
    if (!reserve(table))
        return;
    row.cells = calloc(table->column_count, sizeof(*row.cells));
    for (unsigned i = 0; row.cells && i < table->column_count; i++) {
        row.cells[i].kind = cells[i].kind;
        row.cells[i].number = cells[i].number;
        if (!cells[i].text)
            continue;
        row.cells[i].text = strdup(cells[i].text);
        if (!row.cells[i].text)
            table->error = ENOMEM;
    }
    if (!row.cells)
        table->error = ENOMEM;
    if (table->error)
        free_row(table, &row);
    else
        table->rows[table->count++] = row;
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free_row(table, &table->rows[i]);
    free(table->rows);
    table->rows = NULL;
    table->count = 0;
}

/* How a column is put. */
struct manner {
    bool is_shown, is_right;
    int decimals; /* of its numbers; −1: each with four digits of its own */
    size_t width;
};

static size_t columns_of(const char *text)
{
    size_t columns = 0;

    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

/* Digits behind the point that the number has, up to those that are to be had: 0.25 has two, 0.9999999 all of them. */
static int decimals_needed(double number, int decimals)
{
    enum { EXACT = 12 };
    char text[64];
    size_t bytes = (size_t)snprintf(text, sizeof(text), "%.*f", EXACT, number);
    int needed = EXACT;

    while (needed > 0 && text[--bytes] == '0')
        needed--;
    return needed < decimals ? needed : decimals;
}

/* Exactly 1, or another small whole number: put as such, so that 0.9999999 is told from it. */
static bool is_whole(double number)
{
    return fabs(number) < 10 && number == trunc(number);
}

static const struct cell *number_at(const struct table *table, size_t row, unsigned column)
{
    const struct cell *cell = &table->rows[row].cells[column];

    return cell->text && cell->kind == VALUE_NUMBER && !is_whole(cell->number) ? cell : NULL;
}

/* Of the columns [first, last]: six digits for the largest number, when that leaves three for the smallest, without
 * zeros that end all of them. */
static int decimals_of(const struct table *table, unsigned first, unsigned last)
{
    double most = 0, least = HUGE_VAL;
    int decimals, needed = 0;

    for (size_t r = 0; r < table->count; r++)
        for (unsigned column = first; column <= last; column++) {
            const struct cell *cell = number_at(table, r, column);

            most = cell ? fmax(most, fabs(cell->number)) : most;
            least = cell ? fmin(least, fabs(cell->number)) : least;
        }
    if (most == 0)
        return 0;
    decimals = DIGITS - (most < 1 ? 0 : 1 + (int)floor(log10(most)));
    if (decimals < 0 || least < pow(10, DIGITS_MIN - 1 - decimals))
        return -1;
    for (size_t r = 0; r < table->count; r++)
        for (unsigned column = first; column <= last; column++) {
            const struct cell *cell = number_at(table, r, column);
            int wanted = cell ? decimals_needed(cell->number, decimals) : 0;

            needed = wanted > needed ? wanted : needed;
        }
    return needed;
}

static const char *cell_text(const struct table *table, const struct manner *manner, const struct table_row *row,
                             unsigned column, char buffer[64])
{
    const struct cell *cell = &row->cells[column];

    if (!cell->text)
        return "";
    switch (cell->kind) {
    case VALUE_NULL:
        return "–";
    case VALUE_COUNT:
        if (!table->columns[column].is_bytes)
            return cell->text;
        bytes_text(cell->number, table->columns[column].is_change, buffer);
        return buffer;
    case VALUE_NUMBER:
        if (manner->decimals < 0 || is_whole(cell->number))
            snprintf(buffer, 64, "%.4g", cell->number == 0 ? 0 : cell->number);
        else
            snprintf(buffer, 64, "%.*f", manner->decimals, cell->number);
        return buffer;
    case VALUE_TEXT:
    case VALUE_FLAG:
        break;
    }
    return cell->text;
}

static struct manner manner_of(const struct table *table, unsigned column, const char *heading)
{
    struct manner manner = {.is_right = true, .width = columns_of(heading)};
    char buffer[64];

    for (size_t r = 0; r < table->count; r++) {
        const struct cell *cell = &table->rows[r].cells[column];

        if (!cell->text || cell->kind == VALUE_NULL)
            continue;
        manner.is_shown |= table->is_grid || cell->kind == VALUE_TEXT || cell->number != 0;
        manner.is_right &= cell->kind != VALUE_TEXT && cell->kind != VALUE_FLAG;
    }
    manner.is_right |= table->is_right;
    if (column == 0) {
        manner.is_shown = true;
        manner.is_right = false;
        manner.width = manner.width > INDENT - GAP ? manner.width - (INDENT - GAP) : 0; /* the title is set out */
    }
    manner.decimals =
        table->is_grid ? decimals_of(table, 1, table->column_count - 1) : decimals_of(table, column, column);
    for (size_t r = 0; r < table->count; r++) {
        size_t width = columns_of(cell_text(table, &manner, &table->rows[r], column, buffer));

        if (width > manner.width)
            manner.width = width;
    }
    return manner;
}

static void put_blanks(struct output *output, size_t count)
{
    for (; count > 0; count--)
        output_text(output, " ");
}

/* blanks: owed to the left of it, so that no line ends with some. */
static size_t put_cell(const char *text, const struct manner *manner, size_t blanks,
                       const struct render_options *options, struct output *output)
{
    size_t columns = columns_of(text), rest = manner->width > columns ? manner->width - columns : 0;

    if (columns == 0)
        return blanks + rest;
    put_blanks(output, blanks + (manner->is_right ? rest : 0));
    put_word(text, options, output);
    return manner->is_right ? 0 : rest;
}

static void put_headings(const struct table *table, const char *title, const struct manner *manners,
                         const struct render_options *options, struct output *output)
{
    struct render_options plain = {.is_color = false};
    size_t blanks, columns = columns_of(title);

    put_blanks(output, GAP);
    put_colored("1", title, options, output);
    blanks = manners[0].width + (INDENT - GAP) - columns;
    if (options->is_color)
        output_text(output, "\033[2m");
    for (unsigned i = 1; i < table->column_count; i++)
        if (manners[i].is_shown)
            blanks = put_cell(table->columns[i].heading, &manners[i], blanks + GAP, &plain, output);
    if (options->is_color)
        output_text(output, "\033[0m");
    output_text(output, "\n");
}

void table_put(struct table *table, const char *title, const struct render_options *options, struct output *output)
{
    struct manner manners[TABLE_COLUMNS];
    char buffer[64], more[96];

    if (table->error)
        output->error = output->error ? output->error : table->error;
    settle(table);
    if (table->count == 0 || table->error)
        return;
    for (unsigned i = 0; i < table->column_count; i++)
        manners[i] = manner_of(table, i, i ? table->columns[i].heading : title);
    put_headings(table, title, manners, options, output);
    for (size_t r = 0; r < table->count; r++) {
        size_t blanks = INDENT;

        for (unsigned i = 0; i < table->column_count; i++)
            if (manners[i].is_shown)
                blanks = (i + 1 < table->column_count ? (size_t)GAP : 0) +
                         put_cell(cell_text(table, &manners[i], &table->rows[r], i, buffer), &manners[i], blanks,
                                  options, output);
        output_text(output, "\n");
    }
    if (table->total == table->count)
        return;
    snprintf(more, sizeof(more), "    … %" PRIu64 " more%s\n", table->total - table->count,
             options->is_verbose ? "" : " (--verbose shows all)");
    put_colored("2", more, options, output);
}
