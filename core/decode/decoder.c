#include "core/decode/decoder.h"

#include <string.h>

enum { PIECE_BYTES = 8192 };

bool tensor_is_encoded(const struct tensor *tensor)
{
    return tensor->storage && tensor->storage->decoder && tensor->storage->decoder->is_encoding;
}

bool tensor_is_computed(const struct tensor *tensor)
{
    return tensor->storage && tensor->storage->decoder && tensor->storage->decoder->is_computed;
}

bool decoder_is_scattered(const struct tensor *tensor)
{
    const struct decoder *decoder = tensor->storage ? tensor->storage->decoder : NULL;

    return decoder && decoder->is_scattered && decoder->is_scattered(tensor);
}

static size_t element_bytes(const struct tensor *tensor)
{
    return dtype_traits(tensor->dtype)->bits / 8;
}

void decoder_decode(const struct tensor *tensor, const uint8_t *stored, uint64_t first, size_t elements, void *out)
{
    const struct decoder *decoder = tensor->storage->decoder;
    const size_t size = element_bytes(tensor), granule = decoder->granule, skipped = (size_t)(first % granule);
    _Alignas(8) uint8_t whole[DECODER_GRANULE_MAX * 8];
    uint8_t *to = out;

    if (skipped) {
        size_t n = granule - skipped < elements ? granule - skipped : elements;

        decoder->decode(tensor->storage, stored, 1, whole);
        memcpy(to, whole + skipped * size, n * size);
        stored += decoder->granule_bytes;
        to += n * size;
        elements -= n;
    }
    decoder->decode(tensor->storage, stored, elements / granule, to);
    if (elements % granule) {
        stored += elements / granule * decoder->granule_bytes;
        to += elements / granule * granule * size;
        decoder->decode(tensor->storage, stored, 1, whole);
        memcpy(to, whole, elements % granule * size);
    }
}

static struct source *source_of(const struct model *model, const struct tensor *tensor)
{
    return model->files[tensor->extent.source].source;
}

static int read_granules(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                         uint8_t *out, struct error *err)
{
    const struct decoder *decoder = tensor->storage->decoder;
    const size_t most = PIECE_BYTES / decoder->granule_bytes * decoder->granule;
    uint8_t stored[PIECE_BYTES];

    while (elements > 0) {
        const size_t room = most - (size_t)(first % decoder->granule), n = elements < room ? elements : room;
        const uint64_t from = first / decoder->granule, to = (first + n + decoder->granule - 1) / decoder->granule;
        int rc = source_read_at(source_of(model, tensor), tensor->extent.offset + from * decoder->granule_bytes, stored,
                                (size_t)(to - from) * decoder->granule_bytes, err);

        if (rc)
            return rc;
        decoder_decode(tensor, stored, first, n, out);
        first += n;
        elements -= n;
        out += n * element_bytes(tensor);
    }
    return 0;
}

int decoder_read(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements, void *out,
                 struct error *err)
{
    const uint64_t bits = dtype_traits(tensor->dtype)->bits;

    if (!tensor->storage)
        return source_read_at(source_of(model, tensor), tensor->extent.offset + first * bits / 8, out,
                              (size_t)((elements * bits + 7) / 8), err);
    if (tensor->storage->decoder->granule)
        return read_granules(model, tensor, first, elements, out, err);
    return tensor->storage->decoder->read(model, tensor, first, elements, out, err);
}

/* Where the tensor was made of several: their bytes, one part's behind the other's. */
static int read_parts(const struct model *model, const struct storage *storage, uint64_t offset, size_t bytes,
                      uint8_t *out, struct error *err)
{
    for (uint32_t i = 0; bytes > 0 && i < storage->part_count; i++) {
        const struct tensor *part = &storage->parts[i];
        const uint64_t rest = part->extent.bytes > offset ? part->extent.bytes - offset : 0;
        const size_t n = rest < bytes ? (size_t)rest : bytes;
        int rc = n ? source_read_at(source_of(model, part), part->extent.offset + offset, out, n, err) : 0;

        if (rc)
            return rc;
        offset -= rest ? offset : part->extent.bytes;
        out += n;
        bytes -= n;
    }
    return 0;
}

void decoder_share(const struct tensor *tensor, uint64_t first, size_t elements, uint64_t *ret_offset,
                   uint64_t *ret_bytes)
{
    const uint64_t all = tensor->shape.elements, bytes = tensor->extent.bytes;

    *ret_offset = (uint64_t)((unsigned __int128)first * bytes / all);
    *ret_bytes = (uint64_t)((unsigned __int128)(first + elements) * bytes / all) - *ret_offset;
}

int decoder_read_bytes(const struct model *model, const struct tensor *tensor, uint64_t offset, size_t bytes, void *out,
                       struct error *err)
{
    const size_t size = element_bytes(tensor);

    if (tensor->storage && tensor->storage->part_count)
        return read_parts(model, tensor->storage, offset, bytes, out, err);
    if (tensor->storage && tensor->storage->decoder && !tensor->storage->decoder->is_encoding)
        return decoder_read(model, tensor, offset / size, bytes / size, out, err);
    return source_read_at(source_of(model, tensor), tensor->extent.offset + offset, out, bytes, err);
}
