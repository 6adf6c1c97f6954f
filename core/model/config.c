/* A flat array of values, each container's children as a run of indexes into it, objects sorted by key: equal documents
 * compare by one merge, whatever the order of their members. Depth, key length and number of values are bounded, so
 * that recursion and pointers are too. */
#include "core/model/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/format/json_scan.h"
#include "core/model/config_values.h"
#include "core/model/model.h"
#include "core/model/order.h"

enum {
    WHOLE_VALUES_MAX = 64,
    WHOLE_HEIGHT_MAX = 4, /* writers nest only so deep */
    TEXT_BYTES_MAX = 4096,
    POINTER_BYTES = CONFIG_NESTING_MAX * (2 * CONFIG_KEY_BYTES_MAX + 1) + 32
};
#define NO_VALUE UINT32_MAX

struct parser {
    struct json_scan scan;
    struct config *config;
    int code; /* of a failure that is not the scanner's */
};

void config_free(struct config *config)
{
    if (!config)
        return;
    free(config->text);
    free(config->values);
    free(config->children);
    free(config);
}

static bool fail(struct parser *parser, int code)
{
    parser->code = code;
    return false;
}

static bool add_value(struct parser *parser, enum kind kind, uint32_t *ret_at)
{
    struct config *config = parser->config;

    if (config->value_count == CONFIG_VALUES_MAX)
        return fail(parser, ERROR_LIMIT);
    if (!array_reserve(&config->values, sizeof(*config->values), config->value_count, &config->value_room))
        return fail(parser, ERROR_NO_MEMORY);
    config->values[config->value_count] = (struct value){.kind = kind, .next = NO_VALUE, .size = 1};
    *ret_at = (uint32_t)config->value_count++;
    return true;
}

static bool parse_value(struct parser *parser, uint32_t *ret_at);

static bool parse_container(struct parser *parser, enum kind kind, uint32_t *ret_at)
{
    struct json_scan *scan = &parser->scan;
    uint32_t at, child, last = NO_VALUE, first = NO_VALUE, count = 0, size = 1, height = 0;
    struct name key = {0};
    bool has;

    if (!add_value(parser, kind, &at) || !(kind == KIND_OBJECT ? json_object(scan) : json_array(scan)))
        return false;
    for (;;) {
        if (!(kind == KIND_OBJECT ? json_member(scan, &key, &has) : json_element(scan, &has)))
            return false;
        if (!has)
            break;
        if (key.bytes > CONFIG_KEY_BYTES_MAX)
            return json_fault(scan, "a key of more than 1,024 bytes");
        if (!parse_value(parser, &child))
            return false;
        parser->config->values[child].key = key;
        size += parser->config->values[child].size;
        if (height < parser->config->values[child].height)
            height = parser->config->values[child].height;
        if (last == NO_VALUE)
            first = child;
        else
            parser->config->values[last].next = child;
        last = child;
        count++;
    }
    /* The run is reserved now and filled when all is read; first holds the head of the list until then. */
    parser->config->values[at].first = first;
    parser->config->values[at].count = count;
    parser->config->values[at].size = size;
    parser->config->values[at].height = height + 1;
    *ret_at = at;
    return true;
}

/* NaN, Infinity and −Infinity, which no JSON knows but Python's writer and reader do. */
static bool take_python_constant(struct json_scan *scan)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t bytes = strlen(words[i]);

        if (scan->bytes - scan->at >= bytes && memcmp(scan->text + scan->at, words[i], bytes) == 0) {
            scan->at += bytes;
            scan->has_item = true;
            return true;
        }
    }
    return false;
}

static bool parse_scalar(struct parser *parser, uint32_t *ret_at)
{
    struct json_scan *scan = &parser->scan;
    char c = json_peek(scan);
    enum kind kind = c == '"' ? KIND_TEXT : c == 'n' ? KIND_NULL : c == 't' || c == 'f' ? KIND_FLAG : KIND_NUMBER;
    size_t start = scan->at;
    struct name text = {0};

    if (kind == KIND_TEXT) {
        if (!json_string(scan, &text))
            return false;
    } else {
        if (!(kind == KIND_NUMBER && take_python_constant(scan)) && !json_skip(scan))
            return false;
        text = (struct name){scan->text + start, (uint32_t)(scan->at - start)};
    }
    if (!add_value(parser, kind, ret_at))
        return false;
    parser->config->values[*ret_at].text = text;
    return true;
}

/* Recursion is bounded by the scanner's nesting. */
static bool parse_value(struct parser *parser, uint32_t *ret_at)
{
    char c = json_peek(&parser->scan);

    if (c == '{' || c == '[')
        return parse_container(parser, c == '{' ? KIND_OBJECT : KIND_ARRAY, ret_at);
    return parse_scalar(parser, ret_at);
}

