/* Quantised weights that a checkpoint keeps in several tensors (codes, scales, zero points, maps) become what they
 * stand for: one tensor under the weight's own name and shape, which a decoder reads (core/decode/packed.h). */
#ifndef CORE_MODEL_PACKED_H
#define CORE_MODEL_PACKED_H

#include "core/model/model.h"

/* Of a finished model with its config beside it. A layout is known by names, types, shapes and quantization_config
 * together; what looks packed and is not certain stays as it is, with a warning "packed-unknown" that says why. Reads
 * what describes a layout (a state in JSON, a shape, an index of groups), and of the codes at most 4 KB, where two
 * layouts have the same shapes. */
int packed_recognise(struct model *model, struct error *err);

#endif
