/* A comparison's result document, as the JSON renderer writes it. */
#ifndef TESTS_UNIT_CORE_ANALYSIS_DOCUMENTS_H
#define TESTS_UNIT_CORE_ANALYSIS_DOCUMENTS_H

#include <check.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/render/render.h"
#include "core/analysis/analysis.h"
#include "core/compare.h"

/* The caller frees it. */
static inline char *document_text(const struct comparison *comparison)
{
    struct render_options render = {0};
    struct output *output = malloc(sizeof(*output));
    struct error error = {0};
    int fd = memfd_create("result", 0);
    off_t size;
    char *text;

    ck_assert_ptr_nonnull(output);
    output_init(output, fd);
    json_renderer.render(comparison, &render, output);
    ck_assert_msg(output_finish(output, &error) == 0, "%s", error.text);
    size = lseek(fd, 0, SEEK_END);
    text = calloc(1, (size_t)size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)size, 0), size);
    close(fd);
    free(output);
    return text;
}

/* Runs the comparison; the caller frees the text. */
static inline char *compared_text(const struct compare_request *request, struct model *const *models, size_t count,
                                  unsigned threads)
{
    struct compare_env env = {.scan.threads = threads};
    struct comparison *comparison = NULL;
    struct error error = {0};
    char *text;

    ck_assert_msg(compare_run(request, models, count, &env, &comparison, &error) == 0, "%s", error.text);
    text = document_text(comparison);
    comparison_free(comparison);
    return text;
}

/* Takes the text. */
static inline struct json_object *document_parsed(char *text)
{
    struct json_object *document = json_tokener_parse(text);

    ck_assert_ptr_nonnull(document);
    free(text);
    return document;
}

/* Holds every line of a .tsv, a JSON pointer that begins with prefix and the value expected there, against the
 * document. Returns their number. */
static inline unsigned check_lines(struct json_object *document, const char *path, const char *prefix,
                                   void (*check)(struct json_object *, const char *pointer, const char *expected))
{
    char line[1024];
    unsigned lines = 0;
    FILE *truth = fopen(path, "r");

    ck_assert_ptr_nonnull(truth);
    while (fgets(line, sizeof(line), truth)) {
        char *tab = strchr(line, '\t');

        *tab = '\0';
        tab[1 + strcspn(tab + 1, "\n")] = '\0';
        if (strncmp(line, prefix, strlen(prefix)) != 0)
            continue;
        check(document, line, tab + 1);
        lines++;
    }
    fclose(truth);
    return lines;
}

#endif
