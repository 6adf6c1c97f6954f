/* Steps work on axes: lengths and strides over the source's elements. A step that breaks the first axis up, into the
 * halves of heads or into groups, ends that: what it leaves are boxes, and only arithmetic may follow. */
#include "core/align/transformation.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/checked.h"

enum { ARGUMENTS_MAX = 64 };

struct working {
    struct arrangement *a;
    const struct symbols *symbols;
    uint64_t steps[VIEW_RANK_MAX]; /* beside a->dims, until is_broken */
    uint64_t first;
    bool is_broken; /* pieces are there, and the axes say the shape only */
    bool is_dry;    /* nothing but reading the text */
    size_t used;    /* of a->text */
    enum dtype dtype;
    struct error *err;
};

struct scan {
    const char *at, *end;
};

void symbols_set(struct symbols *symbols, const char *name, uint64_t value)
{
    for (size_t i = 0; i < symbols->count; i++)
        if (strcmp(symbols->items[i].name, name) == 0) {
            symbols->items[i].value = value;
            return;
        }
    if (symbols->count < SYMBOLS_MAX)
        symbols->items[symbols->count++] = (struct symbol){name, value};
}

const struct symbol *symbols_find(const struct symbols *symbols, struct name name)
{
    for (size_t i = 0; i < symbols->count; i++)
        if (name_equal(name, name_of(symbols->items[i].name)))
            return &symbols->items[i];
    return NULL;
}

static void say(struct working *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct working *w, const char *format, ...)
{
    const size_t room = sizeof(w->a->text) - w->used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(w->a->text + w->used, room, format, args);
    va_end(args);
    if (length > 0)
        w->used += (size_t)length < room ? (size_t)length : room - 1;
}

static bool take(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static struct name word(struct scan *s)
{
    struct name name = {s->at, 0};

    while (s->at < s->end && is_word(*s->at))
        s->at++;
    name.bytes = (uint32_t)(s->at - name.text);
    return name;
}

static bool is_number(struct name name, uint64_t *ret)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < name.bytes; i++) {
        if (name.text[i] < '0' || name.text[i] > '9' || !checked_mul(value, 10, &value) ||
            !checked_add(value, (uint64_t)(name.text[i] - '0'), &value))
            return false;
    }
    *ret = value;
    return name.bytes > 0;
}

static int unreadable(struct working *w, const struct scan *s, const char *wanted)
{
    const struct name rest = {s->at, (uint32_t)(s->end - s->at < 40 ? s->end - s->at : 40)};
    char printable[NAME_PRINTABLE_BYTES];

    return error_set(w->err, ERROR_REQUEST, "a transformation needs %s where \"%s\" stands", wanted,
                     name_printable(rest, printable));
}

static int misfit(struct working *w, const char *step)
{
    return error_set(w->err, ERROR_REQUEST, "%s does not fit the tensor's shape", step);
}

/* A figure, a fraction of length or a symbol. */
static int number(struct working *w, struct scan *s, uint64_t length, uint64_t *ret)
{
    const bool is_from_end = take(s, '-');
    const struct scan start = *s;
    struct name name = word(s);
    uint64_t value = 0, divisor;

    if (name.bytes == 0)
        return unreadable(w, &start, "a number");
    if (is_number(name, &value)) {
        if (take(s, '/')) {
            if (!is_number(word(s), &divisor) || divisor == 0)
                return unreadable(w, &start, "a fraction");
            if (!w->is_dry && length % divisor)
                return misfit(w, "a fraction");
            if (!checked_mul(length / divisor, value, &value))
                return misfit(w, "a fraction");
        }
    } else {
        const struct symbol *symbol = w->symbols ? symbols_find(w->symbols, name) : NULL;

        if (symbol)
            value = symbol->value;
        else if (!w->is_dry)
            return error_set(w->err, ERROR_REQUEST, "\"%.*s\" is not known of this model", (int)name.bytes, name.text);
    }
    if (is_from_end && !w->is_dry) {
        if (value > length)
            return misfit(w, "a number from the end");
        value = length - value;
    }
    *ret = value;
    return 0;
}

struct slice {
    uint64_t first, last, step;
};

