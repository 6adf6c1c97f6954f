/* The verdict on a tensor takes the scale's own uncertainty into account: what is not explained by Δ, rounding to a
 * narrow type or quantisation, spreads it by unexplained ÷ √n. */
#include "core/adapter/merge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/adapter/adapted.h"
#include "core/decode/view.h"
#include "core/scan/decode.h"

#define SCALE_TOLERANCE 0.02 /* of the scale, beyond its uncertainty */
#define SPREADS         4    /* of the uncertainty */

enum { BLOCK = 1 << 16 };

static const char *const verdict_names_of_merge[MERGE_VERDICTS] = {
    [MERGE_UNDETERMINED] = "undetermined", [MERGE_MERGED] = "merged",        [MERGE_WRONG_SCALE] = "wrong_scale",
    [MERGE_NOT_MERGED] = "not_merged",     [MERGE_PARTLY] = "partly_merged",
};

static double scale_of(double product, double squares)
{
    return squares > 0 ? product / squares : NAN;
}

static double unexplained_of(double squares, double product, double moved)
{
    const double scale = scale_of(product, squares);
    const double left = moved - 2 * scale * product + scale * scale * squares;

    return squares > 0 ? sqrt((left > 0 ? left : 0) / squares) : NAN;
}

static enum merge_verdict verdict_of(double squares, double product, double moved, uint64_t finite)
{
    const double scale = scale_of(product, squares);
    const double tolerance =
        SCALE_TOLERANCE + SPREADS * unexplained_of(squares, product, moved) / sqrt((double)(finite ? finite : 1));
    const bool is_one = fabs(scale - 1) <= tolerance, is_zero = fabs(scale) <= tolerance;

    if (isnan(scale) || (is_one && is_zero))
        return MERGE_UNDETERMINED;
    return is_one ? MERGE_MERGED : is_zero ? MERGE_NOT_MERGED : MERGE_WRONG_SCALE;
}

/* The base as the adapted side is looked at. */
static int base_of(const struct tensor *adapted, struct arena *arena, struct tensor *ret, struct error *err)
{
    const struct tensor *source = view_source(adapted), *base = adapted_base(adapted);

    if (!source) {
        *ret = *base;
        return 0;
    }
    return view_of_other(adapted, source, base, arena, ret, err);
}

struct reader {
    const struct model *model;
    const struct tensor *tensor;
    uint8_t *stored;
    double *values;
};

static int read_block(struct reader *r, uint64_t first, size_t n, struct error *err)
{
    int rc = decoder_read(r->model, r->tensor, first, n, r->stored, err);

    if (rc == 0)
        decode_f64(r->tensor->dtype, r->stored, 0, n, r->values);
    return rc;
}

static void add_block(struct merge_tensor *item, const struct reader *readers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double base = readers[0].values[i];
        const double change = readers[1].values[i] - base, moved = readers[2].values[i] - base;

        if (!isfinite(change) || !isfinite(moved))
            continue;
        item->squares += change * change;
        item->product += change * moved;
        item->moved += moved * moved;
        item->finite++;
    }
}

static int measure_pair(const struct model *const *models, const struct tensor *adapted, size_t m,
                        const struct tensor *other, const atomic_bool *cancel, struct merge_tensor *item,
                        struct error *err)
{
    const size_t room = adapted->shape.elements < BLOCK ? (size_t)adapted->shape.elements + 1 : BLOCK;
    struct arena arena = {.limit = 1 << 24};
    struct tensor base;
    struct reader readers[3] = {
        {models[m], &base, NULL, NULL}, {models[m], adapted, NULL, NULL}, {models[!m], other, NULL, NULL}};
    int rc = base_of(adapted, &arena, &base, err);

    for (int i = 0; i < 3; i++) {
        readers[i].stored = calloc(room, 8);
        readers[i].values = calloc(room, sizeof(double));
        if (rc == 0 && (!readers[i].stored || !readers[i].values))
            rc = error_set(err, ERROR_NO_MEMORY, "no memory to look at a merge");
    }
    for (uint64_t first = 0; rc == 0 && first < adapted->shape.elements; first += BLOCK) {
        const uint64_t left = adapted->shape.elements - first;
        const size_t n = left < BLOCK ? (size_t)left : BLOCK;

        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
            rc = error_set(err, ERROR_CANCELLED, "cancelled");
        for (int i = 0; rc == 0 && i < 3; i++)
            rc = read_block(&readers[i], first, n, err);
        if (rc == 0)
            add_block(item, readers, n);
    }
    for (int i = 0; i < 3; i++) {
        free(readers[i].stored);
        free(readers[i].values);
    }
    arena_done(&arena);
    if (rc == 0)
        item->verdict = verdict_of(item->squares, item->product, item->moved, item->finite);
    return rc;
}

static bool is_measurable(const struct tensor *adapted, const struct tensor *other)
{
    const struct dtype_traits *traits = other ? dtype_traits(other->dtype) : NULL;

    return other && adapted_base(adapted) && tensor_is_decodable(adapted) && tensor_is_decodable(other) &&
           shape_equal(&adapted->shape, &other->shape) && traits->bits % 8 == 0 && traits->kind == DTYPE_KIND_FLOAT;
}

