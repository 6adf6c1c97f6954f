/* The inside of TensorFlow's reader: for tensorflow.c and the files that its name begins. Functions that return false
 * have recorded a fault. */
#ifndef CORE_FORMAT_TENSORFLOW_H
#define CORE_FORMAT_TENSORFLOW_H

#include "core/decode/decoder.h"
#include "core/format/folder.h"
#include "core/format/sstable.h"
#include "core/format/wire.h"

enum { TENSORFLOW_DTYPES = 34 }; /* numbers below it may be known ones */

/* What BundleEntryProto says. */
struct tensorflow_entry {
    struct name key;
    uint64_t dtype, shard, offset, bytes;
    uint64_t *dims, elements;
    uint32_t rank;
    bool is_sliced; /* holds no bytes itself */
};

struct tensorflow {
    const struct opener *opener;
    struct source *source;
    struct error *err;
    const char *noun; /* what an entry is, for messages: "variable" */
    struct model *model;
    struct arena arena;
    struct sstable_blocks blocks;
    struct sstable table;
    struct source *values;
    struct byte_reader reader;
    uint64_t shards;
    bool is_swapped;
    struct tensorflow_entry *entries;
    size_t entry_count, slice;   /* slice: the next that no variable has asked for */
    uint64_t unpacked, repeated; /* bytes in memory, and of elements that are said once, so far */
    struct folder folder;
    bool has_folder;
    uint32_t *file_of; /* [shards]: the model's file; 0: not open */
    struct storage *swapped[DTYPE_COUNT];
};

/* Opens source as a model of format, whose entries read adds: 0, or its fault. */
int tensorflow_open_by(const struct format *format, const char *noun, int (*read)(struct tensorflow *tf),
                       const struct opener *opener, struct source *source, struct model **ret_model, struct error *err);

bool tensorflow_no_memory(struct tensorflow *tf);
bool tensorflow_wrong(struct tensorflow *tf, struct name key, const char *what);

/* TensorShapeProto, into the entry's dims, elements and rank. */
bool tensorflow_shape(struct tensorflow *tf, struct tensorflow_entry *entry, const struct wire_field *shape);

/* Whether the table holds the variables themselves, as checkpoints did before 2016; and these. */
int tensorflow_is_first_version(struct tensorflow *tf, bool *ret_is_first);
int tensorflow_read_first_version(struct tensorflow *tf);

/* Where an entry's bytes lie: the model's file, opened where it was not. */
bool tensorflow_place(struct tensorflow *tf, const struct tensorflow_entry *entry, uint32_t *ret_file);

/* A variable's name from its key, text by the dots between its components. */
bool tensorflow_name(struct tensorflow *tf, struct name key, struct name *ret_name);

/* The names of all entries; as they stand where two would come out alike. */
bool tensorflow_names(struct tensorflow *tf, struct name *names);

/* Adds the tensor that an entry with bytes is; room is the caller's business. */
bool tensorflow_add(struct tensorflow *tf, const struct tensorflow_entry *entry, struct name name);

/* The same where its bytes lie in a file of the model's that is known. */
bool tensorflow_add_at(struct tensorflow *tf, const struct tensorflow_entry *entry, struct name name, uint32_t file);

unsigned tensorflow_dtype_bytes(uint64_t dtype);   /* of an element; 0: of no fixed size, or not known */
const char *tensorflow_dtype_name(uint64_t dtype); /* NULL: not known */

/* Where the entry's values lie in the TensorProto at [at, end): its offset, its bytes and the model's file. may_repeat:
 * a list shorter than the dimensions say goes on with its last value. */
bool tensorflow_values(struct tensorflow *tf, struct tensorflow_entry *entry, uint64_t at, uint64_t end,
                       bool may_repeat, uint32_t *ret_file);

/* Whether the entry's values are little-endian elements of a known dtype. */
bool tensorflow_is_plain(const struct tensorflow *tf, const struct tensorflow_entry *entry);

/* Whether a key is a slice's, and not a variable's. */
bool tensorflow_is_slice(struct name key);

/* Adds the variable that entry says was saved in slices. */
bool tensorflow_add_sliced(struct tensorflow *tf, const struct tensorflow_entry *entry, struct name name);

#endif
