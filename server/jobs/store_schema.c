/* The tables and every statement on them. A job's seq orders the queue and the pages; its token counts its claims. Rows
 * of job_upload exist while a job is alive, so that their presence is what "in use" means. */
#include "server/jobs/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/clock.h"

#define SPELLED(number)    SPELLED_AS(number)
#define SPELLED_AS(number) #number

const char sqlite_probe[] = "PRAGMA user_version = " SPELLED(SCHEMA_VERSION);

/* The order of a job's columns as read_job expects it. */
#define JOB_COLUMNS                                                                                                    \
    "j.seq, j.id, j.version, j.state, j.attempt, j.cancel_requested, j.create_ms, j.start_ms, j.finish_ms, "           \
    "j.request, "                                                                                                      \
    "j.labels, j.error, j.run, j.summary, j.bytes_done, j.bytes_total, j.tensors_done, j.tensors_total, "              \
    "j.owner, j.traceparent, "                                                                                         \
    "j.callback_state, j.callback_attempts, j.callback_status, j.callback_next_ms"
/* Of one result; its columns stand in the order of enum representation. */
#define RESULT_BYTES   "json_bytes + idx_bytes + text_bytes + markdown_bytes + junit_bytes"
#define UPLOAD_COLUMNS "u.seq, u.id, u.name, u.bytes, u.sha256, u.create_ms, u.owner, u.is_complete, u.length"

/* A further label that a job must have: the FILTER_LABELS_MAX of them are parameters 4 and 5, 7 and 8, 9 and 10, … */
#define ALSO(name, value)                                                                                              \
    " AND (" name " IS NULL OR EXISTS (SELECT 1 FROM label a WHERE a.key = " name " AND (" value                       \
    " IS NULL OR a.value = " value ") AND a.job = l.job))"

