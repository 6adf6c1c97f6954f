#include "api/render/render.h"

const struct renderer *const renderers[] = {&json_renderer, &ndjson_renderer, &text_renderer, &markdown_renderer,
                                            &junit_renderer};
const size_t renderer_count = sizeof(renderers) / sizeof(renderers[0]);
