/* Two configs, separated by a zero byte: what is parsed must differ from itself in nothing, compare the same way from
 * both sides, and be written within bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

/* A writer that only checks that what is opened is closed, and that text is text. */
struct checker {
    struct writer writer;
    int depth;
    uint64_t values;
};

static void begin(struct writer *w, enum writer_scope scope)
{
    (void)scope;
    ((struct checker *)w)->depth++;
}
static void end(struct writer *w)
{
    MUST(--((struct checker *)w)->depth >= 0);
}
static void key(struct writer *w, const char *name, size_t bytes)
{
    (void)w;
    for (size_t i = 0; i < bytes; i++)
        MUST(name[i] != (char)0xff);
}
static void f64(struct writer *w, double value)
{
    ((struct checker *)w)->values++;
    MUST(value - value == 0);
}
static void u64(struct writer *w, uint64_t value)
{
    (void)value;
    ((struct checker *)w)->values++;
}
static void i64(struct writer *w, int64_t value)
{
    (void)value;
    ((struct checker *)w)->values++;
}
static void text(struct writer *w, const char *bytes, size_t count)
{
    ((struct checker *)w)->values++;
    MUST(count <= 4096 + 64);
    for (size_t i = 0; i < count; i++)
        MUST(bytes[i] != (char)0xff);
}
static void flag(struct writer *w, bool value)
{
    (void)value;
    ((struct checker *)w)->values++;
}
static void null(struct writer *w, const char *reason)
{
    (void)reason;
    ((struct checker *)w)->values++;
}

static const struct writer_ops ops = {begin, end, key, f64, u64, i64, text, flag, null};

static bool check_diff(const struct config *a, const struct config *b)
{
    struct checker checker = {.writer.ops = &ops};
    bool differs = config_write_diff(a, b, 100, &checker.writer);

    MUST(checker.depth == 0);
    MUST(checker.values <= 100 * 2 * 64 + 1);
    return differs;
}

static struct config *parse(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct error err = {0};
    int rc = config_parse((const char *)data, size, &config, &err);

    MUST(rc == 0 ? config != NULL : !config && err.code == rc && err.text[0]);
    return config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t first = zero ? (size_t)(zero - data) : size;
    struct config *a = parse(data, first);
    struct config *b = zero ? parse(zero + 1, size - first - 1) : NULL;
    struct name name;
    uint64_t number;
    bool is;

    if (a) {
        MUST(!check_diff(a, a));
        config_u64(a, "hidden_size", &number);
        config_u64(a, "text_config.hidden_size", &number);
        config_flag(a, "tie_word_embeddings", &is);
        config_text(a, "architectures.0", &name);
    }
    MUST(check_diff(a, b) == check_diff(b, a));
    config_free(a);
    config_free(b);
    return 0;
}
