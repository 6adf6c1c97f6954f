/* pthread calls that can only fail through a defect of this program. */
#ifndef SERVER_MUST_H
#define SERVER_MUST_H

#include <stdio.h>
#include <stdlib.h>

static inline void must(int rc)
{
    if (rc) {
        fprintf(stderr, "diffaid: a pthread call failed with %d: a defect of this program\n", rc);
        abort();
    }
}

#endif
