/* Inside HDF5: the walk through a file, for hdf5.c and hdf5_matlab.c. Functions record the first fault and return
 * false. */
#ifndef CORE_FORMAT_HDF5_WALK_H
#define CORE_FORMAT_HDF5_WALK_H

#include "core/format/hdf5.h"
#include "core/format/hdf5_dataset.h"

struct hdf5_walk {
    struct hdf5 h5;
    const struct hdf5_style *style;
    struct model *model;
    uint32_t file;
    size_t tensor_room, file_room;
    uint64_t *groups; /* addresses of what is walked once: a table by hash, 0 where empty */
    size_t group_count, group_room;
    uint64_t claimed, claimed_max; /* bytes that datasets say they have */
    hsize_t user_block;
    uint64_t references; /* that were followed */
    unsigned depth;
    struct hdf5_cache *cache;
};

bool hdf5_left_out(struct hdf5_walk *walk, struct name name, const char *what, struct name target);

/* Whether the object there was walked before; it has been now. */
bool hdf5_enter(struct hdf5_walk *walk, uint64_t address, bool *ret_again);
bool hdf5_has_entered(const struct hdf5_walk *walk, uint64_t address);

/* Where a dataset's elements lie, as one extent of one of the model's files. */
bool hdf5_place(struct hdf5_walk *walk, const struct hdf5_dataset *dataset, uint64_t bytes, struct extent *ret);

/* What an open group or dataset holds. */
bool hdf5_visit(struct hdf5_walk *walk, struct name name, hid_t id, uint64_t address);

/* An array without elements, whose dataset holds its dimensions: gives the dataset type and shape of the array. True
 * where there is nothing to list, of a class that is no number, or a fault was recorded. */
bool hdf5_matlab_is_empty(struct hdf5_walk *walk, struct hdf5_dataset *dataset);

/* What a dataset of references leads to: cells as NAME{1}, fields of several structs as STRUCT(1).FIELD. */
bool hdf5_matlab_references(struct hdf5_walk *walk, struct name name, const struct hdf5_dataset *dataset);

#endif
