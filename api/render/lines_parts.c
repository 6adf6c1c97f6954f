#include "api/render/lines_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/render/table.h"

enum { SERIES_MAX = 4096, GRID_COLUMNS_MAX = 12, PROFILE_COLUMNS_MAX = 64 };

/* A view of one part: what it gathers of the events. */
struct pick {
    struct walk walk; /* first */
    const struct lines_part *part;
    const struct render_options *options;
    struct output *output;
    struct table table;
    char members[TABLE_COLUMNS][FACT_PATH_BYTES]; /* [column] */
    long offsets[TABLE_COLUMNS];
    struct cell cells[TABLE_COLUMNS]; /* of the row under way; their texts lie in buffers */
    char buffers[TABLE_COLUMNS][TABLE_CELL_BYTES];
    int sort;       /* the column, or −1 */
    unsigned at;    /* depth inside the row under way; 0: none */
    double *series; /* [column × SERIES_MAX] */
    size_t lengths[TABLE_COLUMNS];
    struct {
        char stem[TABLE_CELL_BYTES];
        uint64_t first, last, count; /* names that end in a number, one after the other */
        bool is_numbered;
    } run;
    uint64_t names, runs; /* LINES_NAMES: put so far */
};

static void clear_row(struct pick *pick)
{
    for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
        pick->cells[i] = (struct cell){.kind = VALUE_NULL};
        pick->buffers[i][0] = '\0';
    }
}

static void set_cell(struct pick *pick, unsigned column, enum value_kind kind, double number, const char *text)
{
    pick->cells[column].kind = kind;
    pick->cells[column].number = number;
    pick->cells[column].text = pick->buffers[column];
    lines_append(pick->buffers[column], TABLE_CELL_BYTES, text);
}

/* A row that does not know what the rows are sorted by is none of this table's. */
static void add_row(struct pick *pick)
{
    if (pick->sort < 0 || pick->cells[pick->sort].text)
        table_add(&pick->table, pick->cells, pick->sort >= 0 ? pick->cells[pick->sort].number : 0);
}

/* The columns of a part from the one told on: headings, members and offsets. */
static void read_columns(struct pick *pick, unsigned first)
{
    const char *spec = pick->part->columns;
    char word[FACT_PATH_BYTES + sizeof(pick->table.columns[0].heading)];
    unsigned count = first;

    for (; count < TABLE_COLUMNS && lines_word(&spec, word, sizeof(word)); count++) {
        struct table_column *column = &pick->table.columns[count];
        char *member = strchr(word, '='), *dot, *mark = strpbrk(word, "+-@");

        column->is_bytes = strstr(word, "bytes") || (mark && *mark == '@');
        column->is_change = strstr(word, "delta") != NULL;
        if (mark && *mark != '@')
            pick->offsets[count] = strtol(mark, NULL, 10);
        if (mark)
            *mark = '\0';
        if (member)
            *member++ = '\0';
        dot = member ? NULL : strrchr(word, '.');
        snprintf(column->heading, sizeof(column->heading), "%.47s", dot ? dot + 1 : word);
        lines_blanks(column->heading);
        snprintf(pick->members[count], FACT_PATH_BYTES, "%.95s", member ? member : word);
        if (pick->part->sort && strcmp(pick->members[count], pick->part->sort) == 0)
            pick->sort = (int)count;
    }
    pick->table.column_count = count;
}

/* --- lists of objects --- */

static bool is_list_item(const struct walk *walk)
{
    return walk->depth > 0 && walk->stack[walk->depth - 1].scope == WRITER_ARRAY;
}

static void rows_begin(struct walk *walk, enum writer_scope scope)
{
    struct pick *pick = (struct pick *)walk;

    if (pick->at || scope != WRITER_OBJECT || !is_list_item(walk) || !walk_is_at(walk, pick->part->path))
        return;
    pick->at = walk->depth + 1;
    clear_row(pick);
}

static void rows_end(struct walk *walk, enum writer_scope scope)
{
    struct pick *pick = (struct pick *)walk;
    const char *member;

    if (!pick->at)
        return;
    if (walk->depth + 1 == pick->at) {
        pick->at = 0;
        add_row(pick);
        return;
    }
    member = walk_below(walk, pick->part->path);
    for (unsigned i = 0; scope == WRITER_ARRAY && i < pick->table.column_count; i++)
        if (strcmp(pick->members[i], member) == 0 && pick->buffers[i][0])
            lines_append(pick->buffers[i], TABLE_CELL_BYTES, "]");
}

