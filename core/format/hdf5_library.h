/* The HDF5 library, which knows what a file's structure is: for as long as a file is being opened, one at a time in a
 * process, since Debian's build serves one thread. It reads through a driver of ours, from a part of a source, and is
 * given no path: there is no other file that it could open. Values are not read by it, but where it says that they lie.
 */
#ifndef CORE_FORMAT_HDF5_LIBRARY_H
#define CORE_FORMAT_HDF5_LIBRARY_H

#define H5_USE_110_API
#include <hdf5.h>
#include <stdbool.h>

#include "core/arena.h"
#include "core/io/source.h"
#include "core/limits.h"

struct hdf5 {
    struct source *source;
    uint64_t start, bytes; /* of the file in the source */
    const struct limits *limits;
    struct error *err;
    int rc; /* of the first fault */
    struct arena arena;
    uint64_t budget; /* bytes that the library may still read */
    uint64_t places; /* of chunks, that were looked at */
    hid_t file;
    /* Where the library would read a chunk: it is told that it has. */
    bool is_tracing;
    uint64_t traced_at, traced_bytes; /* in the file; bytes 0: nowhere */
};

/* Opens the file that lies at [at, end) of source. source and limits are borrowed. hdf5_end comes in any case: until
 * then the library is this caller's. */
bool hdf5_begin(struct hdf5 *h5, struct source *source, uint64_t at, uint64_t end, const struct limits *limits,
                struct error *err);
void hdf5_end(struct hdf5 *h5); /* the arena is left */

/* Record the first fault; false, for the caller to return. The library's own words follow with hdf5_library_fault. */
bool hdf5_fault(struct hdf5 *h5, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool hdf5_library_fault(struct hdf5 *h5, const char *what);
bool hdf5_no_memory(struct hdf5 *h5);

/* Why the library's last call did not open a dataset that only newer ones can, of a datatype or layout that came later;
 * NULL: for another reason. */
const char *hdf5_newer_reason(void);

#endif
