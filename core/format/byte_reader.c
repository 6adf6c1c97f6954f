#include "core/format/byte_reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 1 << 16 };

int byte_reader_open(struct byte_reader *reader, struct source *source, uint64_t at, uint64_t limit, struct error *err)
{
    *reader = (struct byte_reader){.source = source, .at = at, .limit = limit, .err = err};
    if (reader->limit > source->size)
        reader->limit = source->size;
    reader->buffer = malloc(BUFFER_BYTES);
    return reader->buffer ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory for a header");
}

void byte_reader_done(struct byte_reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

uint64_t byte_reader_rest(const struct byte_reader *reader)
{
    return reader->at < reader->limit ? reader->limit - reader->at : 0;
}

bool byte_reader_fault(struct byte_reader *reader, int code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list args;

    if (reader->rc)
        return false;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    reader->rc = error_set(reader->err, (enum error_code)code, "%s", text);
    return false;
}

static bool check_room(struct byte_reader *reader, uint64_t count, const char *what)
{
    if (reader->rc)
        return false;
    if (count <= byte_reader_rest(reader))
        return true;
    if (reader->limit < reader->source->size)
        return byte_reader_fault(reader, ERROR_LIMIT,
                                 "its header reaches beyond %" PRIu64 " bytes, the limit (%s at offset %" PRIu64 ")",
                                 reader->limit, what, reader->at);
    return byte_reader_fault(reader, ERROR_FORMAT,
                             "%s at offset %" PRIu64 " needs %" PRIu64 " bytes, the file ends at %" PRIu64, what,
                             reader->at, count, reader->source->size);
}

static bool fill(struct byte_reader *reader)
{
    const uint64_t rest = byte_reader_rest(reader);

    reader->buffered = rest < BUFFER_BYTES ? (size_t)rest : BUFFER_BYTES;
    reader->buffered_at = reader->at;
    reader->rc = source_read_at(reader->source, reader->at, reader->buffer, reader->buffered, reader->err);
    return reader->rc == 0;
}

bool byte_reader_bytes(struct byte_reader *reader, void *out, size_t count, const char *what)
{
    uint8_t *to = out;

    if (!check_room(reader, count, what))
        return false;
    while (count > 0) {
        size_t from, n;

        if (reader->at < reader->buffered_at || reader->at - reader->buffered_at >= reader->buffered)
            if (!fill(reader))
                return false;
        from = (size_t)(reader->at - reader->buffered_at);
        n = reader->buffered - from < count ? reader->buffered - from : count;
        memcpy(to, reader->buffer + from, n);
        to += n;
        count -= n;
        reader->at += n;
    }
    return true;
}

bool byte_reader_skip(struct byte_reader *reader, uint64_t count, const char *what)
{
    if (!check_room(reader, count, what))
        return false;
    reader->at += count;
    return true;
}

bool byte_reader_number(struct byte_reader *reader, unsigned bytes, uint64_t *ret_value, const char *what)
{
    uint8_t stored[8] = {0};
    uint64_t value = 0;

    if (!byte_reader_bytes(reader, stored, bytes, what))
        return false;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | stored[reader->is_swapped ? i : bytes - 1 - i];
    *ret_value = value;
    return true;
}
