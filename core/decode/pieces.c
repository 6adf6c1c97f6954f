/* Elements that lie in pieces: each piece contiguous, the next one anywhere. */
#include "core/decode/decoder.h"

/* The last piece that begins at or before the element. */
static size_t piece_of(const struct pieces *pieces, uint64_t element)
{
    size_t low = 0, high = pieces->count;

    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;

        if (pieces->list[middle].first <= element)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int read_pieces(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                       void *out, struct error *err)
{
    const struct pieces *pieces = tensor->storage->parameters;
    const size_t size = dtype_traits(tensor->dtype)->bits / 8;
    uint8_t *to = out;

    for (size_t at = elements ? piece_of(pieces, first) : 0; elements > 0; at++) {
        const struct piece *piece = &pieces->list[at];
        const uint64_t end = at + 1 < pieces->count ? piece[1].first : tensor->shape.elements;
        const size_t n = elements < end - first ? elements : (size_t)(end - first);
        int rc = source_read_at(model->files[tensor->extent.source + piece->source].source,
                                piece->offset + (first - piece->first) * size, to, n * size, err);

        if (rc)
            return rc;
        first += n;
        elements -= n;
        to += n * size;
    }
    return 0;
}

void pieces_settle(struct pieces *pieces, struct piece *list, struct tensor *tensor)
{
    const size_t size = dtype_traits(tensor->dtype)->bits / 8;
    struct extent *extent = &tensor->extent;
    uint64_t end = 0;

    extent->source = UINT32_MAX;
    for (size_t i = 0; i < pieces->count; i++)
        extent->source = list[i].source < extent->source ? list[i].source : extent->source;
    extent->offset = UINT64_MAX;
    for (size_t i = 0; i < pieces->count; i++) {
        const uint64_t next = i + 1 < pieces->count ? list[i + 1].first : tensor->shape.elements;
        const uint64_t piece_end = list[i].offset + (next - list[i].first) * size;

        list[i].source -= extent->source;
        if (list[i].source > 0)
            continue;
        extent->offset = list[i].offset < extent->offset ? list[i].offset : extent->offset;
        end = piece_end > end ? piece_end : end;
    }
    pieces->list = list;
    pieces->reach = end - extent->offset;
}

const struct decoder decoder_pieces = {.name = "pieces", .read = read_pieces};
