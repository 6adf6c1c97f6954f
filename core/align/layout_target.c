/* One target: what its name promises, in every reading that fits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layout_work.h"

#define CONFIRMED_ERROR 0.5  /* √(ΣΔ² ÷ Σa²) up to which samples agree: four-bit types stay below 0.2 */
#define ALIKE_FACTOR    1.05 /* readings whose errors differ by less are alike */
#define OTHER_FACTOR    2    /* and so are tensors: any two norms are alike to a tenth, the first has the better name */

/* What the sources must look like: dims behind the rows, which may be open. */
struct wanted {
    const uint64_t *dims;
    uint32_t rank;
    bool is_open;    /* dims[0] is as many rows as the source has */
    uint64_t offset; /* of the stretch in the target, in elements, where it is probed */
};

static uint32_t squeeze(const uint64_t *dims, uint32_t rank, uint64_t *out)
{
    uint32_t kept = 0;

    for (uint32_t d = 0; d < rank; d++)
        if (dims[d] != 1)
            out[kept++] = dims[d];
    return kept;
}

static bool dims_fit(const uint64_t *a, uint32_t rank_a, const uint64_t *b, uint32_t rank_b)
{
    uint64_t x[VIEW_RANK_MAX], y[VIEW_RANK_MAX];
    uint32_t kept;

    if (rank_a > VIEW_RANK_MAX || rank_b > VIEW_RANK_MAX)
        return false;
    kept = squeeze(a, rank_a, x);
    return kept == squeeze(b, rank_b, y) && memcmp(x, y, kept * sizeof(*x)) == 0;
}

static uint64_t product(const uint64_t *dims, uint32_t rank)
{
    uint64_t elements = 1;

    for (uint32_t d = 0; d < rank; d++)
        elements *= dims[d]; /* of dims of tensors, whose product was checked */
    return elements;
}

static bool arrangement_fits(const struct arrangement *a, const struct wanted *wanted)
{
    if (wanted->is_open)
        return a->rank > 0 && dims_fit(a->dims + 1, a->rank - 1, wanted->dims + 1, wanted->rank - 1);
    if (a->is_reshaped)
        return product(a->dims, a->rank) == product(wanted->dims, wanted->rank);
    return dims_fit(a->dims, a->rank, wanted->dims, wanted->rank);
}

/* The readings that the tables have for a target of that name, the likeliest first; those behind *ret_last - of which
 * the tables say so - only where none of the others fits. */
static size_t readings_of(const struct layout_work *w, struct name target, struct name *out, size_t most,
                          size_t *ret_last)
{
    uint64_t matching = 0;
    size_t count = 0;

    for (size_t i = 0; i < layout_reading_count; i++) {
        struct captures captures = {0};

        matching |= (uint64_t)pattern_match(name_of(layout_readings[i].target), target, &captures) << i;
    }
    for (size_t i = 0; i < layout_reading_count && count < most; i++)
        if (matching & w->likely & UINT64_C(1) << i)
            out[count++] = name_of(layout_readings[i].transformation);
    if (count < most)
        out[count++] = name_of("none");
    for (size_t i = 0; i < layout_reading_count && count < most; i++)
        if ((matching & ~w->likely & UINT64_C(1) << i) && !layout_readings[i].is_last)
            out[count++] = name_of(layout_readings[i].transformation);
    *ret_last = count;
    for (size_t i = 0; i < layout_reading_count && *ret_last < most; i++)
        if ((matching & ~w->likely & UINT64_C(1) << i) && layout_readings[i].is_last)
            out[(*ret_last)++] = name_of(layout_readings[i].transformation);
    return count;
}

/* The stretch of the target that a reading is held against. */
static int target_stretch(struct layout_work *w, uint32_t target, uint64_t offset, const uint64_t *dims, uint32_t rank,
                          struct tensor *ret)
{
    const struct tensor *tensor = &w->target->model->tensors[target];
    const uint64_t elements = product(dims, rank);
    struct view_piece piece = {.first = offset, .elements = elements, .rank = 1, .dims = {elements}, .steps = {1}};
    struct view view = {.source = tensor, .pieces = &piece, .piece_count = 1};

