/* Squares of rows and columns. Compiled once an instruction set, like kernels.c.
 *
 * A stripe of rows is walked column by column, so that the columns' sums, which lie in the second cache, are touched
 * once a stripe; the rows' sums stay in registers. */
#include "core/scan/vectors.h"

/* One step of STEP columns over all rows of the stripe. */
INLINE void stripe_step(enum block_format format, const uint8_t *x, size_t rows, size_t pitch, f64v *row_lanes,
                        f64v *column, int has_rows, int has_columns)
{
    enum { PARTS = STEP / F64_WIDTH };
    const size_t bytes = element_bytes(format);

    for (size_t r = 0; r < rows; r++) {
        f64v squares[PARTS];

        if (format == BLOCK_F64) {
            for (int p = 0; p < PARTS; p++) {
                f64v value = load_f64v(x + r * pitch + (size_t)(p * F64_WIDTH) * bytes);

                squares[p] = value * value;
            }
        } else {
            for (int p = 0; p < F32_PARTS; p++) {
                f32v value = load_f32v(format, x + r * pitch + (size_t)(p * F32_WIDTH) * bytes);

                for (int q = 0; q < F64_PER_F32; q++) {
                    f64v wide = widen(value, q);

                    squares[p * F64_PER_F32 + q] = wide * wide;
                }
            }
        }
        for (int p = 0; p < PARTS; p++) {
            if (has_rows)
                row_lanes[r * (size_t)F64_PARTS + (size_t)(p % F64_PARTS)] += squares[p];
            if (has_columns)
                column[p] += squares[p];
        }
    }
}

INLINE void stripe(enum block_format format, const uint8_t *x, size_t rows, size_t columns, double *row_squares,
                   double *column_squares, int has_rows, int has_columns)
{
    enum { PARTS = STEP / F64_WIDTH };
    const size_t bytes = element_bytes(format), pitch = columns * bytes;
    f64v row_lanes[STRIPE_ROWS * F64_PARTS];
    size_t c;

    for (size_t i = 0; has_rows && i < rows * (size_t)F64_PARTS; i++)
        row_lanes[i] = (f64v){0};
    for (c = 0; c + STEP <= columns; c += STEP) {
        f64v column[PARTS];

        for (int p = 0; p < PARTS; p++)
            column[p] = (f64v){0};
        stripe_step(format, x + c * bytes, rows, pitch, row_lanes, column, has_rows, has_columns);
        for (int p = 0; has_columns && p < PARTS; p++) {
            double *at = column_squares + c + (size_t)(p * F64_WIDTH);
            f64v sum;

            memcpy(&sum, at, sizeof(sum));
            sum += column[p];
            memcpy(at, &sum, sizeof(sum));
        }
    }
    for (size_t i = c; has_columns && i < columns; i++) {
        double sum = 0;

        for (size_t r = 0; r < rows; r++) {
            double value = load_one(format, x + r * pitch + i * bytes);

            sum += value * value;
        }
        column_squares[i] += sum;
    }
    for (size_t r = 0; has_rows && r < rows; r++) {
        double lane[LANES];

        memcpy(lane, row_lanes + r * (size_t)F64_PARTS, sizeof(lane));
        for (size_t i = c; i < columns; i++) {
            double value = load_one(format, x + r * pitch + i * bytes);

            lane[i % LANES] += value * value;
        }
        row_squares[r] = lanes_add(lane);
    }
}

/* Full stripes with a constant number of rows, so that their sums get registers of their own. */
#define STRIPES(name, format)                                                                                          \
    static void stripe_##name(const void *x, size_t rows, size_t columns, double *row_squares, double *column_squares) \
    {                                                                                                                  \
        if (row_squares && column_squares && rows == STRIPE_ROWS)                                                      \
            stripe(format, x, STRIPE_ROWS, columns, row_squares, column_squares, 1, 1);                                \
        else if (row_squares && column_squares)                                                                        \
            stripe(format, x, rows, columns, row_squares, column_squares, 1, 1);                                       \
        else if (row_squares && rows == 1)                                                                             \
            stripe(format, x, 1, columns, row_squares, column_squares, 1, 0);                                          \
        else if (row_squares)                                                                                          \
            stripe(format, x, rows, columns, row_squares, column_squares, 1, 0);                                       \
        else if (rows == STRIPE_ROWS)                                                                                  \
            stripe(format, x, STRIPE_ROWS, columns, row_squares, column_squares, 0, 1);                                \
        else                                                                                                           \
            stripe(format, x, rows, columns, row_squares, column_squares, 0, 1);                                       \
    }

STRIPES(bf16, BLOCK_BF16)
STRIPES(f16, BLOCK_F16)
STRIPES(f32, BLOCK_F32)
STRIPES(f64, BLOCK_F64)

const struct square_kernels ISA_NAME(square_kernels) = {
    .stripe =
        {[BLOCK_BF16] = stripe_bf16, [BLOCK_F16] = stripe_f16, [BLOCK_F32] = stripe_f32, [BLOCK_F64] = stripe_f64},
};
