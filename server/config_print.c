/* The table of settings for people: --help, --check-config, and what the manual page asks of a row. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "server/config.h"

const struct config_key config_keys[CONFIG_KEY_COUNT] = {
#define KEY(flag, member, kind, min, max, fallback, value, help)                                                       \
    {flag, offsetof(struct config, member), CONFIG_##kind, min, max, fallback, value, help},
#include "server/config_keys.def"
#undef KEY
};

enum { NUMBER_BYTES = 32 };

void config_variable(const struct config_key *key, char out[CONFIG_VARIABLE_BYTES])
{
    size_t used = (size_t)snprintf(out, CONFIG_VARIABLE_BYTES, "DIFFAID_");

    for (const char *c = key->flag; *c && used < CONFIG_VARIABLE_BYTES - 1; c++)
        out[used++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    out[used] = '\0';
}

struct unit {
    const char *text;
    uint64_t factor;
};

/* With the largest unit that divides it, so that it reads back to the same number. */
static void spell(enum config_kind kind, uint64_t value, char out[NUMBER_BYTES])
{
    static const struct unit sizes[] = {
        {"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}, {"", 1}};
    static const struct unit times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    const struct unit *unit = kind == CONFIG_DURATION ? times : sizes;

    if (kind == CONFIG_COUNT || (value == 0 && kind == CONFIG_BYTES)) {
        snprintf(out, NUMBER_BYTES, "%" PRIu64, value);
        return;
    }
    while (value % unit->factor != 0 || (value == 0 && unit->factor != 1000))
        unit++;
    snprintf(out, NUMBER_BYTES, "%" PRIu64 "%s", value / unit->factor, unit->text);
}

void config_bounds(const struct config_key *key, char *out, size_t size)
{
    char least[NUMBER_BYTES], most[NUMBER_BYTES];

    out[0] = '\0';
    if (key->kind != CONFIG_COUNT && key->kind != CONFIG_BYTES && key->kind != CONFIG_DURATION)
        return;
    spell(key->kind, key->min, least);
    spell(key->kind, key->max, most);
    if (key->max)
        snprintf(out, size, "%s to %s", least, most);
    else if (key->min)
        snprintf(out, size, "%s or more", least);
}

void config_help(FILE *out)
{
    char name[CONFIG_VARIABLE_BYTES], flag[CONFIG_VARIABLE_BYTES], bounds[2 * NUMBER_BYTES + 8];

    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        bool has_default = key->fallback[0] && key->kind != CONFIG_FLAG;

        snprintf(flag, sizeof(flag), "--%s%s%s", key->flag, key->value_name[0] ? " " : "", key->value_name);
        config_variable(key, name);
        config_bounds(key, bounds, sizeof(bounds));
        fprintf(out, "  %-29s %s", flag, key->help);
        if (has_default)
            fprintf(out, " [%s%s%s]", key->fallback, bounds[0] ? "; " : "", bounds);
        fprintf(out, " (%s)\n", name);
    }
    fprintf(out, "  %-29s %s\n", "--config FILE", "Settings as lines of key = value. (DIFFAID_CONFIG)");
    fprintf(out, "  %-29s %s\n", "--check-config", "Print the settings, check what they name, and start nothing.");
}

static void print_choice(const struct config_key *key, unsigned index, FILE *out)
{
    const char *choice = key->value_name;

    while (index--)
        choice += strcspn(choice, "|") + 1;
    fprintf(out, "%s = %.*s\n", key->flag, (int)strcspn(choice, "|"), choice);
}

void config_print(const struct config *config, FILE *out)
{
    static const char *const sources[] = {NULL, "the file", "the environment", "a flag"};

    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        const void *member = (const char *)config + key->offset;
        const struct config_list *list = member;
        char number[NUMBER_BYTES];

        if (sources[config->source[i]])
            fprintf(out, "# from %s\n", sources[config->source[i]]);
        switch (key->kind) {
        case CONFIG_TEXT:
            fprintf(out, "%s = %s\n", key->flag, *(char *const *)member);
            break;
        case CONFIG_LIST:
            for (size_t item = 0; item < list->count; item++)
                fprintf(out, "%s = %s\n", key->flag, list->items[item]);
            if (!list->count)
                fprintf(out, "# %s: none\n", key->flag);
            break;
        case CONFIG_COUNT:
        case CONFIG_BYTES:
            spell(key->kind, *(const uint64_t *)member, number);
            fprintf(out, "%s = %s\n", key->flag, number);
            break;
        case CONFIG_DURATION:
            spell(key->kind, (uint64_t) * (const int64_t *)member, number);
            fprintf(out, "%s = %s\n", key->flag, number);
            break;
        case CONFIG_FLAG:
            fprintf(out, "%s = %s\n", key->flag, *(const bool *)member ? "true" : "false");
            break;
        case CONFIG_CHOICE:
            print_choice(key, *(const unsigned *)member, out);
            break;
        }
    }
}
