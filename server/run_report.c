#include "server/run_report.h"

#include <string.h>

#include "api/render/json_writer.h"
#include "server/clock.h"

static double now_seconds(void)
{
    return (double)clock_steady_ns() / 1e9;
}

void run_report_begin(struct run_report *report, unsigned threads, enum isa isa)
{
    *report = (struct run_report){.threads = threads, .isa = isa == ISA_AUTO ? isa_best() : isa};
    report->begin_seconds = now_seconds();
}

void run_report_phase(struct run_report *report, const char *phase)
{
    double now = now_seconds();

    if (report->phase && report->timing_count < RUN_PHASES_MAX) {
        report->timings[report->timing_count].phase = report->phase;
        report->timings[report->timing_count++].seconds = now - report->phase_begin_seconds;
    }
    report->phase = phase;
    report->phase_begin_seconds = now;
}

static double bytes_per_second(const struct scan_pass *pass)
{
    return (double)pass->bytes / pass->seconds;
}

void run_report_write(const struct run_report *report, struct writer *w)
{
    const struct scan_pass *pass = &report->pass;

    write_figure(w, "elapsed_seconds", now_seconds() - report->begin_seconds, NULL);
    write_object(w, "engine");
    write_text(w, "version", DIFFAID_VERSION);
    write_text(w, "isa", isa_name(report->isa));
    write_u64(w, "threads", report->threads);
    write_end(w);
    write_object(w, "timings");
    for (size_t i = 0; i < report->timing_count; i++)
        write_figure(w, report->timings[i].phase, report->timings[i].seconds, NULL);
    write_end(w);
    if (pass->seconds > 0) {
        write_object(w, "scan");
        write_u64(w, "bytes", pass->bytes);
        write_figure(w, "bytes_per_second", bytes_per_second(pass), NULL);
        write_figure(w, "waiting_share", pass->waiting_share, NULL);
        write_end(w);
    }
}

char *run_report_json(const struct run_report *report)
{
    struct output *output = malloc(sizeof(*output)); /* its buffer holds all of a report: nothing is flushed */
    struct json_writer json;
    char *text = NULL;

    if (!output)
        return NULL;
    output_init(output, -1);
    json_writer_init(&json, output, 0);
    write_begin_object(&json.writer);
    run_report_write(report, &json.writer);
    write_end(&json.writer);
    text = strndup(output->buffer, output->used);
    free(output);
    return text;
}

void run_report_print(const struct run_report *report, FILE *out)
{
    const struct scan_pass *pass = &report->pass;

    for (size_t i = 0; i < report->timing_count; i++) {
        fprintf(out, "%-10s %10.6f s", report->timings[i].phase, report->timings[i].seconds);
        if (strcmp(report->timings[i].phase, "scan") == 0 && pass->seconds > 0)
            fprintf(out, "   %.3f GB, %.2f GB/s, %.0f %% of it waiting", (double)pass->bytes / 1e9,
                    bytes_per_second(pass) / 1e9, 100 * pass->waiting_share);
        fputc('\n', out);
    }
    fprintf(out, "%-10s %10.6f s   %u threads, %s\n", "all", now_seconds() - report->begin_seconds, report->threads,
            isa_name(report->isa));
}
