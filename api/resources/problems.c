/* The pages that a problem's type points at: for a person who opens it in a browser, for one with curl, and for a
 * program that asks for JSON. */
#include "api/resources/resources.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/prefer.h"

enum page_form { FORM_TEXT, FORM_HTML, FORM_JSON, FORM_COUNT };
static const char *const media_types[FORM_COUNT] = {"text/plain", "text/html", "application/json"};

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else
            fputc(*text, out);
    }
}

static void write_page(const struct problem_type *type, FILE *out)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width\"><title>",
          out);
    put_escaped(out, type->title);
    fputs(" - diffaid</title>\n<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;"
          "padding:0 1rem}</style></head>\n<body>\n<h1>",
          out);
    put_escaped(out, type->title);
    fprintf(out, "</h1>\n<p><code>/problems/%s</code>, status %d</p>\n<h2>What it means</h2>\n<p>", type->slug,
            type->status);
    put_escaped(out, type->meaning);
    fputs("</p>\n<h2>What to do</h2>\n<p>", out);
    put_escaped(out, type->remedy);
    fputs("</p>\n<p><a href=\"/\">diffaid</a> · <a href=\"/openapi.yaml\">/openapi.yaml</a></p>\n</body>\n</html>\n",
          out);
}

static void write_text_page(const struct problem_type *type, FILE *out)
{
    fprintf(out, "%s (/problems/%s, status %d)\n\nWhat it means\n%s\n\nWhat to do\n%s\n", type->title, type->slug,
            type->status, type->meaning, type->remedy);
}

static void reply_page(struct response *response, const struct problem_type *type, enum page_form form)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    bool is_whole = out != NULL;

    if (out) {
        if (form == FORM_HTML)
            write_page(type, out);
        else
            write_text_page(type, out);
        is_whole = !ferror(out);
        is_whole = fclose(out) == 0 && is_whole;
    }
    if (!is_whole) {
        free(text);
        text = NULL;
    }
    response_text(response, 200, form == FORM_HTML ? "text/html; charset=utf-8" : "text/plain; charset=utf-8", text,
                  bytes);
    if (form == FORM_HTML) {
        response_header(response, "Content-Security-Policy", PAGE_POLICY);
        response_header(response, "Referrer-Policy", "no-referrer");
    }
}

static void reply_object(struct response *response, const struct problem_type *type)
{
    struct json_text json;
    char address[96];

    snprintf(address, sizeof(address), "/problems/%s", type->slug);
    json_text_init(&json);
    write_begin_object(&json.writer);
    write_text(&json.writer, "type", address);
    write_text(&json.writer, "title", type->title);
    write_i64(&json.writer, "status", type->status);
    write_text(&json.writer, "meaning", type->meaning);
    write_text(&json.writer, "remedy", type->remedy);
    write_end(&json.writer);
    reply_json(response, 200, &json);
}

void problems_get(const struct request *request, struct backend *backend, struct response *response)
{
    const struct problem_type *type = problem_by_slug(request->parameters[0]);
    int form = accept_choose(request_header(request, "Accept"), media_types, FORM_COUNT);

    (void)backend;
    if (!type) {
        problem_reply(response, request, PROBLEM_NOT_FOUND, "there is no problem of this name");
        return;
    }
    /* Whoever can read none of them gets text all the same: an explanation of an error must not be another one. */
    if (form == FORM_JSON)
        reply_object(response, type);
    else
        reply_page(response, type, form == FORM_HTML ? FORM_HTML : FORM_TEXT);
    response_header(response, "Vary", "Accept");
}