static int compare_keys(const void *context, uint32_t a, uint32_t b)
{
    const struct value *values = context;

    return name_compare_natural(values[a].key, values[b].key);
}

/* Turns the lists of children into runs, and sorts those of objects. */
static int gather(struct config *config, struct error *err)
{
    size_t count = config->value_count;
    uint32_t *scratch = calloc(count / 2 + 1, sizeof(*scratch));
    char printable[NAME_PRINTABLE_BYTES];
    int rc = 0;

    config->children = calloc(count, sizeof(*config->children));
    if (!scratch || !config->children) {
        free(scratch);
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a config");
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct value *value = &config->values[i];
        uint32_t *run = config->children + config->child_count;

        if (value->kind != KIND_ARRAY && value->kind != KIND_OBJECT)
            continue;
        for (uint32_t child = value->first, c = 0; child != NO_VALUE; child = config->values[child].next)
            run[c++] = child;
        value->first = (uint32_t)config->child_count;
        config->child_count += value->count;
        if (value->kind == KIND_ARRAY)
            continue;
        order_sort(run, value->count, scratch, compare_keys, config->values);
        for (uint32_t c = 1; c < value->count && rc == 0; c++)
            if (name_equal(config->values[run[c - 1]].key, config->values[run[c]].key))
                rc = error_set(err, ERROR_FORMAT, "the key %s appears twice, at byte %zu",
                               name_printable(config->values[run[c]].key, printable),
                               (size_t)(config->values[run[c]].key.text - config->text));
    }
    free(scratch);
    return rc;
}

int config_parse(const char *text, size_t bytes, struct config **ret_config, struct error *err)
{
    struct parser parser = {0};
    struct config *config = calloc(1, sizeof(*config));
    uint32_t root;
    int rc = 0;

    if (config)
        config->text = malloc(bytes + 1);
    if (!config || !config->text) {
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for a config");
        goto out;
    }
    if (bytes > 0)
        memcpy(config->text, text, bytes);
    config->text[bytes] = '\0';
    parser.config = config;
    json_init(&parser.scan, config->text, bytes, CONFIG_NESTING_MAX);
    if (!parse_value(&parser, &root) || !json_end(&parser.scan)) {
        if (parser.code == ERROR_NO_MEMORY)
            rc = error_set(err, ERROR_NO_MEMORY, "out of memory for a config");
        else if (parser.code)
            rc = error_set(err, parser.code, "has more than %d values, the limit", CONFIG_VALUES_MAX);
        else
            rc = error_set(err, ERROR_FORMAT, "%s, at byte %zu", parser.scan.problem, parser.scan.problem_at);
        goto out;
    }
    rc = gather(config, err);
    if (rc)
        goto out;
    *ret_config = config;
    config = NULL;
out:
    config_free(config);
    return rc;
}

int config_of_metadata(const struct metadata_entry *entries, size_t count, struct config **ret_config,
                       struct error *err)
{
    struct parser parser = {.config = calloc(1, sizeof(*parser.config))};
    struct config *config = parser.config;
    bool is_whole = config != NULL;
    uint32_t at;

    is_whole = is_whole && add_value(&parser, KIND_OBJECT, &at);
    for (size_t i = 0; is_whole && i < count; i++) {
        struct name key = entries[i].key;

        if (key.bytes > CONFIG_KEY_BYTES_MAX) {
            key.bytes = CONFIG_KEY_BYTES_MAX;
            while (key.bytes > 0 && ((unsigned char)key.text[key.bytes] & 0xc0) == 0x80)
                key.bytes--;
        }
        is_whole = add_value(&parser, KIND_TEXT, &at);
        if (is_whole) {
            config->values[at].key = key;
            config->values[at].text = entries[i].value;
        }
    }
    if (is_whole)
        config->children = calloc(count + count / 2 + 2, sizeof(*config->children));
    if (!is_whole || !config->children) {
        config_free(config);
        return error_set(err, parser.code == ERROR_LIMIT ? ERROR_LIMIT : ERROR_NO_MEMORY, "metadata: too much of it");
    }
    for (size_t i = 0; i < count; i++)
        config->children[i] = (uint32_t)i + 1;
    order_sort(config->children, count, config->children + count, compare_keys, config->values);
    config->values[0].count = (uint32_t)count;
    config->values[0].size = (uint32_t)count + 1;
    config->values[0].height = 1;
    *ret_config = config;
    return 0;
}

static bool is_whole(struct name number)
{
    for (uint32_t i = number.text[0] == '-'; i < number.bytes; i++)
        if (number.text[i] < '0' || number.text[i] > '9')
            return false;
    return true;
}

