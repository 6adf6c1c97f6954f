#include "core/writer.h"

#include <math.h>
#include <string.h>

void write_key(struct writer *w, const char *key)
{
    w->ops->key(w, key, strlen(key));
}

void write_name(struct writer *w, struct name name)
{
    w->ops->text(w, name.text, name.bytes);
}

void write_object(struct writer *w, const char *key)
{
    write_key(w, key);
    write_begin_object(w);
}

void write_array(struct writer *w, const char *key)
{
    write_key(w, key);
    write_begin_array(w);
}

void write_figure(struct writer *w, const char *key, double value, const char *reason)
{
    write_key(w, key);
    if (isfinite(value))
        w->ops->f64(w, value);
    else
        w->ops->null(w, reason);
}

bool write_row(struct writer *w, const double *values, size_t count)
{
    bool has_null = false;

    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]))
            w->ops->f64(w, values[i]);
        else
            w->ops->null(w, NULL);
        has_null = has_null || !isfinite(values[i]);
    }
    return has_null;
}

void write_u64(struct writer *w, const char *key, uint64_t value)
{
    write_key(w, key);
    w->ops->u64(w, value);
}

void write_i64(struct writer *w, const char *key, int64_t value)
{
    write_key(w, key);
    w->ops->i64(w, value);
}

void write_text(struct writer *w, const char *key, const char *text)
{
    write_key(w, key);
    w->ops->text(w, text, strlen(text));
}

void write_named(struct writer *w, const char *key, struct name text)
{
    write_key(w, key);
    write_name(w, text);
}

void write_flag(struct writer *w, const char *key, bool value)
{
    write_key(w, key);
    w->ops->flag(w, value);
}

void write_null(struct writer *w, const char *key, const char *reason)
{
    write_key(w, key);
    w->ops->null(w, reason);
}
