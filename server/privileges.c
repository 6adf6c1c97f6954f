#include "server/privileges.h"

#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))

static uint64_t mask_of(unsigned kept)
{
    uint64_t mask = 0;

    if (kept & PRIVILEGE_READ_FILES)
        mask |= BIT(CAP_DAC_READ_SEARCH);
    if (kept & PRIVILEGE_WRITE_FILES)
        mask |= BIT(CAP_DAC_OVERRIDE);
    if (kept & PRIVILEGE_LOW_PORTS)
        mask |= BIT(CAP_NET_BIND_SERVICE);
    return mask;
}

void privileges_drop(unsigned kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3] = {0};
    uint64_t mask = mask_of(kept);

    /* First: without it a program that root runs has all of root's powers again. */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (unsigned capability = 0; capability < 64; capability++)
        if (!(mask & BIT(capability)) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            break; /* the last one that the kernel knows, or no right to do this, nor need */
    if (syscall(SYS_capget, &header, halves) != 0)
        return;
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        halves[i].permitted &= (uint32_t)(mask >> (32 * i));
        halves[i].effective = halves[i].permitted;
        halves[i].inheritable = 0;
    }
    syscall(SYS_capset, &header, halves);
}
