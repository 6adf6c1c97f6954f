/* `diffaid man`: the manual page diffaid(1), from the tables that parse what it describes. The build installs its
 * output. Plain man(7): what man-db, mandoc and Debian's groff render alike. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "server/commands/arguments.h"
#include "server/commands/command.h"
#include "server/config.h"

/* Text as it shall appear: nothing in it is roff. Other than ASCII is spelt by code point. */
static void put(const char *text)
{
    bool is_line_start = true;

    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (is_line_start && (*c == '.' || *c == '\''))
            fputs("\\&", stdout);
        is_line_start = *c == '\n';
        if (*c == '\\') {
            fputs("\\e", stdout);
        } else if (*c == '-') {
            fputs("\\-", stdout);
        } else if (*c < 0x80) {
            putchar(*c);
        } else {
            unsigned code = *c >= 0xf0 ? *c & 7u : *c >= 0xe0 ? *c & 15u : *c & 31u;

            while ((c[1] & 0xc0) == 0x80)
                code = code << 6 | (*++c & 63u);
            printf("\\[u%04X]", code);
        }
    }
}

static void put_line(const char *macro, const char *text)
{
    fputs(macro, stdout);
    put(text);
    putchar('\n');
}

/* One paragraph of text; line ends in it are kept as breaks. */
static void put_paragraph(const char *text)
{
    while (*text) {
        size_t bytes = strcspn(text, "\n");
        char line[2048];

        snprintf(line, sizeof(line), "%.*s", (int)bytes, text + strspn(text, " "));
        line[strcspn(line, "\n")] = '\0';
        if (*line)
            put_line("", line);
        text += bytes;
        if (*text && *++text)
            puts(".br");
    }
}

static void put_tag(const char *name, const char *value_name)
{
    char spelt[128];
    size_t used = 0;

    for (; name[used] && used < sizeof(spelt) - 1; used++)
        spelt[used] = name[used] == '_' ? '-' : name[used];
    spelt[used] = '\0';
    printf(".TP\n\\fB\\-\\-");
    put(spelt);
    printf("\\fR");
    if (value_name && *value_name) {
        printf(" \\fI");
        put(value_name);
        printf("\\fR");
    }
    putchar('\n');
}

static void put_flag(const char *name, const char *value_name, const char *help)
{
    put_tag(name, value_name);
    put_line("", help);
}

static void put_commands(void)
{
    puts(".SH COMMANDS");
    for (size_t i = 0; i < command_count; i++) {
        if (!commands[i].summary)
            continue;
        printf(".TP\n\\fBdiffaid ");
        put(commands[i].name);
        printf("\\fR \\fI");
        put(commands[i].arguments);
        printf("\\fR\n");
        put_line("", commands[i].summary);
    }
    puts(".PP\nEach tells the rest with\n.BR \\-\\-help .");
}

static void put_compare(void)
{
    puts(".SH OPTIONS OF COMPARE\n.SS Output");
    arguments_each(PERSONALITY_COMPARE, GROUP_OUTPUT, put_flag);
    puts(".SS Analyses");
    arguments_each(PERSONALITY_COMPARE, GROUP_ANALYSES, put_flag);
    puts(".SS Of the comparison and of analyses\nMembers of\n.B options\nin a request have the same names, with "
         "underscores.");
    arguments_each(PERSONALITY_COMPARE, GROUP_OPTIONS, put_flag);
    puts(".SH OPTIONS OF INSPECT\nThose of compare that fit one model, and:");
    arguments_each(PERSONALITY_INSPECT, GROUP_OUTPUT, put_flag);
}

static void put_analyses(void)
{
    puts(".SH ANALYSES");
    for (size_t i = 0; i < analysis_count; i++) {
        const struct analysis *analysis = analyses[i];

        put_line(".SS ", analysis->name);
        put_paragraph(analysis->docs->measures);
        puts(".PP");
        put_paragraph(analysis->docs->formula);
        puts(".PP");
        put_paragraph(analysis->docs->thresholds);
    }
}

