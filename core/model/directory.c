/* Which files of a directory are the model. First an index, then a single file, then a file under the usual name, then
 * a set of shards that is whole; whatever is left is for the requester to decide, and the message lists it. A guess
 * would compare the wrong weights. */
#include "core/model/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/model/model.h"
#include "core/name.h"

enum { USUAL_NAMES = 4, STATE_BYTES = 4096 };

/* The kinds of weight files, the first that a directory holds is taken: who converts a model leaves the older form
 * beside the newer one. */
static const struct kind {
    const char *format;  /* for messages */
    const char *weights; /* suffixes */
    const char *index;   /* NULL: there is none */
    const char *usual[USUAL_NAMES];
    bool is_usual_only; /* files of that suffix under other names are no weights */
    const char *state;  /* a file that says which of several is the latest; NULL: there is none */
} kinds[] = {
    {"safetensors", ".safetensors", ".safetensors.index.json", {"model", "diffusion_pytorch_model"}, false, NULL},
    {"PyTorch",
     ".bin",
     ".bin.index.json",
     {"pytorch_model", "diffusion_pytorch_model", "adapter_model", "model"},
     true,
     NULL},
    {"gguf", ".gguf", NULL, {"model"}, false, NULL},
    {"PyTorch", ".pt", NULL, {"model", "mp_rank_00_model_states"}, false, NULL}, /* the second: DeepSpeed's */
    {"PyTorch", ".pth", NULL, {"model"}, false, NULL},
    {"PyTorch", ".ckpt", NULL, {"model"}, false, NULL},
    {"Flax", ".msgpack", ".msgpack.index.json", {"flax_model", "model", "params"}, false, NULL},
    {"TensorFlow", ".index", NULL, {"variables", "model.ckpt"}, false, "checkpoint"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Names of one kind, sorted. */
struct list {
    char **names;
    size_t count;
};

struct listing {
    struct list weights[KINDS], indexes[KINDS];
    char *foreign;       /* a weight file of another format, for the message */
    bool is_saved_model; /* of TensorFlow: its variables lie a directory below */
    bool is_distributed; /* of torch.distributed.checkpoint: there is a .metadata */
    bool is_deepspeed;   /* its file says which directory below is the latest */
};

static void list_done(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct list){0};
}

static void listing_done(struct listing *listing)
{
    for (size_t k = 0; k < KINDS; k++) {
        list_done(&listing->weights[k]);
        list_done(&listing->indexes[k]);
    }
    free(listing->foreign);
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t bytes = strlen(name), suffix_bytes = strlen(suffix);

    return bytes > suffix_bytes && strcmp(name + bytes - suffix_bytes, suffix) == 0;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "out of memory for a directory's names");
}

static int list_add(struct list *list, const char *name, const struct limits *limits, struct error *err)
{
    char **grown;
    char *copy;

    if (list->count >= limits->shards)
        return error_set(err, ERROR_LIMIT, "holds more than %" PRIu32 " weight files, the limit", limits->shards);
    copy = strdup(name);
    grown = reallocarray(list->names, list->count + 1, sizeof(*grown));
    if (grown)
        list->names = grown;
    if (!copy || !grown) {
        free(copy);
        return no_memory(err);
    }
    list->names[list->count++] = copy;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return name_compare_natural(name_of(*(char *const *)a), name_of(*(char *const *)b));
}

static bool is_foreign(const char *name)
{
    static const char *const suffixes[] = {".bin", ".onnx", ".h5", ".npz", ".distcp"};

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (has_suffix(name, suffixes[i]))
            return true;
    return false;
}

/* Whether name is "<usual name><suffix>" or a shard of that: an optimizer's state ends like weights do. */
static bool is_weights_name(const char *name, const struct kind *kind)
{
    for (size_t u = 0; kind->is_usual_only && u < USUAL_NAMES && kind->usual[u]; u++) {
        const size_t bytes = strlen(kind->usual[u]);

        if (strncmp(name, kind->usual[u], bytes) == 0 &&
            (strcmp(name + bytes, kind->weights) == 0 || name[bytes] == '-'))
            return true;
    }
    return !kind->is_usual_only;
}

