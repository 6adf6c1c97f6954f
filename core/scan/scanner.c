#include "core/scan/scanner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/scan/couple.h"
#include "core/scan/quantile.h"
#include "core/scan/survey.h"

void scanner_done(struct scanner *scanner)
{
    for (size_t m = 0; scanner->windows && m < scanner->plan->model_count; m++)
        window_done(&scanner->windows[m]);
    layout_done(&scanner->layout);
    yield_done(&scanner->yield);
    gather_free(scanner->whole);
    for (size_t m = 0; scanner->decoded && m < scanner->plan->model_count; m++) {
        free(scanner->decoded[m].values);
        free(scanner->decoded[m].share);
    }
    free(scanner->windows);
    free(scanner->decoded);
    free(scanner->stored);
    free(scanner->measure);
    free(scanner->bins);
    free(scanner->sorting);
    digest_free(scanner->digest);
}

int scanner_init(struct scanner *scanner, const struct scan_plan *plan, const struct kernels *kernels,
                 struct scan_result *result, struct error *err)
{
    int rc;

    scanner->plan = plan;
    scanner->result = result;
    rc = layout_init(&scanner->layout, plan->model_count, err);
    if (rc == 0)
        rc = yield_init(&scanner->yield, plan->model_count, err);
    if (rc == 0 && gather_is_needed(plan->needs))
        rc = gather_new(plan->model_count, &scanner->whole, err);
    if (rc == 0 && (plan->needs & NEED_DIGEST))
        rc = digest_new(&scanner->digest, err);
    if (rc)
        return rc;
    scanner->windows = calloc(plan->model_count, sizeof(*scanner->windows));
    scanner->stored = calloc(plan->model_count, sizeof(*scanner->stored));
    scanner->decoded = calloc(plan->model_count, sizeof(*scanner->decoded));
    scanner->measure = calloc(1, sizeof(*scanner->measure));
    if (!scanner->windows || !scanner->stored || !scanner->decoded || !scanner->measure)
        goto no_memory;
    scanner->measure->kernels = kernels;
    scanner->measure->epsilon = plan->epsilon;
    scanner->measure->needs = plan->needs;
    if (plan->needs & NEED_QUANTILES) {
        scanner->bins = calloc((size_t)2 * QUANTILE_BINS, sizeof(*scanner->bins));
        scanner->sorting = calloc((size_t)2 * QUANTILE_SORTED, sizeof(*scanner->sorting));
        if (!scanner->bins || !scanner->sorting)
            goto no_memory;
    }
    return 0;

no_memory:
    return error_set(err, ERROR_NO_MEMORY, "no memory for the buffers of a thread");
}

static int unit_failed(const struct scanner *scanner, const struct tensor *tensor, size_t m, uint64_t offset, int rc,
                       struct error *err)
{
    const struct model *model = scanner->plan->models[m];
    const char *uri = model->files[tensor->extent.source].source->uri;
    char name[NAME_PRINTABLE_BYTES], file[NAME_PRINTABLE_BYTES];

    if (!err)
        return rc;
    name_printable(tensor->name, name);
    name_printable(name_of(uri), file);
    if (strstr(err->text, file)) /* the source has named itself */
        return error_prefix(err, rc, "tensor %s at offset %" PRIu64 ": ", name, offset);
    return error_prefix(err, rc, "%s: tensor %s at offset %" PRIu64 ": ", file, name, offset);
}

static int unit_view(struct scanner *scanner, size_t m, uint64_t from, uint64_t bytes, const uint8_t **ret_data,
                     struct error *err)
{
    const struct tensor *tensor = scanner->layout.tensor[m];
    const struct extent *extent = &tensor->extent;
    struct source *source = scanner->plan->models[m]->files[extent->source].source;
    uint64_t offset = extent->offset + from;
    int rc;