/* a:b[:s], either bound may be missing; within length. */
static int slice(struct working *w, struct scan *s, uint64_t length, struct slice *ret)
{
    struct slice slice = {0, length, 1};
    int rc = 0;

    if (!(s->at < s->end && *s->at == ':'))
        rc = number(w, s, length, &slice.first);
    if (rc == 0 && !take(s, ':'))
        rc = unreadable(w, s, "a colon");
    if (rc == 0 && s->at < s->end && (is_word(*s->at) || *s->at == '-'))
        rc = number(w, s, length, &slice.last);
    if (rc == 0 && take(s, ':'))
        rc = number(w, s, length, &slice.step);
    if (rc == 0 && !w->is_dry &&
        (slice.first >= slice.last || slice.last > length || slice.step == 0 || slice.step > length))
        rc = misfit(w, "a slice");
    if (rc == 0)
        *ret = slice;
    return rc;
}

static uint64_t slice_count(const struct slice *slice)
{
    return (slice->last - slice->first + slice->step - 1) / slice->step;
}

/* Rows, or whatever the axis is. */
static int step_slice(struct working *w, struct scan *s, uint32_t axis, const char *name)
{
    struct arrangement *a = w->a;
    struct slice taken;
    int rc;

    if (!w->is_dry && (w->is_broken || axis >= a->rank))
        return misfit(w, name);
    rc = slice(w, s, w->is_dry ? 0 : a->dims[axis], &taken);
    if (rc || w->is_dry)
        return rc;
    say(w, "%s(%" PRIu64 ":%" PRIu64, name, taken.first, taken.last);
    if (taken.step != 1)
        say(w, ":%" PRIu64, taken.step);
    say(w, ")");
    a->is_rows = !a->is_moved && axis == 0 && taken.step == 1;
    a->first_row = taken.first;
    a->last_row = taken.last;
    w->first += taken.first * w->steps[axis];
    a->dims[axis] = slice_count(&taken);
    w->steps[axis] *= taken.step;
    return 0;
}

static int step_index(struct working *w, struct scan *s, uint32_t axis, const char *name)
{
    struct arrangement *a = w->a;
    uint64_t at;
    int rc;

    if (!w->is_dry && (w->is_broken || axis >= a->rank))
        return misfit(w, name);
    rc = number(w, s, w->is_dry ? 0 : a->dims[axis], &at);
    if (rc || w->is_dry)
        return rc;
    if (at >= a->dims[axis])
        return misfit(w, name);
    say(w, "%s(%" PRIu64 ")", name, at);
    a->is_rows = !a->is_moved && axis == 0;
    a->first_row = at;
    a->last_row = at + 1;
    w->first += at * w->steps[axis];
    a->rank--;
    for (uint32_t d = axis; d < a->rank; d++) {
        a->dims[d] = a->dims[d + 1];
        w->steps[d] = w->steps[d + 1];
    }
    return 0;
}

static void swap_axes(struct working *w, uint32_t i, uint32_t j)
{
    const uint64_t dim = w->a->dims[i], step = w->steps[i];

    w->a->dims[i] = w->a->dims[j];
    w->steps[i] = w->steps[j];
    w->a->dims[j] = dim;
    w->steps[j] = step;
}

/* A piece of the axes as they are, the first one replaced by the given ones. */
static int add_piece(struct working *w, uint64_t first, uint32_t axes, const uint64_t *dims, const uint64_t *steps,
                     const char *step)
{
    struct arrangement *a = w->a;
    struct view_piece *piece = &a->pieces[a->piece_count];

    if (a->piece_count == TRANSFORMATION_PIECES_MAX || a->rank + axes - 1 > VIEW_RANK_MAX)
        return misfit(w, step);
    *piece = (struct view_piece){.first = first, .elements = 1, .rank = a->rank + axes - 1};
    for (uint32_t d = 0; d < piece->rank; d++) {
        piece->dims[d] = d < axes ? dims[d] : a->dims[d - axes + 1];
        piece->steps[d] = d < axes ? steps[d] : w->steps[d - axes + 1];
        piece->elements *= piece->dims[d]; /* no more than the source has */
    }
    a->piece_count++;
    w->is_broken = true;
    return 0;
}

/* Of rows as they are, or of the one kind of parts that regroup kept. */
static int step_rope(struct working *w, struct scan *s, const char *name, bool is_back)
{
    struct arrangement *a = w->a;
    const bool is_grouped = w->is_broken && a->piece_count == 1 && a->pieces[0].rank == a->rank + 1;
    const struct view_piece kept = is_grouped ? a->pieces[0] : (struct view_piece){.dims = {1}};
    uint64_t heads, size, step;
    int rc;

    if (!w->is_dry && ((w->is_broken && !is_grouped) || a->rank == 0))
        return misfit(w, name);
    rc = number(w, s, w->is_dry ? 0 : a->dims[0], &heads);
    if (rc || w->is_dry)
        return rc;
    if (heads == 0 || a->dims[0] % heads || a->dims[0] / heads % 2 || heads % kept.dims[0])
        return misfit(w, name);
    size = a->dims[0] / heads;
    step = w->steps[0];
    say(w, "%s(%" PRIu64 ")", name, heads);
    {
        const uint64_t dims[] = {kept.dims[0], heads / kept.dims[0], is_back ? 2 : size / 2, is_back ? size / 2 : 2};
        const uint64_t steps[] = {kept.steps[0], size * step, step, is_back ? 2 * step : size / 2 * step};

        a->piece_count = 0;
        return is_grouped ? add_piece(w, kept.first, 4, dims, steps, name)
                          : add_piece(w, w->first, 3, dims + 1, steps + 1, name);
    }
}