static int sort_in(struct listing *listing, const char *name, const struct limits *limits, struct error *err)
{
    for (size_t k = 0; k < KINDS; k++) {
        if (has_suffix(name, kinds[k].weights) && is_weights_name(name, &kinds[k]))
            return list_add(&listing->weights[k], name, limits, err);
        if (kinds[k].index && has_suffix(name, kinds[k].index))
            return list_add(&listing->indexes[k], name, limits, err);
    }
    listing->is_deepspeed |= strcmp(name, "latest") == 0;
    listing->is_saved_model |= strcmp(name, "saved_model.pb") == 0;
    if (is_foreign(name) && (!listing->foreign || strcmp(name, listing->foreign) < 0)) {
        char *copy = strdup(name);

        if (!copy)
            return no_memory(err);
        free(listing->foreign);
        listing->foreign = copy;
    }
    return 0;
}

static int read_listing(int dir_fd, const struct limits *limits, struct listing *listing, struct error *err)
{
    /* Opened anew: reading a directory moves the offset of its descriptor, which is the caller's. */
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir) {
        rc = error_set(err,
                       errno == EACCES   ? ERROR_ACCESS
                       : errno == ENOMEM ? ERROR_NO_MEMORY
                                         : ERROR_READ,
                       "the directory cannot be read: %s", strerrordesc_np(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while (rc == 0) {
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            if (errno != 0)
                rc = error_set(err, ERROR_READ, "the directory cannot be read: %s", strerrordesc_np(errno));
            break;
        }
        listing->is_distributed |= strcmp(entry->d_name, ".metadata") == 0;
        if (entry->d_name[0] != '.' && entry->d_type != DT_DIR)
            rc = sort_in(listing, entry->d_name, limits, err);
    }
    closedir(dir);
    for (size_t k = 0; rc == 0 && k < KINDS; k++) {
        if (listing->weights[k].count > 0)
            qsort(listing->weights[k].names, listing->weights[k].count, sizeof(char *), compare_names);
        if (listing->indexes[k].count > 0)
            qsort(listing->indexes[k].names, listing->indexes[k].count, sizeof(char *), compare_names);
    }
    return rc;
}

/* The first few names, for a message. */
static const char *enumerate(const struct list *list, char out[512])
{
    enum { SHOWN = 4 };
    char printable[NAME_PRINTABLE_BYTES];
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < list->count && i < SHOWN && used < 400; i++)
        used += (size_t)snprintf(out + used, 512 - used, "%s%.100s", i ? ", " : "",
                                 name_printable(name_of(list->names[i]), printable));
    if (list->count > SHOWN && used < 500)
        snprintf(out + used, 512 - used, ", …");
    return out;
}

/* The place in list of "<usual name><suffix>", by preference; count when there is none. */
static size_t find_usual(const struct list *list, const struct kind *kind, const char *suffix)
{
    for (size_t u = 0; u < USUAL_NAMES && kind->usual[u]; u++)
        for (size_t i = 0; i < list->count; i++)
            if (strlen(list->names[i]) == strlen(kind->usual[u]) + strlen(suffix) &&
                strncmp(list->names[i], kind->usual[u], strlen(kind->usual[u])) == 0)
                return i;
    return list->count;
}

/* NAME-00002-of-00005.SUFFIX. */
struct shard_name {
    size_t stem_bytes; /* of NAME */
    uint64_t number, total;
};

/* The run of 1 to 9 digits that ends at end; *ret_start is its first. */
static bool number_before(const char *name, size_t end, size_t *ret_start, uint64_t *ret_number)
{
    size_t start = end;
    uint64_t number = 0;

    while (start > 0 && name[start - 1] >= '0' && name[start - 1] <= '9')
        start--;
    if (start == end || end - start > 9)
        return false;
    for (size_t i = start; i < end; i++)
        number = number * 10 + (uint64_t)(name[i] - '0');
    *ret_start = start;
    *ret_number = number;
    return true;
}

static bool parse_shard_name(const char *name, const struct kind *kind, struct shard_name *ret)
{
    size_t end = strlen(name) - strlen(kind->weights), start;

    if (!number_before(name, end, &start, &ret->total) || start < 4 || memcmp(name + start - 4, "-of-", 4) != 0)
        return false;
    if (!number_before(name, start - 4, &start, &ret->number) || start < 1 || name[start - 1] != '-')
        return false;
    ret->stem_bytes = start - 1;
    return true;
}

