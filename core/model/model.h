/* A model: headers only. Names, shapes, places, metadata and the config beside it; no weight has been read. */
#ifndef CORE_MODEL_MODEL_H
#define CORE_MODEL_MODEL_H

#include <stddef.h>

#include "core/arena.h"
#include "core/error.h"
#include "core/io/source.h"
#include "core/limits.h"
#include "core/model/tensor.h"

struct format;

struct model_file {
    struct source *source;
    void *header;          /* the bytes that names and metadata are borrowed from; owned */
    bool is_member;        /* a compressed member of the file before it that is none: not a file of its own */
    uint64_t member_bytes; /* that it takes there */
};

struct metadata_entry {
    struct name key, value;
};

/* Their order in a finished model: by the bytes of their keys; for qsort. */
int metadata_compare(const void *a, const void *b);

struct model_warning {
    const char *code; /* static: "extra-tensor", "header-whitespace", … */
    char *message;
    struct name tensor; /* .text NULL: none */
    size_t more;        /* how many of its kind it stands for; 0: it is one itself */
};

/* What the files beside the weights hold. */
enum side_kind {
    SIDE_JSON,
    SIDE_TOKENIZER,        /* tokenizer.json: vocabulary, merges and settings in one */
    SIDE_VOCABULARY,       /* {"token": id, …} */
    SIDE_VOCABULARY_LINES, /* a token a line, its id the line's number */
    SIDE_MERGES,           /* a merge a line, the most important first */
    SIDE_OTHER,            /* compared as bytes */
};

struct side_file {
    const char *name; /* "generation_config.json"; static */
    enum side_kind kind;
    uint64_t bytes;
    char *text;            /* all of it, where it is small */
    struct source *source; /* where it is not: open, unread; NULL when text is kept */
};

/* All of it, with a NUL behind; the caller frees it. ERROR_CHANGED when it is not what was opened. */
int side_file_read(const struct side_file *file, char **ret_text, struct error *err);

/* Where a file is one of several that make the model up and says so itself. */
struct shard {
    uint32_t number, total; /* from 1; total 0: it says nothing */
    uint64_t tensors;       /* of the whole model, as it claims; 0: it does not */
};

struct model {
    char *uri;
    const struct format *format;
    struct model_file *files;
    size_t file_count;
    struct tensor *tensors; /* canonical order: natural order of names */
    size_t tensor_count;
    uint32_t
        *within;    /* [tensor] the one in which all its elements lie, UINT32_MAX where none; NULL: of no tensor any */
    uint64_t *dims; /* every tensor's dims, one array per model or per shard; see chunks */
    struct metadata_entry *metadata; /* sorted by key */
    size_t metadata_count;
    char *config; /* config.json as it lies beside the weights, or NULL */
    size_t config_bytes;
    struct side_file *side_files; /* that lie beside the weights, in a fixed order of names */
    size_t side_file_count;
    uint64_t bytes;      /* of all weight files */
    uint64_t parameters; /* elements of all tensors that lie in no other, saturating */
    struct model_warning *warnings;
    size_t warning_count, warning_room;
    struct shard shard; /* of a model that one file is */
    void **chunks;      /* other memory that lives as long as the model: dims of further shards, storages */
    size_t chunk_count;
};

/* Opens the model at place: a file whose content a format recognises, or a directory as Hugging Face lays it out (an
 * index, one file, or several shards). Errors name the file, the tensor and the offset. */
int model_open(const struct place *place, const struct limits *limits, struct model **ret_model, struct error *err);
void model_close(struct model *model);

/* Files as the file system has them. */
size_t model_count_files(const struct model *model);

/* Of a finished model the tensor of that name, or NULL; the value of a key of its metadata, .text NULL where there is
 * none. Both by halving. */
const struct tensor *model_find(const struct model *model, struct name name);
struct name model_metadata(const struct model *model, struct name key);

/* ERROR_CHANGED when a file of the model is not what was opened. */
int model_check_unchanged(struct model *model, struct error *err);

/* Twenty warnings of a kind are told, the rest is counted by one more. ERROR_NO_MEMORY. */
int model_warn(struct model *model, const char *code, struct name tensor, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Moves a warning of a part of the model here, as if it had been given here. ERROR_NO_MEMORY. */
int model_take_warning(struct model *model, struct model_warning *warning);

/* For formats: keeps chunk, a heap block, until the model is closed (taken on success). ERROR_NO_MEMORY. */
int model_keep(struct model *model, void *chunk);

/* The same for all that was taken from an arena, which is empty then. */
int model_keep_arena(struct model *model, struct arena *arena);

/* For formats: puts tensors and metadata into order, refuses names that appear twice, builds the totals. Called once,
 * after the last tensor; a format's open leaves that to model_open. */
int model_finish(struct model *model, struct error *err);

/* Whether the directory's names promise a model (no file is opened): what can be told at submission. */
int directory_promises_model(int dir_fd, struct error *err);

#endif
