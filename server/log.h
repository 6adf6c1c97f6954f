/* The program's log: one line an event on standard error, JSON for machines, plain text on a terminal. Control bytes
 * and marks that move a cursor never reach either. Lines of threads do not mix, and come in their order. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdint.h>

enum log_format { LOG_AUTO, LOG_JSON, LOG_TEXT }; /* auto: text when standard error is a terminal */
enum log_level { LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR };

enum log_kind { LOG_FIELD_TEXT, LOG_FIELD_U64, LOG_FIELD_I64, LOG_FIELD_SECONDS };

struct log_field {
    const char *key;
    enum log_kind kind;
    const char *text; /* NULL: the field is left out */
    union {
        uint64_t u64;
        int64_t i64;
        double seconds;
    };
};

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_TEXT, .text = text};
}
static inline struct log_field log_u64(const char *key, uint64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_U64, .u64 = value};
}
static inline struct log_field log_i64(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_I64, .i64 = value};
}
static inline struct log_field log_seconds(const char *key, double value)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_SECONDS, .seconds = value};
}

/* Before threads start. Until then lines are as LOG_AUTO has them. */
void log_start(enum log_format format);

/* event is a fixed phrase ("job started"); what varies goes into fields. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, unsigned count);

/* The same for lines that come by the thousand a second, where a write each would cost a tenth of what they tell of:
 * between start and stop they are gathered and written a hundredth of a second later, or before the next line of
 * log_write. */
void log_write_soon(enum log_level level, const char *event, const struct log_field *fields, unsigned count);
void log_gather_start(void);
void log_gather_stop(void); /* writes what is gathered; no other thread logs any more */

#define LOG_LINE(level, event, ...)                                                                                    \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__},                                                   \
              (unsigned)(sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)))

/* The line as it would be written, with its newline; cut to size, always terminated. Returns its length. */
unsigned log_render(enum log_format format, int64_t wall_ms, enum log_level level, const char *event,
                    const struct log_field *fields, unsigned count, char *out, unsigned size);

#endif
