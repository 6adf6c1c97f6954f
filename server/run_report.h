/* How a comparison was run: what is no function of its inputs. At the command line a last member of the result, in the
 * service a member of the job. */
#ifndef SERVER_RUN_REPORT_H
#define SERVER_RUN_REPORT_H

#include <stdio.h>

#include "core/scan/scan.h"
#include "core/writer.h"

enum { RUN_PHASES_MAX = 12 };

struct run_report {
    unsigned threads;
    enum isa isa;
    struct scan_pass pass; /* seconds 0: no weights were read */
    double begin_seconds, phase_begin_seconds;
    const char *phase; /* static */
    struct {
        const char *phase;
        double seconds;
    } timings[RUN_PHASES_MAX];
    size_t timing_count;
};

void run_report_begin(struct run_report *report, unsigned threads, enum isa isa);
/* Ends the phase under way and begins that one; NULL: none. phase is a static string. */
void run_report_phase(struct run_report *report, const char *phase);

/* The members elapsed_seconds, engine, timings and scan. */
void run_report_write(const struct run_report *report, struct writer *w);
/* The same as a JSON object, malloc'ed; NULL without memory. */
char *run_report_json(const struct run_report *report);
/* The same in lines for people. */
void run_report_print(const struct run_report *report, FILE *out);

#endif