    if (offset == 0 && elements == tensor->shape.elements) {
        *ret = *tensor;
        return 0;
    }
    return view_make(&view, rank, dims, &w->scratch, ret, w->err);
}

static int probe_reading(struct layout_work *w, uint32_t target, const struct wanted *wanted, struct reading *reading)
{
    const struct arrangement *a = &w->arrangement;
    const struct tensor *source = &w->source->model->tensors[reading->source];
    struct view view = {
        .source = source, .pieces = a->pieces, .piece_count = a->piece_count, .arithmetic = a->arithmetic};
    uint64_t dims[VIEW_RANK_MAX];
    struct tensor opposite, viewed;
    int rc;

    memcpy(dims, wanted->dims, wanted->rank * sizeof(*dims));
    if (wanted->is_open)
        dims[0] = reading->rows;
    rc = target_stretch(w, target, wanted->offset, dims, wanted->rank, &opposite);
    if (rc == 0)
        rc = view_make(&view, a->rank, a->dims, &w->scratch, &viewed, w->err);
    return rc ? rc : probe_tensors(w->target->model, &opposite, w->source->model, &viewed, &reading->error, w->err);
}

static bool is_there(const struct reading *readings, size_t count, uint32_t source, uint64_t fingerprint)
{
    for (size_t i = 0; i < count; i++)
        if (readings[i].source == source && readings[i].fingerprint == fingerprint)
            return true;
    return false;
}

/* Adds the readings of one source that fit. */
static void add_readings(struct layout_work *w, uint32_t source, const struct name *transformations, size_t count,
                         const struct wanted *wanted, struct reading *readings, size_t *reading_count)
{
    const struct tensor *tensor = &w->source->model->tensors[source];

    for (size_t i = 0; i < count && *reading_count < READINGS_MAX; i++) {
        struct reading *reading = &readings[*reading_count];
        struct arrangement *a = &w->arrangement;
        uint64_t fingerprint;
        struct error why;

        if (transformation_apply(transformations[i], &w->symbols, tensor, a, &why) || !arrangement_fits(a, wanted))
            continue;
        if (a->is_rows && a->last_row - a->first_row == tensor->shape.dims[0])
            continue; /* a part that is all */
        fingerprint = arrangement_fingerprint(a);
        if (is_there(readings, *reading_count, source, fingerprint))
            continue; /* by another name: as many heads as there are of keys */
        *reading = (struct reading){.source = source,
                                    .transformation = transformations[i],
                                    .fingerprint = fingerprint,
                                    .error = NAN,
                                    .rows = a->rank ? a->dims[0] : 1};
        memcpy(reading->text, a->text, sizeof(reading->text));
        ++*reading_count;
    }
}

static bool is_better(double error, double best)
{
    return !isnan(error) && (isnan(best) || error < best);
}

/* Chooses among readings; the first where samples do not tell. */
static int choose(struct layout_work *w, uint32_t target, const struct wanted *wanted, struct reading *readings,
                  size_t count, bool is_doubtful, size_t *ret_best, struct pairing_link *ret_link)
{
    struct pairing_link link = {.viewed = w->source->m, .probe_error = NAN};
    char others[1024] = "";
    size_t best = 0, used = 0;

    if (w->is_probed && (count > 1 || is_doubtful)) {
        for (size_t i = 0; i < count; i++) {
            struct error why;
            double factor;
            int rc;

            if (transformation_apply(readings[i].transformation, &w->symbols,
                                     &w->source->model->tensors[readings[i].source], &w->arrangement, &why))
                continue;
            rc = probe_reading(w, target, wanted, &readings[i]);
            if (rc)
                return rc;
            factor = i == best ? 1 : readings[i].source == readings[best].source ? ALIKE_FACTOR : OTHER_FACTOR;
            if (is_better(readings[i].error, readings[best].error / factor))
                best = i;
            if (i == 0 && readings[0].error == 0)
                break; /* exactly the likeliest: what else is exact too differs in nothing that was seen */
        }
        link.probe_error = readings[best].error;
        link.evidence = isnan(link.probe_error)              ? LINK_UNREAD
                        : link.probe_error > CONFIRMED_ERROR ? LINK_UNLIKE
                                                             : LINK_CONFIRMED;
        if (link.evidence == LINK_UNLIKE && !is_doubtful)
            best = 0;
        for (size_t i = 0; link.evidence == LINK_CONFIRMED && i < count; i++)
            if (i != best && readings[i].error <= readings[best].error * ALIKE_FACTOR) {
                const struct name name = w->source->model->tensors[readings[i].source].name;
                int length =
                    snprintf(others + used, sizeof(others) - used, "%s%.*s%s%s", used ? ", " : "",
                             readings[i].source == readings[best].source ? 0
                             : name.bytes < 200                          ? (int)name.bytes
                                                                         : 200,
                             name.text, readings[i].source == readings[best].source ? "" : ": ", readings[i].text);

                used += length > 0 && (size_t)length < sizeof(others) - used ? (size_t)length : 0;
            }
        if (used)
            link.evidence = LINK_AMBIGUOUS;
    }
    others[used] = '\0';
    if (used) {
        link.others = arena_copy(&w->pairing->arena, others, used);
        if (!link.others)
            return layout_no_memory(w);
    }
    *ret_best = best;
    *ret_link = link;
    return 0;
}

