#include "core/model/packed.h"

#include <stdlib.h>
#include <string.h>

#include "core/model/name_index.h"
#include "core/model/packed_group.h"

/* What gives a group away: a name that ends so, at a dot or at the name's beginning where the suffix has none. Without
 * a recogniser it is known, where the partner is there too, but not decoded. */
static const struct {
    const char *suffix;
    packed_recogniser *recognise;
    const char *partner, *library;
} anchors[] = {
    {.suffix = "qweight", .recognise = packed_gptq_or_awq},
    {.suffix = "weight_packed", .recognise = packed_compressed_tensors},
    {.suffix = "_scale", .recognise = packed_comfy},
    {.suffix = "_scale", .recognise = packed_scaled},
    {.suffix = "scale_weight", .recognise = packed_comfy_scaled},
    {.suffix = "_scale_inv", .recognise = packed_scaled_inverse},
    {.suffix = "scale", .recognise = packed_scaled_aside},
    {.suffix = "qscale_weight", .recognise = packed_scaled_aside},
    {.suffix = "_blocks", .recognise = packed_gptoss},
    {.suffix = ".quant_state.bitsandbytes__nf4", .recognise = packed_bitsandbytes_4},
    {.suffix = ".quant_state.bitsandbytes__fp4", .recognise = packed_bitsandbytes_4},
    {.suffix = "SCB", .recognise = packed_bitsandbytes_8},
    {.suffix = "._scale", .recognise = packed_quanto},
    {.suffix = "W_q", .recognise = packed_hqq},
    {.suffix = "_qdata", .recognise = packed_torchao},
    {.suffix = ".qdata", .recognise = packed_torchao_torch},
    {.suffix = ".int_data", .recognise = packed_torchao_affine},
    {.suffix = ".float8_data", .recognise = packed_torchao_affine},
    {.suffix = "scales", .recognise = packed_mlx},
    {.suffix = ".packed_weight", .recognise = packed_torchao_affine},
    {.suffix = "codebooks", .recognise = packed_aqlm},
    {.suffix = "centroids.weight", .partner = "indices", .library = "VPTQ"},
    {.suffix = "dense_weights", .partner = "row_offsets", .library = "SpQR"},
    {.suffix = "tables2", .partner = "tables", .library = "HIGGS"},
    {.suffix = "forward_hadamard_matrix", .partner = "qweight", .library = "FP-Quant"},
    {.suffix = "q_scale_max", .partner = "q_weight", .library = "ExLlamaV2"},
    {.suffix = "trellis", .partner = "svh", .library = "ExLlamaV3"},
    {.suffix = "Qidxs", .partner = "SU", .library = "QuIP#"},
    {.suffix = "wscales", .partner = "qweight", .library = "SVDQuant"},
    {.suffix = "weight_scales", .partner = "weight", .library = "EETQ"},
    {.suffix = "bitmask", .recognise = packed_sparse},
};

/* What was found, to be put in the place of its parts. */
struct found {
    struct tensor tensor;
    struct name name; /* of the arena */
};

struct replacing {
    struct packed_finder finder;
    struct arena arena;
    struct found *found;
    size_t found_count;
    bool *is_part; /* [tensors] */
    struct name_index *names;
    size_t unsure;
};

static int no_memory(struct replacing *r)
{
    return error_set(r->finder.err, ERROR_NO_MEMORY, "out of memory for its packed tensors");
}

static struct name_records found_names(const struct replacing *r)
{
    return (struct name_records){&r->found->name, sizeof(*r->found)};
}

/* A name must stay one tensor's, and a tensor one group's. */
static bool is_free(struct replacing *r, struct packed_group *group)
{
    struct model *model = r->finder.model;
    const struct name name = {group->name, (uint32_t)group->name_bytes};
    const struct tensor *other = model_find(model, name);
    char printable[NAME_PRINTABLE_BYTES];

    for (uint8_t i = 0; i < group->part_count; i++) {
        if (r->is_part[group->parts[i] - model->tensors])
            return packed_unsure(group, "%s is a part of another tensor",
                                 name_printable(group->parts[i]->name, printable));
        if (other == group->parts[i])
            other = NULL;
        for (uint8_t j = 0; j < i; j++)
            if (group->parts[i] == group->parts[j])
                return packed_unsure(group, "%s would be two of its parts",
                                     name_printable(group->parts[i]->name, printable));
    }
    if (other || (r->found_count && name_index_find(r->names, found_names(r), name) != NAME_INDEX_NONE))
        return packed_unsure(group, "there is a %s besides", name_printable(name, printable));
    return true;
}

