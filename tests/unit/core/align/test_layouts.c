/* Models of other layouts. With DIFFAID_SHARED set, also everything of other people's making: every row of what
 * was found by value in real conversions must be reproduced. Prints one table. */
#include "core/align/layouts.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis/analysis.h"
#include "tests/unit/core/compared.h"

enum { PATH_BYTES = 1024, FIELDS = 32, LINE = 4096 };

static const struct {
    const char *a, *b;
    uint64_t equal, changed, added, removed, value_equal;
} pairs[] = {
    {"llama", "llama-f32.gguf", 12, 0, 1, 0, 0},
    {"llama-f32.gguf", "llama", 12, 0, 0, 1, 0},
    {"llama", "llama-q8_0.gguf", 3, 9, 1, 0, 0},
    {"llama-f32.gguf", "llama-q8_0.gguf", 4, 9, 0, 0, 0},
    {"experts-apart", "experts-stacked", 10, 0, 0, 0, 0},
    {"experts-stacked", "experts-apart", 10, 0, 0, 0, 0},
    {"qkv-apart", "qkv-fused", 3, 0, 0, 0, 0},
    {"qkv-fused", "qkv-apart", 3, 0, 0, 0, 0},
    {"llama", "unknown-names", 0, 12, 0, 0, 0},
    {"spelt-saved", "spelt-native", 0, 36, 0, 0, 0},
    {"spelt-native", "spelt-saved", 0, 36, 0, 0, 0},
    {"norms-saved", "norms-native", 0, 26, 0, 0, 0},
    {"norms-native", "norms-saved", 0, 26, 0, 0, 0},
    {"conv1d", "linear", 3, 0, 0, 0, 0},
    {"linear", "conv1d", 3, 0, 0, 0, 0},
    {"conv1d", "linear-other", 2, 0, 0, 0, 0},
    {"qkv-apart", "qkv-grouped", 3, 0, 0, 0, 0},
    {"qkv-grouped", "qkv-apart", 3, 0, 0, 0, 0},
    {"single-file", "single-file-converted", 0, 0, 0, 0, 67},
    {"single-file-converted", "single-file", 0, 0, 0, 0, 67},
    {"single-file", "single-file-other-converted", 0, 0, 67, 51, 0},
    {"towers-saved", "towers-native", 10, 0, 0, 1, 0},
    {"towers-native", "towers-saved", 10, 0, 1, 0, 0},
    {"exported.safetensors", "exported.onnx", 9, 1, 0, 0, 0},
    {"exported.onnx", "exported.safetensors", 9, 1, 0, 0, 0},
};

START_TEST(layouts_are_paired_and_values_agree)
{
    char a[PATH_BYTES], b[PATH_BYTES];
    struct compared x;

    snprintf(a, sizeof(a), FIXTURES "/align/%s", pairs[_i].a);
    snprintf(b, sizeof(b), FIXTURES "/align/%s", pairs[_i].b);
    compare_paths(&x, a, NULL, b, false);
    ck_assert_uint_eq(x.c->status_counts[STATUS_BIT_EQUAL], pairs[_i].equal);
    ck_assert_uint_eq(x.c->status_counts[STATUS_VALUE_EQUAL], pairs[_i].value_equal);
    ck_assert_uint_eq(x.c->status_counts[STATUS_CHANGED], pairs[_i].changed);
    ck_assert_uint_eq(x.c->status_counts[STATUS_ADDED], pairs[_i].added);
    ck_assert_uint_eq(x.c->status_counts[STATUS_REMOVED], pairs[_i].removed);
    ck_assert_uint_eq(x.c->status_counts[STATUS_NOT_COMPARED], 0);
    for (size_t pair = 0; pair < x.c->pairing->pairs; pair++)
        if (comparison_delta(x.c, pair))
            ck_assert(delta_relative_l2(comparison_delta(x.c, pair)) < 0.01);
    done(&x);
}
END_TEST

START_TEST(a_name_pairs_whatever_was_trained_since)
{
    static const char *const paths[] = {FIXTURES "/align/router", FIXTURES "/align/router-trained.gguf"};
    struct compared x;

    compare_paths(&x, paths[_i], NULL, paths[!_i], false);
    ck_assert_uint_eq(x.c->status_counts[STATUS_BIT_EQUAL], 1);
    ck_assert_uint_eq(x.c->status_counts[STATUS_CHANGED], 5);
    ck_assert_uint_eq(x.c->pairing->pairs, 6);
    done(&x);
}
END_TEST