/* Whether the weights are shards of one set, all of it. *ret_is_set is false when they are no set at all. */
static int check_shards(const struct list *weights, const struct kind *kind, bool *ret_is_set, struct error *err)
{
    struct shard_name first, next;

    *ret_is_set = false;
    if (!parse_shard_name(weights->names[0], kind, &first))
        return 0;
    for (size_t i = 0; i < weights->count; i++)
        if (!parse_shard_name(weights->names[i], kind, &next) || next.total != first.total ||
            next.stem_bytes != first.stem_bytes || memcmp(weights->names[0], weights->names[i], first.stem_bytes) != 0)
            return 0;
    *ret_is_set = true;
    /* Sorted by number already. */
    for (size_t i = 0; i < weights->count; i++) {
        if (!parse_shard_name(weights->names[i], kind, &next) || next.number != i + 1)
            return error_set(err, ERROR_NO_MODEL,
                             "holds %zu shards of %" PRIu64 " and no index; shard %zu is missing or there twice",
                             weights->count, first.total, i + 1);
    }
    if (weights->count != first.total)
        return error_set(err, ERROR_NO_MODEL, "holds only %zu shards of %" PRIu64 " and no index", weights->count,
                         first.total);
    return 0;
}

/* Moves names [first, first + count) of list into choice. */
static int take(struct directory_choice *choice, struct list *list, size_t first, size_t count, struct error *err)
{
    choice->files = reallocarray(NULL, count, sizeof(*choice->files));
    if (!choice->files)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        choice->files[i] = list->names[first + i];
        list->names[first + i] = NULL;
    }
    choice->file_count = count;
    return 0;
}

static int choose_file(const char *name, struct directory_choice *choice, struct error *err)
{
    choice->files = calloc(1, sizeof(*choice->files));
    if (!choice->files)
        return no_memory(err);
    choice->files[0] = strdup(name);
    choice->file_count = 1;
    return choice->files[0] ? 0 : no_memory(err);
}

/* TensorFlow's "checkpoint": model_checkpoint_path: "ckpt-2", and more lines. Empty: it does not say. */
static void read_state(int dir_fd, const char *file, char ret_name[STATE_BYTES])
{
    static const char key[] = "model_checkpoint_path: \"";
    int fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char text[STATE_BYTES], *start, *end, *slash;
    ssize_t bytes;

    ret_name[0] = '\0';
    if (fd < 0)
        return;
    bytes = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (bytes <= 0)
        return;
    text[bytes] = '\0';
    if (strncmp(text, key, sizeof(key) - 1) != 0)
        return;
    start = text + sizeof(key) - 1;
    end = strchr(start, '"');
    if (!end)
        return;
    *end = '\0';
    slash = strrchr(start, '/'); /* the directory was another, or is this one */
    snprintf(ret_name, STATE_BYTES, "%s", slash ? slash + 1 : start);
}

/* The one of several weights that the kind's state names; count when there is none. */
static size_t find_latest(int dir_fd, const struct list *weights, const struct kind *kind)
{
    char name[STATE_BYTES];
    size_t bytes;

    if (!kind->state)
        return weights->count;
    read_state(dir_fd, kind->state, name);
    bytes = strlen(name);
    for (size_t i = 0; bytes > 0 && i < weights->count; i++)
        if (strncmp(weights->names[i], name, bytes) == 0 && strcmp(weights->names[i] + bytes, kind->weights) == 0)
            return i;
    return weights->count;
}

static int choose_index(struct list *indexes, const struct kind *kind, struct directory_choice *choice,
                        struct error *err)
{
    size_t at = indexes->count == 1 ? 0 : find_usual(indexes, kind, kind->index);
    char names[512];

    if (at == indexes->count)
        return error_set(err, ERROR_NO_MODEL, "holds %zu indexes (%s); name one", indexes->count,
                         enumerate(indexes, names));
    choice->is_index = true;
    if (indexes->count > 1 &&
        asprintf(&choice->passed_over, "holds %zu indexes; %s was read", indexes->count, indexes->names[at]) < 0)
        return no_memory(err);
    return take(choice, indexes, at, 1, err);
}

static int choose_weights(int dir_fd, struct list *weights, const struct kind *kind, struct directory_choice *choice,
                          struct error *err)
{
    size_t count = weights->count, usual;
    char names[512];
    bool is_set;
    int rc;

