/* quantization_analysis: what storing the candidate in fewer bits has cost. SQNR = 10·log10(Σa² ÷ ΣΔ²). Integer codes
 * without stored scales are first fitted: s = ⟨a,b⟩/⟨b,b⟩ minimises Σ(a − s·b)², which is Σa² − ⟨a,b⟩²/⟨b,b⟩ then. */
#include <math.h>
#include <stdlib.h>

#include "core/analysis/analysis.h"
#include "core/analysis/what_if.h"
#include "core/document.h"
#include "core/type_totals.h"

/* 20·log10(2): decibels a bit, of the Gaussian rate–distortion bound. */
#define DB_PER_BIT 6.020599913279624

struct damage {
    double noise; /* Σ(a − b)², after the fit where there is one */
    uint32_t pair;
};

struct quantization_state {
    struct damage *damaged; /* every pair with noise, the most damaged first */
    size_t damaged_count;
    double signal, noise; /* over all pairs taken */
    double ab, aa, bb;
    uint64_t baseline_bytes, candidate_bytes, elements;
    double max_abs; /* NAN when a pair had to be fitted */
    bool has_fitted;
    struct what_if *what_if; /* NULL unless asked for */
};

static bool is_fitted(const struct comparison *c, size_t pair)
{
    enum dtype_kind kind = dtype_traits(comparison_tensor(c, pair, c->model_count - 1)->dtype)->kind;

    return kind == DTYPE_KIND_INT || kind == DTYPE_KIND_UINT;
}

/* A pair counts when its baseline is of a float type and its values were compared; a BOOL candidate holds no codes. */
static bool is_taken(const struct comparison *c, size_t pair)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);

    return comparison_delta(c, pair) && dtype_is_parameter(a->dtype) && dtype_traits(b->dtype)->kind != DTYPE_KIND_BOOL;
}

/* Sums of one record in units of the values squared; extreme F64 may overflow to infinity, which is reported as null.
 */
static double signal_of(const struct delta_record *delta)
{
    return ldexp(sum_value(&delta->aa), 2 * delta->exponent_a);
}

static double candidate_of(const struct delta_record *delta)
{
    return ldexp(sum_value(&delta->bb), 2 * delta->exponent_b);
}

static double product_of(const struct delta_record *delta)
{
    return ldexp(sum_value(&delta->ab), delta->exponent_a + delta->exponent_b);
}

static double noise_of(const struct comparison *c, size_t pair)
{
    const struct delta_record *delta = comparison_delta(c, pair);
    double aa = signal_of(delta), bb = candidate_of(delta), ab = product_of(delta);

    if (!is_fitted(c, pair))
        return delta_squares_value(delta);
    return bb > 0 ? fmax(aa - ab * (ab / bb), 0) : aa;
}

static int compare_damage(const void *left, const void *right)
{
    const struct damage *a = left, *b = right;

    if (a->noise != b->noise)
        return a->noise > b->noise ? -1 : 1;
    return a->pair < b->pair ? -1 : 1;
}

static void gather(const struct comparison *c, struct quantization_state *state)
{
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        const struct delta_record *delta = comparison_delta(c, pair);
        double noise;

        if (!is_taken(c, pair))
            continue;
        noise = noise_of(c, pair);
        state->signal += signal_of(delta);
        state->noise += noise;
        state->aa += signal_of(delta);
        state->bb += candidate_of(delta);
        state->ab += product_of(delta);
        state->baseline_bytes += comparison_tensor(c, pair, 0)->extent.bytes;
        state->candidate_bytes += comparison_tensor(c, pair, c->model_count - 1)->extent.bytes;
        state->elements += delta->elements;
        state->max_abs = fmax(state->max_abs, delta->max_abs);
        state->has_fitted |= is_fitted(c, pair);
        if (noise > 0)
            state->damaged[state->damaged_count++] = (struct damage){noise, (uint32_t)pair};
    }
    qsort(state->damaged, state->damaged_count, sizeof(*state->damaged), compare_damage);
}

static void quantization_free(void *opaque)
{
    struct quantization_state *state = opaque;

    if (!state)
        return;
    what_if_free(state->what_if);
    free(state->damaged);
    free(state);
}