static bool is_zero(struct name number)
{
    return name_equal(number, name_of("0")) || name_equal(number, name_of("-0"));
}

static bool numbers_equal(struct name a, struct name b)
{
    double one, two;

    if (name_equal(a, b))
        return true;
    if (is_whole(a) && is_whole(b)) /* exactly: a double does not hold them all */
        return is_zero(a) && is_zero(b);
    one = config_read_f64(a);
    two = config_read_f64(b);
    return isfinite(one) && one == two;
}

static bool scalars_equal(const struct value *a, const struct value *b)
{
    return a->kind == KIND_NUMBER ? numbers_equal(a->text, b->text) : name_equal(a->text, b->text);
}

/* Text for a reader: what is long is cut at a character, and its length told. */
static void write_cut(struct writer *w, struct name text)
{
    char cut[TEXT_BYTES_MAX + 64];
    uint32_t bytes = TEXT_BYTES_MAX;
    int more;

    if (text.bytes <= TEXT_BYTES_MAX) {
        write_name(w, text);
        return;
    }
    while (bytes > 0 && ((unsigned char)text.text[bytes] & 0xc0) == 0x80)
        bytes--;
    memcpy(cut, text.text, bytes);
    more = snprintf(cut + bytes, sizeof(cut) - bytes, "… (%" PRIu32 " bytes)", text.bytes);
    w->ops->text(w, cut, bytes + (size_t)more);
}

/* A number that no writer's call holds exactly is given as it is spelt. */
static void write_number(struct writer *w, struct name number)
{
    struct name digits = {number.text + 1, number.bytes - 1};
    uint64_t whole;
    double value;

    if (config_read_u64(number, &whole)) {
        w->ops->u64(w, whole);
    } else if (number.text[0] == '-' && config_read_u64(digits, &whole) && whole <= INT64_MAX) {
        w->ops->i64(w, -(int64_t)whole);
    } else {
        value = is_whole(number) ? NAN : config_read_f64(number);
        if (isfinite(value))
            w->ops->f64(w, value);
        else
            write_cut(w, number);
    }
}

static void write_value(const struct config *config, const struct value *value, struct writer *w)
{
    switch (value->kind) {
    case KIND_NULL:
        w->ops->null(w, NULL);
        break;
    case KIND_FLAG:
        w->ops->flag(w, value->text.text[0] == 't');
        break;
    case KIND_NUMBER:
        write_number(w, value->text);
        break;
    case KIND_TEXT:
        write_cut(w, value->text);
        break;
    case KIND_ARRAY:
    case KIND_OBJECT:
        w->ops->begin(w, value->kind == KIND_ARRAY ? WRITER_ARRAY : WRITER_OBJECT);
        for (uint32_t i = 0; i < value->count; i++) {
            const struct value *child = config_child(config, value, i);

            if (value->kind == KIND_OBJECT)
                w->ops->key(w, child->key.text, child->key.bytes);
            write_value(config, child, w);
        }
        write_end(w);
        break;
    }
}

enum change { ADDED, REMOVED, CHANGED, CHANGES };

/* One walk along both documents, in passes: each counts all differences, and writes those of one kind. */
struct walk {
    const struct config *before, *after;
    struct writer *w;
    enum change wanted;
    uint64_t counts[CHANGES];
    uint64_t most, written;
    size_t pointer_bytes;
    char pointer[POINTER_BYTES];
};

/* Appends "/key" as RFC 6901 spells it; returns the length before. */
static size_t descend(struct walk *walk, struct name key)
{
    size_t before = walk->pointer_bytes;
    char *out = walk->pointer + before;

    *out++ = '/';
    for (uint32_t i = 0; i < key.bytes; i++) {
        char c = key.text[i];

        if (c == '~' || c == '/') {
            *out++ = '~';
            *out++ = c == '~' ? '0' : '1';
        } else {
            *out++ = c;
        }
    }
    walk->pointer_bytes = (size_t)(out - walk->pointer);
    return before;
}

static size_t descend_element(struct walk *walk, uint32_t at)
{
    char digits[16];
    int bytes = snprintf(digits, sizeof(digits), "%" PRIu32, at);

    return descend(walk, (struct name){digits, (uint32_t)bytes});
}

static void tell(struct walk *walk, enum change change, const struct value *before, const struct value *after)
{
    struct writer *w = walk->w;

    walk->counts[change]++;
    if (change != walk->wanted || walk->written == walk->most)
        return;
    walk->written++;
    w->ops->key(w, walk->pointer, walk->pointer_bytes);
    if (change == CHANGED)
        write_begin_array(w);
    if (before)
        write_value(walk->before, before, w);
    if (after)
        write_value(walk->after, after, w);
    if (change == CHANGED)
        write_end(w);
}

