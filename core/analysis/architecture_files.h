/* Differences between the files beside two models: JSON member by member, vocabularies token by token, others as bytes.
 */
#ifndef CORE_ANALYSIS_ARCHITECTURE_FILES_H
#define CORE_ANALYSIS_ARCHITECTURE_FILES_H

#include "core/model/model.h"
#include "core/writer.h"

enum { SIDE_FILE_BYTES_MAX = 64 << 20, TOKEN_EXAMPLES_MAX = 10 }; /* larger files are compared as bytes only */

struct side_changes;

/* Reads what has to be read. ERROR_CHANGED, ERROR_READ, ERROR_NO_MEMORY; a malformed file is compared as bytes. */
int side_changes_find(const struct model *before, const struct model *after, struct side_changes **ret_changes,
                      struct error *err);
void side_changes_free(struct side_changes *changes);

/* A member side_files: an array, one object a file that was added, removed or changed. */
void side_changes_write(const struct side_changes *changes, uint64_t most, struct writer *w);

#endif
