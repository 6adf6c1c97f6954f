/* Prometheus' text exposition format 0.0.4: families with HELP and TYPE, and their series.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#ifndef API_RENDER_EXPOSITION_H
#define API_RENDER_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPOSITION_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct exposition {
    FILE *out; /* NULL: without memory, and everything is ignored */
    char *text;
    size_t bytes;
    const char *name; /* of the family under way */
};

void exposition_init(struct exposition *exposition);
/* The text, the caller's to free; NULL when memory ran out. It is over afterwards. */
char *exposition_take(struct exposition *exposition, size_t *ret_bytes);

/* Begins a family; name is borrowed until the next one. */
void exposition_family(struct exposition *exposition, const char *name, enum metric_type type, const char *help);

/* One series of a counter or gauge. Its labels follow as name, value, …, NULL. */
void exposition_value(struct exposition *exposition, double value, ...) __attribute__((sentinel));

/* One series of a histogram: counts[i] observations lie above bounds[i − 1] and up to bounds[i], the last of the
 * bound_count + 1 above all. Labels as above. */
void exposition_histogram(struct exposition *exposition, const double *bounds, size_t bound_count,
                          const uint64_t *counts, double sum, ...) __attribute__((sentinel));

#endif
