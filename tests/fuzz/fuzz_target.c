/* The target of a request: taken apart, decoded, matched with every route. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "core/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *raw = malloc(size + 1);
    struct target target;

    if (!raw)
        return 0;
    memcpy(raw, data, size);
    raw[size] = '\0';
    if (target_parse(raw, &target, NULL) == 0) {
        if (target.query_count > TARGET_QUERY_MAX || target.segment_count > TARGET_SEGMENTS_MAX)
            abort();
        for (size_t i = 0; i < target.segment_count; i++)
            if (!utf8_is_valid(target.segments[i], strlen(target.segments[i])))
                abort();
        for (int method = 0; method < METHOD_COUNT; method++) {
            struct route_match match;

            route_find((enum http_method)method, &target, &match);
            for (int p = 0; match.route && p < PATH_PARAMETERS_MAX; p++)
                if (match.parameters[p] && strlen(match.parameters[p]) > size)
                    abort();
        }
        target_done(&target);
    }
    free(raw);
    return 0;
}
