/* what_if. Casts round half to even; F16 and BF16 overflow to infinity, which makes their SQNR null; F8 saturates.
 * INT8: one F32 scale a row, absmax ÷ 127. INT4: one F16 scale a group of 32 or 128 of a row, absmax ÷ 7, codes ±7.
 * Elements that are not finite are left out. */
#include "core/analysis/what_if.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/decode/decoder.h"
#include "core/scan/decode.h"

enum target { TO_F16, TO_BF16, TO_F8_E4M3, TO_F8_E5M2, TO_INT8, TO_INT4_G32, TO_INT4_G128, TARGET_COUNT };

static const char *const target_names[TARGET_COUNT] = {"F16",          "BF16",     "F8_E4M3",  "F8_E5M2",
                                                       "INT8_per_row", "INT4_g32", "INT4_g128"};

struct measured {
    uint64_t elements; /* read; 0: this pair was not measured */
    uint64_t all;      /* elements of the tensor */
    double signal;
    double noise[TARGET_COUNT]; /* infinite where the type overflows */
    uint64_t bytes[TARGET_COUNT];
};

struct what_if {
    struct measured *pairs;
    size_t count;
};

/* A binary float type: its least normal value, its largest, 1.5 · 2^(52 − fraction bits), and what lies beyond. */
struct float_type {
    double normal_min, max, rounding;
    bool is_saturating;
};
static const struct float_type float_types[] = {
    [TO_F16] = {0x1p-14, 65504, 0x1.8p42, false},
    [TO_BF16] = {0x1p-126, 0x1.FEp127, 0x1.8p45, false},
    [TO_F8_E4M3] = {0x1p-6, 448, 0x1.8p49, true},
    [TO_F8_E5M2] = {0x1p-14, 57344, 0x1.8p50, true},
};

/* x to the nearest value of the type, half to even: adding and taking away 1.5·2^52 units of x's binade rounds there.
 */
static double round_to(const struct float_type *type, double x)
{
    double magnitude = fabs(x), binade, magic, rounded;
    uint64_t bits;

    memcpy(&bits, &magnitude, sizeof(bits));
    bits &= UINT64_C(0x7ff) << 52;
    memcpy(&binade, &bits, sizeof(binade));
    if (binade < type->normal_min)
        binade = type->normal_min;
    if (binade > type->max * 2)
        return type->is_saturating ? copysign(type->max, x) : copysign(HUGE_VAL, x);
    magic = binade * type->rounding;
    rounded = (magnitude + magic) - magic;
    if (rounded > type->max)
        rounded = type->is_saturating ? type->max : HUGE_VAL;
    return copysign(rounded, x);
}

static double square(double x)
{
    return x * x;
}

static void measure_floats(struct measured *m, const double *values, size_t count)
{
    for (int t = TO_F16; t <= TO_F8_E5M2; t++) {
        double noise = 0;

        for (size_t i = 0; i < count; i++)
            if (isfinite(values[i]))
                noise += square(values[i] - round_to(&float_types[t], values[i]));
        m->noise[t] += noise;
    }
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            m->signal += square(values[i]);
}

static double noise_at_scale(const double *values, size_t count, double scale, double code_max)
{
    double noise = 0;

    for (size_t i = 0; i < count; i++) {
        double code;

        if (!isfinite(values[i]))
            continue;
        code = scale > 0 ? nearbyint(values[i] / scale) : 0;
        noise += square(values[i] - fmax(-code_max, fmin(code_max, code)) * scale);
    }
    return noise;
}

static double abs_max(const double *values, size_t count)
{
    double max = 0;

    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]) && fabs(values[i]) > max)
            max = fabs(values[i]);
    return max;
}

static void measure_groups(struct measured *m, enum target target, const double *row, size_t columns, size_t group)
{
    for (size_t at = 0; at < columns; at += group) {
        size_t count = columns - at < group ? columns - at : group;
        double scale = round_to(&float_types[TO_F16], abs_max(row + at, count) / 7);

        m->noise[target] += isfinite(scale) ? noise_at_scale(row + at, count, scale, 7) : HUGE_VAL;
    }
}

static void measure_row(struct measured *m, const double *row, size_t columns)
{
    measure_floats(m, row, columns);
    m->noise[TO_INT8] += noise_at_scale(row, columns, (double)(float)(abs_max(row, columns) / 127), 127);
    measure_groups(m, TO_INT4_G32, row, columns, 32);
    measure_groups(m, TO_INT4_G128, row, columns, 128);
    m->elements += columns;
}

static void set_bytes(struct measured *m, uint64_t rows, uint64_t columns)
{
    uint64_t n = rows * columns;

    m->all = n;
    m->bytes[TO_F16] = m->bytes[TO_BF16] = 2 * n;
    m->bytes[TO_F8_E4M3] = m->bytes[TO_F8_E5M2] = n;
    m->bytes[TO_INT8] = n + 4 * rows;
    m->bytes[TO_INT4_G32] = (n + 1) / 2 + 2 * rows * ((columns + 31) / 32);
    m->bytes[TO_INT4_G128] = (n + 1) / 2 + 2 * rows * ((columns + 127) / 128);
}

struct sampler {
    uint8_t *stored;
    double *values;
};

