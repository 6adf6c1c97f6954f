/* The result document, "diffaid.result/v1", one event at a time. It holds nothing that is not a function of the inputs.
 */
#include "core/document.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "core/decode/view.h"
#include "core/format/format.h"
#include "core/model/layers.h"
#include "core/model/shared.h"
#include "core/type_totals.h"

const char *delta_null_reason(const struct delta_record *delta)
{
    if (delta->elements == 0)
        return "empty";
    if (delta->finite == 0)
        return "no pair of finite elements";
    return "baseline is all zero";
}

const char *side_null_reason(const struct side_record *side)
{
    return side->elements == 0 ? "empty" : "no finite elements";
}

/* Coordinates in the shape. */
static void write_index(struct writer *w, const char *key, uint64_t flat, const struct shape *shape)
{
    uint64_t stride = shape->elements;

    write_array(w, key);
    for (uint32_t d = 0; d < shape->rank; d++) {
        stride /= shape->dims[d];
        w->ops->u64(w, flat / stride);
        flat %= stride;
    }
    write_end(w);
}

void write_delta(struct writer *w, const struct delta_record *delta, const struct shape *shape, double epsilon)
{
    const char *reason = delta_null_reason(delta);
    const char *overflow = delta->finite ? "overflows a double" : reason;

    write_figure(w, "l2", delta_l2(delta), overflow);
    write_figure(w, "relative_l2", delta_relative_l2(delta), reason);
    write_figure(w, "rms", delta_rms(delta), overflow);
    write_figure(w, "max_abs", delta->finite ? delta->max_abs : NAN, overflow);
    if (delta->finite && delta->max_abs > 0)
        write_index(w, "max_abs_index", delta->max_abs_at, shape);
    else
        write_null(w, "max_abs_index", delta->finite ? "no element differs" : reason);
    write_figure(w, "mean", delta_mean(delta), overflow);
    write_figure(w, "mean_abs", delta_mean_abs(delta), overflow);
    write_figure(w, "cosine", delta_cosine(delta), delta->finite ? "one side is all zero" : reason);
    write_u64(w, "changed_elements", delta->changed);
    write_figure(w, "changed_fraction", delta->elements ? (double)delta->changed / (double)delta->elements : NAN,
                 reason);
    write_u64(w, "sign_flips", delta->sign_flips);
    write_u64(w, "nonfinite_changed", delta->nonfinite_changed);
    if (!isnan(epsilon))
        write_u64(w, "beyond_epsilon", delta->beyond_epsilon);
}

const char *comparison_status_reason(const struct comparison *c, size_t pair)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);

    if (c->status[pair] != STATUS_NOT_COMPARED)
        return NULL;
    if (!c->scan)
        return "values not read";
    return tensor_is_decodable(a) ? tensor_unread_reason(b) : tensor_unread_reason(a);
}

static void write_side(const struct comparison *c, size_t pair, size_t model, struct writer *w)
{
    const struct tensor *tensor = comparison_tensor(c, pair, model), *within = comparison_within(c, pair, model);

    if (!name_equal(tensor->name, pairing_name(c->pairing, (const struct model *const *)c->models, pair)))
        write_named(w, "name", tensor->name);
    write_named(w, "dtype", tensor_dtype_name(tensor));
    write_array(w, "shape");
    for (uint32_t d = 0; d < tensor->shape.rank; d++)
        w->ops->u64(w, tensor->shape.dims[d]);
    write_end(w);
    comparison_write_part(c, pair, model, w);
    write_u64(w, "elements", tensor->shape.elements);
    write_u64(w, "bytes", tensor->extent.bytes);
    if (!tensor_is_decodable(tensor))
        write_text(w, "unread_reason", tensor_unread_reason(tensor));
    if (within)
        write_named(w, "stored_in", within->name);
    if (c->request->options.digest) {
        char digest[FINGERPRINT_TEXT_BYTES];

        fingerprint_text(c->scan->digests[pair], digest);
        write_text(w, "digest", digest);
    }
    for (size_t i = 0; i < analysis_count; i++)
        if ((c->request->analyses & (1u << i)) && analyses[i]->write_side && comparison_side(c, pair, model))
            analyses[i]->write_side(c, c->states[i], pair, model, w);
}

