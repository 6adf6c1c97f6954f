/* The text layout of what analyses write: which figures stand in the line, and how lists become tables. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/render/lines.h"
#include "core/analysis/analysis.h"

static struct output output;
static const struct render_options plain, verbose = {.is_verbose = true}, colored = {.is_color = true};

static char *put(const struct lines_layout *layout, void (*write)(const void *, struct writer *),
                 const struct render_options *options)
{
    char *text;
    off_t size;

    output_init(&output, memfd_create("lines", 0));
    lines_put(layout, &(struct lines_source){write, NULL}, options, &output);
    ck_assert_int_eq(output_finish(&output, NULL), 0);
    size = lseek(output.fd, 0, SEEK_END);
    text = calloc(1, (size_t)size + 1);
    ck_assert_int_eq(pread(output.fd, text, (size_t)size, 0), size);
    close(output.fd);
    return text;
}

static void expect(const struct lines_layout *layout, void (*write)(const void *, struct writer *),
                   const struct render_options *options, const char *expected)
{
    char *text = put(layout, write, options);

    ck_assert_str_eq(text, expected);
    free(text);
}

static void write_figures(const void *context, struct writer *w)
{
    (void)context;
    write_figure(w, "ratio", 0.25, NULL);
    write_text(w, "loss", "minimal");
    write_figure(w, "missing", NAN, "nothing compared");
    write_u64(w, "none", 0);
    write_flag(w, "is_odd", false);
    write_object(w, "bits");
    write_u64(w, "before", 32);
    write_u64(w, "after", 8);
    write_end(w);
    write_u64(w, "file_bytes", 16664);
    write_array(w, "list");
    for (uint64_t i = 0; i < 14; i++)
        w->ops->u64(w, i);
    write_end(w);
    write_array(w, "empty");
    write_end(w);
}

START_TEST(the_line_holds_what_the_layout_names_and_nothing_empty)
{
    expect(
        &(struct lines_layout){.analysis = "a", .head = "ratio loss missing none is_odd bits=bits.before|bits.after"},
        write_figures, &plain, "a: ratio=0.25, loss=minimal, bits=32->8\n");
    expect(&(struct lines_layout){.analysis = "a", .head = "!missing !is_odd same=bits.after|bits.after n=#list empty"},
           write_figures, &plain, "a: missing=n/a (nothing compared), is_odd=no, same=8, n=14\n");
    expect(&(struct lines_layout){.analysis = "a", .head = "size=file_bytes list"}, write_figures, &plain,
           "a: size=16.66 kB, list=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …]\n");
    expect(&(struct lines_layout){.analysis = "a", .head = "no_such"}, write_figures, &plain, "a: nothing to tell\n");
}
END_TEST

START_TEST(colours_need_to_be_asked_for)
{
    expect(&(struct lines_layout){.analysis = "a", .head = "loss"}, write_figures, &colored,
           "\033[1ma\033[0m: loss=\033[32mminimal\033[0m\n");
}
END_TEST

static void write_rows(const void *context, struct writer *w)
{
    static const double shares[] = {0.25, 0, 0.5, NAN, 0.125};

    (void)context;
    write_array(w, "rows");
    for (size_t i = 0; i < 5; i++) {
        char name[16];

        snprintf(name, sizeof(name), i == 2 ? "grün.%zu" : "layer.%zu", i);
        write_begin_object(w);
        write_text(w, "name", name);
        write_figure(w, "share", shares[i], "nothing changed");
        write_u64(w, "count", i * 100);
        write_u64(w, "zeros", 0);
        write_object(w, "evidence");
        write_u64(w, "rows", i);
        write_figure(w, "ratio", 1.5, NULL);
        write_end(w);
        write_array(w, "shape");
        w->ops->u64(w, i);
        w->ops->u64(w, 4);
        write_end(w);
        write_end(w);
    }
    write_end(w);
}

START_TEST(rows_align_and_the_largest_come_first)
{
    static const struct lines_layout layout = {.analysis = "a",
                                               .head = "n=#rows",
                                               .parts = {{.kind = LINES_ROWS,
                                                          .title = "some_rows",
                                                          .path = "rows",
                                                          .columns = "name share n=count zeros",
                                                          .sort = "share"}}};

    expect(&layout, write_rows, &plain,
           "a: n=5\n"
           "  some rows  share    n\n"
           "    grün.2   0.500  200\n"
           "    layer.0  0.250    0\n"
           "    layer.4  0.125  400\n"
           "    … 2 more (--verbose shows all)\n");
    expect(&layout, write_rows, &verbose,
           "a: n=5\n"
           "  some rows  share    n\n"
           "    grün.2   0.500  200\n"
           "    layer.0  0.250    0\n"
           "    layer.4  0.125  400\n"
           "    layer.1      0  100\n"
           "    layer.3      –  300\n");
}
END_TEST

START_TEST(objects_and_lists_in_a_row_take_one_cell)
{
    static const struct lines_layout layout = {
        .analysis = "a",
        .head = "",
        .parts = {{.kind = LINES_ROWS, .title = "t", .path = "rows", .columns = "name shape evidence"},
                  {.kind = LINES_ROWS, .title = "hidden", .path = "rows", .columns = "name", .is_detail = true},
                  {.kind = LINES_ROWS, .title = "unmet", .path = "rows", .columns = "name", .when = "n", .least = 3}}};

    expect(&layout, write_rows, &plain,
           "a: nothing to tell\n"
           "  t          shape   evidence\n"
           "    layer.0  [0, 4]  rows=0, ratio=1.5\n"
           "    layer.1  [1, 4]  rows=1, ratio=1.5\n"
           "    grün.2   [2, 4]  rows=2, ratio=1.5\n"
           "    layer.3  [3, 4]  rows=3, ratio=1.5\n"
           "    layer.4  [4, 4]  rows=4, ratio=1.5\n");
}
END_TEST

static void write_many(const void *context, struct writer *w)
{
    (void)context;
    write_array(w, "rows");
    for (uint64_t i = 0; i < 1000; i++) {
        write_begin_object(w);
        write_text(w, "name", "r");
        write_u64(w, "size_bytes", i * 1000);
        write_end(w);
    }
    write_end(w);
}

START_TEST(ten_rows_are_shown_of_a_thousand)
{
    static const struct lines_layout layout = {
        .analysis = "a",
        .head = "",
        .parts = {
            {.kind = LINES_ROWS, .title = "t", .path = "rows", .columns = "name size_bytes", .sort = "size_bytes"}}};
    char *text = put(&layout, write_many, &plain);
    size_t lines = 0;

    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    ck_assert_uint_eq(lines, 13);
    ck_assert_ptr_nonnull(strstr(text, "  t    size bytes\n    r    999.0 kB\n    r    998.0 kB\n"));
    ck_assert_ptr_nonnull(strstr(text, "    … 990 more (--verbose shows all)\n"));
    free(text);
}
END_TEST

static void write_matrix(const void *context, struct writer *w)
{
    static const double cosine[3][3] = {{1, 0.9999999, NAN}, {0.9999999, 1, 0.25}, {NAN, 0.25, 1}};

    (void)context;
    write_array(w, "cosine");
    for (int i = 0; i < 3; i++) {
        write_begin_array(w);
        for (int j = 0; j < 3; j++)
            if (isnan(cosine[i][j]))
                w->ops->null(w, NULL);
            else
                w->ops->f64(w, cosine[i][j]);
        write_end(w);
    }
    write_end(w);
    write_array(w, "names");
    for (int i = 0; i < 7; i++) {
        char name[16];

        snprintf(name, sizeof(name), i < 5 ? "h.%d" : "x.%d", i);
        write_name(w, name_of(name));
    }
    write_end(w);
    write_array(w, "depth");
    for (int i = 0; i < 8; i++)
        w->ops->f64(w, i);
    write_end(w);
    write_array(w, "steps");
    for (int i = 0; i < 3; i++)
        w->ops->f64(w, 1.25 * (i + 1));
    write_end(w);
}

START_TEST(a_matrix_is_a_grid_and_exactly_one_is_told_from_almost)
{
    expect(&(struct lines_layout){.analysis = "a",
                                  .head = "",
                                  .parts = {{.kind = LINES_GRID, .title = "cosine", .path = "cosine"}}},
           write_matrix, &plain,
           "a: nothing to tell\n"
           "  cosine         0         1         2\n"
           "    0            1  1.000000         –\n"
           "    1     1.000000         1  0.250000\n"
           "    2            –  0.250000         1\n");
}
END_TEST

START_TEST(names_and_figures_in_lists_take_a_line)
{
    expect(&(struct lines_layout){.analysis = "a",
                                  .head = "",
                                  .parts = {{.kind = LINES_NAMES, .title = "frozen_layers", .path = "names"},
                                            {.kind = LINES_PROFILE, .title = "by_depth", .path = "depth"}}},
           write_matrix, &plain,
           "a: nothing to tell\n"
           "  frozen layers  h.0–4, x.5, x.6\n"
           "  by depth  ▁▂▃▄▅▆▇█  0 to 7\n");
}
END_TEST

START_TEST(lists_of_a_series_stand_side_by_side)
{
    expect(
        &(struct lines_layout){
            .analysis = "a",
            .head = "",
            .parts = {{.kind = LINES_SERIES, .title = "step", .path = "", .columns = "to=depth+1 length=steps"}}},
        write_matrix, &plain,
        "a: nothing to tell\n"
        "  step      to  length\n"
        "    0 -> 1   1    1.25\n"
        "    1 -> 2   2    2.50\n"
        "    2 -> 3   3    3.75\n");
}
END_TEST

static void write_sides(const void *context, struct writer *w)
{
    (void)context;
    for (int side = 0; side < 2; side++) {
        write_object(w, side ? "candidate" : "baseline");
        write_u64(w, "depth", side ? 3 : 2);
        write_text(w, "family", "llama");
        write_u64(w, "size", 2000);
        write_null(w, "experts", "no experts");
        write_end(w);
    }
    write_object(w, "config");
    write_object(w, "added");
    write_array(w, "/list");
    w->ops->u64(w, 1);
    write_begin_object(w);
    write_text(w, "a.b", "c");
    write_end(w);
    write_end(w);
    write_end(w);
    write_object(w, "removed");
    write_null(w, "/gone", NULL);
    write_end(w);
    write_object(w, "changed");
    write_array(w, "/depth");
    w->ops->u64(w, 2);
    w->ops->u64(w, 3);
    write_end(w);
    write_array(w, "/ids");
    write_begin_array(w);
    w->ops->u64(w, 1);
    w->ops->u64(w, 2);
    write_end(w);
    w->ops->text(w, "\x1b[31m", 5);
    write_end(w);
    write_end(w);
    write_end(w);
}

START_TEST(two_sides_stand_side_by_side_and_differences_are_marked)
{
    expect(
        &(struct lines_layout){.analysis = "a",
                               .head = "",
                               .parts = {{.kind = LINES_SIDES,
                                          .title = "figures",
                                          .path = "baseline|candidate",
                                          .columns = "family how_deep=depth size@ experts"},
                                         {.kind = LINES_SIDES, .title = "one", .path = "baseline", .columns = "depth"},
                                         {.kind = LINES_DIFF, .title = "config", .path = "config"}}},
        write_sides, &plain,
        "a: nothing to tell\n"
        "  figures     baseline  candidate\n"
        "    family       llama      llama\n"
        "    how deep         2          3  ≠\n"
        "    size      2.000 kB   2.000 kB\n"
        "  one\n"
        "    depth  2\n"
        "  config\n"
        "    + /list   [1, {a.b: c}]\n"
        "    - /gone   null\n"
        "    ~ /depth  2 -> 3\n"
        "    ~ /ids    [1, 2] -> \\x1b[31m\n");
}
END_TEST

START_TEST(every_analysis_but_stats_has_a_layout)
{
    for (size_t i = 0; i < analysis_count; i++)
        ck_assert_msg((lines_layout_of(analyses[i]->name) != NULL) == (analyses[i] != &stats_analysis), "%s",
                      analyses[i]->name);
}
END_TEST

START_TEST(every_analysis_is_documented)
{
    for (size_t i = 0; i < analysis_count; i++) {
        ck_assert_ptr_nonnull(analyses[i]->docs);
        ck_assert_ptr_nonnull(strstr(analyses[i]->docs->example, analyses[i]->flag));
        ck_assert(analyses[i]->docs->measures[0] && analyses[i]->docs->formula[0] && analyses[i]->docs->thresholds[0]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lines");
    TCase *tcase = tcase_create("lines");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, the_line_holds_what_the_layout_names_and_nothing_empty);
    tcase_add_test(tcase, colours_need_to_be_asked_for);
    tcase_add_test(tcase, rows_align_and_the_largest_come_first);
    tcase_add_test(tcase, objects_and_lists_in_a_row_take_one_cell);
    tcase_add_test(tcase, ten_rows_are_shown_of_a_thousand);
    tcase_add_test(tcase, a_matrix_is_a_grid_and_exactly_one_is_told_from_almost);
    tcase_add_test(tcase, names_and_figures_in_lists_take_a_line);
    tcase_add_test(tcase, lists_of_a_series_stand_side_by_side);
    tcase_add_test(tcase, two_sides_stand_side_by_side_and_differences_are_marked);
    tcase_add_test(tcase, every_analysis_but_stats_has_a_layout);
    tcase_add_test(tcase, every_analysis_is_documented);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
