#include "server/jobs/job_counters.h"

#include <signal.h>
#include <sys/wait.h>

const char *const worker_death_names[WORKER_DEATH_COUNT] = {
    [WORKER_DEATH_CRASH] = "crash", [WORKER_DEATH_SANDBOX] = "sandbox",   [WORKER_DEATH_SIGNAL] = "signal",
    [WORKER_DEATH_EXIT] = "exit",   [WORKER_DEATH_NONSENSE] = "nonsense", [WORKER_DEATH_DEADLINE] = "deadline",
    [WORKER_DEATH_STOP] = "stop",
};

enum worker_death worker_death_of_status(int status)
{
    if (!WIFSIGNALED(status))
        return WORKER_DEATH_EXIT;
    switch (WTERMSIG(status)) {
    case SIGSEGV:
    case SIGBUS:
    case SIGABRT:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
        return WORKER_DEATH_CRASH;
    case SIGSYS:
        return WORKER_DEATH_SANDBOX;
    default:
        return WORKER_DEATH_SIGNAL;
    }
}

/* From a small model to the day's largest. */
static const double bounds[] = {0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 14400};

void job_counters_init(struct job_counters *counters)
{
    histogram_init(&counters->wait, bounds, sizeof(bounds) / sizeof(bounds[0]));
    histogram_init(&counters->attempt, bounds, sizeof(bounds) / sizeof(bounds[0]));
}
