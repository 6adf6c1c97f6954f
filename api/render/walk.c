#include "api/render/walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct walk *walk_of(struct writer *w)
{
    return (struct walk *)w;
}

bool walk_is_at(const struct walk *walk, const char *path)
{
    return strcmp(walk->path, path) == 0;
}

const char *walk_below(const struct walk *walk, const char *path)
{
    size_t bytes = strlen(path);

    if (bytes == 0)
        return walk->path;
    return strncmp(walk->path, path, bytes) == 0 && walk->path[bytes] == '.' ? walk->path + bytes + 1 : NULL;
}

uint64_t walk_item(const struct walk *walk)
{
    return walk->stack[walk->depth - 1].scope == WRITER_ARRAY ? walk->stack[walk->depth - 1].items - 1 : 0;
}

/* What begins in a list stands at the list's path; in an object, the key is there already. */
static void place(struct walk *walk)
{
    if (walk->depth > 0 && walk->stack[walk->depth - 1].scope == WRITER_ARRAY) {
        walk->path_bytes = walk->stack[walk->depth - 1].path_bytes;
        walk->path[walk->path_bytes] = '\0';
    }
    if (walk->depth > 0)
        walk->stack[walk->depth - 1].items++;
}

static void walk_begin(struct writer *w, enum writer_scope scope)
{
    struct walk *walk = walk_of(w);

    if (walk->skipped || walk->depth == WALK_DEPTH) {
        walk->skipped++;
        return;
    }
    place(walk);
    walk->begin(walk, scope);
    walk->stack[walk->depth].scope = scope;
    walk->stack[walk->depth].path_bytes = walk->path_bytes;
    walk->stack[walk->depth].items = 0;
    walk->depth++;
}

static void walk_end(struct writer *w)
{
    struct walk *walk = walk_of(w);

    if (walk->skipped) {
        walk->skipped--;
        return;
    }
    walk->depth--;
    walk->path_bytes = walk->stack[walk->depth].path_bytes;
    walk->path[walk->path_bytes] = '\0';
    walk->end(walk, walk->stack[walk->depth].scope);
}

static void walk_key(struct writer *w, const char *key, size_t bytes)
{
    struct walk *walk = walk_of(w);
    size_t used;
    int length;

    if (walk->skipped)
        return;
    used = walk->stack[walk->depth - 1].path_bytes;
    length = snprintf(walk->path + used, sizeof(walk->path) - used, "%s%.*s", used ? "." : "", (int)bytes, key);
    walk->path_bytes = used + (size_t)length < sizeof(walk->path) ? used + (size_t)length : sizeof(walk->path) - 1;
}

static void tell(struct writer *w, enum value_kind kind, double number, const char *text)
{
    struct walk *walk = walk_of(w);
    struct plain_value value = {kind, number, text};

    if (walk->skipped)
        return;
    place(walk);
    walk->value(walk, &value);
}

static void walk_f64(struct writer *w, double value)
{
    char text[32];

    snprintf(text, sizeof(text), "%.6g", value == 0 ? 0 : value);
    tell(w, VALUE_NUMBER, value, text);
}

static void walk_u64(struct writer *w, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    tell(w, VALUE_COUNT, (double)value, text);
}

static void walk_i64(struct writer *w, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    tell(w, VALUE_COUNT, (double)value, text);
}

static void walk_text(struct writer *w, const char *text, size_t bytes)
{
    char printable[NAME_PRINTABLE_BYTES];

    tell(w, VALUE_TEXT, 0, name_printable((struct name){text, (uint32_t)bytes}, printable));
}

static void walk_flag(struct writer *w, bool value)
{
    tell(w, VALUE_FLAG, value, value ? "yes" : "no");
}

static void walk_null(struct writer *w, const char *reason)
{
    tell(w, VALUE_NULL, 0, reason);
}

static const struct writer_ops walk_ops = {walk_begin, walk_end,  walk_key,  walk_f64, walk_u64,
                                           walk_i64,   walk_text, walk_flag, walk_null};

static void no_value(struct walk *walk, const struct plain_value *value)
{
    (void)walk;
    (void)value;
}

static void no_scope(struct walk *walk, enum writer_scope scope)
{
    (void)walk;
    (void)scope;
}

void walk_init(struct walk *walk)
{
    memset(walk, 0, sizeof(*walk));
    walk->writer.ops = &walk_ops;
    walk->value = no_value;
    walk->begin = walk->end = no_scope;
}
