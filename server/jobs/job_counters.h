/* What the dispatcher counts, for metrics. Relaxed atomics: nothing is ordered by them. */
#ifndef SERVER_JOBS_JOB_COUNTERS_H
#define SERVER_JOBS_JOB_COUNTERS_H

#include "api/problem.h"
#include "server/histogram.h"

/* Why a worker process ended that had not been told to exit. */
enum worker_death {
    WORKER_DEATH_CRASH,    /* a signal that a defect raises: SIGSEGV, SIGBUS, SIGABRT … */
    WORKER_DEATH_SANDBOX,  /* SIGSYS: it made a system call that it may not make */
    WORKER_DEATH_SIGNAL,   /* any other signal, from outside: the kernel's want of memory, an operator */
    WORKER_DEATH_EXIT,     /* it ended by itself */
    WORKER_DEATH_NONSENSE, /* killed: it sent what is no message */
    WORKER_DEATH_DEADLINE, /* killed: its job did not stop at the deadline */
    WORKER_DEATH_STOP,     /* killed: its job did not stop when that was asked for another reason */
    WORKER_DEATH_COUNT
};
extern const char *const worker_death_names[WORKER_DEATH_COUNT];
enum worker_death worker_death_of_status(int status); /* as waitpid has it, of one that was not killed by us */

struct job_counters {
    struct histogram wait;    /* of jobs, from submission to their first attempt */
    struct histogram attempt; /* of attempts, from claim to end */
    _Atomic uint64_t attempts, failures[PROBLEM_COUNT];
    _Atomic uint64_t scanned_bytes, scanned_tensors;
    _Atomic uint64_t worker_starts, worker_start_failures, worker_deaths[WORKER_DEATH_COUNT];
};

void job_counters_init(struct job_counters *counters);

static inline void job_counters_add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

#endif
