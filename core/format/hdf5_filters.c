/* The filters that a chunk went through, undone in the reverse order: deflate, shuffle, Fletcher's checksum, LZF. */
#include "core/format/hdf5_filters.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/error.h"

enum {
    FILTER_DEFLATE = 1,
    FILTER_SHUFFLE = 2,
    FILTER_FLETCHER = 3,
    FILTER_LZF = 32000,
    CHECKSUM_BYTES = 4,
    SLACK = 64
};

static const struct {
    unsigned id;
    const char *reason;
} not_undone[] = {
    {4, "its filter szip is not undone here"},           {5, "its filter n-bit is not undone here"},
    {6, "its filter scale-offset is not undone here"},   {307, "its filter bzip2 is not undone here"},
    {32001, "its filter Blosc is not undone here"},      {32004, "its filter LZ4 is not undone here"},
    {32008, "its filter bitshuffle is not undone here"}, {32013, "its filter ZFP is not undone here"},
    {32015, "its filter Zstandard is not undone here"},  {32026, "its filter Blosc2 is not undone here"},
};

const char *hdf5_filters_reason(const struct hdf5_filter *filters, unsigned count)
{
    unsigned deflated = 0;

    for (unsigned i = 0; i < count; i++) {
        const unsigned id = filters[i].id;

        deflated += id == FILTER_DEFLATE || id == FILTER_LZF;
        if (id == FILTER_DEFLATE || id == FILTER_SHUFFLE || id == FILTER_FLETCHER || id == FILTER_LZF)
            continue;
        for (size_t n = 0; n < sizeof(not_undone) / sizeof(not_undone[0]); n++)
            if (not_undone[n].id == id)
                return not_undone[n].reason;
        return "it went through a filter that is not known here";
    }
    return deflated > 1 ? "it is compressed more than once" : NULL;
}

struct buffer {
    const uint8_t *from;
    uint64_t bytes;
    uint8_t *to;
    uint64_t room; /* of to */
};

/* Each gives how many bytes are in to, or what is wrong. */
static uint64_t undo_deflate(const struct buffer *buffer, const char **fault)
{
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)buffer->from,
                       .avail_in = (unsigned)buffer->bytes,
                       .next_out = buffer->to,
                       .avail_out = (unsigned)buffer->room};
    int rc = inflateInit(&stream);

    if (rc == Z_OK) {
        rc = inflate(&stream, Z_FINISH);
        inflateEnd(&stream);
    }
    if (rc != Z_STREAM_END)
        *fault = rc == Z_MEM_ERROR                            ? "needs more memory than there is"
                 : rc == Z_BUF_ERROR && stream.avail_out == 0 ? "inflates to more than its elements need"
                 : rc == Z_BUF_ERROR                          ? "ends before its deflated bytes do"
                                                              : "has damaged deflated bytes";
    return buffer->room - stream.avail_out;
}

static uint64_t undo_shuffle(const struct buffer *buffer, uint64_t element, const char **fault)
{
    const uint64_t count = element ? buffer->bytes / element : 0;

    (void)fault;
    if (element <= 1 || count <= 1) {
        memcpy(buffer->to, buffer->from, buffer->bytes);
        return buffer->bytes;
    }
    for (uint64_t byte = 0; byte < element; byte++) {
        const uint8_t *from = buffer->from + byte * count;

        for (uint64_t i = 0; i < count; i++)
            buffer->to[i * element + byte] = from[i];
    }
    memcpy(buffer->to + count * element, buffer->from + count * element, buffer->bytes - count * element);
    return buffer->bytes;
}

/* Of 16-bit words, the high byte first. */
static uint32_t fletcher(const uint8_t *data, uint64_t bytes)
{
    uint32_t one = 0, two = 0;

    for (uint64_t i = 0; i < bytes; i += 2) {
        const uint32_t word = (uint32_t)data[i] << 8 | (i + 1 < bytes ? data[i + 1] : 0);

        one = (one + word) % 65535;
        two = (two + one) % 65535;
    }
    return two << 16 | one;
}