static void rows_value(struct walk *walk, const struct plain_value *value)
{
    struct pick *pick = (struct pick *)walk;
    const char *member = pick->at ? walk_below(walk, pick->part->path) : NULL;

    for (unsigned i = 0; member && i < pick->table.column_count; i++) {
        size_t bytes = strlen(pick->members[i]);

        if (strncmp(member, pick->members[i], bytes) != 0)
            continue;
        if (member[bytes] == '.' && value->kind != VALUE_NULL) { /* an object in one cell */
            set_cell(pick, i, VALUE_TEXT, 0, pick->buffers[i][0] ? ", " : "");
            lines_append(pick->buffers[i], TABLE_CELL_BYTES, member + bytes + 1);
            lines_append(pick->buffers[i], TABLE_CELL_BYTES, "=");
            lines_append(pick->buffers[i], TABLE_CELL_BYTES, value->text);
        } else if (member[bytes] == '\0' && is_list_item(walk)) {
            set_cell(pick, i, VALUE_TEXT, 0, pick->buffers[i][0] ? "" : "[");
            lines_append_item(pick->buffers[i], TABLE_CELL_BYTES, walk_item(walk), lines_shown(value));
        } else if (member[bytes] == '\0') {
            set_cell(pick, i, value->kind, value->number, lines_shown(value));
        }
    }
}

/* --- a list of lists --- */

static void grid_begin(struct walk *walk, enum writer_scope scope)
{
    struct pick *pick = (struct pick *)walk;
    char label[24];

    if (pick->at || scope != WRITER_ARRAY || !is_list_item(walk) || !walk_is_at(walk, pick->part->path))
        return;
    pick->at = walk->depth + 1;
    clear_row(pick);
    snprintf(label, sizeof(label), "%" PRIu64, pick->table.total);
    set_cell(pick, 0, VALUE_TEXT, 0, label);
}

static void grid_end(struct walk *walk, enum writer_scope scope)
{
    struct pick *pick = (struct pick *)walk;
    uint64_t most = pick->options->is_verbose ? TABLE_COLUMNS - 1 : GRID_COLUMNS_MAX;

    (void)scope;
    if (!pick->at || walk->depth + 1 != pick->at)
        return;
    pick->at = 0;
    if (pick->table.column_count == 0) {
        uint64_t items = walk->stack[walk->depth].items;

        pick->table.column_count = (unsigned)(items < most ? items : most) + 1;
        for (unsigned i = 1; i < pick->table.column_count; i++)
            snprintf(pick->table.columns[i].heading, sizeof(pick->table.columns[i].heading), "%u", i - 1);
    }
    add_row(pick);
}

static void grid_value(struct walk *walk, const struct plain_value *value)
{
    struct pick *pick = (struct pick *)walk;

    if (pick->at && walk_item(walk) + 1 < TABLE_COLUMNS)
        set_cell(pick, (unsigned)walk_item(walk) + 1, value->kind, value->number, lines_shown(value));
}

/* --- lists of figures side by side --- */

static void series_value(struct walk *walk, const struct plain_value *value)
{
    struct pick *pick = (struct pick *)walk;

    for (unsigned i = 0; is_list_item(walk) && i < pick->table.column_count; i++)
        if (walk_is_at(walk, pick->members[i]) && pick->lengths[i] < SERIES_MAX)
            pick->series[i * SERIES_MAX + pick->lengths[i]++] = value->kind == VALUE_NULL ? NAN : value->number;
}

/* Rows are as many as the first list without an offset has items. The last are kept: what comes next depends on them.
 */
static void put_series(struct pick *pick)
{
    size_t rows, first;
    unsigned counted = 1;
    char text[64];

    while (counted + 1 < pick->table.column_count && pick->offsets[counted] != 0)
        counted++;
    rows = pick->lengths[counted];
    first = rows > pick->table.limit + 1 ? rows - pick->table.limit : 0;
    pick->table.limit = rows - first;
    for (size_t row = first; row < rows; row++) {
        clear_row(pick);
        snprintf(text, sizeof(text), "%zu -> %zu", row, row + 1);
        set_cell(pick, 0, VALUE_TEXT, 0, text);
        for (unsigned i = 1; i < pick->table.column_count; i++) {
            long at = (long)row + pick->offsets[i];

            if (at >= 0 && (size_t)at < pick->lengths[i] && isfinite(pick->series[i * SERIES_MAX + (size_t)at]))
                set_cell(pick, i, VALUE_NUMBER, pick->series[i * SERIES_MAX + (size_t)at], ".");
        }
        add_row(pick);
    }
    pick->table.total = rows;
}

