/* A view keeps no values: it reads its source's, box by box. Arithmetic is done in F32, as converters do it, unless the
 * source is F64; on F16 it is rounded to F16, which converters keep. */
#include "core/decode/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/ggml_half.h"

enum { CHUNK = 4096 };

static int read_pieces(const struct model *model, const struct view *view, uint64_t first, uint64_t elements,
                       uint8_t *out, struct error *err)
{
    const size_t size = dtype_traits(view->source->dtype)->bits / 8;
    int rc = 0;

    for (size_t i = 0; rc == 0 && elements > 0 && i < view->piece_count; i++) {
        const struct view_piece *piece = &view->pieces[i];
        uint64_t n;

        if (first >= piece->elements) {
            first -= piece->elements;
            continue;
        }
        n = piece->elements - first < elements ? piece->elements - first : elements;
        rc =
            strided_read(model, view->source, piece->rank, piece->dims, piece->steps, piece->first, first, n, out, err);
        out += n * size;
        elements -= n;
        first = 0;
    }
    return rc;
}

static int read_view(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements, void *out,
                     struct error *err)
{
    return read_pieces(model, tensor->storage->parameters, first, elements, out, err);
}

static double apply(enum view_arithmetic arithmetic, double value)
{
    return arithmetic == VIEW_PLUS_ONE ? value + 1 : arithmetic == VIEW_NEGATIVE_EXP ? -exp(value) : value;
}

/* The nearest F16 value, half to even. */
static float rounded_to_half(float value)
{
    const float magnitude = fabsf(value);
    float step;
    int exponent;

    if (!isfinite(value) || magnitude == 0)
        return value;
    frexpf(magnitude, &exponent);
    step = ldexpf(1, (exponent < -13 ? -13 : exponent) - 11);
    value = nearbyintf(value / step) * step;
    return fabsf(value) > 65504 ? copysignf(INFINITY, value) : value;
}

static float single_of(enum dtype dtype, const uint8_t *stored)
{
    uint16_t half;
    uint32_t word;
    float value;

    if (dtype == DTYPE_F32) {
        memcpy(&value, stored, sizeof(value));
        return value;
    }
    memcpy(&half, stored, sizeof(half));
    if (dtype == DTYPE_F16)
        return half_value(half);
    word = (uint32_t)half << 16;
    memcpy(&value, &word, sizeof(value));
    return value;
}

static int read_computed(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                         void *out, struct error *err)
{
    const struct view *view = tensor->storage->parameters;
    const enum dtype dtype = view->source->dtype;
    const size_t size = dtype_traits(dtype)->bits / 8;
    uint8_t stored[CHUNK * 8];
    int rc = 0;

    if (view->arithmetic == VIEW_AS_IT_IS)
        return read_pieces(model, view, first, elements, out, err);
    for (size_t done = 0; rc == 0 && done < elements; done += CHUNK) {
        const size_t n = elements - done < CHUNK ? elements - done : CHUNK;

        rc = read_pieces(model, view, first + done, n, stored, err);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            if (dtype == DTYPE_F64) {
                double value;

                memcpy(&value, stored + i * size, size);
                ((double *)out)[done + i] = apply(view->arithmetic, value);
            } else {
                float value = (float)apply(view->arithmetic, (double)single_of(dtype, stored + i * size));

                ((float *)out)[done + i] = dtype == DTYPE_F16 ? rounded_to_half(value) : value;
            }
        }
    }
    return rc;
}

static bool is_scattered(const struct tensor *tensor)
{
    const struct view *view = tensor->storage->parameters;

    for (size_t i = 0; i < view->piece_count; i++)
        if (strided_is_scattered(view->pieces[i].rank, view->pieces[i].dims, view->pieces[i].steps))
            return true;
    return false;
}

static const struct decoder decoder_view = {.name = "view", .is_scattered = is_scattered, .read = read_view};
static const struct decoder decoder_computed_view = {.name = "computed view",
                                                     .is_encoding = true,
                                                     .is_computed = true,
                                                     .is_scattered = is_scattered,
                                                     .read = read_computed};

/* Whether the piece's elements lie one behind the other. */
static bool is_stretch(const struct view_piece *piece)
{
    uint64_t step = 1;

    for (uint32_t d = piece->rank; d-- > 0;) {
        if (piece->dims[d] != 1 && piece->steps[d] != step)
            return false;
        step *= piece->dims[d];
    }
    return true;
}

static bool has_own_granules(const struct tensor *tensor)
{
    return tensor->storage && tensor->storage->decoder && tensor->storage->decoder->granule;
}

/* Whether the stretch is a tensor as files hold them, and where. */
static bool stretch_of(const struct view *view, struct tensor *tensor)
{
    const struct view_piece *piece = view->pieces;
    const struct tensor *source = view->source;
    uint64_t size = dtype_traits(source->dtype)->bits / 8;

    if (view->piece_count != 1 || view->arithmetic != VIEW_AS_IT_IS || !is_stretch(piece))
        return false;
    if (has_own_granules(source)) {
        const struct decoder *decoder = source->storage->decoder;

        if (piece->first % decoder->granule || piece->elements % decoder->granule)
            return false;
        tensor->extent.offset += piece->first / decoder->granule * decoder->granule_bytes;
        tensor->extent.bytes = piece->elements / decoder->granule * decoder->granule_bytes;
        return true;
    }
    if (source->storage)
        return false;
    tensor->extent.offset += piece->first * size;
    tensor->extent.bytes = piece->elements * size;
    return true;
}