/* Eight norms' parameters, whose names cross and whose values say so; embeddings and matrices are the rest. */
START_TEST(norms_that_others_lie_nearer_to_are_not_paired_by_spelling)
{
    static const char *const paths[] = {FIXTURES "/align/crossed-saved", FIXTURES "/align/crossed-native"};
    struct compared x;

    compare_paths(&x, paths[_i], NULL, paths[!_i], false);
    ck_assert_uint_eq(x.c->status_counts[STATUS_ADDED], 8);
    ck_assert_uint_eq(x.c->status_counts[STATUS_REMOVED], 8);
    ck_assert_uint_eq(x.c->status_counts[STATUS_CHANGED], 18);
    done(&x);
}
END_TEST

START_TEST(headers_alone_pair_by_names)
{
    struct compared x;
    size_t linked = 0;

    compare_paths(&x, FIXTURES "/align/llama", NULL, FIXTURES "/align/llama-f32.gguf", true);
    for (size_t pair = 0; pair < x.c->pairing->pairs; pair++)
        if (pairing_link(x.c->pairing, pair)) {
            ck_assert_int_eq(pairing_link(x.c->pairing, pair)->evidence, LINK_UNREAD);
            linked++;
        }
    ck_assert_uint_eq(linked, 12);
    done(&x);
}
END_TEST

/* The model between has the first one's values in another layout, or in the first one's where the last has another:
 * make_align.py wrote them of the same arrays. Its elements are all there, each beside its own. */
static const struct {
    const char *paths[3];
    uint64_t tensors, elements, equal, changed;
} series[] = {
    {{"llama", "llama-f32.gguf", "llama-q8_0.gguf"}, 12, 8800, 3, 9},
    {{"llama", "llama", "llama-q8_0.gguf"}, 12, 8800, 3, 9},
    {{"llama-f32.gguf", "llama", "llama-q8_0.gguf"}, 12, 8800, 4, 9},
    {{"experts-apart", "experts-stacked", "experts-apart"}, 10, 9312, 10, 0},
    {{"experts-apart", "experts-apart", "experts-stacked"}, 10, 9312, 10, 0},
    {{"experts-stacked", "experts-stacked", "experts-apart"}, 10, 9312, 10, 0},
    {{"qkv-fused", "qkv-fused", "qkv-apart"}, 3, 256, 3, 0},
    {{"qkv-apart", "qkv-fused", "qkv-apart"}, 3, 256, 3, 0},
};