static int step_heads(struct working *w, struct scan *s)
{
    struct arrangement *a = w->a;
    uint64_t heads;
    int rc;

    if (!w->is_dry && (w->is_broken || a->rank == 0 || a->rank == VIEW_RANK_MAX))
        return misfit(w, "heads");
    rc = number(w, s, w->is_dry ? 0 : a->dims[0], &heads);
    if (rc || w->is_dry)
        return rc;
    if (heads == 0 || a->dims[0] % heads)
        return misfit(w, "heads");
    say(w, "heads(%" PRIu64 ")", heads);
    for (uint32_t d = a->rank++; d > 0; d--) {
        a->dims[d] = a->dims[d - 1];
        w->steps[d] = w->steps[d - 1];
    }
    a->dims[1] /= heads;
    a->dims[0] = heads;
    w->steps[0] = w->steps[1] * a->dims[1];
    return 0;
}

static int step_regroup(struct working *w, struct scan *s)
{
    struct arrangement *a = w->a;
    uint64_t groups, weights[ARGUMENTS_MAX], total = 0, size = 0, at = 0, rows = 0;
    bool is_left_out[ARGUMENTS_MAX];
    size_t count = 0;
    int rc;

    if (!w->is_dry && (w->is_broken || a->rank == 0))
        return misfit(w, "regroup");
    rc = number(w, s, w->is_dry ? 0 : a->dims[0], &groups);
    if (rc == 0 && !take(s, ':'))
        rc = unreadable(w, s, "a colon");
    while (rc == 0) {
        if (count == ARGUMENTS_MAX)
            return misfit(w, "regroup");
        is_left_out[count] = take(s, '~');
        rc = number(w, s, 0, &weights[count]);
        if (rc == 0 && !checked_add(total, weights[count], &total))
            return misfit(w, "regroup");
        count++;
        if (rc || !take(s, ','))
            break;
    }
    if (rc || w->is_dry)
        return rc;
    if (groups == 0 || total == 0 || a->dims[0] % groups || a->dims[0] / groups % total)
        return misfit(w, "regroup");
    size = a->dims[0] / groups / total;
    say(w, "regroup(%" PRIu64 ":", groups);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const uint64_t part = weights[i] * size; /* at most the rows there are */

        say(w, "%s%s%" PRIu64, i ? "," : "", is_left_out[i] ? "~" : "", part);
        if (!is_left_out[i] && part) {
            rc = add_piece(w, w->first + at * w->steps[0], 2, (uint64_t[]){groups, part},
                           (uint64_t[]){a->dims[0] / groups * w->steps[0], w->steps[0]}, "regroup");
            rows += groups * part;
        }
        at += part;
    }
    say(w, ")");
    a->dims[0] = rows;
    return rc ? rc : rows ? 0 : misfit(w, "regroup");
}

/* groups:parts:first along an axis: (groups, parts, …) becomes (parts, groups, …), behind what comes first. */
static int step_tile(struct working *w, struct scan *s, uint32_t axis, const char *name)
{
    struct arrangement *a = w->a;
    uint64_t groups, parts, first = 0, length, size, step;
    int rc;

    if (!w->is_dry && (w->is_broken || axis >= a->rank || (axis && a->rank != 2)))
        return misfit(w, name);
    rc = number(w, s, w->is_dry ? 0 : a->dims[axis], &groups);
    if (rc == 0 && !take(s, ':'))
        rc = unreadable(w, s, "a colon");
    if (rc == 0)
        rc = number(w, s, 0, &parts);
    if (rc == 0 && take(s, ':'))
        rc = number(w, s, w->is_dry ? 0 : a->dims[axis], &first);
    if (rc || w->is_dry)
        return rc;
    length = a->dims[axis];
    if (groups == 0 || parts == 0 || first >= length || (axis && first) || (length - first) % groups ||
        (length - first) / groups % parts)
        return misfit(w, name);
    size = (length - first) / groups / parts;
    step = w->steps[axis];
    say(w, "%s(%" PRIu64 ":%" PRIu64, name, groups, parts);
    if (first)
        say(w, ":%" PRIu64, first);
    say(w, ")");
    if (axis == 0) {
        rc = first ? add_piece(w, w->first, 1, &first, &step, name) : 0;
        return rc ? rc
                  : add_piece(w, w->first + first * step, 3, (uint64_t[]){parts, groups, size},
                              (uint64_t[]){size * step, parts * size * step, step}, name);
    }
    a->rank = 1; /* both axes of a matrix are in what follows */
    rc = add_piece(w, w->first, 4, (uint64_t[]){a->dims[0], parts, groups, size},
                   (uint64_t[]){w->steps[0], size * step, parts * size * step, step}, name);
    a->rank = 2;
    return rc;
}

