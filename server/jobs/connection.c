#include "server/jobs/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_MS = 5000 }; /* somebody's sqlite3 shell or a backup may hold the lock for a moment */

int connection_open(const char *path, bool is_writer, const char *const *texts, size_t count, struct connection *ret,
                    struct error *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | (is_writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    struct connection connection = {.texts = texts, .count = count};
    int rc;

    connection.statements = calloc(count, sizeof(*connection.statements));
    if (!connection.statements)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the job store");
    if (sqlite3_open_v2(path, &connection.db, flags, NULL) != SQLITE_OK) {
        rc = connection_error(&connection, err);
        connection_close(&connection);
        return rc;
    }
    sqlite3_extended_result_codes(connection.db, 1);
    sqlite3_busy_timeout(connection.db, BUSY_MS);
    /* The service writes nowhere but below its state directory, and SQLite would in /var/tmp. */
    sqlite3_exec(connection.db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
    *ret = connection;
    return 0;
}

void connection_close(struct connection *connection)
{
    for (size_t i = 0; connection->statements && i < connection->count; i++)
        sqlite3_finalize(connection->statements[i]);
    free(connection->statements);
    sqlite3_close(connection->db);
    *connection = (struct connection){0};
}

sqlite3_stmt *connection_statement(struct connection *connection, size_t index, struct error *err)
{
    sqlite3_stmt **statement = &connection->statements[index];

    if (!*statement && sqlite3_prepare_v3(connection->db, connection->texts[index], -1, SQLITE_PREPARE_PERSISTENT,
                                          statement, NULL) != SQLITE_OK) {
        connection_error(connection, err);
        return NULL;
    }
    sqlite3_reset(*statement);
    sqlite3_clear_bindings(*statement);
    return *statement;
}

int connection_run(struct connection *connection, sqlite3_stmt *statement, struct error *err)
{
    int rc = 0;

    if (sqlite3_step(statement) != SQLITE_DONE)
        rc = connection_error(connection, err);
    sqlite3_reset(statement);
    return rc;
}

bool connection_is_out_of_space(struct connection *connection)
{
    int code = sqlite3_errcode(connection->db);

    if ((code & 0xff) == SQLITE_FULL)
        return true;
    return ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN) &&
           (sqlite3_system_errno(connection->db) == ENOSPC || sqlite3_system_errno(connection->db) == EDQUOT);
}

int connection_error(struct connection *connection, struct error *err)
{
    int code = sqlite3_errcode(connection->db);

    if (connection_is_out_of_space(connection))
        return error_set(err, ERROR_NO_SPACE, "the disk of the state directory is full");
    if ((code & 0xff) == SQLITE_NOMEM)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the job store");
    return error_set(err, ERROR_BUSY, "the job store failed: %s (%d)", sqlite3_errstr(code), code);
}

void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text)
        sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, index);
}

void column_text(sqlite3_stmt *statement, int index, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(statement, index);

    snprintf(out, size, "%s", text ? (const char *)text : "");
}

char *column_copy(sqlite3_stmt *statement, int index, bool *ret_failed)
{
    const void *text = sqlite3_column_text(statement, index);
    size_t bytes = (size_t)sqlite3_column_bytes(statement, index);
    char *copy;

    if (!text)
        return NULL;
    copy = malloc(bytes + 1);
    if (!copy) {
        *ret_failed = true;
        return NULL;
    }
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}
