/* The opcodes that push one value written out in the pickle. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/pickle_machine.h"

enum { LINE_BYTES_MAX = 1 << 20 };

bool machine_need(struct machine *m, uint64_t count, const uint8_t **ret)
{
    if (count > m->count - m->at)
        return machine_fault(m, ERROR_FORMAT, "ends within an opcode");
    *ret = m->bytes + m->at;
    m->at += (size_t)count;
    return true;
}

bool machine_number(struct machine *m, unsigned bytes, uint64_t *ret)
{
    const uint8_t *from;
    uint64_t value = 0;

    if (!machine_need(m, bytes, &from))
        return false;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | from[i];
    *ret = value;
    return true;
}

/* Text up to the end of the line, which goes. */
bool machine_line(struct machine *m, struct name *ret)
{
    const uint8_t *from = m->bytes + m->at, *end = memchr(from, '\n', m->count - m->at);

    if (!end)
        return machine_fault(m, ERROR_FORMAT, "ends within a line");
    if (end - from > LINE_BYTES_MAX)
        return machine_fault(m, ERROR_LIMIT, "has a line beyond the limit");
    *ret = (struct name){(const char *)from, (uint32_t)(end - from)};
    m->at += (size_t)(end - from) + 1;
    return true;
}

struct node *machine_text_node(struct machine *m, enum node_kind kind, struct name text)
{
    struct node *node = machine_new_node(m, kind);

    if (node)
        node->text = text;
    return node;
}

bool machine_push_text(struct machine *m, enum node_kind kind, unsigned length_bytes)
{
    const uint8_t *from;
    uint64_t length;

    if (!machine_number(m, length_bytes, &length) || !machine_need(m, length, &from))
        return false;
    if (length > UINT32_MAX)
        return machine_fault(m, ERROR_LIMIT, "has a string beyond 4 GB");
    return machine_push_new(m, machine_text_node(m, kind, (struct name){(const char *)from, (uint32_t)length}));
}

bool machine_push_int(struct machine *m, int64_t value)
{
    struct node *node = machine_new_node(m, NODE_INT);

    if (node)
        node->integer = value;
    return machine_push_new(m, node);
}

/* Little-endian two's complement. */
bool machine_push_long(struct machine *m, unsigned length_bytes)
{
    const uint8_t *from;
    uint64_t length, value;

    if (!machine_number(m, length_bytes, &length))
        return false;
    if (length_bytes == 4 && length > INT32_MAX)
        return machine_fault(m, ERROR_FORMAT, "has an int of negative length");
    if (!machine_need(m, length, &from))
        return false;
    if (length > 8)
        return machine_push_new(m, machine_text_node(m, NODE_BIG, (struct name){(const char *)from, (uint32_t)length}));
    value = length && from[length - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = (size_t)length; i-- > 0;)
        value = value << 8 | from[i];
    return machine_push_int(m, (int64_t)value);
}

static bool push_real(struct machine *m, double value)
{
    struct node *node = machine_new_node(m, NODE_FLOAT);

    if (node)
        node->real = value;
    return machine_push_new(m, node);
}

/* Protocol 0: "123\n", "123L\n", and bools as "00" and "01". */
bool machine_push_decimal(struct machine *m)
{
    char digits[32], *end;
    struct name text;
    long long value;

    if (!machine_line(m, &text))
        return false;
    if (text.bytes == 2 && text.text[0] == '0' && (text.text[1] == '0' || text.text[1] == '1'))
        return machine_push(m, text.text[1] == '1' ? &m->yes : &m->no);
    if (text.bytes > 0 && text.text[text.bytes - 1] == 'L')
        text.bytes--;
    if (text.bytes == 0)
        return machine_fault(m, ERROR_FORMAT, "has an int without digits");
    if (text.bytes > 20) /* of no use for a shape or a count */
        return machine_push_new(m, machine_text_node(m, NODE_BIG, text));
    memcpy(digits, text.text, text.bytes);
    digits[text.bytes] = '\0';
    errno = 0;
    value = strtoll(digits, &end, 10);
    if (*end)
        return machine_fault(m, ERROR_FORMAT, "has an int that is none");
    return errno ? machine_push_new(m, machine_text_node(m, NODE_BIG, text)) : machine_push_int(m, value);
}

bool machine_push_decimal_real(struct machine *m)
{
    char digits[64], *end;
    struct name text;
    double value;

    if (!machine_line(m, &text))
        return false;
    if (text.bytes == 0 || text.bytes >= sizeof(digits))
        return machine_fault(m, ERROR_FORMAT, "has a float that is none");
    memcpy(digits, text.text, text.bytes);
    digits[text.bytes] = '\0';
    value = strtod(digits, &end);
    return *end ? machine_fault(m, ERROR_FORMAT, "has a float that is none") : push_real(m, value);
}

/* Protocol 0's 'quoted' strings: escapes are left as they are, but for those of quotes and backslashes. */
bool machine_push_quoted(struct machine *m)
{
    struct name text;
    char *copy;
    uint32_t used = 0;

    if (!machine_line(m, &text))
        return false;
    if (text.bytes < 2 || text.text[0] != text.text[text.bytes - 1] || (text.text[0] != '\'' && text.text[0] != '"'))
        return machine_fault(m, ERROR_FORMAT, "has a string without quotes");
    copy = arena_copy(m->arena, text.text + 1, text.bytes - 2);
    if (!copy)
        return machine_no_memory(m);
    for (uint32_t i = 1; i + 1 < text.bytes; i++) {
        if (text.text[i] == '\\' && i + 2 < text.bytes && strchr("\\'\"", text.text[i + 1]))
            i++;
        copy[used++] = text.text[i];
    }
    return machine_push_new(m, machine_text_node(m, NODE_TEXT, (struct name){copy, used}));
}

bool machine_push_unicode_line(struct machine *m)
{
    struct name text;

    return machine_line(m, &text) && machine_push_new(m, machine_text_node(m, NODE_TEXT, text));
}

bool machine_push_binary_real(struct machine *m)
{
    const uint8_t *from;
    uint64_t bits = 0;
    double value;

    if (!machine_need(m, 8, &from))
        return false;
    for (int i = 0; i < 8; i++) /* big-endian, alone among the opcodes */
        bits = bits << 8 | from[i];
    memcpy(&value, &bits, sizeof(value));
    return push_real(m, value);
}
