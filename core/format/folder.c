/* Side files are known by name, by one table. Small ones are kept as text; a tokenizer of tens of megabytes stays where
 * it is, open, and is read only when an analysis wants it. */
#include "core/format/folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_TEXT_MAX = 65536 }; /* bytes; larger files stay open instead */

static const struct {
    const char *name;
    enum side_kind kind;
} side_table[] = {
    {"generation_config.json", SIDE_JSON},   {"tokenizer.json", SIDE_TOKENIZER},
    {"tokenizer_config.json", SIDE_JSON},    {"special_tokens_map.json", SIDE_JSON},
    {"added_tokens.json", SIDE_VOCABULARY},  {"vocab.json", SIDE_VOCABULARY},
    {"vocab.txt", SIDE_VOCABULARY_LINES},    {"merges.txt", SIDE_MERGES},
    {"tokenizer.model", SIDE_OTHER},         {"spiece.model", SIDE_OTHER},
    {"sentencepiece.bpe.model", SIDE_OTHER}, {"chat_template.jinja", SIDE_OTHER},
    {"chat_template.json", SIDE_JSON},       {"preprocessor_config.json", SIDE_JSON},
    {"processor_config.json", SIDE_JSON},    {"adapter_config.json", SIDE_JSON},
    {"quantize_config.json", SIDE_JSON},     {"quant_config.json", SIDE_JSON},
    {"hf_quant_config.json", SIDE_JSON},     {"quanto_qmap.json", SIDE_JSON},
    {"trainer_state.json", SIDE_JSON},
};
enum { SIDE_FILES = sizeof(side_table) / sizeof(side_table[0]) };

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "out of memory for the files of a model");
}

/* "directory/file"; file alone in the directory "". NULL: out of memory. */
static char *join(const char *directory, struct name file)
{
    size_t bytes = strlen(directory);
    char *path = NULL;

    while (bytes > 1 && directory[bytes - 1] == '/')
        bytes--;
    if (asprintf(&path, "%.*s%s%.*s", (int)bytes, directory, bytes == 0 || directory[bytes - 1] == '/' ? "" : "/",
                 (int)file.bytes, file.text) < 0)
        return NULL;
    return path;
}

/* The directory part of a path, "" when there is none. NULL: out of memory. */
static char *parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup("");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int folder_open(struct folder *folder, const struct opener *opener, bool is_file, struct error *err)
{
    folder->opener = opener;
    folder->path = is_file ? parent(opener->place->path) : strdup(opener->place->path);
    folder->uri = is_file ? parent(opener->place->uri) : strdup(opener->place->uri);
    return folder->path && folder->uri ? 0 : no_memory(err);
}

void folder_done(struct folder *folder)
{
    free(folder->path);
    free(folder->uri);
}

int folder_place(const struct folder *folder, struct name file, struct place *ret_place, struct error *err)
{
    struct place place = *folder->opener->place;
    char *path = join(folder->path, file), *uri = join(folder->uri, file);

    if (!path || !uri) {
        free(path);
        free(uri);
        return no_memory(err);
    }
    place.path = path;
    place.uri = uri;
    *ret_place = place;
    return 0;
}

void folder_place_done(struct place *place)
{
    free((char *)place->path);
    free((char *)place->uri);
}

int folder_open_file(const struct folder *folder, struct name file, struct source **ret_source, struct error *err)
{
    struct place place;
    int rc = folder_place(folder, file, &place, err);

    if (rc)
        return rc;
    rc = file_open(&place, ret_source, err);
    folder_place_done(&place);
    return rc;
}

int folder_read_whole(struct source *source, uint64_t limit, const char *what, char **ret_text, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];
    char *text;
    int rc;

    if (source->size > limit)
        return error_set(err, ERROR_LIMIT, "%s: %s of %" PRIu64 " bytes, the limit is %" PRIu64,
                         name_printable(name_of(source->uri), uri), what, source->size, limit);
    text = malloc(source->size + 1);
    if (!text)
        return no_memory(err);
    rc = source_read_at(source, 0, text, source->size, err);
    if (rc) {
        free(text);
        return rc;
    }
    text[source->size] = '\0';
    *ret_text = text;
    return 0;
}

/* What cannot be read is worth a word; what is not there is not. */
static int warn_unread(struct model *model, int rc, const char *code, const char *what, const struct error *why,
                       struct error *err)
{
    if (rc == ERROR_NOT_FOUND)
        return 0;
    if (rc == ERROR_NO_MEMORY || model_warn(model, code, (struct name){0}, "%s was not read: %s", what, why->text) != 0)
        return no_memory(err);
    return 0;
}

static int read_config(const struct folder *folder, struct model *model, struct error *err)
{
    struct source *source = NULL;
    struct error why = {0};
    char *text = NULL;
    int rc = folder_open_file(folder, name_of("config.json"), &source, &why);

    if (rc == 0)
        rc = folder_read_whole(source, folder->opener->limits->config_bytes, "a config", &text, &why);
    if (rc == 0) {
        model->config = text;
        model->config_bytes = source->size;
    }
    source_close(source);
    return rc ? warn_unread(model, rc, "config-unreadable", "the config", &why, err) : 0;
}

static int read_side_file(const struct folder *folder, size_t row, struct model *model, struct error *err)
{
    struct side_file file = {.name = side_table[row].name, .kind = side_table[row].kind};
    struct source *source = NULL;
    struct error why = {0};
    int rc = folder_open_file(folder, name_of(file.name), &source, &why);

    if (rc == 0 && source->size <= SIDE_TEXT_MAX)
        rc = folder_read_whole(source, SIDE_TEXT_MAX, "a side file", &file.text, &why);
    if (rc) {
        source_close(source);
        return warn_unread(model, rc, "side-file-unreadable", "a side file", &why, err);
    }
    file.bytes = source->size;
    if (file.text)
        source_close(source);
    else
        file.source = source;
    model->side_files[model->side_file_count++] = file;
    return 0;
}

int folder_read_beside(const struct folder *folder, struct model *model, struct error *err)
{
    int rc = read_config(folder, model, err);

    if (rc)
        return rc;
    model->side_files = calloc(SIDE_FILES, sizeof(*model->side_files));
    if (!model->side_files)
        return no_memory(err);
    for (size_t row = 0; row < SIDE_FILES && rc == 0; row++)
        rc = read_side_file(folder, row, model, err);
    return rc;
}
