/* What a model holds of each type, under the names that its file gives them. */
#ifndef CORE_TYPE_TOTALS_H
#define CORE_TYPE_TOTALS_H

#include "core/model/tensor.h"

enum { TYPE_TOTALS_MAX = 128 }; /* types have their names from tables of this program, far fewer */

struct type_total {
    struct name name;
    unsigned rank; /* place in the table of dtypes, behind all of them for encodings */
    uint64_t tensors, parameters, bytes;
};

/* In the order of the table of dtypes, encodings behind by name; what cannot be decoded is "unknown", first. */
struct type_totals {
    struct type_total items[TYPE_TOTALS_MAX];
    size_t count;
};

/* parameters, bytes: of the tensor's, those that count. */
void type_totals_add(struct type_totals *totals, const struct tensor *tensor, uint64_t parameters, uint64_t bytes);

#endif
