/* What bytes mean: one file per format, found by content and never by the name's suffix. */
#ifndef CORE_FORMAT_FORMAT_H
#define CORE_FORMAT_FORMAT_H

#include <stdbool.h>

#include "core/model/model.h"

enum { HEAD_BYTES = 4096, TAIL_BYTES = 64 };

struct head {
    uint8_t first[HEAD_BYTES]; /* zero-filled beyond the file */
    size_t first_bytes;
    uint8_t last[TAIL_BYTES];
    size_t last_bytes;
    uint64_t file_bytes;
};

/* Gives a format the siblings of the file it opens, under the same root and limits. */
struct opener {
    const struct place *place;
    const struct limits *limits;
};

/* Exactly what becomes of what such files hold, for /v1/formats. */
struct format_docs {
    const char *reads;   /* compared by values */
    const char *lists;   /* listed, and compared by their bytes only */
    const char *refuses; /* with an error, and what is left out with a warning */
};
extern const struct format_docs safetensors_docs, gguf_docs, torch_docs, torch_distributed_docs, numpy_docs, onnx_docs,
    flax_docs, tensorflow_docs, tensorflow_graph_docs, hdf5_docs, keras_docs, matlab_docs, tflite_docs;

struct format {
    const char *name;    /* "safetensors" */
    const char *summary; /* one line for --help and /v1/formats */
    const struct format_docs *docs;
    bool (*probe)(const struct head *head);
    /* Takes source on success. Tensors may be left in any order: model_finish comes after. */
    int (*open)(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err);
    /* Optional. Once all files of the model are in and its names are known: what tensors have to do with one another.
     */
    int (*settle)(struct model *model, struct error *err);
    bool shares_storages; /* tensors may lie in one another */
    char index_separator; /* what joins the parts of a name in an index, where it is no dot; 0: a dot */
};

/* model_finish, and what the model's format settles. */
int format_finish(struct model *model, struct error *err);

/* Ends an open that failed: names the source, where the message does not begin with it and a failed read has not named
 * it, and closes what there is of the model, without the source, which is taken on success only. Returns rc. model may
 * be NULL. */
int format_reject(struct model *model, const struct source *source, int rc, struct error *err);

/* Opens one file by the first format that recognises it, without model_finish. Takes source on success.
 * ERROR_UNSUPPORTED, with what was found instead, when none does. */
int format_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err);

/* Opens the model that one file is, from any source (model_open is for places). Takes source on success. */
int model_open_source(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err);

extern const struct format safetensors_format, gguf_format, torch_zip_format, torch_legacy_format, torch_tar_format,
    torch_distributed_format, npy_format, npz_format, onnx_format, onnx_tensor_format, flax_format, tensorflow_format,
    tensorflow_graph_format, matlab_hdf5_format, hdf5_format, matlab_5_format, matlab_4_format, tflite_format,
    keras_format;

/* The registry, in the order they are asked. */
extern const struct format *const formats[];
extern const size_t format_count;

#endif
