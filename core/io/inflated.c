/* One inflate stream, guarded by a lock. Every few MiB, at the start of a deflate block, the place is kept with the 32
 * KiB of output before it, which is all that inflate needs to go on from there (as zlib's examples/zran.c does): 0.8 %
 * of the output at most. */
#include "core/io/inflated.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/name.h"

enum {
    KEPT_EVERY = 4 << 20, /* bytes of output */
    WINDOW_BYTES = 32768,
    INPUT_BYTES = 32768,
    SKIP_BYTES = 32768,
    RATIO_MAX = 1032, /* deflate cannot do better: 258 bytes from 2 bits */
};

struct kept_place {
    uint64_t in, out; /* bytes before it */
    int bits;         /* of the input byte before it that are not used yet */
    unsigned window_bytes;
    uint8_t *window;
};

struct inflated {
    struct source base;
    struct source *parent;
    uint64_t offset, stored_bytes;

    pthread_mutex_t lock;
    /* All below: guarded by lock. */
    z_stream stream;
    bool is_running, has_ended;
    uint64_t in, out;          /* of the stream's next bytes */
    struct kept_place *places; /* ascending */
    size_t place_count;
    uint8_t input[INPUT_BYTES];
    uint8_t skipped[SKIP_BYTES];
};

static struct inflated *inflated_of(struct source *source)
{
    return (struct inflated *)source;
}

static int damaged(const struct inflated *x, const char *what, struct error *err)
{
    char uri[NAME_PRINTABLE_BYTES];

    return error_set(err, ERROR_FORMAT,
                     "%s: the deflated bytes at offset %" PRIu64 " %s, at byte %" PRIu64 " of %" PRIu64,
                     name_printable(name_of(x->base.uri), uri), x->offset, what, x->out, x->base.size);
}

/* Nothing is lost when memory is short: reading back takes longer then. */
static void keep_place(struct inflated *x)
{
    struct kept_place place = {.in = x->in - x->stream.avail_in, .out = x->out, .bits = x->stream.data_type & 7};
    struct kept_place *grown = reallocarray(x->places, x->place_count + 1, sizeof(*grown));

    if (!grown)
        return;
    x->places = grown;
    place.window = malloc(WINDOW_BYTES);
    if (!place.window)
        return;
    if (inflateGetDictionary(&x->stream, place.window, &place.window_bytes) != Z_OK) {
        free(place.window);
        return;
    }
    grown[x->place_count++] = place;
}

static int refill(struct inflated *x, struct error *err)
{
    const uint64_t rest = x->stored_bytes - x->in;
    const size_t n = rest < INPUT_BYTES ? (size_t)rest : INPUT_BYTES;
    int rc;

    if (n == 0)
        return damaged(x, "end too early", err);
    rc = source_read_at(x->parent, x->offset + x->in, x->input, n, err);
    if (rc)
        return rc;
    x->in += n;
    x->stream.next_in = x->input;
    x->stream.avail_in = (unsigned)n;
    return 0;
}

/* The next bytes of output. */
static int inflate_next(struct inflated *x, uint8_t *out, size_t bytes, struct error *err)
{
    x->stream.next_out = out;
    x->stream.avail_out = (unsigned)bytes;
    while (x->stream.avail_out > 0) {
        const unsigned before = x->stream.avail_out;
        int rc = 0;

        if (x->stream.avail_in == 0)
            rc = refill(x, err);
        if (rc)
            return rc;
        rc = inflate(&x->stream, Z_BLOCK);
        x->out += before - x->stream.avail_out;
        x->has_ended = rc == Z_STREAM_END;
        if (x->has_ended && x->stream.avail_out > 0)
            return damaged(x, "end too early", err);
        if (rc == Z_MEM_ERROR)
            return error_set(err, ERROR_NO_MEMORY, "no memory to inflate");
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return damaged(x, "are damaged", err);
        if ((x->stream.data_type & 128) && !(x->stream.data_type & 64) &&
            x->out >= (x->place_count ? x->places[x->place_count - 1].out : 0) + KEPT_EVERY)
            keep_place(x);
    }
    return 0;
}

static void stop(struct inflated *x)
{
    if (x->is_running)
        inflateEnd(&x->stream);
    x->is_running = false;
}

/* Begins at the place, or at the start with NULL. */
static int start_at(struct inflated *x, const struct kept_place *place, struct error *err)
{
    stop(x);
    x->stream = (z_stream){0};
    if (inflateInit2(&x->stream, -MAX_WBITS) != Z_OK)
        return error_set(err, ERROR_NO_MEMORY, "no memory to inflate");
    x->is_running = true;
    x->has_ended = false;
    x->in = x->out = 0;
    if (!place)
        return 0;
    x->in = place->in;
    x->out = place->out;
    if (place->bits) {
        uint8_t byte;
        int rc = source_read_at(x->parent, x->offset + place->in - 1, &byte, 1, err);

        if (rc)
            return rc;
        inflatePrime(&x->stream, place->bits, byte >> (8 - place->bits));
    }
    inflateSetDictionary(&x->stream, place->window, place->window_bytes);
    return 0;
}

