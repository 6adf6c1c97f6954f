#include "core/format/flatbuffer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool flat_fault(struct flat *flat, int code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list args;

    if (flat->rc)
        return false;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    flat->rc = error_set(flat->err, (enum error_code)code, "%s", text);
    return false;
}

/* The page that holds a byte, read if it is not at hand. */
static unsigned page_of(struct flat *flat, uint64_t at)
{
    const uint64_t first = at - at % FLAT_PAGE_BYTES, rest = flat->source->size - first;

    for (unsigned i = 0; i < FLAT_PAGES; i++)
        if (flat->pages[i].bytes && flat->pages[i].at == first)
            return i;
    flat->turn = (flat->turn + 1) % FLAT_PAGES;
    flat->pages[flat->turn].at = first;
    flat->pages[flat->turn].bytes = rest < FLAT_PAGE_BYTES ? (size_t)rest : FLAT_PAGE_BYTES;
    flat->rc =
        source_read_at(flat->source, first, flat->pages[flat->turn].data, flat->pages[flat->turn].bytes, flat->err);
    if (flat->rc)
        flat->pages[flat->turn].bytes = 0;
    return flat->turn;
}

uint64_t flat_number(struct flat *flat, uint64_t at, unsigned count)
{
    uint64_t value = 0;

    if (at > flat->source->size || count > flat->source->size - at)
        flat_fault(flat, ERROR_FORMAT, "%u bytes at offset %" PRIu64 " are claimed, the file ends at %" PRIu64, count,
                   at, flat->source->size);
    for (unsigned i = 0; i < count && flat->rc == 0; i++) {
        const unsigned page = page_of(flat, at + i);

        if (flat->rc == 0)
            value |= (uint64_t)flat->pages[page].data[(at + i) % FLAT_PAGE_BYTES] << 8 * i;
    }
    return flat->rc ? 0 : value;
}

/* Where the offset at a place leads: always forward. */
static uint64_t follow(struct flat *flat, uint64_t at)
{
    if (++flat->followed > flat->followed_max)
        flat_fault(flat, ERROR_LIMIT, "its tables lead to one another more than %" PRIu64 " times", flat->followed_max);
    return at + flat_number(flat, at, 4);
}

static bool open_table(struct flat *flat, uint64_t at, struct flat_table *ret)
{
    const int64_t back = (int32_t)flat_number(flat, at, 4);
    const int64_t fields = (int64_t)at - back;
    uint64_t bytes;

    if (flat->rc)
        return false;
    if (fields < 0)
        return flat_fault(flat, ERROR_FORMAT, "the table at offset %" PRIu64 " has its fields nowhere", at);
    bytes = flat_number(flat, (uint64_t)fields, 2);
    if (flat->rc)
        return false;
    if (bytes < 4 || bytes % 2)
        return flat_fault(flat, ERROR_FORMAT, "the table at offset %" PRIu64 " claims %" PRIu64 " bytes of fields", at,
                          bytes);
    *ret = (struct flat_table){.at = at, .fields = (uint64_t)fields + 4, .field_count = (unsigned)(bytes - 4) / 2};
    return true;
}

bool flat_root(struct flat *flat, struct flat_table *ret)
{
    const uint64_t at = follow(flat, 0);

    return flat->rc == 0 && open_table(flat, at, ret);
}

uint64_t flat_field(struct flat *flat, const struct flat_table *table, unsigned number)
{
    const uint64_t offset =
        number < table->field_count ? flat_number(flat, table->fields + 2 * (uint64_t)number, 2) : 0;

    return offset && flat->rc == 0 ? table->at + offset : 0;
}

uint64_t flat_scalar(struct flat *flat, const struct flat_table *table, unsigned number, unsigned bytes,
                     uint64_t otherwise)
{
    const uint64_t at = flat_field(flat, table, number);

    return at ? flat_number(flat, at, bytes) : otherwise;
}

bool flat_inner(struct flat *flat, const struct flat_table *table, unsigned number, struct flat_table *ret)
{
    const uint64_t field = flat_field(flat, table, number), at = field ? follow(flat, field) : 0;

    return field && flat->rc == 0 && open_table(flat, at, ret);
}

bool flat_vector(struct flat *flat, const struct flat_table *table, unsigned number, unsigned element_bytes,
                 struct flat_vector *ret)
{
    const uint64_t field = flat_field(flat, table, number), at = field ? follow(flat, field) : 0;
    uint64_t count;

    *ret = (struct flat_vector){0};
    if (!field)
        return flat->rc == 0;
    count = flat_number(flat, at, 4);
    if (flat->rc)
        return false;
    if (count > (flat->source->size - at - 4) / element_bytes)
        return flat_fault(flat, ERROR_FORMAT,
                          "the vector at offset %" PRIu64 " claims %" PRIu64 " elements of %u bytes, the file ends at "
                          "%" PRIu64,
                          at, count, element_bytes, flat->source->size);
    *ret = (struct flat_vector){at + 4, count};
    return true;
}

bool flat_element(struct flat *flat, const struct flat_vector *vector, uint64_t index, struct flat_table *ret)
{
    const uint64_t at = follow(flat, vector->at + 4 * index);

    return flat->rc == 0 && open_table(flat, at, ret);
}

bool flat_text(struct flat *flat, const struct flat_table *table, unsigned number, uint64_t most, struct arena *arena,
               struct name *ret)
{
    struct flat_vector vector;
    char *text;

    if (!flat_vector(flat, table, number, 1, &vector))
        return false;
    if (vector.count > most)
        return flat_fault(flat, ERROR_LIMIT,
                          "a text at offset %" PRIu64 " has %" PRIu64 " bytes, the limit is %" PRIu64, vector.at,
                          vector.count, most);
    text = arena_take(arena, vector.count + 1);
    if (!text)
        return flat_fault(flat, arena_error(arena), "its texts %s", arena_error_text(arena));
    if (vector.count)
        flat->rc = source_read_at(flat->source, vector.at, text, vector.count, flat->err);
    *ret = (struct name){text, (uint32_t)vector.count};
    return flat->rc == 0;
}
