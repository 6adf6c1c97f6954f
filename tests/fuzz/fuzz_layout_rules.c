/* Rules of layouts from outside: what is read is matched against names and applied to tensors, within bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/align/layouts.h"
#include "core/align/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(fact)                                                                                                     \
    do {                                                                                                               \
        if (!(fact))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

static void apply(const char *readings)
{
    static const uint64_t dims[] = {12, 4, 6};
    static struct arrangement a;
    struct tensor tensor = {.dtype = DTYPE_BF16, .shape = {.dims = dims}};
    struct name rest = name_of(readings), reading;
    struct symbols symbols = {0};

    symbols_set(&symbols, "heads", 3);
    symbols_set(&symbols, "t0", 12);
    while (pattern_next(&rest, "||", &reading)) {
        tensor.shape.elements = 1;
        for (tensor.shape.rank = 0; tensor.shape.rank <= 3; tensor.shape.rank++) {
            uint64_t elements = 0;

            if (transformation_apply(reading, &symbols, &tensor, &a, NULL) == 0) {
                MUST(a.piece_count <= TRANSFORMATION_PIECES_MAX && memchr(a.text, '\0', sizeof(a.text)));
                for (size_t i = 0; i < a.piece_count; i++) {
                    uint64_t last = a.pieces[i].first;

                    elements += a.pieces[i].elements;
                    for (uint32_t d = 0; d < a.pieces[i].rank; d++)
                        last += (a.pieces[i].dims[d] - 1) * a.pieces[i].steps[d];
                    MUST(last < tensor.shape.elements);
                }
                for (uint32_t d = 0; d < a.rank; d++)
                    MUST(a.dims[d] > 0 && elements % a.dims[d] == 0);
            }
            if (tensor.shape.rank < 3)
                tensor.shape.elements *= dims[tensor.shape.rank];
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"model.layers.10.self_attn.q_proj.weight", "blk.3.ffn_gate_exps.weight", "x"};
    struct layout_rules rules;
    struct error err = {0};
    int rc = layout_rules_read((const char *)data, size, &rules, &err);

    MUST(rc == 0 ? rules.count > 0 : err.code == rc && err.text[0]);
    for (const char *at = err.text; *at; at++)
        MUST((unsigned char)*at >= ' ' && *at != 0x7f);
    for (size_t i = 0; rc == 0 && i < rules.count; i++) {
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
            struct captures captures = {0};
            char text[PATTERN_NAME_BYTES];
            struct name rest = name_of(rules.items[i].source), source, filled;

            if (!pattern_match(name_of(rules.items[i].target), name_of(names[n]), &captures))
                continue;
            while (pattern_next(&rest, "|", &source))
                if (pattern_fill(source, &captures, text, &filled))
                    MUST(filled.bytes <= sizeof(text));
        }
        apply(rules.items[i].transformation);
    }
    layout_rules_done(&rules);
    return 0;
}
