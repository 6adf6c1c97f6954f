/* Rows under headings, names left and figures right, for a person. Rows are kept until the table is put, so that
 * columns align: no more than were asked for. */
#ifndef API_RENDER_TABLE_H
#define API_RENDER_TABLE_H

#include "api/render/render.h"
#include "api/render/walk.h"

enum { TABLE_COLUMNS = 66, TABLE_CELL_BYTES = 512 };

struct cell {
    enum value_kind kind;
    double number;
    char *text; /* owned; NULL: nothing stands there */
};

struct table_row {
    struct cell *cells; /* [columns] */
    double key;
    uint64_t order;
};

struct table_column {
    char heading[48];
    bool is_bytes, is_change; /* a change has its sign, plus too */
};

struct table {
    struct table_column columns[TABLE_COLUMNS];
    unsigned column_count;
    bool is_sorted; /* by |key|, the largest first; else as the rows came */
    bool has_zeros; /* rows with a key of 0 or NAN too; else a sorted table only counts them */
    bool is_grid;   /* all columns are shown, with as many decimals in each */
    bool is_right;  /* texts too, but for the first column's */
    size_t limit;   /* rows kept */
    struct table_row *rows;
    size_t count, capacity;
    uint64_t total; /* rows offered */
    int error;      /* errno: out of memory */
};

/* Copies the cells' texts. */
void table_add(struct table *table, const struct cell *cells, double key);

/* Puts title and headings, the rows, and how many were left out. Columns that hold nothing or only zeros are left out;
 * a table without rows is not put. */
void table_put(struct table *table, const char *title, const struct render_options *options, struct output *output);
void table_done(struct table *table);

/* "16.66 kB": powers of 1000, four digits; "+192 B" of a change. */
void bytes_text(double bytes, bool is_change, char out[32]);

/* Text in the colour that its meaning has (an error's, a warning's), where there are colours. */
void put_word(const char *text, const struct render_options *options, struct output *output);
void put_colored(const char *color, const char *text, const struct render_options *options, struct output *output);

#endif