static int prepare(const struct comparison *c, const struct compare_env *env, void **ret_state, struct error *err)
{
    struct quantization_state *state = calloc(1, sizeof(*state));
    int rc = 0;

    if (!state)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    state->damaged = calloc(c->pairing->pairs + 1, sizeof(*state->damaged));
    if (!state->damaged) {
        quantization_free(state);
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    gather(c, state);
    if (c->request->options.what_if)
        rc = what_if_measure(c, env, &state->what_if, err);
    if (rc) {
        quantization_free(state);
        return rc;
    }
    *ret_state = state;
    return 0;
}

/* Labels are ordered: none < minimal < low < moderate < high < severe. */
static const char *precision_loss(const struct options *options, double sqnr_db, bool is_exact)
{
    if (is_exact)
        return "none";
    if (sqnr_db >= options->precision_minimal_db)
        return "minimal";
    if (sqnr_db >= options->precision_low_db)
        return "low";
    if (sqnr_db >= options->precision_moderate_db)
        return "moderate";
    return sqnr_db >= options->precision_high_db ? "high" : "severe";
}

static void write_bits(struct writer *w, uint64_t baseline_bytes, uint64_t candidate_bytes, uint64_t elements)
{
    write_object(w, "bits_per_weight");
    write_figure(w, "baseline", elements ? 8 * (double)baseline_bytes / (double)elements : NAN, "empty");
    write_figure(w, "candidate", elements ? 8 * (double)candidate_bytes / (double)elements : NAN, "empty");
    write_end(w);
}

/* precision_loss, sqnr_db, efficiency and relative_rmse of one signal and its noise. */
static void write_quality(const struct comparison *c, struct writer *w, double signal, double noise, double bits,
                          bool has_values)
{
    bool is_exact = noise == 0;
    const char *reason = !has_values  ? "nothing compared"
                         : is_exact   ? "exact"
                         : signal > 0 ? "overflows a double"
                                      : "zero baseline";
    double sqnr_db = has_values && !is_exact && signal > 0 ? 10 * log10(signal / noise) : NAN;

    if (has_values && (is_exact || !isnan(sqnr_db)))
        write_text(w, "precision_loss", precision_loss(&c->request->options, sqnr_db, is_exact));
    else
        write_null(w, "precision_loss", reason);
    write_figure(w, "sqnr_db", sqnr_db, reason);
    write_figure(w, "efficiency", bits > 0 ? sqnr_db / (DB_PER_BIT * bits) : NAN, reason);
    write_figure(w, "relative_rmse", !has_values ? NAN : is_exact ? 0 : sqrt(noise / signal), reason);
}

static void write_tensor(const struct comparison *c, const void *opaque, size_t pair, struct writer *w)
{
    const struct quantization_state *state = opaque;
    const struct delta_record *delta = comparison_delta(c, pair);
    size_t last = c->model_count - 1;
    const struct side_record *side;
    double noise, signal;
    bool is_codes;

    if (!is_taken(c, pair)) {
        if (state->what_if && what_if_has(state->what_if, pair)) {
            write_object(w, "quantization_analysis");
            what_if_write_tensor(state->what_if, pair, w);
            write_end(w);
        }
        return;
    }
    side = comparison_side(c, pair, last);
    is_codes = is_fitted(c, pair);
    noise = noise_of(c, pair);
    signal = signal_of(delta);
    write_object(w, "quantization_analysis");
    write_bits(w, comparison_tensor(c, pair, 0)->extent.bytes, comparison_tensor(c, pair, last)->extent.bytes,
               delta->elements);
    write_quality(c, w, signal, noise,
                  delta->elements ? 8 * (double)comparison_tensor(c, pair, last)->extent.bytes / (double)delta->elements
                                  : 0,
                  delta->finite > 0);
    write_figure(w, "cosine", delta->finite ? delta_cosine(delta) : NAN,
                 delta->finite ? "one side is all zero" : delta_null_reason(delta));
    if (is_codes)
        write_null(w, "max_abs", "integer codes have a fitted scale");
    else
        write_figure(w, "max_abs", delta->finite ? delta->max_abs : NAN, delta_null_reason(delta));
    if (is_codes) {
        write_figure(w, "fitted_scale", delta_fitted_scale(delta), "codes are all zero");
        write_figure(w, "sqnr_db_per_row", delta->has_row_fit ? delta_row_fitted_sqnr_db(delta) : NAN,
                     delta->has_row_fit ? "exact or zero baseline" : "rows too long to fit one by one");
    }
    if (dtype_traits(side->dtype)->bits == 8 && dtype_traits(side->dtype)->kind != DTYPE_KIND_BOOL)
        write_figure(w, "saturated_fraction", side->elements ? (double)side->saturated / (double)side->elements : NAN,
                     "empty");
    else
        write_null(w, "saturated_fraction", "not an 8-bit type");
    if (state->what_if && what_if_has(state->what_if, pair))
        what_if_write_tensor(state->what_if, pair, w);
    write_end(w);
}

/* How many parameters each side holds in each dtype, over the pairs taken; tells whether the candidate mixes types. */
static bool write_dtypes(const struct comparison *c, struct writer *w, const char *key, size_t model)
{
    struct type_totals totals = {.count = 0};

    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        if (is_taken(c, pair))
            type_totals_add(&totals, comparison_tensor(c, pair, model), comparison_delta(c, pair)->elements, 0);
    write_object(w, key);
    for (size_t i = 0; i < totals.count; i++) {
        w->ops->key(w, totals.items[i].name.text, totals.items[i].name.bytes);
        w->ops->u64(w, totals.items[i].parameters);
    }
    write_end(w);
    return totals.count > 1;
}

/* What llama.cpp calls the mixtures of types that it writes (llama.h, enum llama_ftype). */
static const char *const file_types[] = {
    [0] = "F32",     [1] = "F16",     [2] = "Q4_0",       [3] = "Q4_1",    [7] = "Q8_0",     [8] = "Q5_0",
    [9] = "Q5_1",    [10] = "Q2_K",   [11] = "Q3_K_S",    [12] = "Q3_K_M", [13] = "Q3_K_L",  [14] = "Q4_K_S",
    [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M",    [18] = "Q6_K",   [19] = "IQ2_XXS", [20] = "IQ2_XS",
    [21] = "Q2_K_S", [22] = "IQ3_XS", [23] = "IQ3_XXS",   [24] = "IQ1_S",  [25] = "IQ4_NL",  [26] = "IQ3_S",
    [27] = "IQ3_M",  [28] = "IQ2_S",  [29] = "IQ2_M",     [30] = "IQ4_XS", [31] = "IQ1_M",   [32] = "BF16",
    [36] = "TQ1_0",  [37] = "TQ2_0",  [38] = "MXFP4_MOE",
};

/* The value of general.file_type, a number; .text NULL where the file does not say. */
static struct name file_type_of(const struct model *model)
{
    return model_metadata(model, name_of("general.file_type"));
}

static void write_file_type(const struct model *model, struct writer *w, const char *key)
{
    const struct name value = file_type_of(model);
    unsigned number = 0;

    for (uint32_t c = 0; c < value.bytes && number < 1000; c++)
        number = number * 10 + (unsigned)(value.text[c] - '0');
    if (!value.text)
        write_null(w, key, "the file does not say");
    else if (number < sizeof(file_types) / sizeof(file_types[0]) && file_types[number])
        write_text(w, key, file_types[number]);
    else
        write_named(w, key, value);
}

static void write_file_types(const struct comparison *c, struct writer *w)
{
    const struct model *a = c->models[0], *b = c->models[c->model_count - 1];

    if (!file_type_of(a).text && !file_type_of(b).text)
        return;
    write_object(w, "file_type");
    write_file_type(a, w, "baseline");
    write_file_type(b, w, "candidate");
    write_end(w);
}

static void write_damaged(const struct comparison *c, const struct quantization_state *state, struct writer *w)
{
    write_array(w, "most_damaged");
    for (size_t i = 0; i < state->damaged_count && i < c->request->options.most_damaged; i++) {
        size_t pair = state->damaged[i].pair;
        const struct delta_record *delta = comparison_delta(c, pair);

        write_begin_object(w);
        write_named(w, "name", pairing_name(c->pairing, (const struct model *const *)c->models, pair));
        write_figure(w, "share", state->damaged[i].noise / state->noise, "overflows a double");
        write_figure(w, "sqnr_db", 10 * log10(signal_of(delta) / state->damaged[i].noise), "zero baseline");
        write_end(w);
    }
    write_end(w);
}

struct upgrade {
    double gain; /* noise removed per byte added, were the tensor kept in the baseline's type */
    double noise;
    uint64_t bytes;
    uint32_t pair;
};

static int compare_upgrade(const void *left, const void *right)
{
    const struct upgrade *a = left, *b = right;

    if (a->gain != b->gain)
        return a->gain > b->gain ? -1 : 1;
    return a->pair < b->pair ? -1 : 1;
}

static void write_upgrades(const struct comparison *c, const struct quantization_state *state, struct writer *w)
{
    struct upgrade *upgrades = calloc(state->damaged_count + 1, sizeof(*upgrades));
    size_t count = 0;

    if (!upgrades) {
        write_null(w, "upgrade_candidates", "out of memory");
        return;
    }
    for (size_t i = 0; i < state->damaged_count; i++) {
        size_t pair = state->damaged[i].pair;
        uint64_t before = comparison_tensor(c, pair, 0)->extent.bytes;
        uint64_t after = comparison_tensor(c, pair, c->model_count - 1)->extent.bytes;

        if (before > after)
            upgrades[count++] = (struct upgrade){state->damaged[i].noise / (double)(before - after),
                                                 state->damaged[i].noise, before - after, state->damaged[i].pair};
    }
    qsort(upgrades, count, sizeof(*upgrades), compare_upgrade);
    write_array(w, "upgrade_candidates");
    for (size_t i = 0; i < count && i < c->request->options.most_damaged; i++) {
        write_begin_object(w);
        write_named(w, "name", pairing_name(c->pairing, (const struct model *const *)c->models, upgrades[i].pair));
        write_figure(w, "error_removed", upgrades[i].noise / state->noise, "overflows a double");
        write_u64(w, "bytes_added", upgrades[i].bytes);
        write_figure(w, "error_removed_per_byte", upgrades[i].noise / state->noise / (double)upgrades[i].bytes,
                     "overflows a double");
        write_end(w);
    }
    write_end(w);
    free(upgrades);
}

static void write(const struct comparison *c, const void *opaque, struct writer *w)
{
    const struct quantization_state *state = opaque;
    const struct options *options = &c->request->options;
    double cosine = state->aa == 0 && state->bb == 0 ? 1
                    : state->aa > 0 && state->bb > 0 ? state->ab / (sqrt(state->aa) * sqrt(state->bb))
                                                     : NAN;
    bool has_values = state->elements > 0, is_mixed;

    write_figure(w, "compression",
                 state->baseline_bytes ? (double)state->candidate_bytes / (double)state->baseline_bytes : NAN,
                 "nothing compared");
    write_quality(c, w, state->signal, state->noise,
                  has_values ? 8 * (double)state->candidate_bytes / (double)state->elements : 0, has_values);
    write_bits(w, state->baseline_bytes, state->candidate_bytes, state->elements);
    write_figure(w, "max_abs", has_values && !state->has_fitted ? state->max_abs : NAN,
                 has_values ? "integer codes have a fitted scale" : "nothing compared");
    if (state->has_fitted)
        write_null(w, "cosine", "integer codes have a scale of their own each");
    else
        write_figure(w, "cosine", has_values ? (state->noise == 0 ? 1 : fmax(-1, fmin(1, cosine))) : NAN,
                     has_values ? "one side is all zero" : "nothing compared");
    write_file_types(c, w);
    write_object(w, "dtypes");
    write_dtypes(c, w, "baseline", 0);
    is_mixed = write_dtypes(c, w, "candidate", c->model_count - 1);
    write_end(w);
    write_flag(w, "mixed_precision", is_mixed);
    write_object(w, "thresholds");
    write_figure(w, "precision_minimal_db", options->precision_minimal_db, NULL);
    write_figure(w, "precision_low_db", options->precision_low_db, NULL);
    write_figure(w, "precision_moderate_db", options->precision_moderate_db, NULL);
    write_figure(w, "precision_high_db", options->precision_high_db, NULL);
    write_end(w);
    write_damaged(c, state, w);
    write_upgrades(c, state, w);
    if (state->what_if)
        what_if_write(state->what_if, w);
}

const struct analysis quantization_analysis = {
    .name = "quantization_analysis",
    .flag = "quantization-analysis",
    .summary = "What storing the candidate in fewer bits has cost: compression, SQNR and where the damage lies.",
    .docs = &quantization_docs,
    .models_min = 2,
    .models_max = 64,
    .needs = NEED_SIDE | NEED_DELTA | NEED_SATURATION | NEED_ROW_FIT,
    .prepare = prepare,
    .write = write,
    .write_tensor = write_tensor,
    .free = quantization_free,
};