/* Bars of eighths, of the largest of the values that share one. */
static void put_profile(struct pick *pick, const char *title)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t count = pick->lengths[0], columns = count < PROFILE_COLUMNS_MAX ? count : PROFILE_COLUMNS_MAX;
    double most = 0;
    char text[64];

    for (size_t i = 0; i < count; i++)
        most = fmax(most, fabs(pick->series[i]));
    if (count < 4 || most == 0)
        return;
    output_text(pick->output, "  ");
    put_colored("1", title, pick->options, pick->output);
    output_text(pick->output, "  ");
    for (size_t column = 0; column < columns; column++) {
        double height = 0;

        for (size_t i = column * count / columns; i < (column + 1) * count / columns; i++)
            height = fmax(height, fabs(pick->series[i]));
        output_text(pick->output, bars[(int)fmin(7, height / most * 8)]);
    }
    snprintf(text, sizeof(text), "  0 to %.4g\n", most);
    output_text(pick->output, text);
}

/* --- a list of names --- */

static void put_numbered(const struct pick *pick, uint64_t number)
{
    char text[24] = "";

    if (pick->run.is_numbered)
        snprintf(text, sizeof(text), "%" PRIu64, number);
    output_text(pick->output, pick->run.stem);
    output_text(pick->output, text);
}

static void put_run(struct pick *pick, const char *title)
{
    char text[32];

    if (pick->run.count == 0 || (pick->runs == LINES_ROWS_MAX && !pick->options->is_verbose))
        return;
    if (pick->runs++ == 0) {
        output_text(pick->output, "  ");
        put_colored("1", title, pick->options, pick->output);
    }
    output_text(pick->output, pick->runs == 1 ? "  " : ", ");
    put_numbered(pick, pick->run.first);
    if (pick->run.count == 2) {
        output_text(pick->output, ", ");
        put_numbered(pick, pick->run.last);
    } else if (pick->run.count > 2) {
        snprintf(text, sizeof(text), "–%" PRIu64, pick->run.last);
        output_text(pick->output, text);
    }
    pick->names += pick->run.count;
    pick->run.count = 0;
}

static void names_value(struct walk *walk, const struct plain_value *value)
{
    struct pick *pick = (struct pick *)walk;
    char title[64];
    size_t stem, bytes;
    uint64_t number = 0;
    bool is_numbered;

    if (!is_list_item(walk) || !walk_is_at(walk, pick->part->path) || value->kind != VALUE_TEXT)
        return;
    pick->table.total++;
    bytes = stem = strlen(value->text);
    while (stem > 0 && bytes - stem < 18 && value->text[stem - 1] >= '0' && value->text[stem - 1] <= '9')
        stem--;
    is_numbered = stem < bytes && stem < TABLE_CELL_BYTES && !(value->text[stem] == '0' && bytes - stem > 1);
    if (is_numbered)
        number = strtoull(value->text + stem, NULL, 10);
    if (pick->run.count && is_numbered && pick->run.is_numbered && number == pick->run.last + 1 &&
        strlen(pick->run.stem) == stem && memcmp(pick->run.stem, value->text, stem) == 0) {
        pick->run.last = number;
        pick->run.count++;
        return;
    }
    snprintf(title, sizeof(title), "%.63s", pick->part->title);
    lines_blanks(title);
    put_run(pick, title);
    if (pick->run.count) /* there is no more room */
        return;
    pick->run.count = 1;
    pick->run.first = pick->run.last = number;
    pick->run.is_numbered = is_numbered;
    snprintf(pick->run.stem, sizeof(pick->run.stem), "%.*s", (int)(is_numbered ? stem : bytes), value->text);
}

static void end_names(struct pick *pick, const char *title)
{
    char more[64];

    put_run(pick, title);
    if (pick->runs == 0)
        return;
    if (pick->names < pick->table.total) {
        snprintf(more, sizeof(more), ", … %" PRIu64 " more", pick->table.total - pick->names);
        output_text(pick->output, more);
    }
    output_text(pick->output, "\n");
}

/* --- added, removed and changed members --- */

