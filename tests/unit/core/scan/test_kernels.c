/* Every instruction set of this processor does the same to the bit, at any length and alignment. */
#include <math.h>

#include "core/scan/decode_wide.h"
#include "core/scan/kernels.h"
#include "tests/unit/core/scan/scan_models.h"

static const enum isa isas[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};
static const unsigned widths[BLOCK_FORMAT_COUNT] = {2, 2, 4, 8};
static const enum dtype dtypes[BLOCK_FORMAT_COUNT] = {DTYPE_BF16, DTYPE_F16, DTYPE_F32, DTYPE_F64};

static bool is_here(enum isa isa)
{
    enum isa found;

    return isa_by_name(isa_name(isa), &found) == 0;
}

/* Finite elements, zeros of both signs and subnormals among them. */
static void fill(uint8_t *to, enum block_format format, uint64_t seed)
{
    for (size_t i = 0; i < BLOCK_ELEMENTS; i++) {
        uint64_t word = test_random(&seed);
        double value = test_normal(&seed);
        float narrow = (float)value;

        if (word % 13 == 0)
            value = narrow = word % 2 ? 0.0f : -0.0f;
        if (format == BLOCK_F64)
            memcpy(to + i * 8, &value, 8);
        else if (format == BLOCK_F32)
            memcpy(to + i * 4, &narrow, 4);
        else if (format == BLOCK_BF16)
            memcpy(to + i * 2, (uint8_t *)&narrow + 2, 2);
        else
            memcpy(to + i * 2, &(uint16_t){(uint16_t)(word % 13 == 0 ? word & 0x8000 : word & 0xbfff)}, 2);
    }
}

START_TEST(instruction_sets_agree_to_the_bit)
{
    const enum block_format format = (enum block_format)_i;
    static uint8_t buffer[2][BLOCK_ELEMENTS * 8 + 8];
    uint8_t *a = buffer[0] + 1, *b = buffer[1] + 3; /* at odd addresses */

    fill(a, format, 7);
    fill(b, format, 8);
    for (size_t n = 0; n <= BLOCK_ELEMENTS; n += n < 70 ? 1 : 53) {
        for (unsigned kind = 0; kind < 4; kind++) {
            const double epsilon = kind & 1 ? 0.75 : 0, shift = kind & 2 ? 0.25 : 0;
            struct block_pair expected, got;
            struct block_side one;

            memset(&expected, 0, sizeof(expected));
            kernels_scalar.pair[format](a, b, n, shift, -shift / 2, epsilon, &expected);
            for (size_t k = 0; k < 3; k++) {
                const struct kernels *kernels;

                if (!is_here(isas[k]))
                    continue;
                kernels = kernels_of(isas[k]);
                ck_assert_int_eq(kernels->isa, isas[k]);
                memset(&got, 0, sizeof(got));
                kernels->pair[format](a, b, n, shift, -shift / 2, epsilon, &got);
                got.a.min += 0.0; /* which zero is the least may differ: the record takes the sign away */
                got.a.max += 0.0;
                got.b.min += 0.0;
                got.b.max += 0.0;
                expected.a.min += 0.0;
                expected.a.max += 0.0;
                expected.b.min += 0.0;
                expected.b.max += 0.0;
                ck_assert_msg(memcmp(&got, &expected, sizeof(got)) == 0, "%s differs at %zu elements",
                              isa_name(isas[k]), n);
                kernels->side[format](a, n, shift, &one);
                ck_assert(one.shifted == got.a.shifted && one.shifted_squares == got.a.shifted_squares &&
                          one.squares == got.a.squares && one.min == got.a.min && one.max == got.a.max &&
                          one.zeros == got.a.zeros);
            }
        }
    }
}
END_TEST