static void *keep_copy(struct replacing *r, const void *from, size_t bytes)
{
    void *copy = arena_take(&r->arena, bytes);

    if (copy)
        memcpy(copy, from, bytes);
    return copy;
}

/* A copy of what is nested, in the arena; NULL where nothing is. */
static bool keep_inner(struct replacing *r, const struct packed **inner)
{
    if (!*inner)
        return true;
    *inner = keep_copy(r, *inner, sizeof(**inner));
    return *inner != NULL;
}

/* What the decoder is told, in the arena; NULL: no memory. */
static const void *keep_parameters(struct replacing *r, const struct packed_group *group)
{
    struct packed *packed;

    if (group->decoder == &decoder_sums)
        return keep_copy(r, &group->sums, sizeof(group->sums));
    if (group->decoder == &decoder_bitmask)
        return keep_copy(r, &group->bitmask, sizeof(group->bitmask));
    packed = keep_copy(r, &group->packed, sizeof(group->packed));
    return packed && keep_inner(r, &packed->scales_of) && keep_inner(r, &packed->zeros_of) ? packed : NULL;
}

static int keep(struct replacing *r, const struct packed_group *group)
{
    const void *parameters = keep_parameters(r, group);
    struct storage *storage = arena_take(&r->arena, sizeof(*storage));
    struct tensor *parts = arena_take_array(&r->arena, group->part_count, sizeof(*parts));
    uint64_t *dims = arena_take_array(&r->arena, group->rank, sizeof(*dims));
    const char *scheme = arena_copy(&r->arena, group->scheme, strlen(group->scheme));
    const char *name = arena_copy(&r->arena, group->name, group->name_bytes);
    struct found *found = &r->found[r->found_count];

    if (!parameters || !storage || !parts || !dims || !scheme || !name)
        return no_memory(r);
    *storage = (struct storage){.decoder = group->decoder,
                                .stored_as = name_of(scheme),
                                .parameters = parameters,
                                .parts = parts,
                                .part_count = group->part_count};
    found->name = (struct name){name, (uint32_t)group->name_bytes};
    found->tensor = (struct tensor){.name = found->name, .dtype = DTYPE_F32, .storage = storage};
    found->tensor.extent = group->parts[0]->extent;
    found->tensor.extent.bytes = 0;
    for (uint8_t i = 0; i < group->part_count; i++) {
        parts[i] = *group->parts[i];
        found->tensor.extent.bytes += parts[i].extent.bytes;
        r->is_part[group->parts[i] - r->finder.model->tensors] = true;
    }
    found->tensor.shape = (struct shape){.dims = dims, .elements = 1, .rank = group->rank};
    for (uint32_t d = 0; d < group->rank; d++) {
        dims[d] = group->dims[d];
        found->tensor.shape.elements *= dims[d];
    }
    name_index_add(r->names, found_names(r), (uint32_t)r->found_count++);
    return 0;
}

static int tell_unsure(struct replacing *r, const struct packed_group *group)
{
    char name[NAME_PRINTABLE_BYTES];

    r->unsure++;
    if (model_warn(r->finder.model, "packed-unknown", group->anchor->name,
                   "%s looks like a part of a packed tensor, whose layout is not certain: %s; it is compared as it is "
                   "stored",
                   name_printable(group->anchor->name, name), group->why) != 0)
        return no_memory(r);
    return 0;
}

static bool ends_so(struct name name, const char *suffix)
{
    const size_t bytes = strlen(suffix);
    size_t rest;

    if (name.bytes < bytes || name.text[name.bytes - 1] != suffix[bytes - 1] ||
        memcmp(name.text + name.bytes - bytes, suffix, bytes) != 0)
        return false;
    rest = name.bytes - bytes;
    return suffix[0] == '.' || suffix[0] == '_' ? rest > 0 : rest == 0 || name.text[rest - 1] == '.';
}

