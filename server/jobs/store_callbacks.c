/* Callbacks on SQLite. That a job's end makes its callback due is a trigger's work: there are many ways to end. */
#include "server/jobs/store_sqlite.h"

#include <stdlib.h>

int sqlite_callbacks_due(struct job_store *base, struct callback_due *ret, size_t limit, size_t *ret_count,
                         struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct reader *reader;
    sqlite3_stmt *rows;
    bool has_failed = false;
    size_t count = 0;
    int rc, step = SQLITE_DONE;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    rows = connection_statement(&reader->connection, SQL_CALLBACKS_DUE, err);
    if (!rows)
        rc = ERROR_BUSY;
    if (!rc)
        sqlite3_bind_int64(rows, 1, (int64_t)limit);
    while (!rc && count < limit && (step = sqlite3_step(rows)) == SQLITE_ROW) {
        struct callback_due *due = &ret[count++];

        column_text(rows, 0, due->job, sizeof(due->job));
        due->url = column_copy(rows, 1, &has_failed);
        due->attempts = (unsigned)sqlite3_column_int(rows, 2);
        due->next_ms = sqlite3_column_int64(rows, 3);
    }
    if (!rc && step != SQLITE_ROW && step != SQLITE_DONE)
        rc = connection_error(&reader->connection, err);
    if (!rc && has_failed)
        rc = error_set(err, ERROR_NO_MEMORY, "no memory for callbacks");
    sqlite_reader_put(store, reader);
    for (size_t i = 0; rc && i < count; i++)
        free(ret[i].url);
    if (!rc)
        *ret_count = count;
    return rc;
}

struct note_op {
    struct commit_op op;
    const char *id;
    const struct callback_outcome *outcome;
};

static int note_run(struct commit_op *op, struct connection *c, uint64_t queued, struct error *err)
{
    struct note_op *note = (struct note_op *)op;
    sqlite3_stmt *statement = connection_statement(c, SQL_CALLBACK_NOTE, err);
    int rc;

    (void)queued;
    if (!statement)
        return ERROR_BUSY;
    bind_text(statement, 1, note->id);
    sqlite3_bind_int(statement, 2, (int)note->outcome->state);
    sqlite3_bind_int64(statement, 3, note->outcome->attempts);
    sqlite3_bind_int(statement, 4, note->outcome->last_status);
    sqlite3_bind_int64(statement, 5, note->outcome->next_ms);
    rc = connection_run(c, statement, err);
    if (!rc && sqlite3_changes(c->db) == 0)
        rc = error_set(err, ERROR_NOT_FOUND, "no such job");
    return rc;
}

int sqlite_callback_note(struct job_store *base, const char *id, const struct callback_outcome *outcome,
                         struct error *err)
{
    struct note_op note = {.op = {.run = note_run}, .id = id, .outcome = outcome};

    return committer_run(&sqlite_store_of(base)->committer, &note.op, err);
}
