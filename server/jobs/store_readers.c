/* A small pool of read-only connections, which WAL never lets wait for a writer. */
#include "server/jobs/store_sqlite.h"

#include <stdlib.h>

#include "server/must.h"

int sqlite_reader_take(struct sqlite_store *store, struct reader **ret, struct error *err)
{
    struct reader *reader;
    int rc;

    must(pthread_mutex_lock(&store->lock));
    reader = store->readers;
    if (reader) {
        store->readers = reader->next;
        store->reader_count--;
    }
    must(pthread_mutex_unlock(&store->lock));
    if (!reader) {
        reader = calloc(1, sizeof(*reader));
        if (!reader)
            return error_set(err, ERROR_NO_MEMORY, "no memory for the job store");
        rc = connection_open(store->path, false, sqlite_texts, SQL_COUNT, &reader->connection, err);
        if (rc) {
            free(reader);
            return rc;
        }
    }
    *ret = reader;
    return 0;
}

static void reader_free(struct reader *reader)
{
    connection_close(&reader->connection);
    free(reader);
}

void sqlite_reader_put(struct sqlite_store *store, struct reader *reader)
{
    bool is_kept;

    /* A statement left in the middle of its rows would pin the WAL. */
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_reset(reader->connection.statements[i]);
    must(pthread_mutex_lock(&store->lock));
    is_kept = store->reader_count < READERS_MAX;
    if (is_kept) {
        reader->next = store->readers;
        store->readers = reader;
        store->reader_count++;
    }
    must(pthread_mutex_unlock(&store->lock));
    if (!is_kept)
        reader_free(reader);
}

int sqlite_reader_row(struct sqlite_store *store, enum statement statement, const char *id, const char *missing,
                      struct reader **ret_reader, sqlite3_stmt **ret_row, struct error *err)
{
    struct reader *reader;
    sqlite3_stmt *row;
    int rc, step;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    row = connection_statement(&reader->connection, statement, err);
    if (!row) {
        sqlite_reader_put(store, reader);
        return ERROR_BUSY;
    }
    bind_text(row, 1, id);
    step = sqlite3_step(row);
    if (step != SQLITE_ROW) {
        rc = step == SQLITE_DONE ? error_set(err, ERROR_NOT_FOUND, "%s", missing)
                                 : connection_error(&reader->connection, err);
        sqlite_reader_put(store, reader);
        return rc;
    }
    *ret_reader = reader;
    *ret_row = row;
    return 0;
}

void sqlite_readers_close(struct sqlite_store *store)
{
    while (store->readers) {
        struct reader *reader = store->readers;

        store->readers = reader->next;
        reader_free(reader);
    }
}
