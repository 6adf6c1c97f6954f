/* Keras 3's archive: a ZIP with config.json, and an HDF5 file of the weights, which is read where it lies. */
#include <stdlib.h>
#include <string.h>

#include "core/format/hdf5.h"
#include "core/format/keras_names.h"
#include "core/format/zip.h"
#include "core/io/inflated.h"

static const char weights_name[] = "model.weights.h5", config_name[] = "config.json";

/* An archive whose first member is one of Keras's. */
static bool keras_probe(const struct head *head)
{
    static const char *const first[] = {"metadata.json", config_name, weights_name, "assets/"};
    const uint32_t bytes = head->first[26] | (uint32_t)head->first[27] << 8;

    if (head->first_bytes < 30 || memcmp(head->first, "PK\x03\x04", 4) != 0)
        return false;
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        if (strlen(first[i]) == bytes && 30 + bytes <= head->first_bytes &&
            memcmp(head->first + 30, first[i], bytes) == 0)
            return true;
    return false;
}

struct naming {
    const struct keras_layer *model;
};

static struct name rename_variable(void *context, struct name name, struct arena *arena)
{
    return keras_rename(((const struct naming *)context)->model, name, arena);
}

/* Without a config, or with one that cannot be read, names stay those of the weights' file. */
static int read_names(const struct opener *opener, struct source *source, const struct zip *zip, struct arena *arena,
                      char **ret_text, struct naming *ret, struct error *err)
{
    const struct zip_member *member = zip_find(zip, name_of(config_name));
    uint8_t *text;
    int rc;

    if (!member)
        return 0;
    rc = zip_read(source, member, opener->limits->config_bytes, config_name, &text, err);
    if (rc)
        return rc;
    *ret_text = (char *)text;
    ret->model = keras_read_config(*ret_text, (size_t)member->bytes, arena);
    return 0;
}

static int open_weights(const struct opener *opener, struct source *source, const struct zip_member *member,
                        struct naming *naming, struct model **ret_model, struct error *err)
{
    const struct hdf5_style style = {.format = &keras_format, .rename = rename_variable, .context = naming};
    struct model *model = hdf5_new_model(source);
    struct source *inflated;
    int rc;

    if (!model)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    if (!member->is_deflated)
        return hdf5_open_model(opener, &style, model, 0, member->offset, member->offset + member->bytes, ret_model,
                               err);
    rc = inflated_open(source, member->offset, member->stored_bytes, member->bytes, &inflated, err);
    if (rc) {
        model->files[0].source = NULL; /* taken on success only */
        model_close(model);
        return rc;
    }
    model->files[model->file_count++] =
        (struct model_file){.source = inflated, .is_member = true, .member_bytes = member->stored_bytes};
    return hdf5_open_model(opener, &style, model, 1, 0, member->bytes, ret_model, err);
}

static int keras_open(const struct opener *opener, struct source *source, struct model **ret_model, struct error *err)
{
    struct arena arena = {.limit = 4 * opener->limits->config_bytes};
    char uri[NAME_PRINTABLE_BYTES], *config = NULL;
    const struct zip_member *member = NULL;
    struct naming naming = {0};
    struct model *model = NULL;
    struct zip zip = {0};
    bool config_is_there;
    int rc = zip_open(source, opener->limits, &zip, err);

    if (rc == 0)
        rc = read_names(opener, source, &zip, &arena, &config, &naming, err);
    if (rc == 0)
        member = zip_find(&zip, name_of(weights_name));
    if (rc == 0 && !member)
        rc = error_set(err, ERROR_UNSUPPORTED,
                       "is an archive of Keras's without %s (weights in several files, or as .npz, "
                       "are not read)",
                       weights_name);
    if (rc && rc != ERROR_READ && rc != ERROR_CHANGED) /* the source has named itself */
        error_prefix(err, rc, "%s: ", name_printable(name_of(source->uri), uri));
    if (rc == 0)
        rc = open_weights(opener, source, member, &naming, &model, err);
    config_is_there = config != NULL;
    zip_done(&zip);
    arena_done(&arena);
    free(config);
    if (rc)
        return rc;
    if (config_is_there && !naming.model &&
        model_warn(model, "config-unreadable", (struct name){0},
                   "%s lists no layers: variables are named by their places", config_name) != 0) {
        model->files[0].source = NULL; /* taken on success only */
        model_close(model);
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the model");
    }
    *ret_model = model;
    return 0;
}

const struct format keras_format = {
    .name = "keras",
    .summary = "Keras 3 .keras: the weights in the archive, named by its config",
    .docs = &keras_docs,
    .probe = keras_probe,
    .open = keras_open,
};
