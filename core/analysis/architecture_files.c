/* Files of equal bytes are never parsed. A tokenizer.json goes through no tree: its vocabulary and merges become two
 * sorted lists of borrowed names, and only the rest of it (settings, a few kilobytes) is parsed as a config. */
#include "core/analysis/architecture_files.h"

#include <stdlib.h>
#include <string.h>

#include "core/format/json_scan.h"
#include "core/model/config.h"
#include "core/model/order.h"

enum { NESTING = 64, CHUNK = 65536 };

enum change { ADDED, REMOVED, CHANGED, CHANGES };
static const char *const change_names[CHANGES] = {"added", "removed", "changed"};

struct token {
    struct name text;
    uint64_t id;    /* or rank */
    uint64_t score; /* of a unigram model: its spelling's hash */
};

struct tokens {
    struct token *items;
    size_t count, room;
    bool has; /* the file has such a list */
};

struct example {
    char *text;
    uint32_t bytes;
    uint64_t before, after;
};

struct token_change {
    bool has;
    uint64_t counts[CHANGES];
    struct example examples[CHANGES][TOKEN_EXAMPLES_MAX];
};

struct side_change {
    const char *name;
    enum change change;
    enum side_kind kind;
    const char *reason; /* why there are no details; NULL: there are, or none are to be had */
    bool has_diff;
    struct config *before, *after; /* has_diff */
    struct token_change vocabulary, merges;
};

struct side_changes {
    struct side_change *items;
    size_t count;
};

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "out of memory for the files beside a model");
}

static void token_change_done(struct token_change *change)
{
    for (int c = 0; c < CHANGES; c++)
        for (int i = 0; i < TOKEN_EXAMPLES_MAX; i++)
            free(change->examples[c][i].text);
}

void side_changes_free(struct side_changes *changes)
{
    if (!changes)
        return;
    for (size_t i = 0; i < changes->count; i++) {
        config_free(changes->items[i].before);
        config_free(changes->items[i].after);
        token_change_done(&changes->items[i].vocabulary);
        token_change_done(&changes->items[i].merges);
    }
    free(changes->items);
    free(changes);
}

/* --- reading --- */

static int read_piece(const struct side_file *file, uint64_t at, char *out, size_t bytes, struct error *err)
{
    if (file->source)
        return source_read_at(file->source, at, out, bytes, err);
    memcpy(out, file->text + at, bytes);
    return 0;
}

static int same_bytes(const struct side_file *a, const struct side_file *b, bool *ret_is_same, struct error *err)
{
    char *pieces = NULL;
    int rc = 0;

    *ret_is_same = a->bytes == b->bytes;
    if (!*ret_is_same)
        return 0;
    pieces = calloc(2, CHUNK);
    if (!pieces)
        return no_memory(err);
    for (uint64_t at = 0; at < a->bytes && rc == 0 && *ret_is_same; at += CHUNK) {
        size_t bytes = a->bytes - at < CHUNK ? (size_t)(a->bytes - at) : CHUNK;

        rc = read_piece(a, at, pieces, bytes, err);
        if (rc == 0)
            rc = read_piece(b, at, pieces + CHUNK, bytes, err);
        if (rc == 0)
            *ret_is_same = memcmp(pieces, pieces + CHUNK, bytes) == 0;
    }
    free(pieces);
    return rc;
}

/* --- lists of tokens; each parser returns false for a malformed text, or with *ret_rc for short memory --- */

static bool add_token(struct tokens *tokens, struct token token)
{
    if (tokens->count == tokens->room) {
        size_t room = tokens->room ? tokens->room + tokens->room / 2 : 1024;
        struct token *grown = room < UINT32_MAX ? reallocarray(tokens->items, room, sizeof(*grown)) : NULL;

        if (!grown)
            return false;
        tokens->items = grown;
        tokens->room = room;
    }
    tokens->items[tokens->count++] = token;
    return true;
}

static bool parse_lines(char *text, size_t bytes, bool is_merges, struct tokens *tokens)
{
    char *end = text + bytes;
    uint64_t id = 0;

    tokens->has = true;
    for (char *line = text; line < end;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((newline ? newline : end) - line);

        if (length > 0 && line[length - 1] == '\r')
            length--;
        if (length > UINT32_MAX)
            return false;
        if (!(is_merges && (length == 0 || (id == 0 && length > 8 && memcmp(line, "#version", 8) == 0))) &&
            !add_token(tokens, (struct token){{line, (uint32_t)length}, id++, 0}))
            return false;
        line = newline ? newline + 1 : end;
    }
    return true;
}