/* Sums that differ by the modulus are the same, and an old fault of the library turned words round. */
static bool is_sum(uint32_t stored, uint32_t sum)
{
    const uint32_t turned = (stored & 0x00ff00ff) << 8 | (stored >> 8 & 0x00ff00ff);

    return ((stored & 0xffff) % 65535 == (sum & 0xffff) && (stored >> 16) % 65535 == sum >> 16) ||
           ((turned & 0xffff) % 65535 == (sum & 0xffff) && (turned >> 16) % 65535 == sum >> 16);
}

static uint64_t undo_fletcher(const struct buffer *buffer, const char **fault)
{
    uint64_t bytes;
    uint32_t stored;

    if (buffer->bytes < CHECKSUM_BYTES) {
        *fault = "is shorter than its checksum";
        return 0;
    }
    bytes = buffer->bytes - CHECKSUM_BYTES;
    stored = (uint32_t)buffer->from[bytes] | (uint32_t)buffer->from[bytes + 1] << 8 |
             (uint32_t)buffer->from[bytes + 2] << 16 | (uint32_t)buffer->from[bytes + 3] << 24;
    if (!is_sum(stored, fletcher(buffer->from, bytes)))
        *fault = "does not have the checksum that it claims";
    memcpy(buffer->to, buffer->from, bytes);
    return bytes;
}

/* Literal runs (000LLLLL: L + 1 bytes) and copies from before (LLLooooo [L] oooooooo: L + 2 bytes, o + 1 back). */
static uint64_t undo_lzf(const struct buffer *buffer, const char **fault)
{
    const uint8_t *from = buffer->from;
    uint64_t in = 0, out = 0;

    *fault = "has damaged LZF bytes";
    while (in < buffer->bytes) {
        const unsigned control = from[in++];
        uint64_t count = control < 32 ? control + 1 : control >> 5, back;

        if (control < 32) {
            if (count > buffer->bytes - in || count > buffer->room - out)
                return 0;
            memcpy(buffer->to + out, from + in, count);
            in += count;
            out += count;
            continue;
        }
        if (count == 7) {
            if (in == buffer->bytes)
                return 0;
            count += from[in++];
        }
        count += 2;
        if (in == buffer->bytes)
            return 0;
        back = ((uint64_t)(control & 31) << 8 | from[in++]) + 1;
        if (back > out || count > buffer->room - out)
            return 0;
        for (uint64_t i = 0; i < count; i++, out++)
            buffer->to[out] = buffer->to[out - back];
    }
    *fault = NULL;
    return out;
}

static uint64_t undo(const struct hdf5_filter *filter, const struct buffer *buffer, const char **fault)
{
    switch (filter->id) {
    case FILTER_DEFLATE:
        return undo_deflate(buffer, fault);
    case FILTER_SHUFFLE:
        return undo_shuffle(buffer, filter->parameter, fault);
    case FILTER_FLETCHER:
        return undo_fletcher(buffer, fault);
    default:
        return undo_lzf(buffer, fault);
    }
}

int hdf5_unfilter(const struct hdf5_filter *filters, unsigned count, uint32_t mask, uint64_t chunk_bytes,
                  uint8_t **data, uint64_t *bytes, const char **ret_fault)
{
    const char *fault = NULL;

    for (unsigned i = count; i-- > 0 && !fault;) {
        struct buffer buffer = {.from = *data, .bytes = *bytes};

        if (mask & UINT32_C(1) << i)
            continue;
        buffer.room = (chunk_bytes > *bytes ? chunk_bytes : *bytes) + SLACK;
        buffer.to = malloc((size_t)buffer.room);
        if (!buffer.to)
            return ERROR_NO_MEMORY;
        *bytes = undo(&filters[i], &buffer, &fault);
        free(*data);
        *data = buffer.to;
    }
    if (!fault && *bytes != chunk_bytes)
        fault = "does not give as many bytes as its elements need";
    *ret_fault = fault;
    return fault ? ERROR_FORMAT : 0;
}
