/* config.json and other small JSON beside a model: read once, looked up by path, compared member by member. Parsed by
 * the reader that parses headers; a malformed file is a warning, never an error. */
#ifndef CORE_MODEL_CONFIG_H
#define CORE_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/name.h"
#include "core/writer.h"

struct config;

/* Parses text (copied). ERROR_FORMAT with the place of the fault. */
int config_parse(const char *text, size_t bytes, struct config **ret_config, struct error *err);
void config_free(struct config *config);

/* A member by its path of keys, "text_config.hidden_size"; false when it is absent or of another type. */
bool config_u64(const struct config *config, const char *path, uint64_t *ret_value);
bool config_flag(const struct config *config, const char *path, bool *ret_value);
bool config_text(const struct config *config, const char *path, struct name *ret_text);

/* Writes the members that differ as {"added": {path: value}, "removed": {…}, "changed": {path: [before, after]}}; paths
 * are RFC 6901 pointers in canonical order. Either side may be NULL: everything is added or removed. At most most
 * entries are written, the rest counted in "omitted". Returns whether there is any difference. */
bool config_write_diff(const struct config *before, const struct config *after, uint64_t most, struct writer *w);
bool config_differs(const struct config *before, const struct config *after);

#endif