static void sum_up(struct merge_report *report)
{
    double squares = 0, product = 0, moved = 0;

    for (size_t i = 0; i < report->count; i++) {
        const struct merge_tensor *item = &report->tensors[i];

        report->counts[item->verdict]++;
        squares += item->squares;
        product += item->product;
        moved += item->moved;
    }
    report->scale = scale_of(product, squares);
    report->unexplained = unexplained_of(squares, product, moved);
    report->verdict = MERGE_UNDETERMINED;
    for (int v = MERGE_MERGED; v <= MERGE_NOT_MERGED; v++)
        if (report->counts[v] && report->counts[v] + report->counts[MERGE_UNDETERMINED] == report->count)
            report->verdict = (enum merge_verdict)v;
    if (report->verdict == MERGE_UNDETERMINED && report->counts[MERGE_UNDETERMINED] < report->count)
        report->verdict = report->counts[MERGE_WRONG_SCALE] ? MERGE_WRONG_SCALE : MERGE_PARTLY;
}

int merge_measure(const struct model *const *models, const struct pairing *pairing, const atomic_bool *cancel,
                  struct merge_report **ret_report, struct error *err)
{
    struct merge_report *report = NULL;
    int rc = 0;

    *ret_report = NULL;
    if (pairing->models != 2)
        return 0;
    for (size_t pair = 0; rc == 0 && pair < pairing->pairs; pair++) {
        for (size_t m = 0; rc == 0 && m < 2; m++) {
            const struct tensor *adapted = pairing_tensor(pairing, models, pair, m);
            const struct tensor *other = pairing_tensor(pairing, models, pair, !m);
            struct merge_tensor *grown;

            if (!adapted || !adapted_base(adapted) || (report && report->adapted != m) ||
                !is_measurable(adapted, other))
                continue;
            if (!report) {
                report = calloc(1, sizeof(*report));
                if (!report)
                    return error_set(err, ERROR_NO_MEMORY, "no memory to look at a merge");
                report->adapted = m;
                report->other = !m;
            }
            grown = reallocarray(report->tensors, report->count + 1, sizeof(*grown));
            if (!grown) {
                rc = error_set(err, ERROR_NO_MEMORY, "no memory to look at a merge");
                break;
            }
            report->tensors = grown;
            grown[report->count] = (struct merge_tensor){.pair = (uint32_t)pair};
            rc = measure_pair(models, adapted, m, other, cancel, &grown[report->count++], err);
        }
    }
    if (rc) {
        merge_report_free(report);
        return rc;
    }
    if (report)
        sum_up(report);
    *ret_report = report;
    return 0;
}

void merge_report_free(struct merge_report *report)
{
    if (!report)
        return;
    free(report->tensors);
    free(report);
}

void merge_write(const struct merge_report *report, const struct model *const *models, const struct pairing *pairing,
                 struct writer *w)
{
    write_object(w, "adapter");
    write_text(w, "of", report->adapted == 0 ? "baseline" : "candidate");
    write_text(w, "verdict", verdict_names_of_merge[report->verdict]);
    write_figure(w, "scale", report->scale, "the adapter changes nothing");
    write_figure(w, "unexplained", report->unexplained, "the adapter changes nothing");
    write_object(w, "counts");
    for (int v = 0; v < MERGE_PARTLY; v++)
        write_u64(w, verdict_names_of_merge[v], report->counts[v]);
    write_end(w);
    write_array(w, "tensors");
    for (size_t i = 0; i < report->count; i++) {
        const struct merge_tensor *item = &report->tensors[i];

        write_begin_object(w);
        write_named(w, "name", pairing_name(pairing, models, item->pair));
        write_text(w, "verdict", verdict_names_of_merge[item->verdict]);
        write_figure(w, "scale", scale_of(item->product, item->squares), "the adapter does not change it");
        write_figure(w, "unexplained", unexplained_of(item->squares, item->product, item->moved),
                     "the adapter does not change it");
        write_figure(w, "change_l2", sqrt(item->squares), NULL);
        write_end(w);
    }
    write_end(w);
    write_end(w);
}

void merge_sentence(const struct merge_report *report, char *out, size_t size)
{
    static const char *const said[MERGE_VERDICTS] = {
        [MERGE_UNDETERMINED] = "whether it was merged cannot be told",
        [MERGE_MERGED] = "merged",
        [MERGE_WRONG_SCALE] = "merged at another scale",
        [MERGE_NOT_MERGED] = "not merged",
        [MERGE_PARTLY] = "merged in part",
    };
    int used = snprintf(out, size, " Adapter: %s; %zu of %zu tensors hold its change", said[report->verdict],
                        report->counts[MERGE_MERGED], report->count);

    if (used > 0 && (size_t)used < size && isfinite(report->scale))
        used += snprintf(out + used, size - (size_t)used, " (found %.4g times over all)", report->scale);
    if (used > 0 && (size_t)used < size)
        snprintf(out + used, size - (size_t)used, ".");
}
