/* HDF5 files as models, for the formats that are HDF5 within: Keras, MATLAB 7.3. */
#ifndef CORE_FORMAT_HDF5_H
#define CORE_FORMAT_HDF5_H

#include "core/format/format.h"

/* How a format reads what HDF5 holds. */
struct hdf5_style {
    const struct format *format;
    bool is_matlab; /* dimensions reversed, MATLAB's classes, structs joined by dots */
    /* Optional. Another name for a dataset, of memory that lasts as long as the model; .text NULL: its own. */
    struct name (*rename)(void *context, struct name name, struct arena *arena);
    void *context;
};

/* Opens the file that lies at [at, end) of files[file] of a model, whose files[0] is the source that was opened. model
 * is taken in any case; files[0] is left alone on failure. */
int hdf5_open_model(const struct opener *opener, const struct hdf5_style *style, struct model *model, uint32_t file,
                    uint64_t at, uint64_t end, struct model **ret_model, struct error *err);

/* A model of one file, or of one and room for a member of it. NULL: no memory. */
struct model *hdf5_new_model(struct source *source);

#endif
