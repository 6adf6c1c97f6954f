/* The directories below which requests may name models. With one root a request says "dir/a.safetensors", with several
 * "NAME/dir/a.safetensors"; an absolute path that lies below a root is accepted too. Resolution itself is confined by
 * the kernel (core/io/source.h): nothing here decides safety by looking at text. */
#ifndef SERVER_ROOTS_H
#define SERVER_ROOTS_H

#include <stddef.h>

#include "api/backend.h"
#include "core/error.h"
#include "core/io/source.h"

enum { ROOTS_MAX = 64, ROOT_PATH_BYTES = 4096 };

struct root {
    char *name; /* "" when it is the only one and has none */
    char *path; /* as absolute as it was given and resolved; "" when unknown */
    int fd;
};

struct roots {
    struct root *items;
    size_t count;
};

/* Each setting is DIR or NAME=DIR; without a name, several roots take the directory's own. ERROR_REQUEST: not a
 * directory, or two of one name. */
int roots_open(const char *const *settings, size_t count, struct roots *ret, struct error *err);
/* Adds a root whose descriptor is at hand (a worker's); takes fd on success. */
int roots_add(struct roots *roots, const char *name, const char *path, int fd, struct error *err);
void roots_done(struct roots *roots); /* zeroed is fine */

/* Where a request's path lies. ret borrows from roots and path. ERROR_NOT_FOUND: below no root; ERROR_OUTSIDE: an
 * absolute path elsewhere; ERROR_REQUEST: too long. */
int roots_find(const struct roots *roots, const char *path, struct place *ret, struct error *err);

/* What can be told without reading: it is there, may be opened, is a regular file or a directory that promises a model.
 */
int roots_check_model(const struct roots *roots, const char *path, struct error *err);

/* What lies directly in the directory, in natural order; hidden names, names that are not UTF-8 and links that lead out
 * are left out. "" or NULL: the root, or the list of roots when there are several. */
int roots_list(const struct roots *roots, const char *path, size_t limit, struct model_list *ret, struct error *err);

#endif