START_TEST(models_between_join_the_pairs)
{
    struct compare_env env = {.scan = {.threads = 2, .cache_bytes = UINT64_MAX}};
    struct compare_request request = {.analyses = 1u << analysis_by_name("similarity_matrix", 17)};
    struct model *models[3];
    struct comparison *c;
    struct error err = {0};
    uint64_t tensors = 0, elements = 0, changed = 0;

    options_init(&request.options);
    for (size_t m = 0; m < 3; m++) {
        char path[PATH_BYTES];

        snprintf(path, sizeof(path), FIXTURES "/align/%s", series[_i].paths[m]);
        models[m] = opened(path);
    }
    ck_assert_msg(compare_run(&request, models, 3, &env, &c, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(c->status_counts[STATUS_BIT_EQUAL], series[_i].equal);
    ck_assert_uint_eq(c->status_counts[STATUS_CHANGED], series[_i].changed);
    for (size_t group = 0; group < c->layers.count; group++) {
        const struct couple_record *couple = &c->scan->couples[group * couple_count(3) + couple_index(3, 0, 1)];

        tensors += couple->tensors;
        elements += couple->delta.elements;
        changed += couple->delta.changed;
    }
    ck_assert_uint_eq(tensors, series[_i].tensors);
    ck_assert_uint_eq(elements, series[_i].elements);
    ck_assert_uint_eq(changed, 0);
    comparison_free(c);
    for (size_t m = 0; m < 3; m++)
        model_close(models[m]);
    options_done(&request.options);
}
END_TEST

/* A table with a heading, one row at a time. */
struct rows {
    FILE *file;
    char head[LINE], line[LINE];
    char *names[FIELDS], *fields[FIELDS];
    size_t count;
};

static size_t cut(char *line, char **fields)
{
    size_t count = 0;

    line[strcspn(line, "\r\n")] = '\0';
    while (line && count < FIELDS) {
        fields[count++] = line;
        line = strchr(line, '\t');
        if (line)
            *line++ = '\0';
    }
    return count;
}

static bool rows_open(struct rows *rows, const char *path)
{
    rows->file = fopen(path, "r");
    if (!rows->file)
        return false;
    ck_assert_ptr_nonnull(fgets(rows->head, sizeof(rows->head), rows->file));
    rows->count = cut(rows->head, rows->names);
    return true;
}

static bool rows_next(struct rows *rows)
{
    size_t count;

    if (!fgets(rows->line, sizeof(rows->line), rows->file)) {
        fclose(rows->file);
        return false;
    }
    count = cut(rows->line, rows->fields);
    while (count < rows->count)
        rows->fields[count++] = (char *)"";
    return true;
}

static const char *field(const struct rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->count; i++)
        if (strcmp(rows->names[i], name) == 0)
            return rows->fields[i];
    return NULL;
}

struct tally {
    size_t models, rows, right;
};

static bool has(const struct comparison *c, size_t pair, size_t m, const char *name)
{
    const struct tensor *tensor = comparison_tensor(c, pair, m);

    return tensor ? strcmp(name, "-") != 0 && name_equal(tensor->name, name_of(name)) : strcmp(name, "-") == 0;
}

/* A source and a target stand opposite, in as many pairs as there are parts, and nothing lies further apart. */
static bool is_reproduced(const struct comparison *c, const char *source, const char *target, double bound)
{
    bool is_found = false;

    for (size_t pair = 0; pair < c->pairing->pairs; pair++) {
        if (!has(c, pair, 0, source) || !has(c, pair, 1, target))
            continue;
        is_found = true;
        if (strcmp(source, "-") == 0 || strcmp(target, "-") == 0)
            continue;
        if (!comparison_delta(c, pair) || !(comparison_delta(c, pair)->max_abs <= bound * 1.02 + 3e-7))
            return false;
    }
    return is_found;
}

static void check_truth(const char *a, const char *b, const char *truth, const char *bound, struct tally *tally)
{
    static struct rows rows;
    struct compared x;

    if (!rows_open(&rows, truth))
        return;
    compare_paths(&x, a, NULL, b, false);
    tally->models++;
    while (rows_next(&rows)) {
        const char *source = field(&rows, "hf_name") ? field(&rows, "hf_name") : field(&rows, "src_name");
        const char *target = field(&rows, "gguf_name") ? field(&rows, "gguf_name") : field(&rows, "dst_name");
        const char *most = field(&rows, bound);
        const bool is_right = is_reproduced(x.c, source, target, most && strcmp(most, "nan") != 0 ? atof(most) : 0);

        tally->rows++;
        tally->right += is_right;
        if (!is_right)
            printf("  %s: %s -> %s is not reproduced\n", b, source, target);
    }
    done(&x);
}

/* "…-f32.gguf", "…-q8_0-00001-of-00003.gguf": the column of its bounds. */
static void bound_of(const char *file, char out[64])
{
    char name[256], *end, *type;

    snprintf(name, sizeof(name), "%s", file);
    end = strstr(name, "-00001-of-");
    end = end ? end : strstr(name, ".gguf");
    *end = '\0';
    type = strrchr(name, '-');
    snprintf(out, 64, "max_abs_%.40s", type ? type + 1 : "values");
}

/* Every conversion that the manifest lists: what it was made from stands in its relation. */
static void check_conversions(const char *shared, struct tally *tally)
{
    static struct rows manifest;
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "%s/layouts/MANIFEST.tsv", shared);
    if (!rows_open(&manifest, path))
        return;
    while (rows_next(&manifest)) {
        const char *file = field(&manifest, "path"), *from = strstr(field(&manifest, "relation"), "converted from ");
        char a[PATH_BYTES], b[PATH_BYTES], bound[64];
        const char *later = strstr(file, "-of-");

        if (!from || strncmp(file, "gguf/", 5) != 0 || (later && memcmp(later - 5, "00001", 5) != 0))
            continue;
        from += strlen("converted from ");
        snprintf(a, sizeof(a), "%s/layouts/%.*s", shared, (int)strcspn(from, " ;"), from);
        snprintf(b, sizeof(b), "%s/layouts/%s", shared, file);
        snprintf(path, sizeof(path), "%.*s/truth.tsv", (int)(strrchr(b, '/') - b), b);
        bound_of(strrchr(file, '/') + 1, bound);
        check_truth(a, b, path, bound, tally);
    }
}

