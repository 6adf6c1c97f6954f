/* Which of Python's globals a pickle may name and call. */
#ifndef CORE_FORMAT_PICKLE_GLOBALS_H
#define CORE_FORMAT_PICKLE_GLOBALS_H

#include <stdbool.h>

#include "core/name.h"

/* Whether "module.name" can harm whoever unpickles it: then the whole pickle is refused. */
bool pickle_global_is_unsafe(struct name global);

/* Whether a checkpoint may call it: what rebuilds tensors, containers, and values of the standard library and NumPy. */
bool pickle_global_is_callable(struct name global);

/* Whether it is, by its name, a class of somebody's own: begun with a capital, and not of Python's library. */
bool pickle_global_is_class(struct name global);

#endif