    if (count == 1) {
        /* One file that says it is one of several is no model. */
        rc = check_shards(weights, kind, &is_set, err);
        return rc ? rc : take(choice, weights, 0, 1, err);
    }
    usual = find_latest(dir_fd, weights, kind);
    if (usual == count)
        usual = find_usual(weights, kind, kind->weights);
    if (usual < count) {
        if (asprintf(&choice->passed_over, "holds %zu %s files and no index; only %s was read", count, kind->format,
                     weights->names[usual]) < 0)
            return no_memory(err);
        return take(choice, weights, usual, 1, err);
    }
    rc = check_shards(weights, kind, &is_set, err);
    if (rc)
        return rc;
    if (!is_set)
        return error_set(err, ERROR_NO_MODEL, "holds %zu %s files and no index (%s); name one", count, kind->format,
                         enumerate(weights, names));
    return take(choice, weights, 0, count, err);
}

int directory_choose(int dir_fd, const struct limits *limits, struct directory_choice *ret_choice, struct error *err)
{
    struct directory_choice choice = {0};
    struct listing listing = {0};
    char printable[NAME_PRINTABLE_BYTES];
    size_t k = 0;
    int rc = read_listing(dir_fd, limits, &listing, err);

    if (rc)
        goto out;
    while (k < KINDS && listing.indexes[k].count == 0 && listing.weights[k].count == 0)
        k++;
    if (k < KINDS)
        rc = listing.indexes[k].count > 0 ? choose_index(&listing.indexes[k], &kinds[k], &choice, err)
                                          : choose_weights(dir_fd, &listing.weights[k], &kinds[k], &choice, err);
    else if (listing.is_saved_model)
        rc = choose_file("variables/variables.index", &choice, err);
    else if (listing.is_distributed)
        rc = choose_file(".metadata", &choice, err);
    else if (listing.foreign && has_suffix(listing.foreign, ".distcp"))
        rc = error_set(err, ERROR_NO_MODEL,
                       "no model lies in this directory: %s is of a distributed checkpoint, whose .metadata, which is "
                       "written last, is missing",
                       name_printable(name_of(listing.foreign), printable));
    else if (listing.is_deepspeed)
        rc = error_set(err, ERROR_NO_MODEL,
                       "no model lies in this directory: its file latest names the directory below that does, as "
                       "DeepSpeed lays checkpoints out");
    else if (listing.foreign)
        rc = error_set(
            err, ERROR_NO_MODEL,
            "no model lies in this directory: no weights that this build reads and no index (%s is of a format "
            "that this build does not read in a directory)",
            name_printable(name_of(listing.foreign), printable));
    else
        rc = error_set(err, ERROR_NO_MODEL,
                       "no model lies in this directory: no weights that this build reads and no index");
    if (rc)
        goto out;
    *ret_choice = choice;
    choice = (struct directory_choice){0};
out:
    directory_choice_done(&choice);
    listing_done(&listing);
    return rc;
}

void directory_choice_done(struct directory_choice *choice)
{
    for (size_t i = 0; i < choice->file_count; i++)
        free(choice->files[i]);
    free(choice->files);
    free(choice->passed_over);
    *choice = (struct directory_choice){0};
}

int directory_open_place(const struct place *place, struct place *ret_place, int *ret_fd, int *ret_is_directory,
                         struct error *err)
{
    char *path = NULL, *uri = NULL;
    struct place index = *place;
    int rc = place_open(place, ret_fd, ret_is_directory, err);

    if (rc != ERROR_NOT_FOUND) {
        *ret_place = *place;
        return rc;
    }
    if (asprintf(&path, "%s.index", place->path) < 0)
        return no_memory(err);
    if (asprintf(&uri, "%s.index", place->uri) < 0) {
        free(path);
        return no_memory(err);
    }
    index.path = path;
    index.uri = uri;
    if (place_open(&index, ret_fd, ret_is_directory, NULL) != 0) {
        directory_place_done(&index, place);
        return rc;
    }
    if (err)
        *err = (struct error){0};
    *ret_place = index;
    return 0;
}

void directory_place_done(struct place *opened, const struct place *place)
{
    if (opened->path == place->path)
        return;
    free((char *)opened->path);
    free((char *)opened->uri);
}

int directory_promises_model(int dir_fd, struct error *err)
{
    struct directory_choice choice;
    int rc = directory_choose(dir_fd, &limits_default, &choice, err);

    if (rc == 0)
        directory_choice_done(&choice);
    return rc;
}
