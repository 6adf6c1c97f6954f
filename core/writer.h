/* Where findings go. Analyses write figures through this and know no representation; renderers implement it.
 * Failures (a full disk) are kept by the implementation and reported once at the end, so no call here returns one. */
#ifndef CORE_WRITER_H
#define CORE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/name.h"

enum writer_scope { WRITER_OBJECT, WRITER_ARRAY };

struct writer;

struct writer_ops {
    void (*begin)(struct writer *, enum writer_scope);
    void (*end)(struct writer *);
    void (*key)(struct writer *, const char *key, size_t bytes); /* borrowed until its value was written */
    void (*f64)(struct writer *, double value);                  /* finite */
    void (*u64)(struct writer *, uint64_t value);
    void (*i64)(struct writer *, int64_t value);
    void (*text)(struct writer *, const char *text, size_t bytes);
    void (*flag)(struct writer *, bool value);
    void (*null)(struct writer *, const char *reason); /* reason NULL: absent by nature; else told beside the field */
};

struct writer {
    const struct writer_ops *ops;
};

static inline void write_begin_object(struct writer *w)
{
    w->ops->begin(w, WRITER_OBJECT);
}
static inline void write_begin_array(struct writer *w)
{
    w->ops->begin(w, WRITER_ARRAY);
}
static inline void write_end(struct writer *w)
{
    w->ops->end(w);
}
void write_key(struct writer *w, const char *key);
void write_name(struct writer *w, struct name name);

/* key: value in an object. A figure that is not finite is written as null with the reason. */
void write_object(struct writer *w, const char *key);
void write_array(struct writer *w, const char *key);
void write_figure(struct writer *w, const char *key, double value, const char *reason);
/* Writes count figures as an array's items, null where one is not finite; whether there was such a one. */
bool write_row(struct writer *w, const double *values, size_t count);
void write_u64(struct writer *w, const char *key, uint64_t value);
void write_i64(struct writer *w, const char *key, int64_t value);
void write_text(struct writer *w, const char *key, const char *text);
void write_named(struct writer *w, const char *key, struct name text);
void write_flag(struct writer *w, const char *key, bool value);
void write_null(struct writer *w, const char *key, const char *reason);

#endif
