/* How tensors were paired, in the result document: by which rule, how sure that is once values are read, where values
 * do not decide, and what remains. */
#include <math.h>
#include <string.h>

#include "core/align/layouts.h"
#include "core/align/pattern.h"
#include "core/document.h"
#include "core/format/format.h"

#define CLOSE_RELATIVE_L2 0.5 /* up to which a pair by a rule counts as confirmed by its values */

/* What the values of the whole pair say of the rule that made it. */
static const char *verified(const struct comparison *c, size_t pair)
{
    const struct delta_record *delta = comparison_delta(c, pair);
    double relative;

    if (!delta)
        return "not_read";
    if (delta->changed == 0)
        return "exact";
    relative = delta_relative_l2(delta);
    return relative <= CLOSE_RELATIVE_L2 ? "close" : "unlike";
}

void comparison_write_part(const struct comparison *c, size_t pair, size_t model, struct writer *w)
{
    const struct paired_view *view = pairing_view(c->pairing, pair, model);

    if (!view || !view->is_part)
        return;
    write_array(w, "part");
    w->ops->u64(w, view->part_first);
    w->ops->u64(w, view->part_last);
    write_end(w);
    if (view->part_axis) {
        write_u64(w, "part_dimension", view->part_axis);
        write_u64(w, "slice", view->slice);
    }
}

static void write_link_members(const struct comparison *c, size_t pair, struct writer *w)
{
    const struct pairing_link *link = pairing_link(c->pairing, pair);
    const struct delta_record *delta = comparison_delta(c, pair);

    write_text(w, "transformation", link->transformation);
    write_text(w, "transformed", link->viewed == 0 ? "baseline" : "candidate");
    write_text(w, "verified", verified(c, pair));
    if (delta)
        write_figure(w, "relative_l2", delta_relative_l2(delta), delta_null_reason(delta));
}

void comparison_write_link(const struct comparison *c, size_t pair, struct writer *w)
{
    write_object(w, "alignment");
    write_text(w, "rule", pairing_link(c->pairing, pair)->rule);
    write_link_members(c, pair, w);
    write_end(w);
}

static void write_renamed(const struct comparison *c, size_t pair, struct writer *w)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);
    const struct pairing_link *link = pairing_link(c->pairing, pair);

    if (c->pairing->rule[pair] == PAIRED_BY_NAME || !a || !b)
        return;
    write_begin_object(w);
    write_named(w, "baseline", a->name);
    write_named(w, "candidate", b->name);
    write_text(w, "rule", link ? link->rule : pairing_rule_names[c->pairing->rule[pair]]);
    if (link)
        write_link_members(c, pair, w);
    write_end(w);
}

static void write_ambiguity(const struct comparison *c, const struct ambiguity *ambiguity, struct writer *w)
{
    write_begin_object(w);
    write_named(w, "candidate", c->models[c->model_count - 1]->tensors[ambiguity->tensor].name);
    write_array(w, "baseline");
    for (size_t i = 0; i < ambiguity->candidate_count; i++)
        write_name(w, c->models[0]->tensors[ambiguity->candidates[i]].name);
    write_end(w);
    write_end(w);
}

/* A pair whose values agree with more than one reading. */
static void write_ambiguous_link(const struct comparison *c, size_t pair, struct writer *w)
{
    const struct pairing_link *link = pairing_link(c->pairing, pair);
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);

    if (!link || link->evidence != LINK_AMBIGUOUS || !a || !b)
        return;
    write_begin_object(w);
    write_named(w, "candidate", b->name);
    write_array(w, "baseline");
    write_name(w, a->name);
    write_end(w);
    write_text(w, "transformation", link->transformation);
    write_text(w, "others", link->others);
    write_end(w);
}

static bool is_gguf(const struct model *model)
{
    return strcmp(model->format->name, "gguf") == 0;
}

static bool is_absent_from(const struct model *model, enum layout_absent_from from)
{
    return from == ABSENT_ANYWHERE ||
           (is_gguf(model) && (from == ABSENT_FROM_FILE ||
                               name_equal(model_metadata(model, name_of("general.architecture")), name_of("clip"))));
}

/* One-sided tensors of models that were paired by rules. */
static void write_remaining(const struct comparison *c, size_t pair, struct writer *w)
{
    const struct tensor *a = comparison_tensor(c, pair, 0);
    const struct tensor *b = comparison_tensor(c, pair, c->model_count - 1);
    const struct tensor *tensor = a ? a : b;
    const char *reason = NULL;

    if (!a == !b)
        return;
    for (size_t i = 0; !reason && i < layout_absence_count; i++) {
        struct captures captures = {0};

        if (is_absent_from(c->models[a ? c->model_count - 1 : 0], layout_absences[i].from) &&
            pattern_match(name_of(layout_absences[i].pattern), tensor->name, &captures))
            reason = layout_absences[i].reason;
    }
    write_begin_object(w);
    write_text(w, "model", a ? "baseline" : "candidate");
    write_named(w, "name", tensor->name);
    comparison_write_part(c, pair, a ? 0 : c->model_count - 1, w);
    if (reason)
        write_text(w, "reason", reason);
    else
        write_null(w, "reason",
                   pairing_view(c->pairing, pair, a ? 0 : c->model_count - 1) ? "no rule used these rows"
                                                                              : "no rule names it");
    write_end(w);
}

static const char *mapping_of(const struct comparison *c)
{
    bool has_prefix = false, has_layout = false;

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        has_prefix |= c->pairing->rule[pair] == PAIRED_BY_PREFIX;
        has_layout |= c->pairing->rule[pair] == PAIRED_BY_LAYOUT;
    }
    if (has_layout)
        return is_gguf(c->models[0]) != is_gguf(c->models[c->model_count - 1]) ? "hf_gguf" : "layout";
    return has_prefix ? "prefix" : "none";
}

void comparison_write_alignment(const struct comparison *c, struct writer *w)
{
    const char *mapping = mapping_of(c);
    uint64_t matched = 0;

    for (int s = 0; s < STATUS_COUNT; s++)
        if (s != STATUS_ADDED && s != STATUS_REMOVED)
            matched += c->status_counts[s];
    write_object(w, "alignment");
    write_u64(w, "matched", matched);
    write_array(w, "renamed");
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        write_renamed(c, pair, w);
    write_end(w);
    write_text(w, "mapping", mapping);
    write_array(w, "ambiguous");
    for (size_t i = 0; c->settlement && i < c->settlement->ambiguity_count; i++)
        write_ambiguity(c, &c->settlement->ambiguities[i], w);
    for (size_t pair = 0; pair < c->pairing->pairs; pair++)
        write_ambiguous_link(c, pair, w);
    write_end(w);
    if (c->merge)
        merge_write(c->merge, (const struct model *const *)c->models, c->pairing, w);
    if (c->pairing->link_count) {
        write_array(w, "remaining");
        for (size_t pair = 0; pair < c->pairing->pairs; pair++)
            write_remaining(c, pair, w);
        write_end(w);
    }
    write_end(w);
}
