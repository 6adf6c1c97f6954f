/* Where the sources of a target are: by the tables of names and by rules; in their own spelling first, then in that of
 * layout_spelling.c. */
#include <stdio.h>
#include <string.h>

#include "core/align/layout_work.h"

static void add_source(const struct layout_work *w, struct name name, uint32_t *sources, size_t *count)
{
    const struct layout_side *side = w->source;
    const struct name_records records = {side->plain, sizeof(*side->plain)};
    char text[PATTERN_NAME_BYTES];
    const uint32_t found = w->is_spelt ? layout_find_spelt(side, spelling_of(w->spelling, name, text))
                                       : name_index_find(side->index, records, name);

    for (size_t i = 0; i < *count; i++)
        if (sources[i] == found)
            return;
    if (found != NAME_INDEX_NONE && *count < READINGS_MAX)
        sources[(*count)++] = found;
}

/* An alias with a parameter's own name behind it, or without one. */
static void find_alias(const struct layout_work *w, struct name alias, struct name own, const struct captures *captures,
                       uint32_t *sources, size_t *count)
{
    char text[PATTERN_NAME_BYTES + 16], filled[PATTERN_NAME_BYTES];
    struct name name;

    if (!pattern_fill(alias, captures, filled, &name))
        return;
    if (own.bytes && own.bytes < 16) {
        memcpy(text, name.text, name.bytes);
        text[name.bytes] = '.';
        memcpy(text + name.bytes + 1, own.text, own.bytes);
        add_source(w, (struct name){text, name.bytes + 1 + own.bytes}, sources, count);
    }
    if (!name_equal(own, name_of("bias")))
        add_source(w, name, sources, count);
}

/* "experts." of one expert. */
static bool of_expert(struct name alias, struct name expert, char out[PATTERN_NAME_BYTES], struct name *ret)
{
    const char *at = memmem(alias.text, alias.bytes, "experts.", 8);
    const int before = at ? (int)(at - alias.text) + 8 : 0;
    int length;

    if (!at || (alias.bytes > (uint32_t)before && alias.text[before] == '{'))
        return false;
    length = snprintf(out, PATTERN_NAME_BYTES, "%.*s%.*s.%.*s", before, alias.text, (int)expert.bytes, expert.text,
                      (int)alias.bytes - before, alias.text + before);
    *ret = (struct name){out, (uint32_t)length};
    return length > 0 && length < PATTERN_NAME_BYTES;
}

static bool has_kind(const struct layout_work *w, struct name alias)
{
    const struct name_records records = {w->source->kinds, sizeof(*w->source->kinds)};
    char text[PATTERN_NAME_BYTES];

    if (w->is_spelt) {
        alias = spelling_of(w->spelling, alias, text);
        layout_own(&alias);
    }
    return name_index_find(w->source->kind_index, records, alias) != NAME_INDEX_NONE;
}

/* Which aliases of a row there are at all; beyond 64 all may be. */
static void look_at_aliases(const struct layout_work *w, struct layout_row *row)
{
    struct name rest = name_of(row->row->sources), alias, one;
    struct aliases *some = &row->some[w->is_spelt];
    char text[PATTERN_NAME_BYTES];

    row->looked_at[w->is_spelt] = w->source;
    *some = (struct aliases){0};
    for (unsigned i = 0; i < 64 && pattern_next(&rest, "|", &alias); i++) {
        some->whole |= (uint64_t)has_kind(w, alias) << i;
        some->of_expert |= (uint64_t)(of_expert(alias, name_of("0"), text, &one) && has_kind(w, one)) << i;
    }
}

/* The sources that the tables give for a GGUF file's name; of one expert where expert has text. */
void layout_find_named(struct layout_work *w, struct name name, struct name expert, uint32_t *sources, size_t *count)
{
    const struct name_records records = {w->row_targets, sizeof(*w->row_targets)};
    char text[PATTERN_NAME_BYTES], changed[PATTERN_NAME_BYTES];
    struct captures captures = {0};
    struct name own, alias, rest, base = layout_kind(name, text, &captures, &own);
    const uint32_t at = name_index_find(w->names, records, base);
    struct layout_row *row;
    uint64_t some;

    if (w->source->is_gguf) {
        if (!expert.text)
            add_source(w, name, sources, count);
        return;
    }
    if (at == NAME_INDEX_NONE)
        return;
    row = &w->rows[at];
    if (row->looked_at[w->is_spelt] != w->source)
        look_at_aliases(w, row);
    some = expert.text ? row->some[w->is_spelt].of_expert : row->some[w->is_spelt].whole;
    rest = name_of(row->row->sources);
    for (; some && pattern_next(&rest, "|", &alias); some >>= 1) {
        if (!(some & 1) || (expert.text && !of_expert(alias, expert, changed, &alias)))
            continue;
        find_alias(w, alias, own, &captures, sources, count);
    }
}

bool layout_is_named(struct name target, struct name source)
{
    char text[PATTERN_NAME_BYTES], filled[PATTERN_NAME_BYTES];
    struct captures captures = {0};
    struct name own, source_own, alias, name, kind = layout_kind(target, text, &captures, &own);

    source = name_plain(source);
    source_own = layout_own(&source);
    for (size_t i = 0; name_equal(own, source_own) && i < layout_name_count + layout_tower_name_count; i++) {
        const struct layout_name *row =
            i < layout_name_count ? &layout_names[i] : &layout_tower_names[i - layout_name_count];
        struct name rest = name_of(row->sources);

        while (name_equal(name_of(row->target), kind) && pattern_next(&rest, "|", &alias))
            if (pattern_fill(alias, &captures, filled, &name) && name_equal(name, source))
                return true;
    }
    return false;
}

/* The sources of a rule, for the expert at hand. */
void layout_find_by_rule(struct layout_work *w, const struct layout_rule *rule, const struct captures *captures,
                         uint32_t *sources, size_t *count)
{
    struct name rest = name_of(rule->source), alias;

    while (pattern_next(&rest, "|", &alias)) {
        char text[PATTERN_NAME_BYTES];
        struct name name;

        if (alias.bytes && alias.text[0] == '@') {
            alias.text++;
            alias.bytes--;
            if (pattern_fill(alias, captures, text, &name))
                layout_find_named(w, name, captures->e, sources, count);
        } else if (pattern_fill(alias, captures, text, &name)) {
            static const char *const silent[] = {"model.", "language_model.", "transformer.", "model."};

            for (size_t i = 0; i < 4; i++) { /* what {p} stood for may have had them */
                const size_t bytes = strlen(silent[i]);

                if (name.bytes > bytes && memcmp(name.text, silent[i], bytes) == 0)
                    name = (struct name){name.text + bytes, name.bytes - (uint32_t)bytes};
            }
            add_source(w, name, sources, count);
        }
    }
}
