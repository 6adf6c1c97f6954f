/* Shortest decimal digits of a double by the Schubfach method (R. Giulietti, 2020): three 64 × 128 bit products place
 * the value and the two ends of its rounding interval on a decimal grid; the shortest grid point inside is the answer.
 */
#include "core/decimal.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct power {
    uint64_t high, low;
};
enum { POWER_MIN = -292 };
static const struct power powers[] = {
#include "core/decimal_powers.inc"
};

/* floor(log2(10^e)), floor(log10(2^e)) and floor(log10(3/4 · 2^e)), exact over the exponents of a double. */
static int32_t floor_log2_pow10(int32_t e)
{
    return (e * 1741647) >> 19;
}

static int32_t floor_log10_pow2(int32_t e, bool is_three_quarters)
{
    return (e * 1262611 - (is_three_quarters ? 524031 : 0)) >> 22;
}

/* The high 64 bits of power · cp, its lowest bit set when anything below was lost: enough to compare against. */
static uint64_t round_to_odd(struct power power, uint64_t cp)
{
    unsigned __int128 low = (unsigned __int128)power.low * cp;
    unsigned __int128 high = (unsigned __int128)power.high * cp + (uint64_t)(low >> 64);

    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* value = digits · 10^exponent, digits as few as read back. fraction and biased are the parts of the IEEE encoding. */
static uint64_t shortest(uint64_t fraction, uint32_t biased, int32_t *ret_exponent)
{
    uint64_t c = biased ? fraction | (UINT64_C(1) << 52) : fraction;
    int32_t q = biased ? (int32_t)biased - 1075 : -1074;
    bool is_even = (c & 1) == 0, is_lower_closer = fraction == 0 && biased > 1;
    bool is_under_inside, is_over_inside;
    int32_t k, h;
    struct power power;
    uint64_t below, at, above, lower, upper, s, middle;

    if (biased && q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0) {
        *ret_exponent = 0; /* a whole number below 2^53 */
        return c >> -q;
    }
    k = floor_log10_pow2(q, is_lower_closer);
    h = q + floor_log2_pow10(-k) + 1;
    power = powers[-k - POWER_MIN];
    below = round_to_odd(power, (4 * c - 2 + is_lower_closer) << h);
    at = round_to_odd(power, (4 * c) << h);
    above = round_to_odd(power, (4 * c + 2) << h);
    lower = below + !is_even;
    upper = above - !is_even;
    s = at / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;

        is_under_inside = lower <= 40 * tens;
        is_over_inside = 40 * tens + 40 <= upper;
        if (is_under_inside != is_over_inside) {
            *ret_exponent = k + 1;
            return tens + is_over_inside;
        }
    }
    *ret_exponent = k;
    is_under_inside = lower <= 4 * s;
    is_over_inside = 4 * s + 4 <= upper;
    if (is_under_inside != is_over_inside)
        return s + is_over_inside;
    middle = 4 * s + 2;
    return s + (at > middle || (at == middle && (s & 1)));
}

/* The eight decimal digits of a value below 10^8, the first in the lowest byte: halves, quarters, and then digits are
 * divided side by side in one word. */
