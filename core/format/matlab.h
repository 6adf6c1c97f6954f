/* What readers of MATLAB's own containers, versions 4 and 5, share. Not for other files. */
#ifndef CORE_FORMAT_MATLAB_H
#define CORE_FORMAT_MATLAB_H

#include "core/format/byte_reader.h"
#include "core/format/format.h"

struct matlab {
    const struct opener *opener;
    struct source *source;
    struct error *err;
    int rc; /* of the first fault */
    struct model *model;
    struct arena arena;
    bool is_swapped;
    size_t tensor_room, file_room;
};

/* Numbers in columns, as they lie: of stored, in an array of dtype. */
struct matlab_numbers {
    enum dtype dtype, stored; /* stored DTYPE_UNKNOWN: bytes that are no numbers, see spelled */
    const char *spelled;      /* static */
    uint32_t rank;
    const uint64_t *dims; /* in the arena */
    uint32_t file;        /* of the model */
    uint64_t at, bytes;   /* in it */
};

int matlab_begin(struct matlab *m, const struct opener *opener, struct source *source, struct error *err);
int matlab_finish(struct matlab *m, const struct format *format, struct model **ret_model);

bool matlab_fault(struct matlab *m, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool matlab_no_memory(struct matlab *m);

/* "a.b", in the arena; .text NULL and a fault where memory is short. */
struct name matlab_name(struct matlab *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool matlab_add(struct matlab *m, struct name name, const struct matlab_numbers *numbers);
bool matlab_left_out(struct matlab *m, struct name name, const char *what);

/* A source for a part of the file, which is taken; its index, UINT32_MAX on failure. */
uint32_t matlab_add_file(struct matlab *m, struct source *member, uint64_t stored_bytes);

#endif
