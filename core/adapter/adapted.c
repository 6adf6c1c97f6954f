/* A tensor that is stored whole keeps its dtype and bytes, which lie in the adapter's file; one of which rows are
 * replaced yields what a low-rank change yields, so that neither side's type rounds the other's. */
#include "core/adapter/adapted.h"

#include "core/adapter/lora.h"
#include "core/decode/view.h"
#include "core/scan/decode.h"

enum { CHUNK = 2048 };

int adapted_read_f64(const struct model *model, const struct tensor *tensor, uint64_t first, uint64_t count,
                     double *out, struct error *err)
{
    uint8_t stored[CHUNK * 8];
    int rc = 0;

    for (uint64_t done = 0; rc == 0 && done < count; done += CHUNK) {
        const size_t n = count - done < CHUNK ? (size_t)(count - done) : CHUNK;

        rc = decoder_read(model, tensor, first + done, n, stored, err);
        if (rc == 0)
            decode_f64(tensor->dtype, stored, 0, n, out + done);
    }
    return rc;
}

static int read_whole(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                      void *out, struct error *err)
{
    return decoder_read(model, ((const struct adapted *)tensor->storage->parameters)->by, first, elements, out, err);
}

static int read_values(const struct model *model, const struct tensor *tensor, const struct tensor *of, uint64_t first,
                       uint64_t elements, void *out, size_t at, struct error *err)
{
    double values[CHUNK];
    int rc = 0;

    for (uint64_t done = 0; rc == 0 && done < elements; done += CHUNK) {
        const size_t n = elements - done < CHUNK ? (size_t)(elements - done) : CHUNK;

        rc = adapted_read_f64(model, of, first + done, n, values, err);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            if (tensor->dtype == DTYPE_F64)
                ((double *)out)[at + done + i] = values[i];
            else
                ((float *)out)[at + done + i] = (float)values[i];
        }
    }
    return rc;
}

static int read_rows(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements, void *out,
                     struct error *err)
{
    const struct adapted *adapted = tensor->storage->parameters;
    const uint64_t columns = adapted->by->shape.elements / adapted->row_count, end = first + elements;
    size_t low = 0, high = adapted->row_count;
    int rc = read_values(model, tensor, adapted->base, first, elements, out, 0, err);

    while (low < high) { /* the first row that is not before the range */
        const size_t middle = low + (high - low) / 2;

        if ((adapted->rows[middle].row + 1) * columns <= first)
            low = middle + 1;
        else
            high = middle;
    }
    for (; rc == 0 && low < adapted->row_count && adapted->rows[low].row * columns < end; low++) {
        const uint64_t start = adapted->rows[low].row * columns;
        const uint64_t from = start < first ? first : start;
        const uint64_t to = start + columns < end ? start + columns : end;

        rc = read_values(model, tensor, adapted->by, adapted->rows[low].from * columns + (from - start), to - from, out,
                         (size_t)(from - first), err);
    }
    return rc;
}

const struct decoder decoder_adapted = {.name = "adapted", .read = read_whole};
const struct decoder decoder_adapted_rows = {
    .name = "adapted rows", .is_encoding = true, .is_computed = true, .read = read_rows};

static const struct tensor *one_before(const struct tensor *tensor)
{
    const struct storage *storage = tensor->storage;

    if (storage && storage->decoder == &decoder_lora)
        return ((const struct lora *)storage->parameters)->base;
    if (storage && (storage->decoder == &decoder_adapted || storage->decoder == &decoder_adapted_rows))
        return ((const struct adapted *)storage->parameters)->base;
    return NULL;
}

const struct tensor *adapted_base(const struct tensor *tensor)
{
    const struct tensor *source = view_source(tensor);
    const struct tensor *base = one_before(source ? source : tensor);

    for (const struct tensor *next = base; next; next = one_before(next))
        base = next;
    return base;
}

size_t adapted_layers(const struct tensor *tensor)
{
    size_t layers = 0;

    while ((tensor = one_before(tensor)))
        layers++;
    return layers;
}
