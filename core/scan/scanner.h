/* One thread's buffers, and how it measures one unit. */
#ifndef CORE_SCAN_SCANNER_H
#define CORE_SCAN_SCANNER_H

#include "core/scan/gather.h"
#include "core/scan/layout.h"
#include "core/scan/measure.h"
#include "core/scan/window.h"
#include "core/scan/yield.h"

/* What a decoder read of one side: a unit, or those that are measured next with it. */
struct decoded {
    uint8_t *values, *share;
    size_t capacity, share_capacity;
    const struct tensor *tensor; /* whose elements [first, first + elements) are in values; NULL: nobody's */
    uint64_t first, elements;
    const uint8_t *bytes; /* what stands for the unit where bytes are compared: values, or as the file has them */
    size_t byte_count;
};

struct scanner {
    const struct scan_plan *plan;
    struct scan_result *result; /* quantiles of small tensors go there at once */
    struct layout layout;       /* of the pair at hand */
    struct window *windows;     /* [model] */
    struct stored *stored;      /* [model] */
    struct decoded *decoded;    /* [model]; grows as needed */
    struct measure *measure;
    struct yield yield;    /* of whole pairs */
    struct gather *whole;  /* of whole pairs; NULL: not needed */
    uint32_t *bins;        /* with NEED_QUANTILES: two histograms, empty between units */
    uint64_t *sorting;     /* " */
    struct digest *digest; /* with NEED_DIGEST */
};

int scanner_init(struct scanner *scanner, const struct scan_plan *plan, const struct kernels *kernels,
                 struct scan_result *result, struct error *err);
void scanner_done(struct scanner *scanner);

/* Measures the unit of the pair that scanner->layout describes. gather is that of the pair, or NULL where none is
 * needed. */
int scanner_measure_unit(struct scanner *scanner, struct yield *yield, struct gather *gather, struct error *err);

/* All units of a whole pair, in order: straight into its records. couples, when given, are the pair's. */
int scanner_measure_pair(struct scanner *scanner, size_t pair, struct couple_record *couples, uint64_t *ret_bytes,
                         struct error *err);

#endif
