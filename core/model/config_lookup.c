/* Values by their path of keys. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/config_values.h"

static const struct value *member(const struct config *config, const struct value *object, struct name key)
{
    uint32_t low = 0, high = object->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = name_compare_natural(config_child(config, object, middle)->key, key);

        if (order == 0)
            return config_child(config, object, middle);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool config_read_u64(struct name text, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < text.bytes; i++) {
        unsigned digit = (unsigned char)text.text[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    if (text.bytes == 0)
        return false;
    *ret_value = value;
    return true;
}

static const struct value *find(const struct config *config, const char *path)
{
    const struct value *value = config ? &config->values[0] : NULL;

    while (value && *path) {
        const bool is_quoted = *path == '"';
        struct name key = {path + is_quoted, (uint32_t)strcspn(path + is_quoted, is_quoted ? "\"" : ".")};
        uint64_t at;

        path = key.text + key.bytes;
        path += is_quoted && *path == '"';
        path += *path == '.';
        if (value->kind == KIND_OBJECT)
            value = member(config, value, key);
        else if (value->kind == KIND_ARRAY && config_read_u64(key, &at) && at < value->count)
            value = config_child(config, value, (uint32_t)at);
        else
            value = NULL;
    }
    return value;
}

bool config_u64(const struct config *config, const char *path, uint64_t *ret_value)
{
    const struct value *value = find(config, path);

    return value && value->kind == KIND_NUMBER && config_read_u64(value->text, ret_value);
}

bool config_flag(const struct config *config, const char *path, bool *ret_value)
{
    const struct value *value = find(config, path);

    if (!value || value->kind != KIND_FLAG)
        return false;
    *ret_value = value->text.text[0] == 't';
    return true;
}

bool config_text(const struct config *config, const char *path, struct name *ret_text)
{
    const struct value *value = find(config, path);

    if (!value || value->kind != KIND_TEXT)
        return false;
    *ret_text = value->text;
    return true;
}

double config_read_f64(struct name number)
{
    char copy[512]; /* more digits than that decide nothing */
    uint32_t bytes = number.bytes < sizeof(copy) ? number.bytes : 0;

    memcpy(copy, number.text, bytes);
    copy[bytes] = '\0';
    return bytes ? strtod(copy, NULL) : NAN;
}

bool config_number(const struct config *config, const char *path, double *ret_value)
{
    const struct value *value = find(config, path);

    if (!value || value->kind != KIND_NUMBER)
        return false;
    *ret_value = config_read_f64(value->text);
    return isfinite(*ret_value);
}

size_t config_length(const struct config *config, const char *path)
{
    const struct value *value = find(config, path);

    return value && value->kind == KIND_ARRAY ? value->count : 0;
}

size_t config_count(const struct config *config, const char *path)
{
    const struct value *value = find(config, path);

    return value && value->kind == KIND_OBJECT ? value->count : 0;
}

bool config_key(const struct config *config, const char *path, size_t at, struct name *ret_key)
{
    const struct value *object = find(config, path);

    if (!object || object->kind != KIND_OBJECT || at >= object->count)
        return false;
    *ret_key = config_child(config, object, (uint32_t)at)->key;
    return true;
}

bool config_member_number(const struct config *config, const char *path, size_t at, struct name *ret_key,
                          double *ret_value)
{
    const struct value *object = find(config, path), *member;

    if (!object || object->kind != KIND_OBJECT || at >= object->count)
        return false;
    member = &config->values[config->children[object->first + at]];
    if (member->kind != KIND_NUMBER)
        return false;
    *ret_key = member->key;
    *ret_value = config_read_f64(member->text);
    return isfinite(*ret_value);
}