/* A whole target from one of the sources. Members stay 0 where nothing fits. */
static int match_whole(struct layout_work *w, uint32_t target, const uint32_t *sources, size_t source_count,
                       const struct name *transformations, size_t transformation_count, bool is_doubtful,
                       const char *rule)
{
    const struct tensor *tensor = &w->target->model->tensors[target];
    const struct wanted wanted = {.dims = tensor->shape.dims, .rank = tensor->shape.rank};
    struct reading *readings = w->readings;
    struct layout_member *member = &w->members[0];
    size_t count = 0, best;
    int rc = 0;

    w->member_count = 0;
    for (size_t i = 0; i < source_count; i++)
        add_readings(w, sources[i], transformations, transformation_count, &wanted, readings, &count);
    if (count) {
        rc = choose(w, target, &wanted, readings, count, is_doubtful, &best, &member->link);
        if (rc == 0 && !(is_doubtful && member->link.evidence == LINK_UNLIKE)) {
            *member = (struct layout_member){.source = readings[best].source,
                                             .last = tensor->shape.rank ? tensor->shape.dims[0] : 1,
                                             .link = member->link,
                                             .transformation = readings[best].transformation};
            member->link.rule = rule;
            w->member_count = 1;
        }
    }
    return rc;
}

/* Where one library multiplies by a matrix and another by its transpose (Conv1D, Linear), under one name: pairs of
 * reversed shapes, and where there are such, square ones too. */
int layout_add_transposed(struct layout_work *w)
{
    const struct name readings[] = {name_of("none"), name_of("transpose")};
    bool has_some = false;
    int rc = 0;

    w->source = &w->sides[0];
    w->target = &w->sides[1];
    for (int squares = 0; rc == 0 && squares < 1 + has_some; squares++)
        for (size_t pair = 0; rc == 0 && pair < w->pairing->pairs; pair++) {
            const uint32_t *side = &w->pairing->side[2 * pair];

            if (!layout_is_reversed(w->pairing, w->models, pair, 1, squares))
                continue;
            rc = match_whole(w, side[1], side, 1, readings, 2, true, "names");
            if (rc || w->member_count == 0 || name_equal(w->members[0].transformation, readings[0]))
                continue;
            rc = layout_add_members(w, side[1]);
            has_some = true;
        }
    return rc;
}

/* By the tables of names: one tensor for one. */
static int match_names(struct layout_work *w, uint32_t target)
{
    const struct tensor *tensor = &w->target->model->tensors[target];
    struct name transformations[READINGS_MAX], cut[2] = {name_of("rows(0:t0)"), name_of("rows(-t0:)")};
    uint32_t sources[READINGS_MAX];
    size_t count = 0, last, transformation_count = readings_of(w, tensor->name, transformations, READINGS_MAX, &last);
    int rc;

    layout_find_named(w, tensor->name, (struct name){NULL, 0}, sources, &count);
    if (count == 0)
        return 0;
    rc = match_whole(w, target, sources, count, transformations, transformation_count, w->is_spelt, "names");
    if (rc == 0 && w->member_count == 0)
        rc = match_whole(w, target, sources, count, transformations + transformation_count, last - transformation_count,
                         w->is_spelt, "names");
    if (rc == 0 && w->member_count == 0) /* a file cut to its vocabulary, positions without padding */
        rc = match_whole(w, target, sources, count, cut, 2, true, "missing_rows");
    return rc;
}