/* Evenly spread rows of one tensor; of rows longer than the budget, their first elements. */
static int measure_tensor(const struct model *model, const struct tensor *tensor, struct sampler *sampler,
                          struct measured *m, struct error *err)
{
    const struct shape *shape = &tensor->shape;
    uint64_t columns = shape->rank ? shape->dims[shape->rank - 1] : 1, rows, sampled;
    size_t taken;

    if (shape->elements == 0)
        return 0;
    rows = shape->elements / columns;
    taken = columns < WHAT_IF_ELEMENTS_MAX ? (size_t)columns : WHAT_IF_ELEMENTS_MAX;
    sampled = WHAT_IF_ELEMENTS_MAX / taken < rows ? WHAT_IF_ELEMENTS_MAX / taken : rows;
    set_bytes(m, rows, columns);
    for (uint64_t i = 0; i < sampled; i++) {
        uint64_t row = (uint64_t)((unsigned __int128)i * rows / sampled);
        int rc = decoder_read(model, tensor, row * columns, taken, sampler->stored, err);

        if (rc)
            return rc;
        decode_f64(tensor->dtype, sampler->stored, 0, taken, sampler->values);
        measure_row(m, sampler->values, taken);
    }
    return 0;
}

static bool is_measured(const struct tensor *tensor)
{
    return tensor && tensor_is_decodable(tensor) && dtype_traits(tensor->dtype)->kind == DTYPE_KIND_FLOAT &&
           dtype_traits(tensor->dtype)->bits >= 16;
}

int what_if_measure(const struct comparison *c, const struct compare_env *env, struct what_if **ret_what_if,
                    struct error *err)
{
    struct what_if *what_if = calloc(1, sizeof(*what_if));
    struct sampler sampler = {calloc(WHAT_IF_ELEMENTS_MAX, 8), calloc(WHAT_IF_ELEMENTS_MAX, 8)};
    int rc = 0;

    if (what_if)
        what_if->pairs = calloc(c->pairing->pairs + 1, sizeof(*what_if->pairs));
    if (!what_if || !what_if->pairs || !sampler.stored || !sampler.values)
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory");
    for (size_t pair = 0; rc == 0 && pair < c->pairing->pairs; pair++) {
        const struct tensor *tensor = comparison_tensor(c, pair, 0);

        if (env->scan.cancel && atomic_load_explicit(env->scan.cancel, memory_order_relaxed))
            rc = error_set(err, ERROR_CANCELLED, "cancelled");
        else if (is_measured(tensor))
            rc = measure_tensor(c->models[0], tensor, &sampler, &what_if->pairs[pair], err);
    }
    free(sampler.stored);
    free(sampler.values);
    if (rc) {
        what_if_free(what_if);
        return rc;
    }
    what_if->count = c->pairing->pairs;
    *ret_what_if = what_if;
    return 0;
}

void what_if_free(struct what_if *what_if)
{
    if (!what_if)
        return;
    free(what_if->pairs);
    free(what_if);
}

bool what_if_has(const struct what_if *what_if, size_t pair)
{
    return what_if->pairs[pair].elements > 0;
}

bool what_if_figures(const struct what_if *what_if, size_t pair, unsigned target, const char **ret_name,
                     double *ret_sqnr_db, uint64_t *ret_bytes)
{
    const struct measured *m = &what_if->pairs[pair];

    if (target >= TARGET_COUNT)
        return false;
    *ret_name = target_names[target];
    *ret_bytes = m->bytes[target];
    *ret_sqnr_db = m->noise[target] == 0                         ? HUGE_VAL
                   : m->signal > 0 && isfinite(m->noise[target]) ? 10 * log10(m->signal / m->noise[target])
                                                                 : NAN;
    return true;
}

static void write_measured(const struct measured *m, struct writer *w)
{
    write_u64(w, "measured_elements", m->elements);
    for (int t = 0; t < TARGET_COUNT; t++) {
        double sqnr_db = m->noise[t] > 0 && m->signal > 0 ? 10 * log10(m->signal / m->noise[t]) : NAN;

        write_object(w, target_names[t]);
        write_figure(w, "sqnr_db", isinf(m->noise[t]) ? NAN : sqnr_db,
                     isinf(m->noise[t]) ? "values overflow the type"
                     : m->noise[t] == 0 ? "exact"
                                        : "zero baseline");
        write_u64(w, "bytes", m->bytes[t]);
        write_end(w);
    }
}

void what_if_write_tensor(const struct what_if *what_if, size_t pair, struct writer *w)
{
    write_object(w, "what_if");
    write_measured(&what_if->pairs[pair], w);
    write_end(w);
}

/* The model's: each tensor's sums weighted by the elements it has to those that were measured. */
void what_if_write(const struct what_if *what_if, struct writer *w)
{
    struct measured total = {0};

    for (size_t pair = 0; pair < what_if->count; pair++) {
        const struct measured *m = &what_if->pairs[pair];
        double weight = m->elements ? (double)m->all / (double)m->elements : 0;

        total.elements += m->elements;
        total.all += m->all;
        total.signal += m->signal * weight;
        for (int t = 0; t < TARGET_COUNT; t++) {
            total.noise[t] += m->elements ? m->noise[t] * weight : 0;
            total.bytes[t] += m->bytes[t];
        }
    }
    write_object(w, "what_if");
    write_u64(w, "elements", total.all);
    write_measured(&total, w);
    write_end(w);
}
