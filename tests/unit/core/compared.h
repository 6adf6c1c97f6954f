/* Two models by their paths, and what comparing them gives. */
#ifndef TESTS_UNIT_CORE_COMPARED_H
#define TESTS_UNIT_CORE_COMPARED_H

#include <check.h>
#include <fcntl.h>

#include "core/adapter/adapter.h"
#include "core/compare.h"
#include "core/format/format.h"

struct compared {
    struct compare_request request;
    struct model *models[2];
    struct comparison *c;
};

static inline struct model *opened(const char *path)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = path};
    struct model *model;
    struct error err = {0};

    ck_assert_msg(model_open(&place, &limits_default, &model, &err) == 0, "%s: %s", path, err.text);
    return model;
}

/* adapter: a path, put on a before; or NULL. */
static inline void compare_paths(struct compared *x, const char *a, const char *adapter, const char *b,
                                 bool is_headers_only)
{
    struct compare_env env = {.scan = {.threads = 2, .cache_bytes = UINT64_MAX}};
    struct error err = {0};

    *x = (struct compared){.request = {.analyses = 1}};
    options_init(&x->request.options);
    x->request.options.headers_only = is_headers_only;
    x->models[0] = opened(a);
    x->models[1] = opened(b);
    if (adapter)
        ck_assert_msg(adapter_apply(x->models[0], opened(adapter), &err) == 0, "%s: %s", adapter, err.text);
    ck_assert_msg(compare_run(&x->request, x->models, 2, &env, &x->c, &err) == 0, "%s", err.text);
}

static inline void done(struct compared *x)
{
    comparison_free(x->c);
    model_close(x->models[0]);
    model_close(x->models[1]);
    options_done(&x->request.options);
}

#endif
