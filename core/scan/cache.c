/* A file that the page cache holds is read as it is: asking for what is there costs time. Of one that it mostly does
 * not hold, the device is asked ahead of the cursor, so that it always has several requests to work on; and, where the
 * policy says so, what has been read is let go behind the cursor: a model of 100 GB would push out everything that
 * other programs have there. What was there before the pass was somebody else's wish and stays. */
#include "core/scan/cache.h"

enum { SAMPLES = 64 };

static bool is_mostly_cached(struct source *source)
{
    unsigned cached = 0;

    if (!source->ops->is_cached || !source->ops->advise)
        return true;
    for (uint64_t i = 0; i < SAMPLES; i++)
        cached += source->ops->is_cached(source, source->size / SAMPLES * i);
    return cached >= SAMPLES / 2;
}

void cache_plan(const struct scan_plan *plan, const struct scan_env *env)
{
    uint64_t bytes = 0;

    for (size_t m = 0; m < plan->model_count; m++)
        bytes += plan->models[m]->bytes;
    for (size_t m = 0; m < plan->model_count; m++) {
        for (size_t i = 0; i < plan->models[m]->file_count; i++) {
            struct source *source = plan->models[m]->files[i].source;

            source->is_read_ahead = !is_mostly_cached(source);
            source->is_let_go = source->is_read_ahead && bytes > env->cache_bytes;
        }
    }
}
