/* The directory that a model's files lie in: its shards, its config and what else is told apart by name. */
#ifndef CORE_FORMAT_FOLDER_H
#define CORE_FORMAT_FOLDER_H

#include "core/format/format.h"

struct folder {
    const struct opener *opener;
    char *path, *uri; /* joined with the names of files */
};

/* The directory at opener->place, or with is_file the one that the file there lies in. ERROR_NO_MEMORY. */
int folder_open(struct folder *folder, const struct opener *opener, bool is_file, struct error *err);
void folder_done(struct folder *folder);

/* The place of a file there; its path and uri are freed by folder_place_done. ERROR_NO_MEMORY. */
int folder_place(const struct folder *folder, struct name file, struct place *ret_place, struct error *err);
void folder_place_done(struct place *place);

int folder_open_file(const struct folder *folder, struct name file, struct source **ret_source, struct error *err);

/* Reads all of source into a block of its own, a NUL behind it. ERROR_LIMIT says what it is. */
int folder_read_whole(struct source *source, uint64_t limit, const char *what, char **ret_text, struct error *err);

/* Gives the model the config and the side files that lie beside its weights. A model without them is whole; what cannot
 * be read is a warning. ERROR_NO_MEMORY only. */
int folder_read_beside(const struct folder *folder, struct model *model, struct error *err);

#endif
