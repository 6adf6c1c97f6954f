/* A source that goes on with its last element: what a file says once of many. */
#ifndef CORE_IO_REPEATED_H
#define CORE_IO_REPEATED_H

#include "core/io/source.h"

/* size bytes: those at data, which outlive the source, and then the last element of them again and again. bytes and
 * size are multiples of element, bytes at least one of it. ERROR_NO_MEMORY. */
int repeated_open(const void *data, uint64_t bytes, size_t element, uint64_t size, const char *uri,
                  struct source **ret_source, struct error *err);

#endif