static int step_rowmap(struct working *w, struct scan *s)
{
    uint64_t rows = 0;
    int rc;

    if (!w->is_dry && (w->is_broken || w->a->rank == 0))
        return misfit(w, "rowmap");
    say(w, "rowmap(");
    do {
        struct slice taken;

        rc = slice(w, s, w->is_dry ? 0 : w->a->dims[0], &taken);
        if (rc || w->is_dry)
            continue;
        say(w, "%s%" PRIu64 ":%" PRIu64 ":%" PRIu64, rows ? "," : "", taken.first, taken.last, taken.step);
        rc = add_piece(w, w->first + taken.first * w->steps[0], 1, (uint64_t[]){slice_count(&taken)},
                       (uint64_t[]){taken.step * w->steps[0]}, "rowmap");
        if (!checked_add(rows, slice_count(&taken), &rows))
            rc = misfit(w, "rowmap");
    } while (rc == 0 && take(s, ','));
    say(w, ")");
    if (rc == 0 && !w->is_dry)
        w->a->dims[0] = rows;
    return rc;
}

static int step_transpose(struct working *w)
{
    if (w->is_dry)
        return 0;
    if (w->is_broken || w->a->rank < 2)
        return misfit(w, "transpose");
    say(w, "transpose");
    swap_axes(w, w->a->rank - 2, w->a->rank - 1);
    return 0;
}

static int step_arithmetic(struct working *w, enum view_arithmetic arithmetic, const char *name)
{
    if (w->is_dry)
        return 0;
    if (w->a->arithmetic != VIEW_AS_IT_IS ||
        (w->dtype != DTYPE_F32 && w->dtype != DTYPE_F64 && w->dtype != DTYPE_F16 && w->dtype != DTYPE_BF16))
        return misfit(w, name);
    say(w, "%s", name);
    w->a->arithmetic = arithmetic;
    return 0;
}

static bool is_named(struct name name, const char *text)
{
    return name_equal(name, name_of(text));
}

/* A step with arguments in brackets. */
static int step_with_arguments(struct working *w, struct scan *s, struct name name)
{
    int rc;

    if (is_named(name, "rows"))
        rc = step_slice(w, s, 0, "rows");
    else if (is_named(name, "columns"))
        rc = step_slice(w, s, 1, "columns");
    else if (is_named(name, "index"))
        rc = step_index(w, s, 0, "index");
    else if (is_named(name, "index2"))
        rc = step_index(w, s, 2, "index2");
    else if (is_named(name, "heads"))
        rc = step_heads(w, s);
    else if (is_named(name, "rope_permute"))
        rc = step_rope(w, s, "rope_permute", false);
    else if (is_named(name, "rope_unpermute"))
        rc = step_rope(w, s, "rope_unpermute", true);
    else if (is_named(name, "regroup"))
        rc = step_regroup(w, s);
    else if (is_named(name, "tile"))
        rc = step_tile(w, s, 0, "tile");
    else if (is_named(name, "tile_columns"))
        rc = step_tile(w, s, 1, "tile_columns");
    else if (is_named(name, "rowmap"))
        rc = step_rowmap(w, s);
    else
        return error_set(w->err, ERROR_REQUEST, "unknown step \"%.*s(\" of a transformation",
                         (int)(name.bytes < 40 ? name.bytes : 40), name.text);
    return rc ? rc : take(s, ')') ? 0 : unreadable(w, s, "a closing bracket");
}

