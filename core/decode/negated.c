/* Signs are bits: nothing is computed, so that NaNs keep theirs as torch turns them. */
#include "core/decode/negated.h"

/* Turns the sign of every `step`th number of so many bytes, from the first or the second on. */
static void turn(uint8_t *values, size_t bytes, size_t size, size_t first, size_t step)
{
    for (size_t at = first * size + size - 1; at < bytes; at += step * size)
        values[at] ^= 0x80;
}

static int read_negated(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                        void *out, struct error *err)
{
    const struct negated *negated = tensor->storage->parameters;
    const struct dtype_traits *traits = dtype_traits(tensor->dtype);
    const bool is_complex = traits->kind == DTYPE_KIND_COMPLEX;
    const size_t size = traits->bits / (is_complex ? 16 : 8), bytes = elements * (traits->bits / 8);
    struct tensor of = negated->of;
    int rc;

    of.extent = tensor->extent; /* a checkpoint of several files places its tensors anew */
    rc = decoder_read(model, &of, first, elements, out, err);
    if (rc)
        return rc;
    if (negated->is_negative)
        turn(out, bytes, size, 0, 1);
    if (negated->is_conjugated)
        turn(out, bytes, size, 1, 2);
    return 0;
}

static bool is_scattered(const struct tensor *tensor)
{
    return decoder_is_scattered(&((const struct negated *)tensor->storage->parameters)->of);
}

const struct decoder decoder_negated = {.name = "negated", .is_scattered = is_scattered, .read = read_negated};
