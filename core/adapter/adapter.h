/* An adapter as peft or diffusers saves it, or as a GGUF file has it, put on the model that it was trained for. */
#ifndef CORE_ADAPTER_ADAPTER_H
#define CORE_ADAPTER_ADAPTER_H

#include "core/model/model.h"

/* Makes base what it would be with the adapter merged, computed as it is read. Takes adapter, also on failure: its
 * files become base's. Tensors of the adapter that fit nothing are warnings of base. ERROR_FORMAT when adapter is none,
 * or fits nothing at all. */
int adapter_apply(struct model *base, struct model *adapter, struct error *err);

/* What is written of a scale: alpha ÷ r, alpha ÷ √r with use_rslora; patterns override both. Of a module's name. */
struct adapter_config;
int adapter_config_read(const char *text, size_t bytes, struct adapter_config **ret_config, struct error *err);
void adapter_config_free(struct adapter_config *config);
int adapter_config_scale(struct adapter_config *config, struct name module, uint64_t rank, double *ret_scale,
                         struct error *err);

#endif