/* The sign of the member that a path below the part's lies in, and what follows it: "changed./a" is '~', "/a". */
static const char *diff_member(const char *below, const char **ret_sign)
{
    static const struct {
        const char *name, *sign;
    } kinds[] = {{"added.", "+ "}, {"removed.", "- "}, {"changed.", "~ "}};

    for (size_t i = 0; below && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(below, kinds[i].name, strlen(kinds[i].name)) == 0) {
            *ret_sign = kinds[i].sign;
            return below + strlen(kinds[i].name);
        }
    return NULL;
}

static void start_member(struct pick *pick, const char *sign, const char *name)
{
    char printable[NAME_PRINTABLE_BYTES];

    clear_row(pick);
    set_cell(pick, 0, VALUE_TEXT, 0, sign);
    lines_append(pick->buffers[0], TABLE_CELL_BYTES, name_printable(name_of(name), printable));
    set_cell(pick, 1, VALUE_TEXT, 0, "");
}

/* What parts a value of the member under way from what stands before it. */
static void put_separator(struct pick *pick)
{
    const struct walk *walk = &pick->walk;
    char printable[NAME_PRINTABLE_BYTES];
    uint64_t item = walk->stack[walk->depth - 1].items;

    if (item > 1)
        lines_append(pick->buffers[1], TABLE_CELL_BYTES,
                     walk->depth == pick->at && pick->buffers[0][0] == '~' ? " -> " : ", ");
    if (walk->stack[walk->depth - 1].scope == WRITER_OBJECT) {
        const char *key = walk->path + walk->stack[walk->depth - 1].path_bytes;

        lines_append(pick->buffers[1], TABLE_CELL_BYTES, name_printable(name_of(*key ? key + 1 : key), printable));
        lines_append(pick->buffers[1], TABLE_CELL_BYTES, ": ");
    }
}

static void diff_begin(struct walk *walk, enum writer_scope scope)
{
    struct pick *pick = (struct pick *)walk;
    const char *sign, *name = diff_member(walk_below(walk, pick->part->path), &sign);

    if (!pick->at && name) {
        start_member(pick, sign, name);
        pick->at = walk->depth + 1;
        if (*sign == '~')
            return;
    } else if (pick->at) {
        put_separator(pick);
    } else {
        return;
    }
    lines_append(pick->buffers[1], TABLE_CELL_BYTES, scope == WRITER_ARRAY ? "[" : "{");
}

static void diff_end(struct walk *walk, enum writer_scope scope)
{
    struct pick *pick = (struct pick *)walk;
    bool is_whole = pick->at && walk->depth + 1 == pick->at;

    if (!pick->at)
        return;
    if (!is_whole || pick->buffers[0][0] != '~')
        lines_append(pick->buffers[1], TABLE_CELL_BYTES, scope == WRITER_ARRAY ? "]" : "}");
    if (!is_whole)
        return;
    pick->at = 0;
    add_row(pick);
}

static void diff_value(struct walk *walk, const struct plain_value *value)
{
    struct pick *pick = (struct pick *)walk;
    const char *sign, *name;

    if (pick->at) {
        put_separator(pick);
        lines_append(pick->buffers[1], TABLE_CELL_BYTES, value->kind == VALUE_NULL ? "null" : value->text);
        return;
    }
    name = diff_member(walk_below(walk, pick->part->path), &sign);
    if (!name)
        return;
    start_member(pick, sign, name);
    lines_append(pick->buffers[1], TABLE_CELL_BYTES, value->kind == VALUE_NULL ? "null" : value->text);
    add_row(pick);
}

/* --- two objects side by side --- */

static void set_from_fact(struct pick *pick, unsigned column, const struct fact *fact, bool is_bytes)
{
    char text[32];

    if (!lines_has_content(fact))
        return;
    if (is_bytes) {
        bytes_text(fact->number, false, text);
        set_cell(pick, column, VALUE_TEXT, 0, text);
    } else {
        set_cell(pick, column, VALUE_TEXT, 0, fact->text);
    }
}

