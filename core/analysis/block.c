#include "core/analysis/block.h"

#include "core/decode/decoder.h"
#include "core/scan/decode.h"

bool block_is_readable(const struct tensor *tensor)
{
    const struct dtype_traits *traits = dtype_traits(tensor->dtype);

    return tensor_is_decodable(tensor) && traits->kind == DTYPE_KIND_FLOAT && traits->bits >= 8;
}

int block_read(const struct model *model, const struct tensor *tensor, uint64_t first, size_t count, uint8_t *stored,
               double *values, struct error *err)
{
    int rc = decoder_read(model, tensor, first, count, stored, err);

    if (rc == 0)
        decode_f64(tensor->dtype, stored, 0, count, values);
    return rc;
}

int block_check_cancelled(const struct compare_env *env, struct error *err)
{
    if (env->scan.cancel && atomic_load_explicit(env->scan.cancel, memory_order_relaxed))
        return error_set(err, ERROR_CANCELLED, "cancelled");
    return 0;
}

double block_dot(const double *a, const double *b, size_t count)
{
    double lanes[8] = {0};
    size_t i = 0;

    for (; i + 8 <= count; i += 8)
        for (size_t lane = 0; lane < 8; lane++)
            lanes[lane] += a[i + lane] * b[i + lane];
    for (; i < count; i++)
        lanes[i % 8] += a[i] * b[i];
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}
