/* Scales that GGUF files keep beside a tensor. */
#ifndef CORE_FORMAT_GGUF_SCALES_H
#define CORE_FORMAT_GGUF_SCALES_H

#include "core/model/model.h"

/* NVFP4 blocks of NAME.weight are to be multiplied by NAME.scale, an F32 of one element, or of one for each matrix of
 * a stack: from now on they are. Scales lie in any of the model's files. */
int gguf_settle(struct model *model, struct error *err);

#endif
