/* analyses [NAME]: what can be measured, from the engine's own tables. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "server/commands/command.h"

static void print_options(const char *analysis)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];

        if (!option->analysis || strcmp(option->analysis, analysis) != 0)
            continue;
        printf("    %s", option->name);
        if (option->kind == OPTION_NUMBER || option->kind == OPTION_COUNT)
            printf(" (%g)", option->fallback);
        printf("  %s\n", option->help);
    }
}

int command_analyses(int argc, char **argv)
{
    int index = argc > 1 ? analysis_by_name(argv[1], strlen(argv[1])) : -1;

    if (argc > 2 || (argc == 2 && index < 0)) {
        fprintf(stderr, "diffaid: usage: diffaid analyses [NAME]; there is no analysis \"%s\"\n", argv[1]);
        return EXIT_INPUT;
    }
    for (size_t i = 0; i < analysis_count; i++) {
        if (index >= 0 && (size_t)index != i)
            continue;
        printf("%s  --%s\n    %s\n", analyses[i]->name, analyses[i]->flag, analyses[i]->summary);
        print_options(analyses[i]->name);
    }
    return EXIT_SAME;
}
