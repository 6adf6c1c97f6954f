/* One SQLite connection with its prepared statements; used by one thread at a time. */
#ifndef SERVER_JOBS_CONNECTION_H
#define SERVER_JOBS_CONNECTION_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

struct connection {
    sqlite3 *db;
    const char *const *texts; /* statement texts, by index; borrowed */
    sqlite3_stmt **statements;
    size_t count;
};

int connection_open(const char *path, bool is_writer, const char *const *texts, size_t count, struct connection *ret,
                    struct error *err);
void connection_close(struct connection *connection); /* zeroed or half-open is fine */

/* The statement, reset and without bindings; NULL with err set when it cannot be prepared. */
sqlite3_stmt *connection_statement(struct connection *connection, size_t index, struct error *err);

/* For a statement that returns no rows: 0 or the error. */
int connection_run(struct connection *connection, sqlite3_stmt *statement, struct error *err);

/* What SQLite just said, as our error: ERROR_NO_SPACE when the disk is full, else ERROR_BUSY. Never shows SQL. */
int connection_error(struct connection *connection, struct error *err);
bool connection_is_out_of_space(struct connection *connection);

/* Binds borrowed text; NULL binds NULL. */
void bind_text(sqlite3_stmt *statement, int index, const char *text);
/* The column's text, cut to fit; "" for NULL and when memory is out. */
void column_text(sqlite3_stmt *statement, int index, char *out, size_t size);
/* malloc'ed copy; NULL for NULL and when memory is out (*ret_failed then). */
char *column_copy(sqlite3_stmt *statement, int index, bool *ret_failed);

#endif