/* By the tables of names: a slice for every expert. */
static int match_experts(struct layout_work *w, uint32_t target)
{
    const struct tensor *tensor = &w->target->model->tensors[target];
    struct name transformations[READINGS_MAX];
    size_t transformation_count;
    struct wanted wanted = {.dims = tensor->shape.dims + 1, .rank = tensor->shape.rank - 1};
    struct reading *readings = w->readings;
    int rc = 0;

    w->member_count = 0;
    if (tensor->shape.rank < 2 || tensor->shape.dims[0] > MEMBERS_MAX)
        return 0;
    readings_of(w, tensor->name, transformations, READINGS_MAX, &transformation_count);
    for (uint64_t e = 0; rc == 0 && e < tensor->shape.dims[0]; e++) {
        struct layout_member *member = &w->members[e];
        uint32_t sources[READINGS_MAX];
        size_t source_count = 0, count = 0, best;
        char digits[24];
        const int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)e);

        layout_find_named(w, tensor->name, (struct name){digits, (uint32_t)length}, sources, &source_count);
        for (size_t i = 0; i < source_count; i++)
            add_readings(w, sources[i], transformations, transformation_count, &wanted, readings, &count);
        if (count == 0)
            break;
        wanted.offset = e * (tensor->shape.elements / tensor->shape.dims[0]);
        rc = choose(w, target, &wanted, readings, count, false, &best, &member->link);
        if (rc)
            break;
        *member = (struct layout_member){.source = readings[best].source,
                                         .is_slice = true,
                                         .slice = e,
                                         .last = tensor->shape.dims[1],
                                         .link = member->link,
                                         .transformation = readings[best].transformation};
        member->link.rule = "stacked_experts";
        w->member_count++;
    }
    if (w->member_count != tensor->shape.dims[0])
        w->member_count = 0;
    return rc;
}

static size_t split_readings(const char *text, struct name *out)
{
    struct name rest = name_of(text);
    size_t count = 0;

    while (count < READINGS_MAX && pattern_next(&rest, "||", &out[count]))
        count++;
    return count;
}

/* Rules [first, last) of one target: a source each, or one an expert, row behind row. */
static int match_group(struct layout_work *w, uint32_t target, const struct layout_rule *first,
                       const struct layout_rule *last, struct captures captures)
{
    const struct tensor *tensor = &w->target->model->tensors[target];
    const bool is_sliced = strncmp(first->part, "[e]", 3) == 0;
    const bool is_next = strstr(first->part, "next") != NULL;
    const uint32_t axis = is_sliced;
    const uint64_t slices = is_sliced && tensor->shape.rank ? tensor->shape.dims[0] : 1;
    const uint64_t inner = is_sliced && slices ? tensor->shape.elements / slices : tensor->shape.elements;
    struct reading *readings = w->readings;
    int rc = 0;

    w->member_count = 0;
    if (tensor->shape.rank <= axis || slices * (uint64_t)(last - first) > MEMBERS_MAX || tensor->shape.elements == 0)
        return 0;
    for (uint64_t e = 0; rc == 0 && e < slices; e++) {
        uint64_t row = 0;
        char digits[24];

        if (is_sliced)
            captures.e =
                (struct name){digits, (uint32_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)e)};
        for (const struct layout_rule *rule = first; rc == 0 && rule < last; rule++) {
            struct layout_member *member = &w->members[w->member_count];
            struct name transformations[READINGS_MAX];
            const size_t transformation_count = split_readings(rule->transformation, transformations);
            /* Whole and as it is: that says no more than a table of names does, whatever was trained since. Of a
             * converter's file the names of parts say as much, once values have found nothing better. */
            const bool is_name = strcmp(rule->part, "all") == 0 && strcmp(rule->transformation, "none") == 0;
            const bool is_last_look = w->target->is_gguf && !w->is_spelt && !w->is_strict;
            const bool is_doubtful = e == 0 && !is_name && !is_last_look;
            struct wanted wanted = {.dims = tensor->shape.dims + axis,
                                    .rank = tensor->shape.rank - axis,
                                    .is_open = is_next,
                                    .offset = e * inner + row * (inner / tensor->shape.dims[axis])};
            uint32_t sources[READINGS_MAX];
            size_t source_count = 0, count = 0, best;
            const uint64_t room = tensor->shape.dims[axis] - row;

            layout_find_by_rule(w, rule, &captures, sources, &source_count);
            for (size_t i = 0; i < source_count; i++)
                add_readings(w, sources[i], transformations, transformation_count, &wanted, readings, &count);
            for (size_t i = 0; is_next && i < count; i++)
                if (readings[i].rows > room)
                    readings[i--] = readings[--count];
            if (count == 0)
                goto none;
            rc = choose(w, target, &wanted, readings, count, is_doubtful, &best, &member->link);
            if (rc)
                break;
            if (member->link.evidence == LINK_UNLIKE && is_doubtful)
                goto none;
            *member = (struct layout_member){.source = readings[best].source,
                                             .is_slice = is_sliced,
                                             .is_next = is_next,
                                             .slice = e,
                                             .first = row,
                                             .last = is_next ? row + readings[best].rows : tensor->shape.dims[axis],
                                             .link = member->link,
                                             .transformation = readings[best].transformation};
            member->link.rule = rule->name;
            row = member->last;
            w->member_count++;
        }
        if (rc == 0 && row != tensor->shape.dims[axis])
            goto none;
    }
    return rc;

