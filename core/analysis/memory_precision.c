/* Low-precision candidates, where what_if was asked for: the smallest type that keeps a tensor's SQNR. */
#include <math.h>
#include <stdlib.h>

#include "core/analysis/memory.h"
#include "core/analysis/what_if.h"

struct candidate {
    const char *name;
    double sqnr_db;
    uint64_t bytes, saved;
    uint32_t pair;
};

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    if (a->saved != b->saved)
        return a->saved > b->saved ? -1 : 1;
    return a->pair < b->pair ? -1 : a->pair > b->pair;
}

/* The type of fewest bytes that keeps least_db; .saved is 0 where none saves anything. */
static struct candidate best_of(const struct comparison *c, const struct what_if *what_if, size_t pair)
{
    const double least_db = c->request->options.precision_low_db;
    uint64_t now = comparison_tensor(c, pair, 0)->extent.bytes;
    struct candidate best = {.pair = (uint32_t)pair, .bytes = now};
    const char *name;
    double sqnr_db;
    uint64_t bytes;

    for (unsigned t = 0; what_if_figures(what_if, pair, t, &name, &sqnr_db, &bytes); t++)
        if (sqnr_db >= least_db && bytes < best.bytes) {
            best.name = name;
            best.sqnr_db = sqnr_db;
            best.bytes = bytes;
        }
    best.saved = now - best.bytes;
    return best;
}

void memory_precision_write(const struct comparison *c, const struct what_if *what_if, struct writer *w)
{
    struct candidate *all = calloc(c->pairing->pairs + 1, sizeof(*all));
    size_t count = 0;

    if (!all) {
        write_null(w, "low_precision", "out of memory");
        return;
    }
    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        struct candidate best;

        if (!what_if_has(what_if, pair))
            continue;
        best = best_of(c, what_if, pair);
        if (best.saved > 0)
            all[count++] = best;
    }
    qsort(all, count, sizeof(*all), compare_candidates);
    write_object(w, "low_precision");
    write_figure(w, "least_sqnr_db", c->request->options.precision_low_db, NULL);
    write_array(w, "candidates");
    for (size_t i = 0; i < count && i < c->request->options.opportunities; i++) {
        write_begin_object(w);
        write_named(w, "tensor", pairing_name(c->pairing, (const struct model *const *)c->models, all[i].pair));
        write_text(w, "to", all[i].name);
        write_figure(w, "sqnr_db", all[i].sqnr_db, "exact");
        write_u64(w, "bytes", all[i].bytes);
        write_u64(w, "bytes_saved", all[i].saved);
        write_end(w);
    }
    write_end(w);
    write_end(w);
    free(all);
}