static void write_common_rows(const struct comparison *c, size_t pair, struct writer *w)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);

    if (!c->scan || c->scan->coverage[pair] != COVERED_ROWS)
        return;
    write_object(w, "common_rows");
    write_u64(w, "rows", a->shape.dims[0] < b->shape.dims[0] ? a->shape.dims[0] : b->shape.dims[0]);
    write_delta(w, &c->scan->deltas[pair], a->shape.dims[0] < b->shape.dims[0] ? &a->shape : &b->shape,
                c->request->options.epsilon);
    write_end(w);
}

/* The largest difference is told where it lies in the baseline's own tensor. */
static void write_pair_delta(const struct comparison *c, size_t pair, struct writer *w)
{
    const struct tensor *baseline = comparison_tensor(c, pair, 0);
    const struct paired_view *view = pairing_view(c->pairing, pair, 0);
    struct delta_record delta = *comparison_delta(c, pair);

    if (view && delta.finite && delta.max_abs > 0) {
        const struct tensor *whole = &c->models[0]->tensors[view->of];

        delta.max_abs_at = view_origin(&view->tensor, whole, delta.max_abs_at);
        baseline = whole;
    }
    write_delta(w, &delta, &baseline->shape, c->request->options.epsilon);
}

void comparison_write_tensor(const struct comparison *c, size_t pair, struct writer *w)
{
    struct name name = pairing_name(c->pairing, (const struct model *const *)c->models, pair);
    size_t last = c->model_count - 1;
    const char *reason;

    write_begin_object(w);
    write_named(w, "name", name);
    if (last > 0) {
        reason = comparison_status_reason(c, pair);
        write_text(w, "status", status_names[c->status[pair]]);
        if (reason)
            write_text(w, "status_reason", reason);
    }
    write_named(w, "layer", layer_of(name));
    write_named(w, "module", module_of(name));
    write_text(w, "module_type", module_type_name(module_memo_index(c->modules, name)));
    if (pairing_link(c->pairing, pair))
        comparison_write_link(c, pair, w);
    if (comparison_tensor(c, pair, 0)) {
        write_object(w, last ? "baseline" : "stats");
        write_side(c, pair, 0, w);
        write_end(w);
    }
    if (last > 0 && comparison_tensor(c, pair, last)) {
        write_object(w, "candidate");
        write_side(c, pair, last, w);
        write_end(w);
    }
    if (last > 0 && comparison_delta(c, pair)) {
        write_object(w, "delta");
        write_pair_delta(c, pair, w);
        write_end(w);
    }
    if (last > 0)
        write_common_rows(c, pair, w);
    for (size_t i = 0; i < analysis_count; i++)
        if ((c->request->analyses & (1u << i)) && analyses[i]->write_tensor)
            analyses[i]->write_tensor(c, c->states[i], pair, w);
    write_end(w);
}

static void write_request(const struct comparison *c, struct writer *w)
{
    write_object(w, "request");
    write_array(w, "analyses");
    for (size_t i = 0; i < analysis_count; i++)
        if (c->request->analyses & (1u << i))
            write_name(w, name_of(analyses[i]->name));
    write_end(w);
    write_object(w, "options");
    options_write(&c->request->options, w);
    write_end(w);
    if (c->request->gate.count)
        gate_write(&c->request->gate, w);
    write_end(w);
}

/* Per dtype, those of the dtype table first. */
static void write_dtypes(const struct model *model, struct writer *w)
{
    struct type_totals totals = {.count = 0};

    for (size_t t = 0; t < model->tensor_count; t++) {
        const bool is_own = !model_within(model, t);

        type_totals_add(&totals, &model->tensors[t], is_own ? model->tensors[t].shape.elements : 0,
                        is_own ? model->tensors[t].extent.bytes : 0);
    }
    write_object(w, "dtypes");
    for (size_t i = 0; i < totals.count; i++) {
        const struct type_total *total = &totals.items[i];

        w->ops->key(w, total->name.text, total->name.bytes);
        w->ops->begin(w, WRITER_OBJECT);
        write_u64(w, "tensors", total->tensors);
        write_u64(w, "parameters", total->parameters);
        write_u64(w, "bytes", total->bytes);
        write_end(w);
    }
    write_end(w);
}

static void write_fingerprint(const struct comparison *c, struct writer *w)
{
    char digest[FINGERPRINT_TEXT_BYTES];

    fingerprint_text(c->fingerprint.digest, digest);
    write_object(w, "digest");
    write_text(w, "model", digest);
    write_text(w, "algorithm", "sha256");
    write_u64(w, "tensors", c->fingerprint.tensors);
    write_end(w);
}

