/* The command line of compare, inspect and diffai, parsed through the engine's own tables of analyses and options. */
#ifndef SERVER_COMMANDS_ARGUMENTS_H
#define SERVER_COMMANDS_ARGUMENTS_H

#include <stdbool.h>

#include "api/render/render.h"
#include "core/compare.h"
#include "server/jobs/capacity.h"

enum { MODELS_MAX = 64 };

enum personality { PERSONALITY_COMPARE, PERSONALITY_INSPECT, PERSONALITY_DIFFAI };

struct arguments {
    enum personality personality;
    struct compare_request request;
    const char *models[MODELS_MAX];
    size_t model_count;
    const struct renderer *renderer;
    const char *adapter;                   /* put on the first model; NULL: none */
    const char *out;                       /* NULL: standard output */
    const char *junit;                     /* where the gate goes as JUnit XML; NULL: nowhere */
    uint8_t expected_digest[DIGEST_BYTES]; /* with has_expected_digest */
    bool has_expected_digest;
    const char *input_format; /* diffai --format: what the models must be; NULL: any */
    unsigned threads;         /* 0: as many as processors */
    enum cache_policy cache;
    bool is_quiet, is_brief, is_verbose, is_colorless, has_progress, has_timings, is_help, is_unwalled;
};

/* ERROR_REQUEST with a sentence for the user. arguments_done is due in any case. */
int arguments_parse(struct arguments *arguments, enum personality personality, int argc, char **argv,
                    struct error *err);
void arguments_done(struct arguments *arguments);

void arguments_print_help(enum personality personality);

/* The flags that a personality takes, one after the other; value_name NULL: it takes no value. A name's underscores are
 * spelt as dashes. */
enum flag_group { GROUP_ANALYSES, GROUP_OPTIONS, GROUP_OUTPUT };
void arguments_each(enum personality personality, enum flag_group group,
                    void (*take)(const char *name, const char *value_name, const char *help));

#endif
