#include "server/commands/progress.h"

#include <stdio.h>
#include <time.h>

enum { BAR_WIDTH = 30 };

double monotonic_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void progress_bar_init(struct progress_bar *bar)
{
    bar->started = monotonic_seconds();
    bar->is_shown = false;
}

void progress_bar_update(void *context, const struct scan_progress *progress)
{
    struct progress_bar *bar = context;
    double elapsed = monotonic_seconds() - bar->started;
    double fraction = progress->bytes_total ? (double)progress->bytes_done / (double)progress->bytes_total : 1;
    char line[BAR_WIDTH + 1];

    if (elapsed < 1)
        return;
    for (int i = 0; i < BAR_WIDTH; i++)
        line[i] = i < (int)(fraction * (int)BAR_WIDTH) ? '#' : '.';
    line[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3.0f %%  %.2f of %.2f GB  %.1f GB/s ", line, fraction * 100,
            (double)progress->bytes_done * 1e-9, (double)progress->bytes_total * 1e-9,
            (double)progress->bytes_done * 1e-9 / elapsed);
    fflush(stderr);
    bar->is_shown = true;
}

void progress_bar_clear(struct progress_bar *bar)
{
    if (bar->is_shown)
        fputs("\r\033[K", stderr);
    bar->is_shown = false;
}
