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
    static const char usage[] = "usage: diffaid analyses [NAME]";
    int index = argc > 1 ? analysis_by_name(argv[1], strlen(argv[1])) : -1;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("%s\n\nWhat can be measured, with the flags and options of each.\n", usage);
        return EXIT_SAME;
    }
    if (argc > 2) {
        fprintf(stderr, "diffaid analyses: one name at most; %s\n", usage);
        return EXIT_INPUT;
    }
    if (argc == 2 && index < 0) {
        fprintf(stderr, "diffaid analyses: there is no analysis \"%s\"; %s\n", argv[1], usage);
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
