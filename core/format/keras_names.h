/* Names of a Keras model's variables. Its weights are kept by class and number (layers/dense_1/vars/0); what its layers
 * are called stands in its config. */
#ifndef CORE_FORMAT_KERAS_NAMES_H
#define CORE_FORMAT_KERAS_NAMES_H

#include <stdbool.h>

#include "core/arena.h"

struct keras_layer {
    struct name class_name, name;
    struct name key; /* of its group in the weights' file: "dense_1" */
    bool is_special; /* quantised or adapted: its variables are others than its class's */
    bool has_no_bias, has_no_center, has_no_scale;
    struct keras_layer *layers, *last, *next;
    unsigned count;
};

/* Reads a config, whose text is changed and borrowed from. NULL: it is none, or has no layers that can be told apart.
 */
struct keras_layer *keras_read_config(char *text, size_t bytes, struct arena *arena);

/* "layers/dense_1/vars/0" → "fc2/kernel", in the arena; .text NULL where the config does not say. */
struct name keras_rename(const struct keras_layer *model, struct name name, struct arena *arena);

#endif