none:
    w->member_count = 0;
    return rc;
}

/* Which rules of checkpoints a tensor's kind is a target of, layers having the same kinds: bit i: rule i. */
static uint64_t spelt_rules(const struct layout_side *side, uint32_t tensor)
{
    uint64_t *rules = &side->kind_rules[side->spelt_kind[tensor]];

    if (*rules == 0)
        for (size_t i = 0; i < layout_spelt_rule_count; i++) {
            struct captures captures = {0};

            *rules |= (uint64_t)pattern_match(name_of(layout_spelt_rules[i].target), side->spelt[tensor], &captures)
                      << i;
        }
    *rules |= KIND_RULES_KNOWN;
    return *rules;
}

/* By rules, those of some (bit i: rule i, and those 64 behind it), in order, until one fits. */
static int match_rules(struct layout_work *w, uint32_t target, const struct layout_rule *rules, size_t count,
                       uint64_t some)
{
    const bool is_spelling = w->is_spelt && !w->target->is_gguf;
    const struct name name = is_spelling ? w->target->spelt[target] : w->target->model->tensors[target].name;
    int rc = 0;

    w->member_count = 0;
    for (size_t i = 0, end; rc == 0 && w->member_count == 0 && i < count; i = end) {
        struct captures captures = {0};

        end = i + 1;
        if (strstr(rules[i].part, "next"))
            while (end < count && strcmp(rules[end].target, rules[i].target) == 0 &&
                   strcmp(rules[end].name, rules[i].name) == 0)
                end++;
        if ((some >> (i & 63) & 1) && pattern_match(name_of(rules[i].target), name, &captures)) {
            captures.e = strstr(rules[i].target, "{e}") ? captures.e : (struct name){NULL, 0};
            rc = match_group(w, target, &rules[i], &rules[end], captures);
        }
    }
    return rc;
}

static uint64_t layer_number(const struct captures *captures)
{
    uint64_t layer = 0;

    for (uint32_t i = 0; i < captures->n.bytes && i < 9; i++)
        layer = layer * 10 + (uint64_t)(captures->n.text[i] - '0');
    return layer;
}

static void set_symbols(struct layout_work *w, const struct tensor *tensor)
{
    static const char *const names[] = {"t0", "t1", "t2", "t3"};
    const struct symbol *q_rows;
    struct captures captures = {0};
    char text[PATTERN_NAME_BYTES];
    struct name own;

    if (layout_facts_vary(w->facts)) {
        layout_kind(tensor->name, text, &captures, &own);
        w->symbols.count = 0;
        layout_facts_symbols(w->facts, layer_number(&captures), &w->symbols);
    }
    for (uint32_t d = 0; d < 4; d++)
        symbols_set(&w->symbols, names[d], d < tensor->shape.rank ? tensor->shape.dims[d] : 0);
    q_rows = symbols_find(&w->symbols, name_of("q_rows"));
    if (q_rows && tensor->shape.rank)
        symbols_set(&w->symbols, "k_end", q_rows->value + tensor->shape.dims[0]);
}