static void write_models(const struct comparison *c, struct writer *w)
{
    write_array(w, "models");
    for (size_t m = 0; m < c->model_count; m++) {
        const struct model *model = c->models[m];

        write_begin_object(w);
        write_text(w, "role",
                   c->model_count == 1       ? "model"
                   : m == 0                  ? "baseline"
                   : m == c->model_count - 1 ? "candidate"
                                             : "intermediate");
        write_text(w, "uri", model->uri);
        write_text(w, "format", model->format->name);
        write_u64(w, "files", model_count_files(model));
        write_u64(w, "bytes", model->bytes);
        write_u64(w, "tensors", model->tensor_count);
        write_u64(w, "parameters", model->parameters);
        write_dtypes(model, w);
        write_object(w, "metadata");
        for (size_t i = 0; i < model->metadata_count; i++) {
            w->ops->key(w, model->metadata[i].key.text, model->metadata[i].key.bytes);
            write_name(w, model->metadata[i].value);
        }
        write_end(w);
        if (c->request->options.digest)
            write_fingerprint(c, w);
        write_end(w);
    }
    write_end(w);
}

static size_t append(char *out, size_t size, size_t used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static size_t append(char *out, size_t size, size_t used, const char *format, ...)
{
    va_list args;
    int length;

    if (used >= size)
        return used;
    va_start(args, format);
    length = vsnprintf(out + used, size - used, format, args);
    va_end(args);
    return length < 0 ? used : used + (size_t)length;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "tensor" : "tensors";
}

/* "3 changed, 1 added" over the statuses that are not equality. */
static size_t append_counts(const struct comparison *c, char *out, size_t size, size_t used)
{
    static const enum tensor_status told[] = {STATUS_CHANGED, STATUS_SHAPE_CHANGED, STATUS_ADDED, STATUS_REMOVED,
                                              STATUS_NOT_COMPARED};
    static const char *const words[] = {"changed", "reshaped", "added", "removed", "not compared"};
    bool is_first = true;

    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        uint64_t count = c->status_counts[told[i]];

        if (count == 0)
            continue;
        used = append(out, size, used, is_first ? "%llu %s %s" : ", %llu %.0s%s", (unsigned long long)count,
                      plural(count), words[i]);
        is_first = false;
    }
    if (c->renamed)
        used = append(out, size, used, is_first ? "%llu %s renamed" : ", %llu %.0srenamed",
                      (unsigned long long)c->renamed, plural(c->renamed));
    if (c->copied)
        used = append(out, size, used, is_first && !c->renamed ? "%llu %s copied" : ", %llu %.0scopied",
                      (unsigned long long)c->copied, plural(c->copied));
    return used;
}

void comparison_headline(const struct comparison *c, char *out, size_t size)
{
    unsigned long long all = 0;
    double relative = delta_relative_l2(&c->total), cosine = delta_cosine(&c->total);
    size_t used = 0;

    for (int s = 0; s < STATUS_COUNT; s++)
        all += c->status_counts[s];
    out[0] = '\0';
    if (c->model_count == 1) {
        snprintf(out, size, "%zu %s, %" PRIu64 " parameters, %" PRIu64 " bytes in %zu %s", c->models[0]->tensor_count,
                 plural(c->models[0]->tensor_count), c->models[0]->parameters, c->models[0]->bytes,
                 model_count_files(c->models[0]), model_count_files(c->models[0]) == 1 ? "file" : "files");
        return;
    }
    switch (c->verdict) {
    case VERDICT_IDENTICAL:
        used = all == 0   ? append(out, size, used, "Identical: there are no tensors")
               : all == 1 ? append(out, size, used, "Identical: the one tensor is equal byte for byte")
                          : append(out, size, used, "Identical: all %llu tensors are equal byte for byte", all);
        break;
    case VERDICT_EQUIVALENT:
        if (strcmp(c->because, "epsilon") == 0)
            used = append(out, size, used, "Equivalent: every difference in %llu %s lies within epsilon", all,
                          plural(all));
        else if (strcmp(c->because, "renamed") == 0)
            used =
                append(out, size, used,
                       "Equivalent: all %llu %s are equal byte for byte, %llu under other names or in another layout",
                       all, plural(all), (unsigned long long)c->renamed);
        else
            used = append(out, size, used, "Equivalent: all values in %llu %s are equal, stored in other bytes", all,
                          plural(all));
        break;
    case VERDICT_INCOMPARABLE:
        used = append(out, size, used, "Incomparable: ");
        used = append_counts(c, out, size, used);
        used = append(out, size, used, " of %llu", all);
        break;
    case VERDICT_CHANGED:
        used = append(out, size, used, "Changed: ");
        used = append_counts(c, out, size, used);
        used = append(out, size, used, " of %llu", all);
        if (c->parameters_changed && isfinite(relative))
            used = append(out, size, used, "; relative L2 %.4g", relative);
        if (c->parameters_changed && isfinite(cosine))
            used = append(out, size, used, ", cosine %.6g", cosine);
        if (c->total.nonfinite_changed)
            used = append(out, size, used, "; %llu %s changed to, from or between NaN and infinity",
                          (unsigned long long)c->total.nonfinite_changed,
                          c->total.nonfinite_changed == 1 ? "element" : "elements");
        break;
    }
    if (c->pairing->excluded)
        used = append(out, size, used, " (%llu %s left out by the selection)", (unsigned long long)c->pairing->excluded,
                      plural(c->pairing->excluded));
    used = append(out, size, used, ".");
    if (c->merge && used < size)
        merge_sentence(c->merge, out + used, size - used);
}

