/* What worker processes die of, in words. */
#ifndef SERVER_JOBS_DEATH_H
#define SERVER_JOBS_DEATH_H

#include "server/jobs/job_counters.h"

/* For people: "was killed by signal 11 (SIGSEGV)". status: as waitpid has it. call: the system call behind
 * WORKER_DEATH_SANDBOX, as the process told before it died; -1: it did not. */
void death_describe(enum worker_death death, int status, long call, char *out, size_t size);

/* Short, and equal for what is likely the same defect: "SIGSEGV", "SIGSYS 41", "exit 7". */
void death_abbreviate(int status, long call, char *out, size_t size);

#endif
