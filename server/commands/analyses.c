/* analyses [NAME]: what can be measured, from the engine's own tables. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "server/commands/command.h"

enum { LINE_COLUMNS = 88 };

/* Columns that text takes: UTF-8, one each. */
static size_t columns_of(const char *text, size_t bytes)
{
    size_t columns = 0;

    for (size_t i = 0; i < bytes; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

/* Prints lines of text, each broken at blanks; its continuations are set in by hang more. */
static void print_text(const char *text, size_t indent, size_t hang)
{
    while (*text) {
        const char *end = text + strcspn(text, "\n");
        size_t used = indent, blanks = strspn(text, " "); /* blanks: before the next word */

        printf("%*s", (int)indent, "");
        while (text + blanks < end) {
            const char *word = text + blanks;
            size_t bytes = strcspn(word, " \n"), columns = columns_of(word, bytes);

            if (used > indent + hang && used + blanks + columns > LINE_COLUMNS) {
                printf("\n%*s", (int)(indent + hang), "");
                used = indent + hang;
                blanks = 0;
            }
            printf("%*s%.*s", (int)blanks, "", (int)bytes, word);
            used += blanks + columns;
            text = word + bytes;
            blanks = strspn(text, " ");
        }
        putchar('\n');
        text = end + (*end == '\n');
    }
}

static void print_section(const char *title, const char *text, size_t hang)
{
    printf("\n%s\n", title);
    print_text(text, 2, hang);
}

/* A default: whole numbers in full, others as short as they read back. */
static void print_default(const struct option *option)
{
    if (option->kind == OPTION_COUNT)
        printf("%" PRIu64, (uint64_t)option->fallback);
    else if (option->kind == OPTION_NUMBER)
        printf("%g", option->fallback);
    else if (option->kind == OPTION_CHOICE)
        printf("%s", option->choices[(unsigned)option->fallback]);
    else
        printf("off");
}

static void print_options(const char *analysis)
{
    bool is_first = true;

    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];

        if (!option->analysis || strcmp(option->analysis, analysis) != 0)
            continue;
        if (is_first)
            printf("\nOptions\n");
        is_first = false;
        printf("  %s (", option->name);
        print_default(option);
        printf(")\n");
        print_text(option->help, 6, 0);
    }
}

static void print_analysis(const struct analysis *analysis)
{
    printf("%s  --%s\n", analysis->name, analysis->flag);
    print_text(analysis->summary, 2, 0);
    if (analysis->models_max)
        printf("  Takes %u to %u models.\n", analysis->models_min, analysis->models_max);
    else
        printf("  Takes %u models or more.\n", analysis->models_min);
    print_section("Measures", analysis->docs->measures, 0);
    print_section("Formula", analysis->docs->formula, 4);
    print_section("Thresholds", analysis->docs->thresholds, 0);
    print_options(analysis->name);
    print_section("Example", analysis->docs->example, 0);
}

static void print_list(void)
{
    for (size_t i = 0; i < analysis_count; i++) {
        printf("%s  --%s\n", analyses[i]->name, analyses[i]->flag);
        print_text(analyses[i]->summary, 4, 0);
    }
    printf("\ndiffaid analyses NAME tells one's formula, thresholds, options and an example.\n");
}

int command_analyses(int argc, char **argv)
{
    static const char usage[] = "usage: diffaid analyses [NAME]";
    int index = argc > 1 ? analysis_by_name(argv[1], strlen(argv[1])) : -1;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("%s\n\nWhat can be measured: all analyses, or one with its formula, thresholds and options.\n", usage);
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
    if (index >= 0)
        print_analysis(analyses[index]);
    else
        print_list();
    return EXIT_SAME;
}
