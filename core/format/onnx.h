/* ONNX: what its graph and its tensors have in common. */
#ifndef CORE_FORMAT_ONNX_H
#define CORE_FORMAT_ONNX_H

#include "core/format/folder.h"
#include "core/format/wire.h"

struct onnx {
    const struct opener *opener;
    struct source *source;
    struct error *err;
    struct byte_reader reader;
    struct arena arena;
    struct model *model; /* files[0] is source */
    struct folder folder;
    bool has_folder;
    struct name *locations; /* [model->file_count]: of external files; .text NULL for the others */
    size_t file_room, tensor_room, metadata_room;
};

/* The TensorProto at [at, end): prefix and the name it has of its own, or else the fallback. */
bool onnx_tensor(struct onnx *onnx, uint64_t at, uint64_t end, struct name prefix, struct name fallback);
/* The same, by another name than its own. */
bool onnx_tensor_called(struct onnx *onnx, uint64_t at, uint64_t end, struct name name);

bool onnx_no_memory(struct onnx *onnx);

/* prefix + text, of the arena. */
bool onnx_join(struct onnx *onnx, struct name prefix, struct name text, struct name *ret_name);

/* One more element in an array that grows by doubling. */
bool onnx_reserve(struct onnx *onnx, void *array_of, size_t item_bytes, size_t count, size_t *room);

#endif
