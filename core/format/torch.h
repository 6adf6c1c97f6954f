/* What PyTorch's containers have in common: the tree of a pickle becomes a model, its storages are members. */
#ifndef CORE_FORMAT_TORCH_H
#define CORE_FORMAT_TORCH_H

#include "core/format/format.h"
#include "core/format/pickle.h"
#include "core/format/zip.h"

struct torch {
    const struct opener *opener;
    struct source *source;
    struct error *err;
    struct model *model; /* files[0] is source, which stays the caller's until the end */
    struct arena arena;  /* what the model keeps */
    struct arena nodes;  /* the tree */
    struct zip storages; /* by key, behind prefix */
    struct name prefix;  /* "archive/data/" */
    uint32_t *file_of;   /* [storages.count]: the model's file that an inflated member became; 0: none */
    bool is_swapped;
    size_t tensor_room, metadata_room;
    const struct node *root;
    char path[4096]; /* of the node at hand */
    size_t path_bytes, depth;
    uint64_t inflated;                     /* bytes of members that were parsed */
    uint64_t viewed, viewed_max, repeated; /* bytes of views of storages, and of those that repeat elements */
    uint64_t steps, steps_max;             /* values that were looked at, and that may be */
    uint8_t *arrays;                       /* NumPy's, one behind the other; NULL: none */
    size_t arrays_bytes, arrays_room;
    uint32_t arrays_file; /* the model's file that they become */
    size_t optimizers;    /* whose numbers were named */
    size_t objects;       /* of classes that are not known */
    struct name class;    /* of the first such object */
};

/* An element type by the name of its storage ("torch.FloatStorage") or its own ("torch.float8_e4m3fn"). */
struct torch_dtype {
    const char *storage, *name;
    enum dtype dtype; /* DTYPE_UNKNOWN: listed under its name */
    unsigned bytes;   /* of an element */
    uint8_t each;     /* elements in one of those */
};
const struct torch_dtype *torch_dtype_of(const struct node *global);

/* The storage that a persistent id stands for: ('storage', type, key, location, elements[, view]). */
struct torch_storage {
    const struct torch_dtype *type;
    struct name key;
    uint64_t elements;
    uint64_t view_first; /* elements that a legacy view leaves out in front */
};
int torch_storage_of(const struct node *node, struct torch_storage *ret, struct error *err);

int torch_begin(struct torch *torch, const struct opener *opener, struct source *source, struct error *err);

/* Turns the tree of a pickle of so many bytes into tensors and metadata of torch->model. */
int torch_walk(struct torch *torch, struct node *root, uint64_t bytes);

/* ERROR_LIMIT where it is the file that asks for more than its size may, ERROR_NO_MEMORY otherwise. */
int torch_no_memory(struct torch *torch, const char *what);

/* Warns of what was not read, once all has been walked. */
int torch_tell(struct torch *torch);

/* The tensor that a call rebuilds, named name. *ret_is_tensor is false for every other call. */
int torch_tensor(struct torch *torch, const struct node *call, struct name name, bool *ret_is_tensor);

int torch_add_tensor(struct torch *torch, const struct tensor *tensor);

/* The NumPy array that a call makes, as a tensor named name; *ret_is_read is false for every other call, and for arrays
 * of Python objects. The file that holds them all is made once all has been walked. */
int torch_numpy_array(struct torch *torch, const struct node *call, struct name name, bool *ret_is_read);
bool torch_numpy_is_array(const struct node *call);
int torch_numpy_finish(struct torch *torch);

/* A NumPy number as one of Python's; false of anything else, and of one that does not fit 64 bits with a sign. */
bool torch_numpy_scalar(const struct node *call, struct node *ret);

/* What can be told of a call that rebuilds a tensor, before it does. false: it is none. */
struct torch_outline {
    const struct node *size; /* a tuple or list */
    struct name storage;     /* its key */
    uint64_t first;          /* element of the storage */
    bool is_float;
};
bool torch_tensor_outline(const struct node *call, struct torch_outline *ret);

/* The call that a pickle would rebuild a tensor by. NULL: out of memory. */
struct torch_parts {
    struct name storage; /* its key */
    uint64_t storage_bytes;
    const char *type;             /* "torch.float32" */
    const uint64_t *dims, *steps; /* [rank] */
    uint64_t rank, first;         /* first: element of the storage */
};
struct node *torch_rebuild_node(struct torch *torch, const struct torch_parts *parts);

/* All bytes of a member that is parsed, a NUL behind them; the caller frees them. what names it in messages. */
int torch_read_member(struct torch *torch, const struct zip_member *member, const char *what, uint8_t **ret_bytes);

/* Of the archive in torch->storages: its data.pkl, and what that names. ERROR_UNSUPPORTED where it has none. */
int torch_read_pickle(struct torch *torch);

/* The same of torch.export's archives. */
int torch_pt2_read(struct torch *torch, bool *ret_is_pt2);

/* Hands the model over: its arena, its source. Prefixes the error with the file's name where rc is one. */
int torch_finish(struct torch *torch, int rc, struct model **ret_model);

/* The names of the parameters that the optimizer (a dict with "state" and "param_groups") knows by number, numbers
 * being places; .text NULL where a name cannot be told for certain. */
int torch_optimizer_names(struct torch *torch, const struct node *root, const struct node *optimizer,
                          struct name **ret_names, size_t *ret_count);

#endif