/* {"token": id, …} */
static bool parse_map(struct json_scan *scan, struct tokens *tokens)
{
    struct token token = {0};
    bool has;

    tokens->has = true;
    if (!json_object(scan))
        return false;
    for (;;) {
        if (!json_member(scan, &token.text, &has))
            return false;
        if (!has)
            return true;
        if (!json_u64(scan, &token.id) || !add_token(tokens, token))
            return false;
    }
}

/* [["token", score], …] of a unigram model. */
static bool parse_scored(struct json_scan *scan, struct tokens *tokens)
{
    bool has;

    tokens->has = true;
    if (!json_array(scan))
        return false;
    for (;;) {
        struct token token = {.id = tokens->count};
        size_t start;

        if (!json_element(scan, &has))
            return false;
        if (!has)
            return true;
        if (!json_array(scan) || !json_element(scan, &has) || !has || !json_string(scan, &token.text) ||
            !json_element(scan, &has) || !has)
            return false;
        json_peek(scan);
        start = scan->at;
        if (!json_skip(scan))
            return false;
        token.score = name_hash((struct name){scan->text + start, (uint32_t)(scan->at - start)});
        if (!json_element(scan, &has) || has || !add_token(tokens, token))
            return false;
    }
}

/* "a b" or ["a", "b"], in the order of importance; both become "a b". */
static bool parse_merges(struct json_scan *scan, struct tokens *tokens)
{
    struct name second;
    bool has;

    tokens->has = true;
    if (!json_array(scan))
        return false;
    for (;;) {
        struct token token = {.id = tokens->count};
        char *joined;

        if (!json_element(scan, &has))
            return false;
        if (!has)
            return true;
        if (json_peek(scan) == '"') {
            if (!json_string(scan, &token.text))
                return false;
        } else {
            if (!json_array(scan) || !json_element(scan, &has) || !has || !json_string(scan, &token.text) ||
                !json_element(scan, &has) || !has || !json_string(scan, &second) || !json_element(scan, &has) || has)
                return false;
            /* Joined where they stand: quotes and a comma lay between them. */
            joined = scan->text + (token.text.text - scan->text);
            joined[token.text.bytes] = ' ';
            memmove(joined + token.text.bytes + 1, second.text, second.bytes);
            token.text.bytes += 1 + second.bytes;
        }
        if (!add_token(tokens, token))
            return false;
    }
}

/* A JSON text under way: members copied as they stand. */
struct rest {
    const char *original;
    char *text;
    size_t bytes;
};

static void rest_put(struct rest *rest, size_t from, size_t to)
{
    if (rest->bytes > 0 && rest->text[rest->bytes - 1] != '{')
        rest->text[rest->bytes++] = ',';
    memcpy(rest->text + rest->bytes, rest->original + from, to - from);
    rest->bytes += to - from;
}

struct tokenizer {
    struct tokens vocabulary, merges;
};

static bool parse_model(struct json_scan *scan, struct tokenizer *tokenizer, struct rest *rest)
{
    struct name key;
    bool has;

    if (!json_object(scan))
        return false;
    for (;;) {
        size_t start;

        if (!json_member(scan, &key, &has))
            return false;
        if (!has)
            return true;
        start = (size_t)(key.text - scan->text) - 1;
        if (name_equal(key, name_of("vocab")) && !tokenizer->vocabulary.has) {
            if (!(json_peek(scan) == '[' ? parse_scored(scan, &tokenizer->vocabulary)
                                         : parse_map(scan, &tokenizer->vocabulary)))
                return false;
        } else if (name_equal(key, name_of("merges")) && !tokenizer->merges.has) {
            if (!parse_merges(scan, &tokenizer->merges))
                return false;
        } else {
            if (!json_skip(scan))
                return false;
            rest_put(rest, start, scan->at);
        }
    }
}

/* Takes text apart; original is a copy of it, which scanning leaves alone. */
static bool parse_tokenizer(char *text, size_t bytes, struct tokenizer *tokenizer, struct rest *rest)
{
    static const char model[] = "\"model\":{";
    struct json_scan scan;
    struct name key;
    bool has;

    json_init(&scan, text, bytes, NESTING);
    if (!json_object(&scan))
        return false;
    rest->text[rest->bytes++] = '{';
    for (;;) {
        size_t start;

        if (!json_member(&scan, &key, &has))
            return false;
        if (!has)
            break;
        start = (size_t)(key.text - scan.text) - 1;
        if (name_equal(key, name_of("model")) && json_peek(&scan) == '{') {
            if (rest->bytes > 1)
                rest->text[rest->bytes++] = ',';
            memcpy(rest->text + rest->bytes, model, sizeof(model) - 1);
            rest->bytes += sizeof(model) - 1;
            if (!parse_model(&scan, tokenizer, rest))
                return false;
            rest->text[rest->bytes++] = '}';
        } else {
            if (!json_skip(&scan))
                return false;
            rest_put(rest, start, scan.at);
        }
    }
    rest->text[rest->bytes++] = '}';
    return json_end(&scan);
}