static int look_at(struct replacing *r, const struct tensor *tensor, struct packed_group *group)
{
    for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++) {
        if (!ends_so(tensor->name, anchors[i].suffix))
            continue;
        memset(group, 0, sizeof(*group));
        group->finder = &r->finder;
        group->anchor = tensor;
        group->stem = (struct name){tensor->name.text, tensor->name.bytes - (uint32_t)strlen(anchors[i].suffix)};
        group->packed = packed_plain;
        group->decoder = &decoder_packed;
        if (anchors[i].recognise && anchors[i].recognise(group) && is_free(r, group))
            return keep(r, group);
        if (!anchors[i].recognise && packed_partner(group, group->stem, anchors[i].partner))
            packed_unsure(group, "it is of %s, which is not decoded", anchors[i].library);
        if (group->rc)
            return group->rc;
        if (group->why[0])
            return tell_unsure(r, group);
    }
    return 0;
}

/* Puts what was found in the place of its parts, and the model into order anew. */
static int replace(struct replacing *r)
{
    struct model *model = r->finder.model;
    struct tensor *tensors = reallocarray(NULL, model->tensor_count + 1, sizeof(*tensors));
    size_t count = 0;
    int rc;

    if (!tensors)
        return no_memory(r);
    for (size_t i = 0; i < model->tensor_count; i++)
        if (!r->is_part[i])
            tensors[count++] = model->tensors[i];
    for (size_t i = 0; i < r->found_count; i++)
        tensors[count++] = r->found[i].tensor;
    rc = model_keep_arena(model, &r->arena);
    if (rc) {
        free(tensors);
        return no_memory(r);
    }
    free(model->tensors);
    model->tensors = tensors;
    model->tensor_count = count;
    return model_finish(model, r->finder.err);
}

static bool is_any_anchor(const struct model *model)
{
    for (size_t t = 0; t < model->tensor_count; t++)
        for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++)
            if (ends_so(model->tensors[t].name, anchors[i].suffix))
                return true;
    return false;
}

/* A matrix of what a quantiser may have left: integers of at most 32 bits, or FP8. */
static bool has_codes(const struct model *model)
{
    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct dtype_traits *traits = dtype_traits(model->tensors[t].dtype);
        const bool is_integer = traits->kind == DTYPE_KIND_INT || traits->kind == DTYPE_KIND_UINT;

        if (model->tensors[t].shape.rank >= 2 && (is_integer ? traits->bits <= 32 : traits->bits == 8) &&
            traits->kind != DTYPE_KIND_BOOL)
            return true;
    }
    return false;
}

/* The config names a method that is none of those here, and not even a name looked like one. */
static int tell_unseen(struct replacing *r)
{
    char method[NAME_PRINTABLE_BYTES];

    if (r->finder.method != METHOD_OTHER || r->found_count || r->unsure || !has_codes(r->finder.model))
        return 0;
    if (model_warn(r->finder.model, "packed-unknown", (struct name){0},
                   "the config names the method %s, which is not decoded; what it packed is compared as it is stored",
                   name_printable(r->finder.method_name, method)) != 0)
        return no_memory(r);
    return 0;
}

int packed_recognise(struct model *model, struct error *err)
{
    struct replacing r = {.finder = {.model = model, .err = err}, .arena = {.limit = UINT64_MAX}};
    struct packed_group *group = NULL;
    int rc;

    if (!is_any_anchor(model) && !has_codes(model))
        return 0;
    rc = packed_config_read(&r.finder);
    if (rc) {
        packed_config_done(&r.finder);
        return rc;
    }
    group = calloc(1, sizeof(*group));
    r.is_part = calloc(model->tensor_count, sizeof(*r.is_part));
    r.found = calloc(model->tensor_count, sizeof(*r.found));
    r.names = name_index_new(model->tensor_count);
    rc = group && r.is_part && r.found && r.names ? 0 : no_memory(&r);
    for (size_t t = 0; rc == 0 && t < model->tensor_count; t++)
        if (!r.is_part[t])
            rc = look_at(&r, &model->tensors[t], group);
    if (rc == 0)
        rc = tell_unseen(&r);
    if (rc == 0 && r.found_count)
        rc = replace(&r);
    packed_config_done(&r.finder);
    arena_done(&r.arena);
    free(group);
    free(r.is_part);
    free(r.found);
    name_index_free(r.names);
    return rc;
}
