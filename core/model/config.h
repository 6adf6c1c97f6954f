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
struct metadata_entry;

enum { CONFIG_NESTING_MAX = 32, CONFIG_KEY_BYTES_MAX = 1024, CONFIG_VALUES_MAX = 1 << 20 };

/* Parses text (copied): strict JSON, but for the NaN and Infinity that Python writes. A key that appears twice in one
 * object is refused: readers disagree about which one counts. ERROR_FORMAT with the place of the fault, ERROR_LIMIT. */
int config_parse(const char *text, size_t bytes, struct config **ret_config, struct error *err);
/* The entries of a file's own metadata, sorted by key, as an object of texts, borrowed. Keys are cut to 1,024 bytes. */
int config_of_metadata(const struct metadata_entry *entries, size_t count, struct config **ret_config,
                       struct error *err);
void config_free(struct config *config);

/* A member by its path of keys, "text_config.hidden_size", "architectures.0" (elements by number), a key that holds
 * dots in quotes, "quantization.\"layers.0.up_proj\".bits"; false when it is absent or of another type. Whole numbers
 * only: 32.0 is none. */
bool config_u64(const struct config *config, const char *path, uint64_t *ret_value);
bool config_flag(const struct config *config, const char *path, bool *ret_value);
bool config_text(const struct config *config, const char *path, struct name *ret_text);

/* A number of any kind. */
bool config_number(const struct config *config, const char *path, double *ret_value);

/* How many elements the array at path has; 0 of what is none. */
size_t config_length(const struct config *config, const char *path);

/* Members of the object at path, and one of them that is a number; false when it is none. Keys may hold dots. */
size_t config_count(const struct config *config, const char *path);
bool config_member_number(const struct config *config, const char *path, size_t at, struct name *ret_key,
                          double *ret_value);

/* The key of member `at` of the object there, in canonical order; false beyond the last, or where no object is. */
bool config_key(const struct config *config, const char *path, size_t at, struct name *ret_key);

/* Writes the members that differ as {"added": {path: value}, "removed": {…}, "changed": {path: [before, after]}}; paths
 * are RFC 6901 pointers in canonical order. Numbers are compared as numbers (1 is 1.0), arrays element by element;
 * values of more than 64 values or 4 levels are listed member by member, and long text is cut with its length told.
 * Either side may be NULL: everything is added or removed. At most most entries are written, the rest counted in
 * "omitted". Returns whether there is any difference. */
bool config_write_diff(const struct config *before, const struct config *after, uint64_t most, struct writer *w);

#endif