START_TEST(couples_have_the_bits_of_pairs)
{
    const enum block_format format = (enum block_format)_i;
    static uint8_t buffer[3][BLOCK_ELEMENTS * 8 + 8];
    uint8_t *a = buffer[0] + 1, *b = buffer[1] + 3, *between = buffer[2] + 5;

    fill(a, format, 17);
    fill(b, format, 18);
    fill(between, format, 19);
    for (size_t n = 0; n <= BLOCK_ELEMENTS; n += n < 70 ? 1 : 53) {
        struct block_pair pair, in, out;
        const double turn = couple_kernels_scalar.turn[format](a, between, b, n);

        kernels_scalar.pair[format](a, b, n, 0, 0, 0, &pair);
        kernels_scalar.pair[format](a, between, n, 0, 0, 0, &in);
        kernels_scalar.pair[format](between, b, n, 0, 0, 0, &out);
        /* ‖b − a‖² = ‖m − a‖² + ‖b − m‖² + 2 · turn */
        ck_assert_double_eq_tol(pair.delta_squares, in.delta_squares + out.delta_squares + 2 * turn,
                                1e-13 * (1 + in.delta_squares + out.delta_squares));
        for (size_t k = 0; k < 3; k++) {
            struct block_between got;

            if (!is_here(isas[k]))
                continue;
            kernels_of(isas[k])->couples->between[format](a, b, n, &got);
            ck_assert(got.delta == pair.delta && got.delta_squares == pair.delta_squares && got.ab == pair.ab &&
                      got.changed == pair.changed);
            ck_assert(kernels_of(isas[k])->couples->turn[format](a, between, b, n) == turn);
        }
    }
}
END_TEST

START_TEST(a_side_has_the_same_bits_in_every_format)
{
    static uint8_t a[BLOCK_ELEMENTS * 8];
    static double wide[BLOCK_ELEMENTS];

    fill(a, (enum block_format)_i, 99);
    decode_f64(dtypes[_i], a, 0, BLOCK_ELEMENTS, wide);
    for (size_t k = 0; k < 3; k++) {
        struct block_side narrow_side, wide_side;

        if (!is_here(isas[k]))
            continue;
        kernels_of(isas[k])->side[_i](a, BLOCK_ELEMENTS - 3, 0.5, &narrow_side);
        kernels_of(isas[k])->side[BLOCK_F64](wide, BLOCK_ELEMENTS - 3, 0.5, &wide_side);
        ck_assert(narrow_side.shifted == wide_side.shifted && narrow_side.squares == wide_side.squares &&
                  narrow_side.shifted_squares == wide_side.shifted_squares && narrow_side.min == wide_side.min &&
                  narrow_side.max == wide_side.max && narrow_side.zeros == wide_side.zeros);
    }
}
END_TEST

START_TEST(an_element_that_is_not_finite_shows_in_the_squares)
{
    static uint8_t a[BLOCK_ELEMENTS * 8], b[BLOCK_ELEMENTS * 8];
    static const uint8_t bad[BLOCK_FORMAT_COUNT][3][8] = {
        {{0x80, 0x7f}, {0x80, 0xff}, {0x81, 0x7f}},
        {{0x00, 0x7c}, {0x00, 0xfc}, {0x01, 0x7c}},
        {{0, 0, 0x80, 0x7f}, {0, 0, 0x80, 0xff}, {1, 0, 0x80, 0x7f}},
        {{0, 0, 0, 0, 0, 0, 0xf0, 0x7f}, {0, 0, 0, 0, 0, 0, 0xf0, 0xff}, {1, 0, 0, 0, 0, 0, 0xf0, 0x7f}},
    };
    const unsigned width = widths[_i];

    for (size_t k = 0; k < 3; k++) {
        if (!is_here(isas[k]))
            continue;
        for (size_t at = 0; at < 37; at++) {
            for (size_t kind = 0; kind < 3; kind++) {
                struct block_pair pair;

                fill(a, (enum block_format)_i, 1);
                fill(b, (enum block_format)_i, 2);
                memcpy(b + at * width, bad[_i][kind], width);
                kernels_of(isas[k])->pair[_i](a, b, 37, 0, 0, 0, &pair);
                ck_assert(isfinite(pair.a.squares));
                ck_assert(!isfinite(pair.b.squares));
            }
        }
    }
}
END_TEST

