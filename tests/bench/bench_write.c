/* What a figure costs on its way into the document: its digits alone, and all of it with key and comma.
 *
 *     bench_write */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>

#include "api/render/json_writer.h"
#include "core/decimal.h"

enum { VALUES = 4096, ROUNDS = 10, KEYS = 8 };

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void tell(const char *what, double best)
{
    printf("%-40s %6.1f ns\n", what, best / VALUES / ROUNDS * 1e9);
}

static double best_of(double (*run)(const double *, struct output *), const double *values, struct output *output)
{
    double best = 1e9;

    for (int i = 0; i < 100; i++) {
        const double took = run(values, output);

        best = took < best ? took : best;
    }
    return best;
}

static double digits_alone(const double *values, struct output *output)
{
    const double started = seconds();
    char text[DECIMAL_BYTES];
    size_t bytes = 0;

    (void)output;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < VALUES; i++)
            bytes += decimal_write(values[i], text);
    return bytes ? seconds() - started : 0;
}

/* Objects of eight figures, as a tensor's record has them. */
static double figures(const double *values, struct output *output)
{
    static const char *const keys[KEYS] = {"mean", "std", "min", "max", "abs_max", "l2", "relative_l2", "cosine"};
    const double started = seconds();
    struct json_writer json;

    for (int round = 0; round < ROUNDS; round++) {
        json_writer_init(&json, output, 0);
        for (int i = 0; i < VALUES; i++) {
            if (i % KEYS == 0)
                write_begin_object(&json.writer);
            write_figure(&json.writer, keys[i % KEYS], values[i], NULL);
            if (i % KEYS == KEYS - 1)
                write_end(&json.writer);
        }
    }
    return seconds() - started;
}

int main(void)
{
    static double means[VALUES], floats[VALUES], small[VALUES], none[VALUES];
    static const struct {
        const char *name;
        const double *values;
    } kinds[] = {{"of 16 and 17 digits", means},
                 {"that are an F32's", floats},
                 {"of up to 4 digits", small},
                 {"that are 0", none}};
    static struct output output;
    char what[64];

    srand(1);
    for (int i = 0; i < VALUES; i++) {
        means[i] = ((double)rand() / RAND_MAX - 0.5 + (double)rand() * 1e-12) * 0.1;
        floats[i] = (double)(float)means[i];
        small[i] = rand() % 10000;
    }
    output_init(&output, open("/dev/null", O_WRONLY));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        snprintf(what, sizeof(what), "digits of figures %s", kinds[i].name);
        tell(what, best_of(digits_alone, kinds[i].values, &output));
        snprintf(what, sizeof(what), "  written, key and all");
        tell(what, best_of(figures, kinds[i].values, &output));
    }
    return close(output.fd);
}