static int seek(struct inflated *x, uint64_t offset, struct error *err)
{
    const struct kept_place *place = NULL;
    int rc = 0;

    for (size_t i = x->place_count; i-- > 0 && !place;)
        if (x->places[i].out <= offset)
            place = &x->places[i];
    if (!x->is_running || offset < x->out || (place && place->out > x->out))
        rc = start_at(x, place, err);
    while (rc == 0 && x->out < offset) {
        const uint64_t rest = offset - x->out;

        rc = inflate_next(x, x->skipped, rest < SKIP_BYTES ? (size_t)rest : SKIP_BYTES, err);
    }
    return rc;
}

/* Behind its last byte the stream must end. */
static int check_end(struct inflated *x, struct error *err)
{
    uint8_t more;
    int rc = Z_OK;

    if (x->has_ended)
        return 0;
    x->stream.next_out = &more;
    x->stream.avail_out = 1;
    while (rc == Z_OK && x->stream.avail_out > 0) {
        if (x->stream.avail_in == 0 && x->in < x->stored_bytes) {
            rc = refill(x, err);
            if (rc)
                return rc;
        }
        rc = inflate(&x->stream, Z_NO_FLUSH); /* what is left may be bits that it has taken in already */
    }
    if (x->stream.avail_out == 0)
        return damaged(x, "give more than is claimed", err);
    if (rc == Z_BUF_ERROR)
        return damaged(x, "end too early", err);
    return rc == Z_STREAM_END ? 0 : damaged(x, "are damaged", err);
}

static int inflated_read_at(struct source *source, uint64_t offset, void *buf, size_t bytes, struct error *err)
{
    struct inflated *x = inflated_of(source);
    uint8_t *to = buf;
    int rc;

    if (offset > source->size || bytes > source->size - offset)
        return error_set(err, ERROR_FORMAT, "%zu bytes at offset %" PRIu64 " lie beyond the end of a member, %" PRIu64,
                         bytes, offset, source->size);
    if (bytes == 0)
        return 0;
    if (pthread_mutex_lock(&x->lock))
        abort();
    rc = seek(x, offset, err);
    while (rc == 0 && bytes > 0) {
        const size_t n = bytes < (1u << 30) ? bytes : 1u << 30;

        rc = inflate_next(x, to, n, err);
        to += n;
        bytes -= n;
    }
    if (rc == 0 && x->out == source->size)
        rc = check_end(x, err);
    if (rc || x->out == source->size)
        stop(x); /* where a failed read left it is nowhere to go on from */
    if (pthread_mutex_unlock(&x->lock))
        abort();
    return rc;
}

static int inflated_check(struct source *source, struct error *err)
{
    (void)source; /* the parent is asked itself */
    (void)err;
    return 0;
}

static void inflated_close(struct source *source)
{
    struct inflated *x = inflated_of(source);

    stop(x);
    for (size_t i = 0; i < x->place_count; i++)
        free(x->places[i].window);
    free(x->places);
    pthread_mutex_destroy(&x->lock);
    free(source->uri);
    free(x);
}

int inflated_open(struct source *parent, uint64_t offset, uint64_t stored_bytes, uint64_t bytes,
                  struct source **ret_source, struct error *err)
{
    static const struct source_ops ops = {
        .name = "inflated", .read_at = inflated_read_at, .check = inflated_check, .close = inflated_close};
    struct inflated *x;

    if (offset > parent->size || stored_bytes > parent->size - offset)
        return error_set(err, ERROR_FORMAT,
                         "%" PRIu64 " deflated bytes at offset %" PRIu64 " lie beyond the end, %" PRIu64, stored_bytes,
                         offset, parent->size);
    if (bytes / RATIO_MAX > stored_bytes)
        return error_set(err, ERROR_FORMAT,
                         "%" PRIu64 " deflated bytes at offset %" PRIu64 " claim to give %" PRIu64
                         ", more than they can",
                         stored_bytes, offset, bytes);
    x = calloc(1, sizeof(*x));
    if (!x)
        return error_set(err, ERROR_NO_MEMORY, "no memory to inflate");
    x->base = (struct source){.ops = &ops, .uri = strdup(parent->uri), .size = bytes, .identity = parent->identity};
    x->parent = parent;
    x->offset = offset;
    x->stored_bytes = stored_bytes;
    if (!x->base.uri || pthread_mutex_init(&x->lock, NULL)) {
        free(x->base.uri);
        free(x);
        return error_set(err, ERROR_NO_MEMORY, "no memory to inflate");
    }
    *ret_source = &x->base;
    return 0;
}