static struct view *view_copy(const struct view *view, struct arena *arena)
{
    struct view *copy = arena_take(arena, sizeof(*copy));
    struct view_piece *pieces = arena_take_array(arena, view->piece_count, sizeof(*pieces));

    if (!copy || !pieces)
        return NULL;
    memcpy(pieces, view->pieces, view->piece_count * sizeof(*pieces));
    *copy = *view;
    copy->pieces = pieces;
    return copy;
}

int view_make(const struct view *view, uint32_t rank, const uint64_t *dims, struct arena *arena,
              struct tensor *ret_tensor, struct error *err)
{
    const struct tensor *source = view->source;
    const bool is_computed = view->arithmetic != VIEW_AS_IT_IS || tensor_is_encoded(source);
    struct tensor tensor = *source;
    uint64_t *own_dims = arena_take_array(arena, rank ? rank : 1, sizeof(*own_dims));
    struct storage *storage;

    if (!own_dims)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a view");
    memcpy(own_dims, dims, rank * sizeof(*dims));
    tensor.shape = (struct shape){.dims = own_dims, .rank = rank};
    for (size_t i = 0; i < view->piece_count; i++)
        tensor.shape.elements += view->pieces[i].elements;
    if (!stretch_of(view, &tensor)) {
        storage = arena_take(arena, sizeof(*storage));
        if (!storage)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a view");
        storage->decoder = is_computed ? &decoder_computed_view : &decoder_view;
        storage->parameters = view_copy(view, arena);
        if (!storage->parameters)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a view");
        if (is_computed && source->storage)
            storage->stored_as = source->storage->stored_as;
        if (view->arithmetic != VIEW_AS_IT_IS && source->dtype != DTYPE_F64)
            tensor.dtype = DTYPE_F32;
        if (view->arithmetic != VIEW_AS_IT_IS && !storage->stored_as.text)
            storage->stored_as = name_of(dtype_traits(source->dtype)->name);
        if (source->shape.elements)
            tensor.extent.bytes =
                (uint64_t)((long double)source->extent.bytes * tensor.shape.elements / source->shape.elements);
        tensor.storage = storage;
    }
    *ret_tensor = tensor;
    return 0;
}

uint64_t view_origin(const struct tensor *view, const struct tensor *source, uint64_t flat)
{
    const struct decoder *decoder = view->storage ? view->storage->decoder : NULL;
    const struct view *made;

    if (decoder != &decoder_view && decoder != &decoder_computed_view) {
        const uint64_t bytes = view->extent.offset - source->extent.offset;

        return flat + (decoder && decoder->granule ? bytes / decoder->granule_bytes * decoder->granule
                                                   : bytes / (dtype_traits(source->dtype)->bits / 8));
    }
    made = view->storage->parameters;
    for (size_t i = 0; i < made->piece_count; i++) {
        const struct view_piece *piece = &made->pieces[i];
        uint64_t at = piece->first;

        if (flat >= piece->elements) {
            flat -= piece->elements;
            continue;
        }
        for (uint32_t d = piece->rank; d-- > 0;) {
            at += flat % piece->dims[d] * piece->steps[d];
            flat /= piece->dims[d];
        }
        return at;
    }
    return 0;
}

const struct tensor *view_source(const struct tensor *view)
{
    const struct decoder *decoder = view->storage ? view->storage->decoder : NULL;

    return decoder == &decoder_view || decoder == &decoder_computed_view
               ? ((const struct view *)view->storage->parameters)->source
               : NULL;
}

/* The view that was made, of which a stretch keeps nothing. */
static struct view view_of(const struct tensor *tensor, const struct tensor *source, struct view_piece *piece)
{
    if (view_source(tensor))
        return *(const struct view *)tensor->storage->parameters;
    *piece = (struct view_piece){.first = view_origin(tensor, source, 0),
                                 .elements = tensor->shape.elements,
                                 .rank = 1,
                                 .dims = {tensor->shape.elements},
                                 .steps = {1}};
    return (struct view){.pieces = piece, .piece_count = 1};
}

int view_of_other(const struct tensor *view, const struct tensor *source, const struct tensor *other,
                  struct arena *arena, struct tensor *ret_tensor, struct error *err)
{
    struct view_piece piece;
    struct view made = view_of(view, source, &piece);

    made.source = other;
    return view_make(&made, view->shape.rank, view->shape.dims, arena, ret_tensor, err);
}

static bool piece_equal(const struct view_piece *a, const struct view_piece *b)
{
    return a->first == b->first && a->elements == b->elements && a->rank == b->rank &&
           memcmp(a->dims, b->dims, a->rank * sizeof(*a->dims)) == 0 &&
           memcmp(a->steps, b->steps, a->rank * sizeof(*a->steps)) == 0;
}

bool view_equal(const struct tensor *a, const struct tensor *b, const struct tensor *source)
{
    struct view_piece piece_a, piece_b;
    const struct view view_a = view_of(a, source, &piece_a), view_b = view_of(b, source, &piece_b);

    if (!shape_equal(&a->shape, &b->shape) || view_a.arithmetic != view_b.arithmetic ||
        view_a.piece_count != view_b.piece_count)
        return false;
    for (size_t i = 0; i < view_a.piece_count; i++)
        if (!piece_equal(&view_a.pieces[i], &view_b.pieces[i]))
            return false;
    return true;
}
