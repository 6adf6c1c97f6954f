/* What a directory holds, judged by its names alone. */
#ifndef CORE_MODEL_DIRECTORY_H
#define CORE_MODEL_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "core/io/source.h"
#include "core/limits.h"

struct directory_choice {
    bool is_index; /* files[0] is an index; else files are the weights themselves, one or all shards, in order */
    char **files;  /* names within the directory */
    size_t file_count;
    char *passed_over; /* a sentence about other files that would have done, or NULL */
};

/* Chooses as Hugging Face lays models out: an index, one file, or a full set of shards. Messages do not name the
 * directory. ERROR_NO_MODEL, ERROR_LIMIT, ERROR_READ, ERROR_NO_MEMORY. */
int directory_choose(int dir_fd, const struct limits *limits, struct directory_choice *ret_choice, struct error *err);
void directory_choice_done(struct directory_choice *choice);

/* Opens place as place_open does, or where nothing lies there, the .index of the TensorFlow checkpoint whose prefix it
 * is ("model.ckpt-100"). *ret_place is the one that was opened, to be given to directory_place_done with place. */
int directory_open_place(const struct place *place, struct place *ret_place, int *ret_fd, int *ret_is_directory,
                         struct error *err);
void directory_place_done(struct place *opened, const struct place *place);

#endif
