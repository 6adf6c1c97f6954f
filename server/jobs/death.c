#include "server/jobs/death.h"

#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

void death_describe(enum worker_death death, int status, long call, char *out, size_t size)
{
    int number = WTERMSIG(status);
    const char *signal_name = sigabbrev_np(number);
    char *call_name;

    switch (death) {
    case WORKER_DEATH_CRASH:
        snprintf(out, size, "was killed by signal %d (SIG%s)", number, signal_name ? signal_name : "?");
        break;
    case WORKER_DEATH_SANDBOX:
        call_name = call < 0 ? NULL : seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)call);
        if (call < 0)
            snprintf(out, size, "was killed by its sandbox (seccomp)");
        else
            snprintf(out, size, "was killed by its sandbox (seccomp: system call %ld, %s)", call,
                     call_name ? call_name : "unknown");
        free(call_name);
        break;
    case WORKER_DEATH_SIGNAL:
        if (number == SIGKILL)
            snprintf(out, size, "was killed from outside (signal 9): by the kernel, short of memory, or by hand");
        else
            snprintf(out, size, "was killed from outside by signal %d (SIG%s)", number,
                     signal_name ? signal_name : "?");
        break;
    case WORKER_DEATH_NONSENSE:
        snprintf(out, size, "sent what is no message and was ended");
        break;
    default:
        snprintf(out, size, "ended by itself with status %d", WEXITSTATUS(status));
    }
}

void death_abbreviate(int status, long call, char *out, size_t size)
{
    const char *signal_name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && call >= 0)
        snprintf(out, size, "SIGSYS %ld", call);
    else if (WIFSIGNALED(status))
        snprintf(out, size, "SIG%s", signal_name ? signal_name : "?");
    else
        snprintf(out, size, "exit %d", WEXITSTATUS(status));
}
