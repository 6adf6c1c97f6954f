/* The members of a ZIP archive, by minizip, each claim of the directory held against the member's own header. */
#ifndef CORE_FORMAT_ZIP_H
#define CORE_FORMAT_ZIP_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/io/source.h"
#include "core/limits.h"

struct zip_member {
    struct name name;
    uint64_t offset; /* of its bytes in the archive */
    uint64_t stored_bytes, bytes;
    bool is_deflated;
};

/* Their order in an archive, by name; for qsort and bsearch. */
int zip_member_compare(const void *a, const void *b);

struct zip {
    struct zip_member *members; /* sorted by name, no name twice */
    size_t count;
    struct name first; /* name of the first in the directory */
    struct arena arena;
};

/* ERROR_FORMAT, ERROR_UNSUPPORTED (encrypted, other methods than stored and deflated), ERROR_LIMIT, ERROR_NO_MEMORY. */
int zip_open(struct source *source, const struct limits *limits, struct zip *ret_zip, struct error *err);
void zip_done(struct zip *zip); /* fine with {0} */

const struct zip_member *zip_find(const struct zip *zip, struct name name);

/* All bytes of a member of at most limit bytes, a NUL behind them; the caller frees them. what names it in messages. */
int zip_read(struct source *source, const struct zip_member *member, uint64_t limit, const char *what,
             uint8_t **ret_bytes, struct error *err);

#endif
