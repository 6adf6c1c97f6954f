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

void sqlite_readers_close(struct sqlite_store *store)
{
    while (store->readers) {
        struct reader *reader = store->readers;

        store->readers = reader->next;
        reader_free(reader);
    }
}
