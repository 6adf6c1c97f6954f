/* A source over deflated bytes of another one, so that nothing above knows that they are deflated. Reads in order run
 * at the speed of inflate; a read further back starts again at the nearest of the places kept on the way. */
#ifndef CORE_IO_INFLATED_H
#define CORE_IO_INFLATED_H

#include "core/io/source.h"

/* bytes of raw deflate at [offset, offset + stored_bytes) of parent (borrowed) give bytes bytes, as is claimed: what
 * they give is held against it as it is read. ERROR_FORMAT where that many cannot come of so few, ERROR_NO_MEMORY. */
int inflated_open(struct source *parent, uint64_t offset, uint64_t stored_bytes, uint64_t bytes,
                  struct source **ret_source, struct error *err);

#endif
