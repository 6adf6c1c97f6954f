/* A part of a source as a source of its own: an archive within an archive. */
#ifndef CORE_IO_PART_H
#define CORE_IO_PART_H

#include "core/io/source.h"

/* Bytes [offset, offset + bytes) of parent, which outlives it. ERROR_FORMAT beyond the parent's end. */
int part_open(struct source *parent, uint64_t offset, uint64_t bytes, struct source **ret_source, struct error *err);

#endif