void comparison_write_summary(const struct comparison *c, struct writer *w)
{
    char headline[512];
    const char *none = c->scan ? "no float tensors were compared" : "values not read";
    bool has_values = c->total.finite > 0;

    write_object(w, "summary");
    write_text(w, "verdict", verdict_names[c->verdict]);
    if (c->because)
        write_text(w, "because", c->because);
    write_object(w, "tensors");
    for (int s = 0; s < STATUS_COUNT; s++)
        write_u64(w, status_names[s], c->status_counts[s]);
    write_end(w);
    write_object(w, "parameters");
    write_u64(w, "compared", c->parameters_compared);
    write_u64(w, "changed", c->parameters_changed);
    write_end(w);
    write_u64(w, "excluded", c->pairing->excluded);
    write_flag(w, "metadata_changed", c->is_metadata_changed);
    write_figure(w, "relative_l2", has_values ? delta_relative_l2(&c->total) : NAN,
                 has_values ? "baseline is all zero" : none);
    write_figure(w, "cosine", has_values ? delta_cosine(&c->total) : NAN, has_values ? "one side is all zero" : none);
    write_figure(w, "max_abs", has_values ? c->total.max_abs : NAN, none);
    comparison_headline(c, headline, sizeof(headline));
    write_text(w, "headline", headline);
    write_end(w);
}

static void write_warning(struct writer *w, const char *code, const char *message, struct name tensor)
{
    write_begin_object(w);
    write_text(w, "code", code);
    write_text(w, "message", message);
    if (tensor.text)
        write_named(w, "tensor", tensor);
    write_end(w);
}

static void write_warnings(const struct comparison *c, struct writer *w)
{
    write_array(w, "warnings");
    for (size_t i = 0; i < c->warning_count; i++)
        write_warning(w, c->warnings[i].code, c->warnings[i].message, c->warnings[i].tensor);
    for (size_t m = 0; m < c->model_count; m++)
        for (size_t i = 0; i < c->models[m]->warning_count; i++) {
            const struct model_warning *warning = &c->models[m]->warnings[i];

            write_warning(w, warning->code, warning->message, warning->tensor);
        }
    write_end(w);
}

void comparison_write(const struct comparison *c, struct writer *w, void (*extra)(void *context, struct writer *w),
                      void *extra_context)
{
    write_begin_object(w);
    write_text(w, "schema", "diffaid.result/v1");
    write_request(c, w);
    write_models(c, w);
    if (c->model_count > 1) {
        comparison_write_summary(c, w);
        comparison_write_alignment(c, w);
    }
    write_object(w, "analyses");
    for (size_t i = 0; i < analysis_count; i++)
        if (c->request->analyses & (1u << i)) {
            write_object(w, analyses[i]->name);
            analyses[i]->write(c, c->states[i], w);
            write_end(w);
        }
    write_end(w);
    write_array(w, "tensors");
    for (size_t i = 0; i < c->listing_count; i++)
        comparison_write_tensor(c, c->listing[i], w);
    write_end(w);
    if (c->gate)
        gate_result_write(c->gate, w);
    write_warnings(c, w);
    if (extra)
        extra(extra_context, w);
    write_end(w);
}