static void put_settings(void)
{
    char variable[CONFIG_VARIABLE_BYTES], bounds[96];

    puts(".SH SETTINGS OF SERVE\nA flag goes before a\n.B DIFFAID_*\nvariable, that before a line of the file that\n"
         ".B \\-\\-config\n(or\n.BR DIFFAID_CONFIG )\nnames, and that before the default. The file has lines of\n"
         ".IR \"key = value\" ,\nthe key being the flag without its dashes; lines that begin with # are comments. A "
         "setting that\nmay be given more than once is a list: commas separate its items in a variable. What a higher "
         "layer\nsays of a list replaces it. Sizes are spelt 4096, 64K, 2G; times 250ms, 10s, 5m, 2h, 30d.\nAn unknown "
         "flag or key refuses to start; an unknown variable is told to the log.");
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];

        put_tag(key->flag, key->value_name);
        put_line("", key->help);
        config_variable(key, variable);
        config_bounds(key, bounds, sizeof(bounds));
        if (key->kind == CONFIG_LIST)
            puts("May be given more than once.");
        if (key->fallback[0]) {
            printf("Default: ");
            put(key->fallback);
            if (bounds[0]) {
                printf("; ");
                put(bounds);
            }
            puts(".");
        }
        printf("Variable: ");
        put(variable);
        puts(".");
    }
    put_flag("check-config", NULL,
             "Print the settings in force and what follows from them, look at all that they name (the keys file, the "
             "roots, the state directory), and exit with 0 or 2 without starting anything.");
}

static const char around[] =
    ".SH API KEYS\n"
    "The file of\n.B \\-\\-api\\-keys\\-file\nhas a line for each key:\n.PP\n.RS\n"
    ".I NAME SHA256 SCOPES\n.RI [queued= N ]\n.RE\n.PP\n"
    "with the SHA\\-256 of the key in hex and one or more of the scopes read, submit and admin, separated by commas.\n"
    "queued bounds the jobs of that name that may wait. Lines that begin with # are comments.\n"
    ".B diffaid keys new\nmakes a key and its line. The file is read again at SIGHUP; a malformed one changes nothing "
    "and is told\nto the log.\n"
    ".SH SIGNALS\n"
    ".TP\n.BR SIGTERM \", \" SIGINT\nEnd: no new work is taken, running jobs finish within\n.B \\-\\-grace\nor go back "
    "into the queue. A second one ends at once.\n"
    ".TP\n.B SIGHUP\nRead the API keys file again.\n"
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nIdentical or equivalent models; success.\n"
    ".TP\n.B 1\nChanged or incomparable models; for health, not ready.\n"
    ".TP\n.B 2\nUsage, or an input that is missing, malformed or unreadable; a setting that is wrong.\n"
    ".TP\n.B 3\nAn output, a device or a state directory that could not be written, is in use, or comes from a newer "
    "version;\nan address that is taken.\n"
    ".TP\n.B 4\nA gate that failed.\n"
    ".TP\n.B 130\nInterrupted.\n"
    ".SH FILES\n"
    "The state directory holds\n.I diffaid.db\n(SQLite),\n.IR results/ ,\n.IR uploads/ ,\n.I lock\nand\n.IR reserve ,\n"
    "16 MB that are given up when the disk is full.\n"
    ".SH EXAMPLES\n"
    ".EX\n"
    "diffaid compare base.safetensors tuned.safetensors \\-\\-change\\-summary\n"
    "diffaid serve \\-\\-models\\-root /srv/models \\-\\-state\\-dir /var/lib/diffaid\n"
    "curl \\-T a.safetensors http://127.0.0.1:8080/v1/uploads/\n"
    ".EE\n"
    ".SH SEE ALSO\n"
    "The service tells its calls at\n.IR /openapi.yaml ,\nand what to do about each problem below\n.IR /problems/ .\n";

int command_man(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        fprintf(stderr, "usage: diffaid man\n\nPrints the manual page diffaid(1): diffaid man | man -l -\n");
        return EXIT_INPUT;
    }
    printf(".TH DIFFAID 1 \"%s\" \"diffaid %s\" \"User Commands\"\n", DIFFAID_DATE, DIFFAID_VERSION);
    puts(".SH NAME\ndiffaid, diffai \\- tell what changed between machine-learning models\n"
         ".SH SYNOPSIS\n.B diffaid\n.I COMMAND\n.RI [ ARGUMENTS ]\n.br\n.B diffai\n.I A B\n.RI [ FLAGS ]\n"
         ".SH DESCRIPTION\ndiffaid opens two or more model files, reads every weight once, and tells what differs, by "
         "how much and\nwhere: at the command line, or as an HTTP service with a durable queue of jobs. Every figure "
         "is computed\nby a published formula; what cannot be computed is null with its reason.\n.PP\nCalled as\n"
         ".BR diffai ,\nit is the comparison with the flags and the output of that program.");
    put_commands();
    put_compare();
    put_settings();
    fputs(around, stdout);
    put_analyses();
    return fflush(stdout) == 0 ? 0 : EXIT_DEVICE;
}
