/* Header fields of submissions and uploads: whatever the bytes, what is read lies within the field and its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/structured.h"
#include "api/submission_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_item(const char *field, size_t bytes, const struct structured_item *item)
{
    if (item->kind == STRUCTURED_STRING || item->kind == STRUCTURED_BYTES)
        if (item->text < field || item->text + item->bytes > field + bytes)
            abort();
    if (item->kind == STRUCTURED_INTEGER && (item->integer > 999999999999999 || item->integer < -999999999999999))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *field = malloc(size + 1), key[KEY_BYTES_MAX + 1], hex[SHA256_HEX_BYTES];
    struct structured_member member;
    struct structured_item item;
    const char *at = field;
    bool has = true;

    if (!field)
        return 0;
    memcpy(field, data, size);
    field[size] = '\0';
    if (structured_item(field, &item))
        check_item(field, size, &item);
    while (has && structured_member(&at, &member, &has))
        if (has)
            check_item(field, size, &member.item);
    if (submission_key_read(field, key) && (strlen(key) == 0 || strlen(key) > KEY_BYTES_MAX))
        abort();
    if (digest_read(field, NULL, hex) && strlen(hex) != 0 && strlen(hex) != 64)
        abort();
    free(field);
    return 0;
}