    if (from > extent->bytes || bytes > extent->bytes - from)
        rc = error_set(err, ERROR_FORMAT, "its shape needs more than the %" PRIu64 " bytes it has", extent->bytes);
    else
        rc = window_view(&scanner->windows[m], source, offset, (size_t)bytes, ret_data, err);
    return rc ? unit_failed(scanner, tensor, m, offset, rc, err) : 0;
}

static int unit_digest(struct scanner *scanner, struct side_yield *side, const uint8_t *data, uint64_t bytes,
                       struct error *err)
{
    if (!scanner->digest)
        return 0;
    side->has_digest = true;
    return digest_unit(scanner->digest, data, (size_t)bytes, side->digest, err);
}

/* A unit of sides that are nothing but bytes: held against each other where they meet, digested where asked for. */
static int unit_of_bytes(struct scanner *scanner, uint32_t g, uint64_t unit, struct yield *yield, struct error *err)
{
    const struct layout *layout = &scanner->layout;
    const struct layout_group *group = &layout->group[g];
    const size_t last = layout->models - 1;
    uint64_t from = unit * BYTES_UNIT, bytes = group->bytes - from < BYTES_UNIT ? group->bytes - from : BYTES_UNIT;
    const uint8_t *first_data = NULL, *data = NULL;

    for (size_t m = 0; m < layout->models; m++) {
        int rc;

        if (layout->group_of[m] != g)
            continue;
        rc = unit_view(scanner, m, from, bytes, &data, err);
        if (rc == 0)
            rc = unit_digest(scanner, &yield->sides[m], data, bytes, err);
        if (rc)
            return rc;
        if (m == 0)
            first_data = data;
        yield->bytes += bytes;
    }
    if (layout->delta_group != g || last == 0)
        return 0;
    delta_record_init(&yield->delta);
    yield->delta.is_bytes_equal = memcmp(first_data, data, (size_t)bytes) == 0;
    yield->delta.has_row_fit = false;
    yield->has_delta = true;
    return 0;
}