START_TEST(every_f16_pattern_widens_alike)
{
    bool is_alike = true; /* each ck_assert writes to a pipe */

    for (uint32_t pattern = 0; pattern < 65536; pattern++) {
        const uint16_t halves[32] = {[0 ... 31] = (uint16_t)pattern};
        double expected;
        struct block_side side;

        decode_f64(DTYPE_F16, (const uint8_t *)halves, 0, 1, &expected);
        for (size_t k = 0; k < 3; k++) {
            if (!is_here(isas[k]) || !isfinite(expected))
                continue;
            for (size_t n = 1; n <= 32; n += 31) { /* the tail's way and the vectors' */
                kernels_of(isas[k])->side[BLOCK_F16](halves, n, 0, &side);
                is_alike =
                    is_alike && side.min == expected && side.max == expected && side.shifted == expected * (double)n;
            }
        }
    }
    ck_assert(is_alike);
}
END_TEST

/* Every code of 8 and of 16 bits, at lengths that leave rests and at odd addresses. */
START_TEST(every_code_widens_to_its_value)
{
    static uint8_t codes[65536 * 2 + 1];
    static float got[65536], expected[65536];

    for (uint32_t dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        const unsigned bits = dtype_traits((enum dtype)dtype)->bits;
        const uint32_t patterns = bits == 16 ? 65536 : 256;

        for (uint32_t i = 0; i < patterns && bits <= 16; i++)
            memcpy(codes + 1 + i * (bits / 8), &i, bits / 8);
        for (size_t k = 0; k < 3; k++) {
            void (*widen)(const uint8_t *, size_t, float *);

            if (!is_here(isas[k]))
                continue;
            widen = kernels_of(isas[k])->widen->f32[dtype];
            if (!widen) {
                ck_assert_msg(!decode_is_narrow((enum dtype)dtype) || dtype == DTYPE_F32 || bits < 8 ||
                                  dtype == DTYPE_F8_E8M0 || dtype == DTYPE_F8_E5M2FNUZ,
                              "no kernel for dtype %u", dtype);
                continue;
            }
            for (uint32_t first = 0; first < 70; first++) {
                const uint32_t n = first < 40 ? patterns - first : first - 39;
                uint32_t wrong;

                memset(got, 0xaa, sizeof(got));
                decode_f32((enum dtype)dtype, codes + 1, first, n, expected);
                widen(codes + 1 + first * (bits / 8), n, got);
                wrong = 0;
                while (wrong < n &&
                       (isnan(expected[wrong]) ? isnan(got[wrong]) : memcmp(&got[wrong], &expected[wrong], 4) == 0))
                    wrong++;
                ck_assert_msg(wrong == n, "%s, dtype %u, code %u: %a, not %a", isa_name(isas[k]), dtype, first + wrong,
                              (double)got[wrong % n], (double)expected[wrong % n]);
                ck_assert_msg(n == 65536 || ((uint8_t *)&got[n])[0] == 0xaa, "writes beyond its end");
            }
        }
    }
}
END_TEST

START_TEST(an_unknown_instruction_set_is_refused)
{
    enum isa isa = ISA_SCALAR;

    ck_assert_int_eq(isa_by_name("mmx", &isa), ERROR_REQUEST);
    ck_assert_int_eq(isa, ISA_SCALAR);
    ck_assert_int_eq(isa_by_name("auto", &isa), 0);
    ck_assert_int_eq(isa, ISA_AUTO);
    ck_assert_str_eq(isa_name(ISA_AVX2), "avx2");
    ck_assert_int_eq(kernels_of(ISA_AUTO)->isa, isa_best());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tcase = tcase_create("kernels");

    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, instruction_sets_agree_to_the_bit, 0, BLOCK_FORMAT_COUNT);
    tcase_add_loop_test(tcase, couples_have_the_bits_of_pairs, 0, BLOCK_F64);
    tcase_add_loop_test(tcase, a_side_has_the_same_bits_in_every_format, 0, BLOCK_FORMAT_COUNT);
    tcase_add_loop_test(tcase, an_element_that_is_not_finite_shows_in_the_squares, 0, BLOCK_FORMAT_COUNT);
    tcase_add_test(tcase, every_f16_pattern_widens_alike);
    tcase_add_test(tcase, every_code_widens_to_its_value);
    tcase_add_test(tcase, an_unknown_instruction_set_is_refused);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
