/* What the pass does to the page cache. */
#ifndef CORE_SCAN_CACHE_H
#define CORE_SCAN_CACHE_H

#include "core/scan/scan.h"

/* Looks how much of each file the page cache holds, before anything is read, and sets is_read_ahead and is_let_go of
 * the models' sources. */
void cache_plan(const struct scan_plan *plan, const struct scan_env *env);

#endif
