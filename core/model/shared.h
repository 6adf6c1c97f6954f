/* Tensors that are stored within another. */
#ifndef CORE_MODEL_SHARED_H
#define CORE_MODEL_SHARED_H

#include <stdbool.h>

#include "core/model/align.h"

/* Sets model->within; ERROR_NO_MEMORY. */
int model_find_shared(struct model *model, struct error *err);

/* The tensor in which all elements of the model's tensor lie, or NULL. */
const struct tensor *model_within(const struct model *model, size_t tensor);

/* [pair] Whether its tensors lie, in every model that has one, within those of one other pair: what is said of that has
 * been said of this. Left as it is where no pair does; the caller's to free. ERROR_NO_MEMORY. */
int pairing_find_shared(const struct model *const *models, const struct pairing *pairing, bool **ret_is_shared,
                        struct error *err);

#endif
