#include "api/render/lines_parts.h"

#include <stdio.h>
#include <string.h>

enum { ITEMS_SHOWN = 12 };

bool lines_word(const char **spec, char *out, size_t size)
{
    size_t bytes;

    *spec += strspn(*spec, " ");
    bytes = strcspn(*spec, " ");
    if (bytes == 0)
        return false;
    snprintf(out, size, "%.*s", (int)bytes, *spec);
    *spec += bytes;
    return true;
}

void lines_blanks(char *text)
{
    for (; *text; text++)
        if (*text == '_')
            *text = ' ';
}

void lines_append(char *out, size_t size, const char *text)
{
    static const char ellipsis[] = "…";
    size_t used = strlen(out), bytes = strlen(text), room = size - used - sizeof(ellipsis);

    if (used + sizeof(ellipsis) > size)
        return;
    if (bytes <= room) {
        memcpy(out + used, text, bytes + 1);
        return;
    }
    while (room > 0 && ((unsigned char)text[room] & 0xc0) == 0x80)
        room--;
    memcpy(out + used, text, room);
    memcpy(out + used + room, ellipsis, sizeof(ellipsis));
}

void lines_append_item(char *out, size_t size, uint64_t item, const char *text)
{
    if (item > ITEMS_SHOWN)
        return;
    if (item > 0)
        lines_append(out, size, ", ");
    lines_append(out, size, item < ITEMS_SHOWN ? text : "…");
}

const char *lines_shown(const struct plain_value *value)
{
    return value->kind == VALUE_NULL ? "–" : value->text;
}