/* "name--variant" beside "name"; "name--tf4-resaved5" beside "name--tf4". */
static void check_variants(const char *shared, struct tally *tally)
{
    char folder[PATH_BYTES], a[PATH_BYTES], b[PATH_BYTES], path[PATH_BYTES];
    struct dirent *entry;
    DIR *dir;

    snprintf(folder, sizeof(folder), "%s/layouts/hf", shared);
    dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        const char *variant = strstr(entry->d_name, "--"), *resaved = strstr(entry->d_name, "-resaved5");
        static struct rows rows;

        if (!variant)
            continue;
        snprintf(a, sizeof(a), "%.600s/%.*s", folder, (int)((resaved ? resaved : variant) - entry->d_name),
                 entry->d_name);
        snprintf(b, sizeof(b), "%.600s/%.200s", folder, entry->d_name);
        snprintf(path, sizeof(path), "%.1000s/truth.tsv", b);
        if (!rows_open(&rows, path))
            continue;
        fclose(rows.file);
        check_truth(a, b, path, "max_abs_values", tally);
    }
    if (dir)
        closedir(dir);
}

static bool is_near(double value, const char *expected)
{
    const double wanted = atof(expected);

    return fabs(value - wanted) <= 1e-9 * (fabs(wanted) + 1e-9) || (isinf(wanted) && isnan(value));
}

static void check_quantised(const char *shared, struct tally *tally)
{
    static struct rows rows;
    struct compared x = {0};
    char path[PATH_BYTES], a[PATH_BYTES], b[PATH_BYTES] = "";

    snprintf(path, sizeof(path), "%s/quantised/truth.tsv", shared);
    snprintf(a, sizeof(a), "%s/quantised/hf", shared);
    if (!rows_open(&rows, path))
        return;
    while (rows_next(&rows)) {
        bool is_right = false;

        snprintf(path, sizeof(path), "%s/quantised/%s", shared, field(&rows, "file"));
        if (strcmp(path, b) != 0) {
            if (x.c)
                done(&x);
            snprintf(b, sizeof(b), "%s", path);
            compare_paths(&x, a, NULL, b, false);
            tally->models++;
        }
        for (size_t pair = 0; pair < x.c->pairing->pairs; pair++) {
            const struct delta_record *delta = comparison_delta(x.c, pair);

            if (delta && has(x.c, pair, 1, field(&rows, "tensor")))
                is_right = is_near(delta_sqnr_db(delta), field(&rows, "sqnr_db")) &&
                           is_near(delta->max_abs, field(&rows, "max_abs")) &&
                           is_near(delta_relative_l2(delta), field(&rows, "relative_rmse")) &&
                           is_near(delta_cosine(delta), field(&rows, "cosine"));
        }
        tally->rows++;
        tally->right += is_right;
        if (!is_right)
            printf("  %s: %s is not reproduced\n", b, field(&rows, "tensor"));
    }
    if (x.c)
        done(&x);
}

START_TEST(truth_of_real_conversions_is_reproduced)
{
    static const struct {
        const char *what;
        void (*check)(const char *shared, struct tally *tally);
    } checks[] = {
        {"conversions to GGUF", check_conversions},
        {"variants of checkpoints", check_variants},
        {"quantised files", check_quantised},
    };
    const char *shared = getenv("DIFFAID_SHARED");
    size_t missed = 0;

    for (size_t i = 0; shared && i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct tally tally = {0};

        checks[i].check(shared, &tally);
        printf("%-24s %4zu models, %5zu truth rows: %5zu reproduced, %zu unexplained\n", checks[i].what, tally.models,
               tally.rows, tally.right, tally.rows - tally.right);
        missed += tally.rows - tally.right;
    }
    fflush(stdout);
    ck_assert_uint_eq(missed, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layouts");
    TCase *tcase = tcase_create("layouts");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, layouts_are_paired_and_values_agree, 0, sizeof(pairs) / sizeof(pairs[0]));
    tcase_add_loop_test(tcase, a_name_pairs_whatever_was_trained_since, 0, 2);
    tcase_add_loop_test(tcase, norms_that_others_lie_nearer_to_are_not_paired_by_spelling, 0, 2);
    tcase_add_test(tcase, headers_alone_pair_by_names);
    tcase_add_loop_test(tcase, models_between_join_the_pairs, 0, sizeof(series) / sizeof(series[0]));
    tcase_add_test(tcase, truth_of_real_conversions_is_reproduced);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
