/* A sample of two tensors that may be the same one: runs spread over all of it, some of them within rows, so that
 * readings that keep the first row or the first head in place are told apart too. */
#include <math.h>

#include "core/align/layouts.h"
#include "core/scan/decode.h"

enum { RUNS = 8, RUN_ELEMENTS = 256 };

static int read_values(const struct model *model, const struct tensor *tensor, uint64_t first, size_t elements,
                       double *values, struct error *err)
{
    uint8_t stored[RUN_ELEMENTS * 8];
    int rc = decoder_read(model, tensor, first, elements, stored, err);

    if (rc == 0)
        decode_f64(tensor->dtype, stored, 0, elements, values);
    return rc;
}

bool probe_is_readable(const struct tensor *tensor)
{
    const struct dtype_traits *traits = dtype_traits(tensor->dtype);

    return tensor_is_decodable(tensor) && traits->bits % 8 == 0 && traits->kind != DTYPE_KIND_COMPLEX &&
           traits->kind != DTYPE_KIND_NONE;
}

int probe_tensors(const struct model *model_a, const struct tensor *a, const struct model *model_b,
                  const struct tensor *b, double *ret_error, struct error *err)
{
    const uint64_t elements = a->shape.elements < b->shape.elements ? a->shape.elements : b->shape.elements;
    const bool is_whole = elements <= RUNS * RUN_ELEMENTS; /* then runs follow one another */
    double x[RUN_ELEMENTS], y[RUN_ELEMENTS], squares = 0, deltas = 0;

    *ret_error = NAN;
    if (elements == 0 || !probe_is_readable(a) || !probe_is_readable(b))
        return 0;
    for (uint64_t run = 0; run < RUNS; run++) {
        const uint64_t room = elements - RUN_ELEMENTS;
        const uint64_t first =
            is_whole ? run * RUN_ELEMENTS : room / RUNS * run + (run * 37 < room / RUNS ? run * 37 : 0);
        const size_t n = first + RUN_ELEMENTS <= elements ? RUN_ELEMENTS : (size_t)(elements - first);
        int rc = read_values(model_a, a, first, n, x, err);

        if (rc == 0)
            rc = read_values(model_b, b, first, n, y, err);
        if (rc)
            return rc;
        for (size_t i = 0; i < n; i++) {
            if (!isfinite(x[i]) || !isfinite(y[i]))
                continue;
            squares += x[i] * x[i];
            deltas += (y[i] - x[i]) * (y[i] - x[i]);
        }
        if (first + n == elements)
            break;
    }
    if (squares > 0 || deltas > 0)
        *ret_error = squares > 0 ? sqrt(deltas / squares) : INFINITY;
    return 0;
}