static int step(struct working *w, struct scan *s)
{
    struct name name = word(s);
    int rc = 0;

    if (take(s, '(')) {
        rc = step_with_arguments(w, s, name);
    } else if (is_named(name, "none")) {
        return 0;
    } else if (is_named(name, "reshape")) {
        say(w, "reshape");
        w->a->is_reshaped = true;
        return 0;
    } else if (is_named(name, "transpose")) {
        rc = step_transpose(w);
    } else if (is_named(name, "plus_one")) {
        rc = step_arithmetic(w, VIEW_PLUS_ONE, "plus_one");
    } else if (is_named(name, "neg_exp")) {
        rc = step_arithmetic(w, VIEW_NEGATIVE_EXP, "neg_exp");
    } else {
        return error_set(w->err, ERROR_REQUEST, "unknown step \"%.*s\" of a transformation",
                         (int)(name.bytes < 40 ? name.bytes : 40), name.text);
    }
    if (rc == 0) {
        const bool is_rows = w->a->is_rows && !w->a->is_moved;

        w->a->is_rows = is_rows;
        w->a->is_moved = true;
    }
    return rc;
}

static int run(struct name text, struct working *w)
{
    struct scan s = {text.text, text.text + text.bytes};
    int rc;

    do {
        if (w->used && w->a->text[w->used - 1] != '|')
            say(w, "|");
        rc = step(w, &s);
    } while (rc == 0 && take(&s, '|'));
    if (rc == 0 && s.at != s.end)
        rc = unreadable(w, &s, "\"|\" or its end");
    if (w->used && w->a->text[w->used - 1] == '|')
        w->a->text[--w->used] = '\0';
    return rc;
}

int transformation_apply(struct name text, const struct symbols *symbols, const struct tensor *source,
                         struct arrangement *ret, struct error *err)
{
    struct working w = {.a = ret, .symbols = symbols, .dtype = source->dtype, .err = err};
    uint64_t step = 1;
    int rc;

    memset(ret, 0, offsetof(struct arrangement, pieces));
    ret->rank = source->shape.rank;
    if (source->shape.rank > VIEW_RANK_MAX || source->shape.elements == 0 || dtype_traits(source->dtype)->bits % 8 ||
        dtype_traits(source->dtype)->bits == 0)
        return error_set(err, ERROR_REQUEST, "a tensor of this type or shape cannot be looked at another way");
    for (uint32_t d = source->shape.rank; d-- > 0;) {
        ret->dims[d] = source->shape.dims[d];
        w.steps[d] = step;
        step *= source->shape.dims[d]; /* the elements, checked by the model */
    }
    rc = run(text, &w);
    if (rc)
        return rc;
    if (!w.is_broken) {
        struct view_piece *piece = &ret->pieces[ret->piece_count++];

        *piece = (struct view_piece){.first = w.first, .elements = 1, .rank = ret->rank};
        for (uint32_t d = 0; d < ret->rank; d++) {
            piece->dims[d] = ret->dims[d];
            piece->steps[d] = w.steps[d];
            piece->elements *= ret->dims[d];
        }
    }
    if (ret->text[0] == '\0')
        memcpy(ret->text, "none", 5);
    return 0;
}

static uint64_t mixed(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15) ^ hash >> 29;
}

uint64_t arrangement_fingerprint(const struct arrangement *a)
{
    uint64_t hash = mixed(a->piece_count > 0, a->arithmetic), first = 0, run = 0; /* a run of neighbours so far */

    for (size_t i = 0; i < a->piece_count; i++) {
        const struct view_piece *piece = &a->pieces[i];
        uint64_t dims[VIEW_RANK_MAX], steps[VIEW_RANK_MAX];
        uint32_t rank = 0;

        for (uint32_t d = 0; d < piece->rank; d++) {
            if (piece->dims[d] == 1)
                continue;
            if (rank && steps[rank - 1] == piece->steps[d] * piece->dims[d]) { /* two axes that are one */
                dims[rank - 1] *= piece->dims[d];
                steps[rank - 1] = piece->steps[d];
            } else {
                dims[rank] = piece->dims[d];
                steps[rank++] = piece->steps[d];
            }
        }
        if (rank == 0 || (rank == 1 && steps[0] == 1)) {
            if (run && first + run == piece->first) {
                run += piece->elements;
                continue;
            }
            hash = mixed(mixed(hash, first), run);
            first = piece->first;
            run = piece->elements;
            continue;
        }
        hash = mixed(mixed(mixed(hash, first), run), piece->first);
        run = 0;
        for (uint32_t d = 0; d < rank; d++)
            hash = mixed(mixed(hash, dims[d]), steps[d]);
    }
    return mixed(mixed(hash, first), run);
}

int transformation_check(struct name text, struct error *err)
{
    struct arrangement nothing = {0};
    struct working w = {.a = &nothing, .is_dry = true, .err = err};

    return run(text, &w);
}
