/* What /v1/formats says of each format beyond a line, and the README's table, which a test holds against this. */
#include "core/format/format.h"

const struct format_docs safetensors_docs = {
    .reads = "single files, shards with an index, directories; every dtype of the format; packed "
             "weights of GPTQ, AWQ and others as what they stand for",
    .lists = "dtypes that it does not know",
    .refuses = "what the reference reader refuses, and names that appear twice",
};

const struct format_docs gguf_docs = {
    .reads = "F32, F16, BF16, F64, integers; Q4_0 to Q8_1, Q2_K to Q8_K, all of IQ1 to IQ4, TQ1_0, TQ2_0, "
             "MXFP4, NVFP4 (times its .scale partner), Q1_0, Q2_0, each to the bit as ggml decodes it, in "
             "either byte order; split files, by their first; all keys as metadata (of a long array: its "
             "type, length, first elements and SHA-256)",
    .lists = "types of forks (numbers above 42); big-endian IQ2_XXS, which ggml itself writes in one way and "
             "reads in another",
    .refuses = "what ggml refuses, nested arrays excepted",
};

const struct format_docs torch_docs = {
    .reads = "ZIP (stored or deflated members, ZIP64, either byte order), the container before 1.6 "
             "(pickle protocols 1 to 5) and the tar of 0.1; state dicts, nested ones with their keys joined by dots, "
             "parameters, views (strides, offsets; what "
             "lies in another tensor says so by stored_in and is counted once), whole modules and TorchScript without "
             "their classes (what a frozen "
             "module has in constants.pkl as constants.0, …), weights and constants of torch.export's archives, "
             "every pickle of torch.package's, per-tensor and per-channel quantised tensors (8, 4 and 2 bits, 32), "
             "packed weights of quantised modules (fc._packed_params._packed_params.0), conjugated and negated views, "
             "shards with an index; of training checkpoints the optimizer's state under its parameters' names where "
             "order and shapes "
             "leave no choice, and scalars (epoch, step, loss, learning rate; NumPy's too) as metadata; NumPy "
             "arrays of numbers; fields of named tuples, items of lists of classes of one's own; sparse, nested and "
             "jagged tensors by their parts (w.crow_indices, "
             "w.col_indices, w.values); of DeepSpeed's directories mp_rank_00_model_states.pt",
    .lists = "bits, negated views of types of 8 bits and fewer, views that repeat their elements beyond 4 GB, "
             "all together",
    .refuses = "pickles that name an unsafe global or call anything that a checkpoint has no use for, by that "
               "global's name; archives whose directory and members disagree; encrypted members. Meta tensors "
               "are listed without values; a subclass that wraps tensors is listed by its attributes, a DTensor "
               "as what of it lies on the rank that wrote the file, with a warning; other subclasses with data "
               "of their own, parameters without a shape yet, masked arrays and NumPy arrays of Python objects are "
               "left out with a warning",
};

const struct format_docs torch_distributed_docs = {
    .reads = "the directory, or its .metadata: tensors whose chunks are whole rows, as FSDP cuts them, or tiles of two "
             "dimensions, as tensor parallelism does, put together; "
             "numbers and texts as metadata",
    .lists = "as PyTorch's; tensors in other chunks, one by one (w[0,0,128]), with a warning",
    .refuses =
        "compressed chunks, tensors of which a chunk is missing; as PyTorch's. Objects that hold tensors are left "
        "out with a warning",
};

const struct format_docs numpy_docs = {
    .reads = "versions 1 to 3, C and Fortran order, either byte order, stored or deflated archives; an array "
             "alone is named array",
    .lists = "text, dates, void (ml_dtypes saves bfloat16 as V2), long double, structured dtypes",
    .refuses = "object arrays (a pickle), by the array's name; members that lead out of the archive",
};

const struct format_docs onnx_docs = {
    .reads = "initialisers, sparse ones too, and constants and attributes of nodes, in nested graphs and "
             "functions; a tensor alone (TensorProto, .pb); integers of 4 and 2 bits; raw, typed and external data "
             "(below the model's own directory)",
    .lists = "texts",
    .refuses = "data that do not fit their dimensions; external data whose path leads out of the directory",
};

