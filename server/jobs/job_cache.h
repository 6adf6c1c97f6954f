/* Jobs as the last commits left them, so that a client that polls costs neither a query nor, on a slow disk, a wait. */
#ifndef SERVER_JOBS_JOB_CACHE_H
#define SERVER_JOBS_JOB_CACHE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/backend.h"
#include "core/error.h"

enum { JOB_CACHE_SLOTS = 2048, JOB_CACHE_TEXT_BYTES = 4096 }; /* jobs with more text are not kept: 8 MB at most */

struct job_cache;

int job_cache_new(struct job_cache **ret, struct error *err);
void job_cache_free(struct job_cache *cache); /* NULL is fine */

/* From now on every row of `job` that db, the one connection that writes, inserts, changes or deletes is noted. */
void job_cache_follow(struct job_cache *cache, sqlite3 *db);
/* Forgets what was noted. By the writing thread, after a commit and before anybody is told of it. */
void job_cache_settle(struct job_cache *cache);

/* Copies the job and its place; false when it is not here. Blocks for a copy of a few kilobytes at most. */
bool job_cache_find(struct job_cache *cache, const char *id, struct job *ret, int64_t *ret_seq);

/* To be taken before the job is read from the database, for job_cache_put, which does nothing when the job was
 * forgotten since: what was read may be older than the commit that had it forgotten. */
uint64_t job_cache_epoch(struct job_cache *cache);
void job_cache_put(struct job_cache *cache, const struct job *job, int64_t seq, uint64_t epoch);

#endif