/* What the buffer held is gone. It starts where a cache line does: matrices are turned over faster into such a one. */
static int reserve(uint8_t **buffer, size_t *capacity, size_t bytes, struct error *err)
{
    void *larger;

    if (bytes <= *capacity)
        return 0;
    free(*buffer);
    *buffer = NULL;
    *capacity = 0;
    if (posix_memalign(&larger, 64, bytes) != 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes of decoded values", bytes);
    *buffer = larger;
    *capacity = bytes;
    return 0;
}

/* A tensor that was made of several has bytes that stand for no element alone: each unit takes its share of them, where
 * they are digested, or held against those of another such tensor. */
static int unit_share(struct scanner *scanner, size_t m, uint64_t first, size_t elements, struct error *err)
{
    const struct layout *layout = &scanner->layout;
    const size_t other = m == 0 ? layout->models - 1 : 0;
    const struct tensor *tensor = layout->tensor[m];
    struct decoded *decoded = &scanner->decoded[m];
    uint64_t offset, bytes;
    int rc;

    if (!scanner->digest &&
        (!layout->tensor[other] || !layout->tensor[other]->storage || layout->tensor[other]->storage->part_count == 0))
        return 0;
    decoder_share(tensor, first, elements, &offset, &bytes);
    rc = reserve(&decoded->share, &decoded->share_capacity, (size_t)bytes + 1, err);
    if (rc == 0)
        rc = decoder_read_bytes(scanner->plan->models[m], tensor, offset, (size_t)bytes, decoded->share, err);
    if (rc)
        return unit_failed(scanner, tensor, m, tensor->extent.offset, rc, err);
    decoded->bytes = decoded->share;
    decoded->byte_count = (size_t)bytes;
    return 0;
}

/* Elements of a tensor whose neighbours lie anywhere, and where they are scattered those of the units that follow in
 * the same run: one walk over the file serves them all. */
static int decode_ahead(struct scanner *scanner, size_t m, uint64_t first, size_t elements, uint64_t ahead,
                        const uint8_t **ret_values, struct error *err)
{
    const struct tensor *tensor = scanner->layout.tensor[m];
    const size_t size = dtype_traits(tensor->dtype)->bits / 8;
    struct decoded *decoded = &scanner->decoded[m];
    int rc;

    if (decoded->tensor != tensor || first < decoded->first || first + elements > decoded->first + decoded->elements) {
        decoded->tensor = NULL;
        decoded->first = first;
        decoded->elements = elements;
        if (ahead > elements && decoder_is_scattered(tensor))
            decoded->elements = ahead < tensor->shape.elements - first ? ahead : tensor->shape.elements - first;
        rc = reserve(&decoded->values, &decoded->capacity, (size_t)decoded->elements * size, err);
        if (rc)
            return rc;
        rc = tensor->storage->decoder->read(scanner->plan->models[m], tensor, first, (size_t)decoded->elements,
                                            decoded->values, err);
        if (rc)
            return unit_failed(scanner, tensor, m, tensor->extent.offset, rc, err);
        decoded->tensor = tensor;
    }
    *ret_values = decoded->values + (first - decoded->first) * size;
    return 0;
}

/* The unit's elements of a tensor that a decoder reads. Its bytes are digested, and later held against those of the
 * other side, in the form that the file has where that is another one. */
static int unit_decode(struct scanner *scanner, size_t m, uint64_t first, size_t elements, uint64_t ahead,
                       struct yield *yield, struct error *err)
{
    const struct tensor *tensor = scanner->layout.tensor[m];
    const struct decoder *decoder = tensor->storage->decoder;
    struct decoded *decoded = &scanner->decoded[m];
    const size_t bytes = elements * (dtype_traits(tensor->dtype)->bits / 8);
    const uint8_t *values = NULL;
    int rc;

    if (decoder->granule) {
        const uint64_t from = first / decoder->granule * decoder->granule_bytes;
        const uint64_t to = (first + elements + decoder->granule - 1) / decoder->granule * decoder->granule_bytes;

        decoded->tensor = NULL;
        rc = reserve(&decoded->values, &decoded->capacity, bytes, err);
        if (rc == 0)
            rc = unit_view(scanner, m, from, to - from, &decoded->bytes, err);
        if (rc)
            return rc;
        decoded->byte_count = (size_t)(to - from);
        yield->bytes += to - from;
        decoder_decode(tensor, decoded->bytes, first, elements, decoded->values);
        values = decoded->values;
    } else {
        rc = decode_ahead(scanner, m, first, elements, ahead, &values, err);
        if (rc)
            return rc;
        yield->bytes += bytes;
    }
    if (!decoder->granule || !decoder->is_encoding) {
        decoded->bytes = values;
        decoded->byte_count = bytes;
    }
    scanner->stored[m].base = values;
    scanner->stored[m].elements = elements;
    scanner->stored[m].is_encoded = decoder->is_encoding;
    if (tensor->storage->part_count) {
        rc = unit_share(scanner, m, first, elements, err);
        if (rc)
            return rc;
    }
    return unit_digest(scanner, &yield->sides[m], decoded->bytes, decoded->byte_count, err);
}

/* Other bytes may decode to the same values. */
static bool is_encoded_alike(const struct scanner *scanner)
{
    const size_t last = scanner->layout.models - 1;
    const struct tensor *a = scanner->layout.tensor[0], *b = scanner->layout.tensor[last];
    const struct decoded *x = &scanner->decoded[0], *y = &scanner->decoded[last];

    if (!tensor_is_encoded(a) || !tensor_is_encoded(b))
        return true;
    return x->byte_count == y->byte_count && memcmp(x->bytes, y->bytes, x->byte_count) == 0;
}

/* The unit's elements of model m, as far as its tensor reaches. ahead: how many the run has from there on. */
static int unit_load(struct scanner *scanner, size_t m, uint64_t first, uint64_t elements, uint64_t ahead,
                     struct yield *yield, struct error *err)
{
    const struct tensor *tensor = scanner->layout.tensor[m];
    const uint64_t bits = dtype_traits(tensor->dtype)->bits, total = tensor->shape.elements;
    uint64_t start, from, to, digested;
    struct stored *stored = &scanner->stored[m];
    int rc;

    *stored = (struct stored){.dtype = tensor->dtype};
    if (first >= total)
        return 0;
    if (elements > total - first)
        elements = total - first;
    if (tensor->storage)
        return unit_decode(scanner, m, first, (size_t)elements, ahead, yield, err);
    if (first + elements > (UINT64_MAX - 7) / bits)
        return unit_failed(scanner, tensor, m, tensor->extent.offset,
                           error_set(err, ERROR_FORMAT, "has more elements than any file can hold"), err);
    start = first - first % 8; /* lies at a byte, whatever the element's size */
    from = start * bits / 8;
    if (bits % 8 == 0) {
        start = first;
        from = first * (bits / 8);
    }
    to = ((first + elements) * bits + 7) / 8;
    stored->first = first - start;
    stored->elements = (size_t)elements;
    yield->bytes += to - from;
    rc = unit_view(scanner, m, from, to - from, &stored->base, err);
    if (rc)
        return rc;
    digested = first * bits / 8;
    return unit_digest(scanner, &yield->sides[m], stored->base + (digested - from), to - digested, err);
}

/* The table that counts side m's unit: one of two, for no more are measured together. */
static uint32_t *bins_of(struct scanner *scanner, size_t m)
{
    return scanner->bins + (m == scanner->layout.models - 1 ? QUANTILE_BINS : 0);
}

static void unit_quantiles(struct scanner *scanner, size_t m, size_t pair, struct gather *gather)
{
    const struct stored *stored = &scanner->stored[m];

    if (!(scanner->plan->needs & NEED_QUANTILES))
        return;
    if (gather->sides[m].has_bins)
        gather_add_bins(gather, m, bins_of(scanner, m));
    else if (quantiles_exist(stored->dtype)) /* lies whole in this unit */
        quantiles_of_elements(stored, scanner->sorting, &scanner->result->quantiles[pair * scanner->layout.models + m]);
}

/* Every two models' sides; that of baseline and candidate is the unit's delta. */
static void unit_couples(struct scanner *scanner, uint32_t g, bool is_pair, struct yield *yield)
{
    const struct layout *layout = &scanner->layout;
    const size_t models = layout->models;

    for (size_t i = 0; i + 1 < models; i++) {
        for (size_t j = i + 1; j < models; j++) {
            struct couple_record *couple = &yield->couples[couple_index(models, i, j)];
            const struct stored *a = &scanner->stored[i], *b = &scanner->stored[j];
            const struct side_record *side_a = &yield->sides[i].record, *side_b = &yield->sides[j].record;

            if (layout->group_of[i] != g || layout->group_of[j] != g || a->elements == 0 ||
                !couple_takes_part(layout->tensor[i], layout->tensor[j]))
                continue;
            if (is_pair && i == 0 && j == models - 1) {
                couple->delta = yield->delta;
                couple_add_sums(scanner->measure, a, b, side_a, side_b, couple);
            } else {
                measure_couple(scanner->measure, a, b, side_a, side_b, couple);
            }
        }
    }
}

/* Every three models that follow one another, after their couples. */
static void unit_turns(struct scanner *scanner, uint32_t g, struct yield *yield)
{
    const struct layout *layout = &scanner->layout;
    const struct stored *stored = scanner->stored;
    const size_t models = layout->models;

    for (size_t i = 0; i + 2 < models; i++) {
        if (layout->group_of[i] == g && layout->group_of[i + 1] == g && layout->group_of[i + 2] == g &&
            stored[i].elements > 0 && couple_takes_part(layout->tensor[i], layout->tensor[i + 1]) &&
            couple_takes_part(layout->tensor[i + 1], layout->tensor[i + 2]))
            couple_add_turn(scanner->measure, &stored[i], &stored[i + 1], &stored[i + 2],
                            &yield->couples[couple_index(models, i, i + 1)],
                            &yield->couples[couple_index(models, i + 1, i + 2)],
                            &yield->couples[couple_index(models, i, i + 2)]);
    }
}

static void yield_begin(struct yield *yield)
{
    yield->has_delta = false;
    yield->bytes = 0;
    yield->first = 0;
    yield->flips = (struct flips){0};
    for (size_t m = 0; m < yield->models; m++) {
        yield->sides[m].record.elements = 0;
        yield->sides[m].has_digest = false;
    }
}

/* Counts the couples' tensors, once a pair. */
static void couples_begin(const struct scanner *scanner, struct couple_record *couples, bool is_first)
{
    const struct layout *layout = &scanner->layout;
    const size_t models = layout->models;

    for (size_t i = 0; i + 1 < models; i++) {
        for (size_t j = i + 1; j < models; j++) {
            struct couple_record *couple = &couples[couple_index(models, i, j)];

            couple_record_init(couple);
            couple->tensors = is_first && couple_takes_part(layout->tensor[i], layout->tensor[j]);
        }
    }
}

static int unit_survey(struct scanner *scanner, struct yield *yield, struct gather *gather, size_t m,
                       struct survey *ret, struct error *err)
{
    *ret = (struct survey){.first = yield->first};
    if (scanner->plan->needs & NEED_PROFILE)
        ret->profile = &yield->sides[m].profile;
    if (!gather)
        return 0;
    if (gather->sides[m].has_bins)
        ret->bins = bins_of(scanner, m);
    ret->channels = &gather->sides[m].channels;
    ret->part = &yield->sides[m].part;
    return channel_part_begin(ret->part, ret->channels, err);
}

/* Whether both sides are the same few bytes. Of many it would be another pass over them, which measure_pair makes on
 * its way. */
static bool is_small_and_equal(const struct stored *a, const struct stored *b)
{
    const unsigned bits = dtype_traits(a->dtype)->bits;
    const uint64_t from = a->first * bits / 8, to = ((a->first + a->elements) * bits + 7) / 8;

    return a->dtype == b->dtype && a->first == b->first && a->elements == b->elements && a->elements <= SHIFT_TERMS &&
           memcmp(a->base + from, b->base + from, to - from) == 0;
}

/* One side is measured for both: the records that measure_pair would have made. */
static void measure_equal(struct measure *m, const struct opposite *pair, struct side_record *ret_a,
                          struct side_record *ret_b, struct delta_record *ret_delta)
{
    measure_side(m, pair->a, pair->survey_a, ret_a);
    *ret_b = *ret_a;
    survey_copy(m, pair->survey_b, pair->survey_a, pair->b);
    delta_record_of_equal(ret_delta, ret_a);
}

/* The unit's sides and its delta, once they are loaded. */
static int unit_measure(struct scanner *scanner, const struct layout_group *group, uint32_t g, struct yield *yield,
                        struct gather *gather, struct error *err)
{
    const struct layout *layout = &scanner->layout;
    const size_t last = layout->models - 1;
    const bool is_pair =
        layout->delta_group == g && scanner->stored[0].elements > 0 && scanner->stored[last].elements > 0;
    struct survey first = {0}, survey = {0};
    int rc;

    for (size_t m = 0; m < layout->models; m++) {
        if (layout->group_of[m] != g || scanner->stored[m].elements == 0 || (is_pair && m == last))
            continue;
        rc = unit_survey(scanner, yield, gather, m, m == 0 ? &first : &survey, err);
        if (rc)
            return rc;
        if (is_pair && m == 0)
            continue;
        measure_side(scanner->measure, &scanner->stored[m], m == 0 ? &first : &survey, &yield->sides[m].record);
        unit_quantiles(scanner, m, yield->pair, gather);
    }
    if (is_pair) {
        struct opposite pair = {
            .a = &scanner->stored[0], .b = &scanner->stored[last], .survey_a = &first, .survey_b = &survey};

        rc = unit_survey(scanner, yield, gather, last, &survey, err);
        if (rc)
            return rc;
        if ((scanner->plan->needs & NEED_FLIPS) && layout->coverage == COVERED_VALUES)
            pair.flips = &yield->flips;
        if (layout->is_row_fit && group->grid.columns <= group->grid.unit_columns)
            pair.row_elements = group->grid.columns;
        (is_small_and_equal(pair.a, pair.b) ? measure_equal : measure_pair)(
            scanner->measure, &pair, &yield->sides[0].record, &yield->sides[last].record, &yield->delta);
        yield->delta.is_bytes_equal = yield->delta.is_bytes_equal && is_encoded_alike(scanner);
        yield->has_delta = true;
        unit_quantiles(scanner, 0, yield->pair, gather);
        unit_quantiles(scanner, last, yield->pair, gather);
    }
    if (yield->couples) {
        unit_couples(scanner, g, is_pair && layout->coverage == COVERED_VALUES, yield);
        if (scanner->plan->needs & NEED_TURNS)
            unit_turns(scanner, g, yield);
    }
    return 0;
}

static int measure_unit(struct scanner *scanner, struct yield *yield, struct gather *gather, struct error *err)
{
    const struct layout *layout = &scanner->layout;
    uint64_t unit = yield->unit;
    const uint32_t g = layout_group_of_unit(layout, &unit);
    const struct layout_group *group = &layout->group[g];
    struct box box, last;

    yield_begin(yield);
    if (group->is_bytes)
        return unit_of_bytes(scanner, g, unit, yield, err);
    grid_box(&group->grid, unit, &box);
    grid_box(&group->grid, unit + yield->following, &last);
    yield->first = box_first(&group->grid, &box);
    for (size_t m = 0; m < layout->models; m++) {
        int rc = 0;

        if (layout->group_of[m] == g)
            rc = unit_load(scanner, m, yield->first, box_elements(&box),
                           box_first(&group->grid, &last) + box_elements(&last) - yield->first, yield, err);
        if (rc)
            return rc;
    }
    if (!layout->is_measured && layout->delta_group != g)
        return 0;
    return unit_measure(scanner, group, g, yield, gather, err);
}

int scanner_measure_unit(struct scanner *scanner, struct yield *yield, struct gather *gather, struct error *err)
{
    if (yield->couples)
        couples_begin(scanner, yield->couples, yield->unit == 0);
    return measure_unit(scanner, yield, gather, err);
}

/* A whole pair has at most one unit a group, and a couple lies in one group: no couple is measured twice. */
int scanner_measure_pair(struct scanner *scanner, size_t pair, struct couple_record *couples, uint64_t *ret_bytes,
                         struct error *err)
{
    struct yield *yield = &scanner->yield;
    int rc = 0;

    yield->pair = pair;
    yield->couples = couples;
    scan_result_begin(scanner->result, &scanner->layout, pair);
    if (couples)
        couples_begin(scanner, couples, true);
    if (scanner->whole)
        rc = gather_begin(scanner->whole, scanner->plan, &scanner->layout, pair, err);
    for (yield->unit = 0; rc == 0 && yield->unit < scanner->layout.units; yield->unit++) {
        rc = measure_unit(scanner, yield, scanner->whole, err);
        if (rc)
            break;
        scan_result_add(scanner->result, yield);
        *ret_bytes += yield->bytes;
        if (scanner->whole)
            rc = gather_join(scanner->whole, yield, err);
    }
    if (rc == 0 && scanner->whole)
        rc = gather_settle(scanner->whole, scanner->result, err);
    return rc;
}
