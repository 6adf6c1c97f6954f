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

/* Two digits a step. */
size_t decimal_write_u64(uint64_t value, char out[DECIMAL_BYTES])
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445"
        "46474849505152535455565758596061626364656667686970717273747576777879808182838485868788899091"
        "9293949596979899";
    char digits[20];
    size_t at = sizeof(digits);

    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + value * 2, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(out, digits + at, sizeof(digits) - at);
    out[sizeof(digits) - at] = '\0';
    return sizeof(digits) - at;
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

size_t decimal_write(double value, char out[DECIMAL_BYTES])
{
    uint64_t bits, digits;
    int32_t exponent, point;
    size_t count, used = 0;
    char text[DECIMAL_BYTES];

    memcpy(&bits, &value, sizeof(bits));
    if ((bits << 1) == 0) {
        memcpy(out, "0", 2);
        return 1;
    }
    if (bits >> 63)
        out[used++] = '-';
    digits = shortest(bits & ((UINT64_C(1) << 52) - 1), (uint32_t)(bits >> 52) & 0x7ff, &exponent);
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    count = decimal_write_u64(digits, text);
    point = (int32_t)count + exponent; /* the decimal point stands after this many digits */
    if (point > 17 || point < -4) {
        out[used++] = text[0];
        if (count > 1) {
            out[used++] = '.';
            memcpy(out + used, text + 1, count - 1);
            used += count - 1;
        }
        return used + exponent_write(point - 1, out + used);
    }
    if (point <= 0) {
        out[used++] = '0';
        out[used++] = '.';
        memset(out + used, '0', (size_t)-point);
        used += (size_t)-point;
        memcpy(out + used, text, count);
        used += count;
    } else if ((size_t)point >= count) {
        memcpy(out + used, text, count);
        used += count;
        memset(out + used, '0', (size_t)point - count);
        used += (size_t)point - count;
    } else {
        memcpy(out + used, text, (size_t)point);
        used += (size_t)point;
        out[used++] = '.';
        memcpy(out + used, text + point, count - (size_t)point);
        used += count - (size_t)point;
    }
    out[used] = '\0';
    return used;
}