static bool is_shown_whole(const struct value *value)
{
    return value->size <= WHOLE_VALUES_MAX && value->height <= WHOLE_HEIGHT_MAX;
}

/* A value that only one side has: whole, or child by child when it is large. */
static void one_sided(struct walk *walk, enum change change, const struct value *value)
{
    const struct config *config = change == ADDED ? walk->after : walk->before;

    if (is_shown_whole(value)) {
        tell(walk, change, change == REMOVED ? value : NULL, change == ADDED ? value : NULL);
        return;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        const struct value *child = config_child(config, value, i);
        size_t back = value->kind == KIND_OBJECT ? descend(walk, child->key) : descend_element(walk, i);

        one_sided(walk, change, child);
        walk->pointer_bytes = back;
    }
}

static void both_sides(struct walk *walk, const struct value *a, const struct value *b);

static void compare_members(struct walk *walk, const struct value *a, const struct value *b)
{
    uint32_t i = 0, j = 0;

    while (i < a->count || j < b->count) {
        const struct value *one = i < a->count ? config_child(walk->before, a, i) : NULL;
        const struct value *two = j < b->count ? config_child(walk->after, b, j) : NULL;
        int order = !one ? 1 : !two ? -1 : name_compare_natural(one->key, two->key);
        size_t back = descend(walk, order <= 0 ? one->key : two->key);

        if (order == 0)
            both_sides(walk, one, two);
        else
            one_sided(walk, order < 0 ? REMOVED : ADDED, order < 0 ? one : two);
        i += order <= 0;
        j += order >= 0;
        walk->pointer_bytes = back;
    }
}

static void compare_elements(struct walk *walk, const struct value *a, const struct value *b)
{
    uint32_t most = a->count > b->count ? a->count : b->count;

    for (uint32_t i = 0; i < most; i++) {
        size_t back = descend_element(walk, i);

        if (i >= a->count)
            one_sided(walk, ADDED, config_child(walk->after, b, i));
        else if (i >= b->count)
            one_sided(walk, REMOVED, config_child(walk->before, a, i));
        else
            both_sides(walk, config_child(walk->before, a, i), config_child(walk->after, b, i));
        walk->pointer_bytes = back;
    }
}

static void both_sides(struct walk *walk, const struct value *a, const struct value *b)
{
    if (a->kind == b->kind && a->kind == KIND_OBJECT) {
        compare_members(walk, a, b);
    } else if (a->kind == b->kind && a->kind == KIND_ARRAY) {
        compare_elements(walk, a, b);
    } else if (a->kind == b->kind && scalars_equal(a, b)) {
        return;
    } else if (!is_shown_whole(a) || !is_shown_whole(b)) {
        one_sided(walk, REMOVED, a);
        one_sided(walk, ADDED, b);
    } else {
        tell(walk, CHANGED, a, b);
    }
}

static void walk_both(struct walk *walk)
{
    const struct value *a = walk->before ? &walk->before->values[0] : NULL;
    const struct value *b = walk->after ? &walk->after->values[0] : NULL;
    const struct value *only = a ? a : b;

    memset(walk->counts, 0, sizeof(walk->counts));
    walk->pointer_bytes = 0;
    if (a && b) {
        both_sides(walk, a, b);
    } else if (only && only->kind == KIND_OBJECT) { /* members, as if the other were {} */
        const struct config *config = a ? walk->before : walk->after;

        for (uint32_t i = 0; i < only->count; i++) {
            const struct value *child = config_child(config, only, i);
            size_t back = descend(walk, child->key);

            one_sided(walk, a ? REMOVED : ADDED, child);
            walk->pointer_bytes = back;
        }
    } else if (only) {
        one_sided(walk, a ? REMOVED : ADDED, only);
    }
}

bool config_write_diff(const struct config *before, const struct config *after, uint64_t most, struct writer *w)
{
    static const char *const names[CHANGES] = {[ADDED] = "added", [REMOVED] = "removed", [CHANGED] = "changed"};
    struct walk walk = {.before = before, .after = after, .most = most, .w = w};
    uint64_t all = 0;

    write_begin_object(w);
    for (int change = 0; change < CHANGES; change++) {
        walk.wanted = (enum change)change;
        write_object(w, names[change]);
        walk_both(&walk);
        write_end(w);
    }
    for (int change = 0; change < CHANGES; change++)
        all += walk.counts[change];
    if (all > walk.written)
        write_u64(w, "omitted", all - walk.written);
    write_end(w);
    return all > 0 || !before != !after;
}
