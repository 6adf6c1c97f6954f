/* What a person or a tool that knows only the address finds. */
#include "api/resources/resources.h"

static const char page[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>diffaid</title>\n"
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}"
    "pre{overflow:auto;padding:1rem;background:#8881}</style></head>\n"
    "<body>\n"
    "<h1>diffaid</h1>\n"
    "<p>This service tells what changed between machine-learning models. Send it two or more; it reads every weight "
    "once "
    "and answers in JSON what differs, by how much and where.</p>\n"
    "<h2>Compare two models</h2>\n"
    "<pre>curl -H 'Content-Type: application/json' -H 'Prefer: wait=30' \\\n"
    "     -d '{\"models\": [\"a.safetensors\", \"b.safetensors\"]}' \\\n"
    "     http://localhost:8080/v1/jobs</pre>\n"
    "<p>The answer has a <code>result_url</code> when the job has succeeded. To send a model of your own first:</p>\n"
    "<pre>curl -T model.safetensors http://localhost:8080/v1/uploads/</pre>\n"
    "<p>and name it in a job as <code>{\"upload\": \"ID\"}</code>.</p>\n"
    "<h2>Look around</h2>\n"
    "<ul>\n"
    "<li><a href=\"/openapi.yaml\">/openapi.yaml</a>: every call</li>\n"
    "<li><a href=\"/v1/models\">/v1/models</a>: the models that lie here</li>\n"
    "<li><a href=\"/v1/jobs\">/v1/jobs</a>: what was asked so far</li>\n"
    "<li><a href=\"/v1/uploads\">/v1/uploads</a>: what was sent so far</li>\n"
    "<li><a href=\"/v1/analyses\">/v1/analyses</a>, <a href=\"/v1/formats\">/v1/formats</a>: what this build can "
    "do</li>\n"
    "<li><a href=\"/version\">/version</a>, <a href=\"/readyz\">/readyz</a></li>\n"
    "</ul>\n"
    "</body>\n"
    "</html>\n";

void root_get(const struct request *request, struct backend *backend, struct response *response)
{
    (void)request;
    (void)backend;
    response_fixed(response, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
    response_header(response, "Content-Security-Policy", PAGE_POLICY);
    response_header(response, "Referrer-Policy", "no-referrer");
}

/* openapi.yaml as it was when this was built. */
__asm__(".section .rodata\n"
        ".balign 16\n"
        ".globl openapi_yaml, openapi_yaml_end\n"
        "openapi_yaml:\n"
        ".incbin \"" OPENAPI_FILE "\"\n"
        "openapi_yaml_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char openapi_yaml[], openapi_yaml_end[];

void openapi_get(const struct request *request, struct backend *backend, struct response *response)
{
    (void)request;
    (void)backend;
    response_fixed(response, 200, "application/yaml", openapi_yaml, (size_t)(openapi_yaml_end - openapi_yaml));
}