static void put_sides(struct pick *pick, const struct facts *facts)
{
    struct table names = pick->table; /* its columns are the rows here */
    char path[3 * FACT_PATH_BYTES];
    const char *sides[2] = {pick->part->path, strchr(pick->part->path, '|')};
    int bytes[2] = {(int)(sides[1] ? (size_t)(sides[1] - sides[0]) : strlen(sides[0])), 0};

    if (sides[1])
        bytes[1] = (int)strlen(++sides[1]);
    pick->table.column_count = sides[1] ? 4 : 2;
    pick->table.is_right = true;
    pick->table.limit = TABLE_COLUMNS;
    for (int side = 0; side < 2; side++)
        snprintf(pick->table.columns[side + 1].heading, sizeof(pick->table.columns[0].heading), "%.*s", bytes[side],
                 sides[side] && sides[1] ? sides[side] : "");
    pick->table.columns[3].heading[0] = '\0';
    for (unsigned i = 0; i < names.column_count; i++) {
        clear_row(pick);
        set_cell(pick, 0, VALUE_TEXT, 0, names.columns[i].heading);
        for (unsigned side = 0; side < 2 && sides[side]; side++) {
            snprintf(path, sizeof(path), "%.*s%s%s", bytes[side], sides[side], bytes[side] ? "." : "",
                     pick->members[i]);
            set_from_fact(pick, side + 1, lines_find(facts, path), names.columns[i].is_bytes);
        }
        if (sides[1] && strcmp(pick->buffers[1], pick->buffers[2]) != 0)
            set_cell(pick, 3, VALUE_TEXT, 0, "≠");
        if (pick->cells[1].text || pick->cells[2].text)
            add_row(pick);
    }
}

static void set_out(struct pick *pick)
{
    struct walk *walk = &pick->walk;

    walk_init(walk);
    pick->sort = -1;
    pick->table.limit = pick->options->is_verbose ? LINES_ROWS_VERBOSE : LINES_ROWS_MAX;
    pick->table.is_sorted = pick->part->sort != NULL;
    pick->table.has_zeros = pick->options->is_verbose;
    switch (pick->part->kind) {
    case LINES_ROWS:
        read_columns(pick, 0);
        walk->begin = rows_begin;
        walk->end = rows_end;
        walk->value = rows_value;
        break;
    case LINES_SERIES:
        read_columns(pick, 1);
        walk->value = series_value;
        break;
    case LINES_PROFILE:
        snprintf(pick->members[0], FACT_PATH_BYTES, "%.95s", pick->part->path);
        pick->table.column_count = 1;
        walk->value = series_value;
        break;
    case LINES_GRID:
        pick->table.is_grid = true;
        pick->table.limit = pick->options->is_verbose ? LINES_ROWS_VERBOSE : GRID_COLUMNS_MAX;
        walk->begin = grid_begin;
        walk->end = grid_end;
        walk->value = grid_value;
        break;
    case LINES_NAMES:
        walk->value = names_value;
        break;
    case LINES_DIFF:
        pick->table.column_count = 2;
        walk->begin = diff_begin;
        walk->end = diff_end;
        walk->value = diff_value;
        break;
    case LINES_SIDES:
        read_columns(pick, 0);
        break;
    case LINES_END:
        break;
    }
}

static void put_picked(struct pick *pick, const struct facts *facts)
{
    char title[64];

    snprintf(title, sizeof(title), "%.63s", pick->part->title);
    lines_blanks(title);
    if (pick->part->kind == LINES_NAMES)
        end_names(pick, title);
    else if (pick->part->kind == LINES_PROFILE)
        put_profile(pick, title);
    else if (pick->part->kind == LINES_SERIES)
        put_series(pick);
    else if (pick->part->kind == LINES_SIDES)
        put_sides(pick, facts);
    if (pick->part->kind != LINES_NAMES && pick->part->kind != LINES_PROFILE)
        table_put(&pick->table, title, pick->options, pick->output);
}

void lines_part_put(const struct lines_part *part, const struct facts *facts, const struct lines_source *source,
                    const struct render_options *options, struct output *output)
{
    bool has_series = part->kind == LINES_SERIES || part->kind == LINES_PROFILE;
    struct pick *pick = calloc(1, sizeof(*pick));

    if (pick && has_series)
        pick->series = calloc(TABLE_COLUMNS * SERIES_MAX, sizeof(*pick->series));
    if (!pick || (has_series && !pick->series)) {
        output->error = output->error ? output->error : ENOMEM;
        free(pick);
        return;
    }
    pick->part = part;
    pick->options = options;
    pick->output = output;
    set_out(pick);
    if (part->kind != LINES_SIDES) {
        write_begin_object(&pick->walk.writer);
        source->write(source->context, &pick->walk.writer);
        write_end(&pick->walk.writer);
    }
    put_picked(pick, facts);
    table_done(&pick->table);
    free(pick->series);
    free(pick);
}