const struct format_docs flax_docs = {
    .reads = "parameters and whole training states, keys joined by dots; every dtype of NumPy and ml_dtypes "
             "that safetensors has, 4-bit integers; arrays in pieces (__msgpack_chunked_array__); shards with "
             "an index; numbers and texts as metadata",
    .lists = "other 4- to 8-bit floats, texts",
    .refuses = "arrays that do not fit their shape, bytes behind the end, msgpack without an array. Complex "
               "numbers and unknown extensions are left out with a warning",
};

const struct format_docs tensorflow_docs = {
    .reads = "the .index of a tensor bundle with its .data shards beside it, by its name or by the prefix that "
             "TensorFlow's functions take (model.ckpt-100), a directory of one or of several with the file "
             "checkpoint, which names the latest; a SavedModel's directory; the one table of the first version, "
             "before 2016; either byte order; partitioned variables put together along their first dimension; "
             "names with dots for slashes and without /.ATTRIBUTES/VARIABLE_VALUE",
    .lists = "2-bit integers, texts",
    .refuses = "tables whose checksums do not fit, blocks compressed otherwise than by Snappy, bytes beyond a "
               "shard's end. Slices along other dimensions are listed one by one with a warning",
};

const struct format_docs tensorflow_graph_docs = {
    .reads =
        "the constants of nodes, weights, shapes and axes alike, by their node's name with dots for slashes; those of "
        "the library's functions as NODE@FUNCTION, as TensorFlow tells them apart; elements as they lie in memory or "
        "in the field of their dtype, in which a shorter list goes on with its last value",
    .lists = "2-bit integers, 4-bit floats",
    .refuses =
        "values that do not fit their dimensions, dtypes that are not known, graphs without constants. Texts are "
        "left out with a warning; of a graph that was not frozen a warning counts the variables, whose values lie "
        "in a checkpoint",
};

const struct format_docs hdf5_docs = {
    .reads = "every dataset of numbers by its path; either byte order, bool, complex, bfloat16 as Keras keeps "
             "it, user blocks; contiguous, compact and chunked by any index, deflate, LZF, shuffle, Fletcher's "
             "checksum, fill values; hard links",
    .lists = "fixed text, opaque, bitfields, unusual widths; without values, by the reason: other filters, compressed "
             "chunks above 64 MB, external storage and virtual datasets (no other file is opened)",
    .refuses = "damaged structures, sizes that such a file cannot give. Links to names and to other files, texts of "
               "variable length, references, compounds, virtual datasets without a size of their own and what is newer "
               "than the HDF5 library at hand are left out with a warning",
};

const struct format_docs keras_docs = {
    .reads = "the weights in the archive, stored or deflated, named by its config (fc1/kernel); variables of "
             "layers that the config does not list, or of classes that are not Keras's own, keep their place "
             "for a name (fc1/vars/0). Older .h5 and .weights.h5 are HDF5, by their paths",
    .lists = "as HDF5",
    .refuses = "weights in several files, or as .npz; as HDF5",
};

const struct format_docs matlab_docs = {
    .reads = "versions 4, 5 to 7 (deflated or not) and 7.3 (HDF5), either byte order; dimensions as MATLAB "
             "has them; numeric and logical arrays, doubles that are stored as smaller numbers, complex as "
             "NAME.real and NAME.imag, sparse as NAME.ir, .jc and .data (in version 4 "
             "the table of rows, columns and values that it is there); within structs and cells by MATLAB's "
             "expressions (net.layers{2}.w, pair(2).w)",
    .lists = "char",
    .refuses = "sizes that do not fit, damaged deflated bytes; 7.3 as HDF5. Functions and objects are left out "
               "with a warning",
};

const struct format_docs tflite_docs = {
    .reads = "the constants of every graph; integers of 2 to 32 bits with scales, by tensor or channel, as the "
             "values that they stand for; buffers behind the FlatBuffer",
    .lists = "texts, sparse tensors",
    .refuses = "offsets and sizes that lead out of the file, data that do not fit their shapes",
};