static uint64_t eight_digits(uint32_t value)
{
    uint64_t x = value / 10000 | (uint64_t)(value % 10000) << 32, over;

    over = (x * 10486 >> 20) & UINT64_C(0x7f0000007f);
    x = over | (x - over * 100) << 16;
    over = (x * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    x = over | (x - over * 10) << 8;
    return x | UINT64_C(0x3030303030303030);
}

/* Writes the count digits of a value below 10^8, and something behind them: always eight bytes. */
static void group_write(uint64_t value, size_t count, char *out)
{
    const uint64_t digits = eight_digits((uint32_t)value) >> (8 - count) * 8;

    memcpy(out, &digits, sizeof(digits));
}

enum { DIGITS_ROOM = 24, GROUP = 100000000 };

/* Writes the digits and, up to DIGITS_ROOM bytes, anything behind them; returns how many they are. */
static size_t digits_write(uint64_t value, char *out)
{
    static const uint64_t powers_of_10[] = {0,
                                            10,
                                            100,
                                            1000,
                                            10000,
                                            100000,
                                            1000000,
                                            10000000,
                                            100000000,
                                            1000000000,
                                            10000000000,
                                            100000000000,
                                            1000000000000,
                                            10000000000000,
                                            100000000000000,
                                            1000000000000000,
                                            10000000000000000,
                                            100000000000000000,
                                            1000000000000000000,
                                            UINT64_C(10000000000000000000)};
    const unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1), about = bits * 1233 >> 12;
    const size_t count = about + (value >= powers_of_10[about]);

    if (count <= 8) {
        group_write(value, count, out);
    } else if (count <= 16) {
        group_write(value / GROUP, count - 8, out);
        group_write(value % GROUP, 8, out + count - 8);
    } else {
        const uint64_t upper = value / GROUP;

        group_write(upper / GROUP, count - 16, out);
        group_write(upper % GROUP, 8, out + count - 16);
        group_write(value % GROUP, 8, out + count - 8);
    }
    return count;
}

size_t decimal_write_u64(uint64_t value, char out[DECIMAL_BYTES])
{
    const size_t count = digits_write(value, out);

    out[count] = '\0';
    return count;
}

/* e and a sign, and two digits at least. */
static size_t exponent_write(int32_t exponent, char *out)
{
    const uint32_t magnitude = (uint32_t)(exponent < 0 ? -exponent : exponent);
    char digits[DECIMAL_BYTES];
    size_t count = decimal_write_u64(magnitude, digits), used = 0;

    out[used++] = 'e';
    out[used++] = exponent < 0 ? '-' : '+';
    if (count < 2)
        out[used++] = '0';
    memcpy(out + used, digits, count + 1);
    return used + count;
}

/* d.ddde±x */
static size_t scientific_write(const char *digits, size_t count, int32_t exponent, char *out)
{
    size_t used = 1;

    out[0] = digits[0];
    if (count > 1) {
        out[1] = '.';
        memcpy(out + 2, digits + 1, DIGITS_ROOM);
        used = count + 1;
    }
    return used + exponent_write(exponent, out + used);
}

/* Copies are of whole words, whatever the number of digits: out has room for what is then written over. */
size_t decimal_write(double value, char out[DECIMAL_BYTES])
{
    uint64_t bits, whole;
    int32_t exponent, point;
    size_t count, used = 0;
    char digits[2 * DIGITS_ROOM];

    memcpy(&bits, &value, sizeof(bits));
    if ((bits << 1) == 0) {
        memcpy(out, "0", 2);
        return 1;
    }
    if (bits >> 63)
        out[used++] = '-';
    whole = shortest(bits & ((UINT64_C(1) << 52) - 1), (uint32_t)(bits >> 52) & 0x7ff, &exponent);
    while (whole % 10 == 0) {
        whole /= 10;
        exponent++;
    }
    count = digits_write(whole, digits);
    point = (int32_t)count + exponent; /* the decimal point stands after this many digits */
    if (point > 17 || point < -4)
        return used + scientific_write(digits, count, point - 1, out + used);
    if (point <= 0) {
        memcpy(out + used, "0.0000", 6);
        used += (size_t)(2 - point);
        memcpy(out + used, digits, DIGITS_ROOM);
        used += count;
    } else if ((size_t)point >= count) {
        memcpy(out + used, digits, DIGITS_ROOM);
        memset(out + used + count, '0', (size_t)point - count);
        used += (size_t)point;
    } else {
        memcpy(out + used, digits, DIGITS_ROOM);
        used += (size_t)point;
        out[used++] = '.';
        memcpy(out + used, digits + point, DIGITS_ROOM);
        used += count - (size_t)point;
    }
    out[used] = '\0';
    return used;
}
