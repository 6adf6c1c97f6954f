#include "server/sigbus.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t page_mask;
static atomic_bool is_caught; /* lock-free, so a handler may set it */

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    void *page = (void *)((uintptr_t)info->si_addr & page_mask); /* NOLINT(performance-no-int-to-ptr) */

    (void)context;
    if (info->si_code == BUS_ADRERR && page_mask &&
        mmap(page, ~page_mask + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page) {
        atomic_store(&is_caught, true);
        return;
    }
    signal(number, SIG_DFL);
    raise(number);
}

void sigbus_guard(void)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
    long page = sysconf(_SC_PAGESIZE);

    page_mask = page > 0 ? ~((uintptr_t)page - 1) : 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

bool sigbus_was_caught(void)
{
    return atomic_load(&is_caught);
}

void sigbus_forget(void)
{
    atomic_store(&is_caught, false);
}