/* States as numbers: 0 queued, 1 running, 2 succeeded, 3 failed, 4 cancelled (enum job_state). */
const char *const sqlite_texts[SQL_COUNT] = {
    [SQL_JOB_INSERT] = "INSERT INTO job (id, state, version, create_ms, request, labels, owner, "
                       "traceparent, idempotency_key, digest, callback_url, callback_state) "
                       "VALUES (?1, 0, 1, ?2, ?3, ?4, ?5, coalesce(?6, ''), ?7, ?8, ?9, ?9 IS NOT NULL)",
    [SQL_CALLBACKS_DUE] = "SELECT id, callback_url, callback_attempts, callback_next_ms FROM job "
                          "WHERE callback_state = 2 ORDER BY callback_next_ms LIMIT ?1",
    [SQL_CALLBACK_NOTE] = "UPDATE job SET version = version + 1, callback_state = ?2, callback_attempts = ?3, "
                          "callback_status = ?4, callback_next_ms = ?5 WHERE id = ?1 AND callback_state = 2",
    [SQL_JOB_BY_KEY] = "SELECT id, digest FROM job WHERE owner = ?1 AND idempotency_key = ?2",
    /* What others own is as if it were not there; ?3 NULL: sees all. */
    [SQL_JOB_USES_UPLOAD] = "INSERT OR IGNORE INTO job_upload (job, upload) SELECT ?1, seq FROM upload "
                            "WHERE id = ?2 AND is_complete AND (?3 IS NULL OR owner = ?3)",
    [SQL_JOB_LABELS] = "INSERT OR IGNORE INTO label (key, value, job) SELECT key, value, ?1 FROM json_each(?2)",
    [SQL_JOB_GET] = "SELECT " JOB_COLUMNS " FROM job j WHERE j.id = ?1",
    [SQL_JOB_WAITING] = "SELECT seq FROM job WHERE state = 0 ORDER BY seq",
    [SQL_USED_BYTES] = "SELECT (SELECT coalesce(sum(bytes), 0) FROM upload) + "
                       "(SELECT coalesce(sum(" RESULT_BYTES "), 0) FROM result)",
    [SQL_JOB_LIST] = "SELECT " JOB_COLUMNS " FROM job j WHERE j.seq < ?1 ORDER BY j.seq DESC LIMIT ?2",
    [SQL_JOB_LIST_STATE] =
        "SELECT " JOB_COLUMNS " FROM job j WHERE j.seq < ?1 AND j.state = ?3 ORDER BY j.seq DESC LIMIT ?2",
    /* Owners have names, or there is nobody to tell apart: the indexes leave the nameless out, who pay nothing. */
    [SQL_JOB_LIST_OWNER] = "SELECT " JOB_COLUMNS " FROM job j WHERE j.owner = ?6 AND j.owner <> '' AND j.seq < ?1 "
                           "AND (?3 < 0 OR j.state = ?3) ORDER BY j.seq DESC LIMIT ?2",
    [SQL_JOB_WAITING_OF] = "SELECT count(*) FROM (SELECT 1 FROM job WHERE owner = ?1 AND owner <> '' AND state = 0 "
                           "LIMIT ?2)",
    [SQL_OWNER] = "SELECT owner FROM job WHERE id = ?1 UNION ALL SELECT owner FROM upload WHERE id = ?1",
    [SQL_JOB_LIST_LABEL] =
        "SELECT " JOB_COLUMNS " FROM label l JOIN job j ON j.seq = l.job WHERE l.job < ?1 "
        "AND l.key = ?4 AND (?5 IS NULL OR l.value = ?5) AND (?3 < 0 OR j.state = ?3) AND (?6 IS NULL OR j.owner = "
        "?6)" ALSO("?7", "?8") ALSO("?9", "?10") ALSO("?11", "?12") ALSO("?13", "?14") ALSO("?15", "?16")
            ALSO("?17", "?18") ALSO("?19", "?20") " ORDER BY l.job DESC LIMIT ?2",
    [SQL_JOB_CANCEL] = "UPDATE job SET version = version + 1, cancel_requested = 1, "
                       "finish_ms = CASE state WHEN 0 THEN ?2 ELSE 0 END, "
                       "state = CASE state WHEN 0 THEN 4 ELSE state END "
                       "WHERE id = ?1 AND state < 2 AND NOT cancel_requested RETURNING seq, state",
    [SQL_JOB_REMOVE] = "DELETE FROM job WHERE seq = ?1",
    [SQL_JOB_RESULT] = "SELECT j.state, r.is_inline, r.json, r.idx, r.text, r.markdown, r.junit, "
                       "r.json_bytes, r.idx_bytes, r.text_bytes, r.markdown_bytes, r.junit_bytes "
                       "FROM job j LEFT JOIN result r ON r.job = j.seq WHERE j.id = ?1",
    [SQL_JOB_CLAIM] = "UPDATE job SET state = 1, version = version + 1, attempt = attempt + 1, token = token + 1, "
                      "start_ms = ?1 WHERE seq = (SELECT seq FROM job WHERE state = 0 ORDER BY seq LIMIT 1) "
                      "RETURNING seq, id, token, attempt, crashes, last_crash, request, create_ms, traceparent",
    [SQL_JOB_UPLOADS] = "SELECT u.id, u.name FROM job_upload ju JOIN upload u ON u.seq = ju.upload WHERE ju.job = ?1",
    [SQL_JOB_FINISH] = "UPDATE job SET version = version + 1, finish_ms = ?3, "
                       "state = CASE WHEN cancel_requested THEN 4 ELSE ?4 END, "
                       "error = CASE WHEN cancel_requested THEN NULL ELSE ?5 END, "
                       "run = CASE WHEN cancel_requested THEN NULL ELSE ?6 END, "
                       "summary = CASE WHEN cancel_requested THEN NULL ELSE ?7 END, "
                       "bytes_done = ?8, bytes_total = ?9, tensors_done = ?10, tensors_total = ?11 "
                       "WHERE id = ?1 AND token = ?2 AND state = 1 RETURNING seq, state",
    [SQL_JOB_RELEASE] = "UPDATE job SET version = version + 1, crashes = crashes + ?3, "
                        "interruptions = interruptions + ?4, last_crash = coalesce(?5, last_crash), "
                        "finish_ms = CASE WHEN cancel_requested OR interruptions + ?4 > ?6 THEN ?7 ELSE 0 END, "
                        "error = CASE WHEN NOT cancel_requested AND interruptions + ?4 > ?6 THEN ?8 END, "
                        "state = CASE WHEN cancel_requested THEN 4 WHEN interruptions + ?4 > ?6 THEN 3 ELSE 0 END "
                        "WHERE id = ?1 AND token = ?2 AND state = 1 RETURNING seq, state",
    [SQL_JOB_DROP_USES] = "DELETE FROM job_upload WHERE job = ?1",
    [SQL_RESULT_INSERT] = "INSERT INTO result (job, is_inline, json, idx, text, markdown, junit, "
                          "json_bytes, idx_bytes, text_bytes, markdown_bytes, junit_bytes) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [SQL_RESULT_BYTES] = "SELECT " RESULT_BYTES " FROM result WHERE job = ?1",
    [SQL_JOB_EXPIRED] = "SELECT seq, id, 0 FROM job WHERE state >= 2 AND finish_ms < ?1 ORDER BY finish_ms LIMIT ?2",
    [SQL_UPLOAD_INSERT] =
        "INSERT INTO upload (id, name, bytes, sha256, create_ms, owner) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_UPLOAD_CREATE] = "INSERT INTO upload (id, name, bytes, sha256, create_ms, owner, is_complete, length, "
                          "wished_sha256) VALUES (?1, ?2, 0, '', ?3, ?4, 0, ?5, ?6)",
    [SQL_UPLOAD_CHECKPOINT] = "UPDATE upload SET bytes = ?3, digest_state = ?4 WHERE id = ?1 AND bytes = ?2 "
                              "AND NOT is_complete RETURNING seq",
    [SQL_UPLOAD_RESUME] = "SELECT " UPLOAD_COLUMNS ", u.wished_sha256, u.digest_state FROM upload u WHERE u.id = ?1",
    [SQL_UPLOAD_COMPLETE] = "UPDATE upload SET is_complete = 1, sha256 = ?2, length = bytes, digest_state = NULL "
                            "WHERE id = ?1 AND NOT is_complete RETURNING seq",
    [SQL_UPLOAD_GET] = "SELECT " UPLOAD_COLUMNS " FROM upload u WHERE u.id = ?1",
    [SQL_UPLOAD_LIST] = "SELECT " UPLOAD_COLUMNS " FROM upload u WHERE u.seq < ?1 ORDER BY u.seq DESC LIMIT ?2",
    [SQL_UPLOAD_LIST_OWNER] = "SELECT " UPLOAD_COLUMNS " FROM upload u WHERE u.owner = ?3 AND u.owner <> '' "
                              "AND u.seq < ?1 ORDER BY u.seq DESC LIMIT ?2",
    [SQL_UPLOAD_IN_USE] = "SELECT 1 FROM job_upload WHERE upload = ?1 LIMIT 1",
    [SQL_UPLOAD_REMOVE] = "DELETE FROM upload WHERE seq = ?1",
    [SQL_UPLOAD_EXPIRED] =
        ("SELECT seq, id, bytes FROM upload u WHERE create_ms < ?1 "
         "AND NOT EXISTS (SELECT 1 FROM job_upload WHERE upload = u.seq) ORDER BY create_ms LIMIT ?2"),
    [SQL_HAS_FILES] = "SELECT EXISTS (SELECT 1 FROM job WHERE id = ?1 AND state <= 2) "
                      "OR EXISTS (SELECT 1 FROM upload WHERE id = ?1)",
    [SQL_COUNT_JOBS] = "SELECT state, count(*) FROM job GROUP BY state",
    [SQL_COUNT_REST] = "SELECT coalesce((SELECT create_ms FROM job WHERE state = 0 ORDER BY seq LIMIT 1), 0), "
                       "(SELECT count(*) FROM upload)",
};

static const char schema[] =
    "CREATE TABLE job ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,"
    " version INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0,"
    " crashes INTEGER NOT NULL DEFAULT 0, interruptions INTEGER NOT NULL DEFAULT 0,"
    " last_crash TEXT NOT NULL DEFAULT '', cancel_requested INTEGER NOT NULL DEFAULT 0,"
    " create_ms INTEGER NOT NULL, start_ms INTEGER NOT NULL DEFAULT 0, finish_ms INTEGER NOT NULL DEFAULT 0,"
    " idempotency_key TEXT, digest TEXT,"
    " callback_url TEXT, callback_state INTEGER NOT NULL DEFAULT 0, callback_attempts INTEGER NOT NULL DEFAULT 0,"
    " callback_status INTEGER NOT NULL DEFAULT 0, callback_next_ms INTEGER NOT NULL DEFAULT 0,"
    " request TEXT NOT NULL, traceparent TEXT NOT NULL DEFAULT '', labels TEXT, error TEXT, run TEXT, summary TEXT,"
    " bytes_done INTEGER NOT NULL DEFAULT 0, bytes_total INTEGER NOT NULL DEFAULT 0,"
    " tensors_done INTEGER NOT NULL DEFAULT 0, tensors_total INTEGER NOT NULL DEFAULT 0,"
    " owner TEXT NOT NULL DEFAULT '');"
    /* 1 waits for the job's end, whoever brings that about; 2 is due (enum callback_state). */
    "CREATE INDEX job_by_callback ON job (callback_next_ms) WHERE callback_state = 2;"
    "CREATE TRIGGER job_calls_back AFTER UPDATE OF state ON job WHEN new.callback_state = 1 AND new.state >= 2 BEGIN"
    " UPDATE job SET callback_state = 2, callback_next_ms = new.finish_ms WHERE seq = new.seq; END;"
    "CREATE UNIQUE INDEX job_by_key ON job (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;"
    "CREATE INDEX job_by_state ON job (state, seq);"
    "CREATE INDEX job_by_owner ON job (owner, seq) WHERE owner <> '';"
    "CREATE INDEX job_waiting_by_owner ON job (owner) WHERE owner <> '' AND state = 0;"
    "CREATE INDEX job_by_end ON job (finish_ms) WHERE state >= 2;"
    "CREATE TABLE label ("
    " key TEXT NOT NULL, value TEXT NOT NULL, job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,"
    " PRIMARY KEY (key, value, job)) WITHOUT ROWID;"
    "CREATE INDEX label_by_job ON label (job);"
    "CREATE TABLE result ("
    " job INTEGER PRIMARY KEY REFERENCES job ON DELETE CASCADE, is_inline INTEGER NOT NULL,"
    " json_bytes INTEGER NOT NULL, idx_bytes INTEGER NOT NULL, text_bytes INTEGER NOT NULL,"
    " markdown_bytes INTEGER NOT NULL, junit_bytes INTEGER NOT NULL,"
    " json BLOB, idx BLOB, text BLOB, markdown BLOB, junit BLOB);"
    "CREATE TABLE upload ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, create_ms INTEGER NOT NULL,"
    " is_complete INTEGER NOT NULL DEFAULT 1, length INTEGER NOT NULL DEFAULT -1,"
    " wished_sha256 TEXT NOT NULL DEFAULT '', digest_state BLOB, owner TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX upload_by_owner ON upload (owner, seq) WHERE owner <> '';"
    "CREATE INDEX upload_by_age ON upload (create_ms);"
    "CREATE TABLE job_upload ("
    " job INTEGER NOT NULL REFERENCES job ON DELETE CASCADE, upload INTEGER NOT NULL REFERENCES upload,"
    " PRIMARY KEY (job, upload)) WITHOUT ROWID;"
    "CREATE INDEX job_upload_by_upload ON job_upload (upload);";

static int run(struct connection *connection, const char *sql, struct error *err)
{
    if (sqlite3_exec(connection->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return connection_error(connection, err);
    return 0;
}

static int read_number(struct connection *connection, const char *sql, int64_t *ret_value, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        rc = connection_error(connection, err);
    else
        *ret_value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc;
}

/* Jobs that an earlier process left running: this process owns the state directory, so nobody works on them. */
static int recover(struct connection *connection, struct error *err)
{
    char sql[1024];

    snprintf(sql, sizeof(sql),
             "UPDATE job SET version = version + 1, interruptions = interruptions + 1,"
             " finish_ms = CASE WHEN cancel_requested OR interruptions >= %d THEN %lld ELSE 0 END,"
             " error = CASE WHEN NOT cancel_requested AND interruptions >= %d THEN '%s' END,"
             " state = CASE WHEN cancel_requested THEN 4 WHEN interruptions >= %d THEN 3 ELSE 0 END WHERE state = 1;"
             "DELETE FROM job_upload WHERE job IN (SELECT seq FROM job WHERE state >= 2);",
             INTERRUPTIONS_MAX, (long long)clock_wall_ms(), INTERRUPTIONS_MAX, sqlite_interrupted_error,
             INTERRUPTIONS_MAX);
    return run(connection, sql, err);
}

int sqlite_schema_open(struct connection *connection, struct error *err)
{
    int64_t version = 0;
    int rc;

    rc = run(connection,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
             "PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF;",
             err);
    if (!rc)
        rc = read_number(connection, "PRAGMA user_version", &version, err);
    if (rc)
        return rc;
    if (version > SCHEMA_VERSION)
        return error_set(err, ERROR_CONFLICT,
                         "the state directory was written by a newer diffaid (schema %lld, this one knows %d)",
                         (long long)version, SCHEMA_VERSION);
    rc = run(connection, "BEGIN IMMEDIATE", err);
    if (!rc && version == 0) {
        rc = run(connection, schema, err);
        if (!rc)
            rc = run(connection, sqlite_probe, err);
    }
    if (!rc)
        rc = recover(connection, err);
    if (!rc)
        rc = run(connection, "COMMIT", err);
    return rc;
}

int sqlite_store_compact(const char *state_dir, struct error *err)
{
    struct connection connection = {0};
    char *path = NULL;
    int rc;

    if (asprintf(&path, "%s/diffaid.db", state_dir) < 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a path");
    rc = connection_open(path, true, NULL, 0, &connection, err);
    if (!rc)
        rc = run(&connection, "VACUUM", err);
    connection_close(&connection);
    free(path);
    return rc;
}