/* --- comparing lists --- */

static int compare_tokens(const void *context, uint32_t a, uint32_t b)
{
    const struct token *tokens = context;

    return name_compare_natural(tokens[a].text, tokens[b].text);
}

static uint32_t *sort_tokens(const struct tokens *tokens)
{
    uint32_t *order = calloc(tokens->count + tokens->count / 2 + 2, sizeof(*order));

    for (size_t i = 0; order && i < tokens->count; i++)
        order[i] = (uint32_t)i;
    if (order)
        order_sort(order, tokens->count, order + tokens->count, compare_tokens, tokens->items);
    return order;
}

static int tell_token(struct token_change *change, enum change kind, const struct token *before,
                      const struct token *after, struct error *err)
{
    uint64_t at = change->counts[kind]++;
    const struct token *token = before ? before : after;
    struct example *example;

    if (at >= TOKEN_EXAMPLES_MAX)
        return 0;
    example = &change->examples[kind][at];
    example->bytes = token->text.bytes < 256 ? token->text.bytes : 256; /* for a reader */
    while (example->bytes < token->text.bytes && example->bytes > 0 &&
           ((unsigned char)token->text.text[example->bytes] & 0xc0) == 0x80)
        example->bytes--;
    example->text = malloc(example->bytes + (size_t)1);
    if (!example->text)
        return no_memory(err);
    memcpy(example->text, token->text.text, example->bytes);
    example->before = before ? before->id : 0;
    example->after = after ? after->id : 0;
    return 0;
}

static int compare_lists(const struct tokens *a, const struct tokens *b, struct token_change *change, struct error *err)
{
    uint32_t *left = sort_tokens(a), *right = sort_tokens(b);
    size_t i = 0, j = 0;
    int rc = left && right ? 0 : no_memory(err);

    change->has = a->has || b->has;
    while (rc == 0 && (i < a->count || j < b->count)) {
        const struct token *one = i < a->count ? &a->items[left[i]] : NULL;
        const struct token *two = j < b->count ? &b->items[right[j]] : NULL;
        int order = !one ? 1 : !two ? -1 : name_compare_natural(one->text, two->text);

        if (order < 0)
            rc = tell_token(change, REMOVED, one, NULL, err);
        else if (order > 0)
            rc = tell_token(change, ADDED, NULL, two, err);
        else if (one->id != two->id || one->score != two->score)
            rc = tell_token(change, CHANGED, one, two, err);
        i += order <= 0;
        j += order >= 0;
    }
    free(left);
    free(right);
    return rc;
}

/* --- one file --- */

/* One side, read and taken apart. */
struct opened {
    char *text;
    struct tokenizer tokenizer;
    struct config *config;
};

static void opened_done(struct opened *opened)
{
    free(opened->text);
    free(opened->tokenizer.vocabulary.items);
    free(opened->tokenizer.merges.items);
    config_free(opened->config);
}

static int open_tokenizer(const struct side_file *file, struct opened *opened, bool *ret_is_sound, struct error *err)
{
    char *copy = calloc(2, file->bytes + 16);
    struct rest rest = {.original = copy, .text = copy ? copy + file->bytes : NULL};
    int rc = 0;

    if (!copy)
        return no_memory(err);
    memcpy(copy, opened->text, file->bytes);
    *ret_is_sound = parse_tokenizer(opened->text, file->bytes, &opened->tokenizer, &rest);
    if (*ret_is_sound) {
        rc = config_parse(rest.text, rest.bytes, &opened->config, err);
        *ret_is_sound = rc == 0;
    }
    free(copy);
    return rc == ERROR_NO_MEMORY ? rc : 0;
}

static int open_side(const struct side_file *file, struct opened *opened, bool *ret_is_sound, struct error *err)
{
    struct json_scan scan;
    int rc = side_file_read(file, &opened->text, err);

    *ret_is_sound = true;
    if (rc)
        return rc;
    switch (file->kind) {
    case SIDE_JSON:
        rc = config_parse(opened->text, file->bytes, &opened->config, err);
        *ret_is_sound = rc == 0;
        return rc == ERROR_NO_MEMORY ? rc : 0;
    case SIDE_TOKENIZER:
        return open_tokenizer(file, opened, ret_is_sound, err);
    case SIDE_VOCABULARY:
        json_init(&scan, opened->text, file->bytes, NESTING);
        *ret_is_sound = parse_map(&scan, &opened->tokenizer.vocabulary) && json_end(&scan);
        return 0;
    case SIDE_VOCABULARY_LINES:
    case SIDE_MERGES:
        *ret_is_sound =
            parse_lines(opened->text, file->bytes, file->kind == SIDE_MERGES,
                        file->kind == SIDE_MERGES ? &opened->tokenizer.merges : &opened->tokenizer.vocabulary);
        return 0;
    case SIDE_OTHER:
        break;
    }
    return 0;
}

