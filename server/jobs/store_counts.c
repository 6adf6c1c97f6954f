/* Jobs and uploads counted, for metrics. Reads an index of what is there rather than keeping sums that could drift. */
#include "server/jobs/store_sqlite.h"

static int read_states(struct connection *c, struct store_counts *counts, struct error *err)
{
    sqlite3_stmt *rows = connection_statement(c, SQL_COUNT_JOBS, err);
    int step;

    if (!rows)
        return ERROR_BUSY;
    while ((step = sqlite3_step(rows)) == SQLITE_ROW) {
        int state = sqlite3_column_int(rows, 0);

        if (state >= 0 && state < JOB_STATE_COUNT)
            counts->jobs[state] = (uint64_t)sqlite3_column_int64(rows, 1);
    }
    return step == SQLITE_DONE ? 0 : connection_error(c, err);
}

static int read_rest(struct connection *c, struct store_counts *counts, struct error *err)
{
    sqlite3_stmt *row = connection_statement(c, SQL_COUNT_REST, err);

    if (!row)
        return ERROR_BUSY;
    if (sqlite3_step(row) != SQLITE_ROW)
        return connection_error(c, err);
    counts->oldest_queued_ms = sqlite3_column_int64(row, 0);
    counts->uploads = (uint64_t)sqlite3_column_int64(row, 1);
    return 0;
}

int sqlite_count(struct job_store *base, struct store_counts *ret, struct error *err)
{
    struct sqlite_store *store = sqlite_store_of(base);
    struct store_counts counts = {0};
    struct reader *reader;
    int rc;

    rc = sqlite_reader_take(store, &reader, err);
    if (rc)
        return rc;
    rc = read_states(&reader->connection, &counts, err);
    if (!rc)
        rc = read_rest(&reader->connection, &counts, err);
    sqlite_reader_put(store, reader);
    if (!rc)
        *ret = counts;
    return rc;
}
