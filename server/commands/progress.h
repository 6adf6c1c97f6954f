/* A progress bar on standard error, for work over a second. */
#ifndef SERVER_COMMANDS_PROGRESS_H
#define SERVER_COMMANDS_PROGRESS_H

#include <stdbool.h>

#include "core/scan/scan.h"

struct progress_bar {
    double started; /* monotonic seconds */
    bool is_shown;
};

void progress_bar_init(struct progress_bar *bar);
void progress_bar_update(void *bar, const struct scan_progress *progress); /* a scan_env's progress */
void progress_bar_clear(struct progress_bar *bar);

double monotonic_seconds(void);

#endif
