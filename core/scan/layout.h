/* How one pair is read: which sides share their units, and what can be held against what. */
#ifndef CORE_SCAN_LAYOUT_H
#define CORE_SCAN_LAYOUT_H

#include "core/scan/scan.h"
#include "core/scan/unit.h"

enum { LAYOUT_NO_GROUP = UINT32_MAX, BYTES_UNIT = 4 << 20 };

/* Sides that are read together, unit by unit: all of one grid, each as far as it reaches. */
struct layout_group {
    struct grid grid;
    const struct shape *shape;
    bool is_bytes;  /* undecodable: compared and digested as bytes, in units of BYTES_UNIT */
    uint64_t bytes; /* of each side, with is_bytes */
    uint64_t units;
};

struct layout {
    size_t models;
    const struct tensor **tensor; /* [model]; NULL where absent or not to be read */
    uint32_t *group_of;           /* [model] */
    struct layout_group *group;   /* [group_count], at most one a model */
    size_t group_count;
    uint64_t units;       /* of all groups */
    bool is_whole;        /* no group has more than one unit */
    uint32_t delta_group; /* where baseline and candidate meet, or LAYOUT_NO_GROUP */
    enum scan_coverage coverage;
    bool is_row_fit;  /* the delta's rows are to be fitted */
    bool is_measured; /* else bytes are only digested */
    uint64_t bytes;   /* to be read, of all sides */
};

int layout_init(struct layout *layout, size_t models, struct error *err);
void layout_done(struct layout *layout);

/* Lays the pair out for what the plan needs. */
void layout_of(struct layout *layout, const struct scan_plan *plan, size_t pair);

/* Which group a unit of the pair belongs to; makes unit relative to it. */
uint32_t layout_group_of_unit(const struct layout *layout, uint64_t *unit);

#endif
