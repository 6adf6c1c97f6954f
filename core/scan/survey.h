/* What may be asked of a side beyond its record, measured over the same blocks: the profile, rows and columns,
 * the histogram. */
#ifndef CORE_SCAN_SURVEY_H
#define CORE_SCAN_SURVEY_H

#include "core/scan/channels.h"
#include "core/scan/measure.h"

/* Where one unit of one side leaves it. */
struct survey {
    struct side_profile *profile; /* NULL: not asked */
    struct channels *channels;    /* NULL: not asked */
    struct channel_part *part;
    uint32_t *bins; /* NULL: not asked; to be added to */
    uint64_t first; /* flat index of the unit's first element */
};

struct survey_walk {
    struct channel_walk channels;
    struct side_profile *profile;
    double min_normal;
    uint32_t *bins;
    const struct stored *stored;
};

/* survey may be NULL: then nothing is done. */
void survey_begin(struct survey_walk *walk, struct measure *m, const struct survey *survey, const struct stored *x);
/* The next block; view is how a kernel of that format reads it. */
void survey_block(struct survey_walk *walk, const struct measure *m, const void *view, enum block_format format,
                  size_t at, size_t elements);
/* All blocks of 64-bit integers, whose records are made another way. */
void survey_wide(struct survey_walk *walk, struct measure *m);
void survey_end(struct survey_walk *walk);

/* to's unit holds the bytes of from's, which is surveyed. */
void survey_copy(struct measure *m, const struct survey *to, const struct survey *from, const struct stored *x);

#endif