static int compare_contents(const struct side_file *a, const struct side_file *b, struct side_change *change,
                            struct error *err)
{
    struct opened one = {0}, two = {0};
    bool is_sound = false;
    int rc;

    if (a->kind == SIDE_OTHER)
        return 0;
    if (a->bytes > SIDE_FILE_BYTES_MAX || b->bytes > SIDE_FILE_BYTES_MAX) {
        change->reason = "too large to be taken apart: compared as bytes";
        return 0;
    }
    rc = open_side(a, &one, &is_sound, err);
    if (rc == 0 && is_sound)
        rc = open_side(b, &two, &is_sound, err);
    if (rc == 0 && !is_sound)
        change->reason = "malformed: compared as bytes";
    if (rc == 0 && is_sound) {
        rc = compare_lists(&one.tokenizer.vocabulary, &two.tokenizer.vocabulary, &change->vocabulary, err);
        if (rc == 0)
            rc = compare_lists(&one.tokenizer.merges, &two.tokenizer.merges, &change->merges, err);
        change->has_diff = one.config && two.config;
        change->before = one.config;
        change->after = two.config;
        one.config = two.config = NULL;
    }
    opened_done(&one);
    opened_done(&two);
    return rc;
}

static const struct side_file *find_file(const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->side_file_count; i++)
        if (strcmp(model->side_files[i].name, name) == 0)
            return &model->side_files[i];
    return NULL;
}

int side_changes_find(const struct model *before, const struct model *after, struct side_changes **ret_changes,
                      struct error *err)
{
    struct side_changes *changes = calloc(1, sizeof(*changes));
    int rc = 0;

    if (changes)
        changes->items = calloc(before->side_file_count + after->side_file_count + 1, sizeof(*changes->items));
    if (!changes || !changes->items) {
        side_changes_free(changes);
        return no_memory(err);
    }
    for (size_t i = 0; i < before->side_file_count && rc == 0; i++) {
        const struct side_file *a = &before->side_files[i], *b = find_file(after, a->name);
        struct side_change *change = &changes->items[changes->count];
        bool is_same = false;

        if (b)
            rc = same_bytes(a, b, &is_same, err);
        if (rc || is_same)
            continue;
        *change = (struct side_change){.name = a->name, .kind = a->kind, .change = b ? CHANGED : REMOVED};
        changes->count++;
        if (b)
            rc = compare_contents(a, b, change, err);
    }
    for (size_t i = 0; i < after->side_file_count && rc == 0; i++)
        if (!find_file(before, after->side_files[i].name))
            changes->items[changes->count++] = (struct side_change){
                .name = after->side_files[i].name, .kind = after->side_files[i].kind, .change = ADDED};
    if (rc) {
        side_changes_free(changes);
        return rc;
    }
    *ret_changes = changes;
    return 0;
}

/* --- writing --- */

static void write_tokens(const struct token_change *change, const char *key, const char *place, struct writer *w)
{
    if (!change->has)
        return;
    write_object(w, key);
    for (int c = 0; c < CHANGES; c++) {
        write_object(w, change_names[c]);
        write_u64(w, "count", change->counts[c]);
        write_array(w, "examples");
        for (uint64_t i = 0; i < change->counts[c] && i < TOKEN_EXAMPLES_MAX; i++) {
            const struct example *example = &change->examples[c][i];

            write_begin_object(w);
            write_named(w, "token", (struct name){example->text, example->bytes});
            if (c == CHANGED) {
                write_array(w, place);
                w->ops->u64(w, example->before);
                w->ops->u64(w, example->after);
                write_end(w);
            } else {
                write_u64(w, place, c == ADDED ? example->after : example->before);
            }
            write_end(w);
        }
        write_end(w);
        write_end(w);
    }
    write_end(w);
}

void side_changes_write(const struct side_changes *changes, uint64_t most, struct writer *w)
{
    write_array(w, "side_files");
    for (size_t i = 0; i < changes->count; i++) {
        const struct side_change *change = &changes->items[i];

        write_begin_object(w);
        write_text(w, "name", change->name);
        write_text(w, "status", change_names[change->change]);
        if (change->reason)
            write_text(w, "reason", change->reason);
        if (change->has_diff) {
            write_key(w, "diff");
            config_write_diff(change->before, change->after, most, w);
        }
        write_tokens(&change->vocabulary, "vocabulary", "id", w);
        write_tokens(&change->merges, "merges", "rank", w);
        write_end(w);
    }
    write_end(w);
}
