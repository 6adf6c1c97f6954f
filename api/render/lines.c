#include "api/render/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/render/lines_parts.h"
#include "api/render/table.h"

enum { FACTS_MAX = 1024 };

const struct fact *lines_find(const struct facts *facts, const char *path)
{
    for (size_t i = 0; i < facts->count; i++)
        if (strcmp(facts->items[i].path, path) == 0)
            return &facts->items[i];
    return NULL;
}

static struct fact *add_fact(struct facts *facts)
{
    struct fact *fact;

    if (facts->count == FACTS_MAX || facts->walk.path_bytes >= FACT_PATH_BYTES)
        return NULL;
    fact = &facts->items[facts->count++];
    memcpy(fact->path, facts->walk.path, facts->walk.path_bytes + 1);
    return fact;
}

static void facts_value(struct walk *walk, const struct plain_value *value)
{
    struct facts *facts = (struct facts *)walk;
    struct fact *fact;

    if (facts->lists > 1)
        return;
    if (facts->lists == 1) {
        fact = facts->count ? &facts->items[facts->count - 1] : NULL;
        if (fact && walk_is_at(walk, fact->path))
            lines_append_item(fact->text, sizeof(fact->text), walk_item(walk), lines_shown(value));
        return;
    }
    fact = add_fact(facts);
    if (!fact)
        return;
    fact->kind = value->kind;
    fact->number = value->number;
    lines_append(fact->text, sizeof(fact->text), value->text ? value->text : "");
}

static void facts_begin(struct walk *walk, enum writer_scope scope)
{
    struct facts *facts = (struct facts *)walk;
    struct fact *fact;

    if (scope == WRITER_ARRAY && facts->lists++ == 0) {
        fact = add_fact(facts);
        if (fact) {
            fact->kind = VALUE_TEXT;
            lines_append(fact->text, sizeof(fact->text), "[");
        }
    }
}

static void facts_end(struct walk *walk, enum writer_scope scope)
{
    struct facts *facts = (struct facts *)walk;
    struct fact *fact;

    if (scope != WRITER_ARRAY || --facts->lists > 0)
        return;
    for (size_t i = facts->count; i > 0; i--) {
        fact = &facts->items[i - 1];
        if (!walk_is_at(walk, fact->path))
            continue;
        fact->items = walk->stack[walk->depth].items;
        lines_append(fact->text, sizeof(fact->text), "]");
        return;
    }
}

bool lines_has_content(const struct fact *fact)
{
    if (!fact || fact->kind == VALUE_NULL)
        return false;
    if (fact->kind == VALUE_TEXT)
        return fact->text[0] != '[' || fact->items > 0;
    return fact->number != 0;
}

static const char *fact_text(const struct fact *fact, const char *path, bool is_count, char buffer[32])
{
    if (!fact || fact->kind == VALUE_NULL)
        return "n/a";
    if (is_count) {
        snprintf(buffer, 32, "%" PRIu64, fact->items);
        return buffer;
    }
    if (fact->kind != VALUE_COUNT || !strstr(path, "bytes"))
        return fact->text;
    bytes_text(fact->number, strstr(path, "delta") != NULL, buffer);
    return buffer;
}

/* One word of the head: "label=a|b". */
static bool put_head_word(const struct facts *facts, char *word, bool is_first, const struct render_options *options,
                          struct output *output)
{
    bool is_forced = *word == '!', is_count;
    char *label = word + is_forced, *path = strchr(label, '='), *second, buffers[2][32];
    const struct fact *a, *b = NULL;
    const char *texts[2];

    if (path)
        *path++ = '\0';
    else
        path = label;
    is_count = *path == '#';
    path += is_count;
    if (label[0] == '#')
        label++;
    second = strchr(path, '|');
    if (second)
        *second++ = '\0';
    a = lines_find(facts, path);
    if (second)
        b = lines_find(facts, second);
    if (is_count ? !a || a->items == 0 : !lines_has_content(a) && !lines_has_content(b) && !(is_forced && (a || b)))
        return false;
    if (!is_first)
        output_text(output, ", ");
    output_text(output, label);
    output_text(output, "=");
    texts[0] = fact_text(a, path, is_count, buffers[0]);
    put_word(texts[0], options, output);
    if (is_forced && a->kind == VALUE_NULL && a->text[0]) {
        output_text(output, " (");
        output_text(output, a->text);
        output_text(output, ")");
    }
    if (!second)
        return true;
    texts[1] = fact_text(b, second, false, buffers[1]);
    if (strcmp(texts[0], texts[1]) != 0) {
        output_text(output, "->");
        put_word(texts[1], options, output);
    }
    return true;
}

static void put_head(const struct lines_layout *layout, const struct facts *facts, const struct render_options *options,
                     struct output *output)
{
    const char *spec = layout->head;
    char word[2 * FACT_PATH_BYTES];
    bool is_first = true;

    put_colored("1", layout->analysis, options, output);
    output_text(output, ": ");
    while (lines_word(&spec, word, sizeof(word)))
        if (put_head_word(facts, word, is_first, options, output))
            is_first = false;
    output_text(output, is_first ? "nothing to tell\n" : "\n");
}

static bool is_wanted(const struct lines_part *part, const struct facts *facts, bool is_verbose)
{
    const struct fact *fact = part->when ? lines_find(facts, part->when) : NULL;

    if (is_verbose)
        return true;
    if (part->is_detail || (part->when && !fact))
        return false;
    if (!part->when)
        return true;
    if (part->text)
        return strcmp(fact->text, part->text) == 0;
    return (fact->items ? (double)fact->items : fact->number) >= part->least;
}

void lines_put(const struct lines_layout *layout, const struct lines_source *source,
               const struct render_options *options, struct output *output)
{
    struct facts facts = {.items = calloc(FACTS_MAX, sizeof(*facts.items))};

    if (!facts.items) {
        output->error = output->error ? output->error : ENOMEM;
        return;
    }
    walk_init(&facts.walk);
    facts.walk.value = facts_value;
    facts.walk.begin = facts_begin;
    facts.walk.end = facts_end;
    write_begin_object(&facts.walk.writer);
    source->write(source->context, &facts.walk.writer);
    write_end(&facts.walk.writer);
    put_head(layout, &facts, options, output);
    for (const struct lines_part *part = layout->parts; part->kind != LINES_END; part++)
        if (is_wanted(part, &facts, options->is_verbose))
            lines_part_put(part, &facts, source, options, output);
    free(facts.items);
}