/* Any two norms of about one are alike to some tenths. */
static bool is_far(const struct layout_work *w)
{
    return w->member_count == 1 && w->members[0].link.probe_error > LAYOUT_VECTOR_ERROR;
}

/* By spelling: one tensor for one, as it is or with the heads' rows in another order. */
static int match_spelling(struct layout_work *w, uint32_t target)
{
    static const char *const moved[] = {
        "reshape",
        "rope_permute(heads)",
        "rope_unpermute(heads)",
        "rope_permute(kv_heads)",
        "rope_unpermute(kv_heads)",
        "rope_permute(vision_heads)",
        "rope_unpermute(vision_heads)",
        "transpose",
    };
    enum { MOVED = sizeof(moved) / sizeof(moved[0]) };
    struct name readings[MOVED], none = name_of("none");
    const uint32_t source = layout_find_alike(w, target);
    bool *is_trusted = &w->target->is_kind_confirmed[w->target->spelt_kind[target]]; /* by another layer */
    const bool is_strict = w->is_strict && w->target->model->tensors[target].shape.rank < 2;
    int rc;

    if (source == NAME_INDEX_NONE || w->source->is_used[source] ||
        (w->target->model->tensors[target].shape.rank < 2 &&
         (w->target->is_kind_crossed[w->target->spelt_kind[target]] ||
          w->source->is_kind_crossed[w->source->spelt_kind[source]])))
        return 0;
    rc = match_whole(w, target, &source, 1, &none, 1, !*is_trusted || is_strict, "spelling");
    *is_trusted |= w->member_count == 1 && !(is_strict && is_far(w));
    for (size_t i = 0; i < MOVED; i++)
        readings[i] = name_of(moved[i]);
    if (rc == 0 && w->member_count == 0 && w->is_probed)
        rc = match_whole(w, target, &source, 1, readings, MOVED, true, "spelling");
    if (is_strict && is_far(w))
        w->member_count = 0;
    return rc;
}

static int match_file(struct layout_work *w, uint32_t target)
{
    int rc = 0;

    if (!w->source->is_gguf)
        rc = match_names(w, target);
    if (rc == 0 && w->member_count == 0 && !w->source->is_gguf)
        rc = match_experts(w, target);
    if (rc == 0 && w->member_count == 0)
        rc = match_rules(w, target, layout_rules, layout_rule_count, UINT64_MAX);
    return rc;
}

int layout_join_target(struct layout_work *w, uint32_t target)
{
    const struct tensor *tensor = &w->target->model->tensors[target];
    int rc = 0;

    if (tensor->shape.elements == 0)
        return 0;
    set_symbols(w, tensor);
    w->member_count = 0;
    w->is_spelt = false;
    if (w->extra)
        rc = match_rules(w, target, w->extra->items, w->extra->count, UINT64_MAX);
    if (rc == 0 && w->member_count == 0 && w->target->is_gguf)
        rc = match_file(w, target);
    if (rc == 0 && w->member_count == 0 && !w->source->is_gguf) {
        rc = layout_spell(w, w->source);
        w->is_spelt = true;
        if (rc == 0 && w->target->is_gguf)
            rc = match_file(w, target);
        else if (rc == 0)
            rc = layout_spell(w, w->target);
        if (rc == 0 && w->member_count == 0 && !w->target->is_gguf)
            rc = match_rules(w, target, layout_spelt_rules, layout_spelt_rule_count, spelt_rules(w->target, target));
        if (rc == 0 && w->member_count == 0 && !w->target->is_gguf)
            rc = match_spelling(w, target);
    }
    if (rc == 0 && w->member_count)
        rc = layout_add_members(w, target);
    arena_done(&w->scratch);
    w->scratch.limit = SCRATCH_BYTES_MAX;
    return rc;
}
