/* Adapters: scales, names, merges that are right, half, partial and none. With DIFFAID_SHARED set, also every
 * adapter of other people's making beside its merges. */
#include "core/adapter/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/adapter/adapted.h"
#include "tests/unit/core/compared.h"

enum { PATH_BYTES = 1024, LINE = 4096 };

static const struct {
    const char *text, *module;
    uint64_t rank;
    double scale;
} scales[] = {
    {"{\"lora_alpha\": 16}", "m.q_proj", 8, 2},
    {"{\"lora_alpha\": 16, \"use_rslora\": true}", "m.q_proj", 16, 4},
    {"{\"lora_alpha\": 16, \"alpha_pattern\": {\"q_proj\": 4}}", "m.q_proj", 8, 0.5},
    {"{\"lora_alpha\": 16, \"alpha_pattern\": {\"proj\": 4}}", "m.q_proj", 8, 2},
    {"{\"lora_alpha\": 16, \"alpha_pattern\": {\"layers\\\\.[0-9]\\\\.q_proj\": 4}}", "m.layers.3.q_proj", 8, 0.5},
    {"{\"lora_alpha\": 16, \"alpha_pattern\": {\"b.q\": 4, \"a.b.q\": 2, \"q\": 8}}", "a.b.q", 1, 2},
    {"{\"lora_alpha\": 16, \"alpha_pattern\": {\"b.q\": 4, \"[ab].q\": 2}}", "a.b.q", 1, 2},
    {"{\"lora_alpha\": 16, \"alpha_pattern\": {\"A.q\": 4, \"[AB].q\": 2}}", "b.A.q", 1, 4},
    {"{\"lora_alpha\": 1.5}", "q_proj", 2, 0.75},
    {"{\"unet.lora_alpha\": 4, \"unet.alpha_pattern\": {\"^a.q\": 2}, \"text.lora_alpha\": 8}", "unet.a.q", 2, 1},
    {"{\"unet.lora_alpha\": 4, \"text.use_rslora\": true, \"text.lora_alpha\": 8}", "text.a.q", 4, 4},
};

START_TEST(scale_is_what_peft_makes_it)
{
    struct adapter_config *config;
    double scale;

    ck_assert_int_eq(adapter_config_read(scales[_i].text, strlen(scales[_i].text), &config, NULL), 0);
    ck_assert_int_eq(adapter_config_scale(config, name_of(scales[_i].module), scales[_i].rank, &scale, NULL), 0);
    ck_assert_double_eq(scale, scales[_i].scale);
    adapter_config_free(config);
}
END_TEST

static const struct {
    const char *base, *adapter, *other;
    enum merge_verdict verdict;
    size_t merged, not_merged, wrong;
    double scale, within;
} merges[] = {
#define MERGES(base, adapter)                                                                                          \
    {base, adapter, "merged", MERGE_MERGED, 3, 0, 0, 1, 1e-5},                                                         \
        {base, adapter, "merged-half", MERGE_WRONG_SCALE, 0, 0, 3, 0.5, 1e-5},                                         \
        {base, adapter, "merged-partly", MERGE_PARTLY, 2, 1, 0, NAN, 0},                                               \
    {                                                                                                                  \
        base, adapter, "not-merged", MERGE_NOT_MERGED, 0, 3, 0, 0, 1e-5                                                \
    }
    MERGES("llama", "adapter"),
    MERGES("llama", "adapter.gguf"),
    MERGES("llama-f32.gguf", "adapter"),
    MERGES("llama-f32.gguf", "adapter.gguf"),
    /* Codes of eight bits add noise, nothing else. */
    {"llama", "adapter", "merged-q8_0.gguf", MERGE_MERGED, 3, 0, 0, 1, 1e-3},
    {"llama", "adapter.gguf", "merged-q8_0.gguf", MERGE_MERGED, 3, 0, 0, 1, 1e-3},
    {"llama-q8_0.gguf", "adapter", "merged-q8_0.gguf", MERGE_MERGED, 3, 0, 0, 1, 1e-3},
    {"llama", "adapter.gguf", "llama-q8_0.gguf", MERGE_NOT_MERGED, 0, 3, 0, 0, 1e-3},
    {"llama", "adapter-dora", "merged-dora", MERGE_MERGED, 2, 0, 0, 1, 1e-5},
    {"llama-f32.gguf", "adapter-dora", "merged-dora", MERGE_MERGED, 2, 0, 0, 1, 1e-5},
};

START_TEST(merges_are_told_apart)
{
    char base[PATH_BYTES], adapter[PATH_BYTES], other[PATH_BYTES];
    struct compared x;

    snprintf(base, sizeof(base), FIXTURES "/align/%s", merges[_i].base);
    snprintf(adapter, sizeof(adapter), FIXTURES "/align/%s", merges[_i].adapter);
    snprintf(other, sizeof(other), FIXTURES "/align/%s", merges[_i].other);
    compare_paths(&x, base, adapter, other, false);
    ck_assert_ptr_nonnull(x.c->merge);
    ck_assert_int_eq(x.c->merge->verdict, merges[_i].verdict);
    ck_assert_uint_eq(x.c->merge->counts[MERGE_MERGED], merges[_i].merged);
    ck_assert_uint_eq(x.c->merge->counts[MERGE_NOT_MERGED], merges[_i].not_merged);
    ck_assert_uint_eq(x.c->merge->counts[MERGE_WRONG_SCALE], merges[_i].wrong);
    if (!isnan(merges[_i].scale))
        ck_assert_double_eq_tol(x.c->merge->scale, merges[_i].scale, merges[_i].within);
    done(&x);
}
END_TEST

static const struct {
    const char *base, *adapter, *merged;
    size_t changed; /* tensors that the adapter changes and whose shapes it keeps */
} kinds[] = {
#define KIND(name, changed)                                                                                            \
    {                                                                                                                  \
        name "/base", name "/adapter", name "/merged", changed                                                         \
    }
    KIND("dora-turned", 2),
    KIND("dora-embedding", 2),
    KIND("bias-of-b", 4),
    KIND("experts-apart", 10),
    KIND("experts-turned", 3),
    KIND("names-of-memory", 4),
    KIND("tied-head", 2),
    KIND("tokens", 3),
    KIND("conv1d-mixed", 3),
    KIND("patterns", 7),
    KIND("biases", 11),
    KIND("grown", 1),
    KIND("pissa", 1),
    KIND("experts-as-modules", 9),
    KIND("attention", 2),
    KIND("text", 2),
    KIND("named/neox", 2),
    KIND("named/exaone", 5),
    {"unet/base", "unet/kohya", "unet/merged-kohya", 18},
    {"unet/base", "unet/processors", "unet/merged-processors", 12},
    {"unet/base", "unet/pipeline", "unet/merged-pipeline", 12},
    {"rotary/interleaved", "rotary/adapter", "rotary/merged", 3},
    {"rotary/interleaved", "rotary/adapter-own", "rotary/merged", 3},
    {"rotary/halved", "rotary/adapter-own", "rotary/merged", 3},
    {"rare/base.safetensors", "rare/packed.safetensors", "rare/merged-packed.safetensors", 1},
    {"rare/base.safetensors", "rare/negated.pt", "rare/merged-negated.safetensors", 1},
};

START_TEST(every_kind_is_merged_as_peft_does)
{
    char base[PATH_BYTES], adapter[PATH_BYTES], merged[PATH_BYTES];
    struct compared x;

    snprintf(base, sizeof(base), FIXTURES "/adapters/%s", kinds[_i].base);
    snprintf(adapter, sizeof(adapter), FIXTURES "/adapters/%s", kinds[_i].adapter);
    snprintf(merged, sizeof(merged), FIXTURES "/adapters/%s", kinds[_i].merged);
    compare_paths(&x, base, adapter, merged, false);
    ck_assert_int_eq(x.c->merge->verdict, MERGE_MERGED);
    ck_assert_uint_eq(x.c->merge->counts[MERGE_MERGED], kinds[_i].changed);
    ck_assert_uint_eq(x.c->merge->count, kinds[_i].changed);
    ck_assert_uint_eq(x.c->status_counts[STATUS_ADDED] + x.c->status_counts[STATUS_REMOVED], 0);
    for (size_t pair = 0; pair < x.c->pairing->pairs; pair++)
        ck_assert_double_le(comparison_delta(x.c, pair)->max_abs, 1e-6);
    done(&x);
}
END_TEST

/* What is stored whole counts as what is added does. */
START_TEST(a_base_holds_nothing_of_its_adapter)
{
    struct compared x;

    compare_paths(&x, FIXTURES "/adapters/tokens/base", FIXTURES "/adapters/tokens/adapter",
                  FIXTURES "/adapters/tokens/base", false);
    ck_assert_int_eq(x.c->merge->verdict, MERGE_NOT_MERGED);
    ck_assert_uint_eq(x.c->merge->counts[MERGE_NOT_MERGED], 3);
    done(&x);
    compare_paths(&x, FIXTURES "/adapters/names-of-memory/base", FIXTURES "/adapters/names-of-memory/adapter",
                  FIXTURES "/adapters/names-of-memory/base", false);
    ck_assert_uint_eq(x.c->merge->counts[MERGE_NOT_MERGED], 4);
    done(&x);
}
END_TEST

static const struct {
    const char *adapter, *said;
} refused[] = {
    {"ia3", "of type IA3"},
    {"loha.safetensors", "of type LoHa"},
    {"alora", "alora_invocation_tokens"},
    {"bdlora", "use_bdlora"},
    {"kasa", "kasa_config"},
    {"pissa-raw", "began as pissa"},
};

START_TEST(what_is_no_lora_is_refused)
{
    struct model *base = opened(FIXTURES "/adapters/patterns/base");
    struct error err = {0};
    char adapter[PATH_BYTES];

    snprintf(adapter, sizeof(adapter), FIXTURES "/adapters/%s", refused[_i].adapter);
    ck_assert_int_eq(adapter_apply(base, opened(adapter), &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, refused[_i].said) != NULL, "%s", err.text);
    model_close(base);
}
END_TEST

static const struct {
    const char *base, *adapter, *said;
} misplaced[] = {
    {"align/qkv-apart", "align/adapter-headless.gguf", "number of heads"},
    {"adapters/rotary/bare.safetensors", "adapters/rotary/adapter", "number of heads"},
    {"adapters/dora-turned/base", "align/adapter-turned.gguf", "adapter of gpt2 in a GGUF file"},
    {"align/adapter-headless.gguf", "align/adapter", "fits a tensor"},
};

START_TEST(rows_of_no_known_order_are_refused)
{
    char base[PATH_BYTES], adapter[PATH_BYTES];
    struct error err = {0};
    struct model *model;

    snprintf(base, sizeof(base), FIXTURES "/%s", misplaced[_i].base);
    snprintf(adapter, sizeof(adapter), FIXTURES "/%s", misplaced[_i].adapter);
    model = opened(base);
    ck_assert_int_eq(adapter_apply(model, opened(adapter), &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, misplaced[_i].said) != NULL, "%s", err.text);
    model_close(model);
}
END_TEST

START_TEST(whose_order_rows_were_put_in_is_said)
{
    struct model *base = opened(FIXTURES "/align/llama");

    ck_assert_int_eq(adapter_apply(base, opened(FIXTURES "/align/adapter.gguf"), NULL), 0);
    ck_assert_uint_eq(base->warning_count, 1);
    ck_assert_str_eq(base->warnings[0].code, "adapter-layout");
    model_close(base);
}
END_TEST

START_TEST(what_fits_nothing_is_refused)
{
    struct model *base = opened(FIXTURES "/align/experts-apart"), *adapter = opened(FIXTURES "/align/adapter");
    struct error err = {0};

    ck_assert_int_eq(adapter_apply(base, adapter, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "fits a tensor") != NULL, "%s", err.text);
    adapter = opened(FIXTURES "/align/llama");
    ck_assert_int_eq(adapter_apply(base, adapter, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "is no adapter") != NULL, "%s", err.text);
    model_close(base);
}
END_TEST

/* Each is read by the one above it: without an end, that would be the stack's. */
START_TEST(no_more_changes_lie_on_a_tensor_than_can_be_read)
{
    struct model *base = opened(FIXTURES "/adapters/rare/base.safetensors");
    const struct tensor *tensor;
    float values[48];

    ck_assert_int_eq(adapter_apply(base, opened(FIXTURES "/adapters/rare/layers"), NULL), 0);
    tensor = model_find(base, name_of("m.q.weight"));
    ck_assert_uint_eq(adapted_layers(tensor), 16);
    ck_assert_uint_eq(base->warning_count, 2 * 4); /* the factors of four */
    ck_assert_int_eq(decoder_read(base, tensor, 0, 48, values, NULL), 0);
    model_close(base);
}
END_TEST

START_TEST(a_bias_is_not_added_where_its_factors_are_not)
{
    struct model *base = opened(FIXTURES "/adapters/rare/base.safetensors");
    struct error err = {0};

    ck_assert_int_eq(adapter_apply(base, opened(FIXTURES "/adapters/rare/rankless"), &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "fits a tensor") != NULL, "%s", err.text);
    model_close(base);
}
END_TEST

static const struct {
    const char *base, *adapter, *tensor;
    size_t elements;
} ranges[] = {
    {FIXTURES "/align/llama", FIXTURES "/align/adapter", "model.layers.0.mlp.down_proj.weight", 1024},
    {FIXTURES "/align/llama-f32.gguf", FIXTURES "/align/adapter-dora", "blk.0.attn_q.weight", 1024},
    {FIXTURES "/adapters/tokens/base", FIXTURES "/adapters/tokens/adapter", "model.embed_tokens.weight", 96},
    {FIXTURES "/adapters/dora-turned/base", FIXTURES "/adapters/dora-turned/adapter", "transformer.h.0.mlp.c_fc.weight",
     256},
};

START_TEST(any_range_of_a_merge_is_the_same)
{
    struct model *base = opened(ranges[_i].base);
    const size_t elements = ranges[_i].elements;
    const struct tensor *tensor;
    float whole[1024], part[1024];

    ck_assert_int_eq(adapter_apply(base, opened(ranges[_i].adapter), NULL), 0);
    tensor = model_find(base, name_of(ranges[_i].tensor));
    ck_assert_ptr_nonnull(adapted_base(tensor));
    ck_assert_uint_eq(tensor->shape.elements, elements);
    ck_assert_int_eq(decoder_read(base, tensor, 0, elements, whole, NULL), 0);
    for (size_t first = 0; first < elements; first += 37) {
        const size_t n = elements - first < 100 ? elements - first : 100;

        ck_assert_int_eq(decoder_read(base, tensor, first, n, part, NULL), 0);
        ck_assert_mem_eq(part, whole + first, n * sizeof(float));
    }
    model_close(base);
}
END_TEST

/* What the manifest calls "BASE + ADAPTER", "BASE + 0.5 * ADAPTER" or "same values as BASE". */
START_TEST(real_merges_are_told_apart)
{
    const char *shared = getenv("DIFFAID_SHARED");
    char path[PATH_BYTES], line[LINE], base[PATH_BYTES], adapter[PATH_BYTES], other[PATH_BYTES];
    size_t merges_seen = 0, right = 0;
    FILE *file;

    if (!shared)
        return;
    snprintf(path, sizeof(path), "%s/layouts/MANIFEST.tsv", shared);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        char *relation = line, *end, *slash;
        const bool is_half = strstr(line, " + 0.5 * lora/") != NULL,
                   is_none = strstr(line, "same values as hf/") != NULL;
        enum merge_verdict wanted = is_half ? MERGE_WRONG_SCALE : is_none ? MERGE_NOT_MERGED : MERGE_MERGED;
        struct compared x;
        FILE *there;

        if (strncmp(line, "lora/", 5) != 0 || (!is_half && !is_none && !strstr(line, " + lora/")))
            continue;
        snprintf(other, sizeof(other), "%.300s/layouts/%.*s", shared, (int)strcspn(line, "\t"), line);
        slash = strrchr(other, '/'); /* the manifest names a file in the folder, or the folder */
        if (strstr(slash, ".safetensors"))
            *slash = '\0';
        snprintf(adapter, sizeof(adapter), "%.900s", other);
        *strrchr(adapter, '/') = '\0';
        strcat(adapter, "/adapter");
        relation = strstr(line, is_none ? "same values as hf/" : "\thf/");
        relation = strstr(relation, "hf/");
        end = relation + strcspn(relation, " \t\n");
        snprintf(base, sizeof(base), "%.300s/layouts/%.*s/config.json", shared, (int)(end - relation), relation);
        there = fopen(base, "r");
        if (!there)
            continue; /* the base was not handed over */
        fclose(there);
        *strrchr(base, '/') = '\0';
        compare_paths(&x, base, adapter, other, false);
        merges_seen++;
        right += x.c->merge && x.c->merge->verdict == wanted;
        if (!x.c->merge || x.c->merge->verdict != wanted)
            printf("  %s: told to be %d, is %d\n", other, x.c->merge ? (int)x.c->merge->verdict : -1, (int)wanted);
        done(&x);
    }
    fclose(file);
    printf("%-24s %4zu models, %4zu told right\n", "merges of adapters", merges_seen, right);
    fflush(stdout);
    ck_assert_uint_eq(right, merges_seen);
}
END_TEST

/* Factors as training begins with them, of zeros: there is no scale to tell. */
START_TEST(an_adapter_that_changes_nothing_is_told_of_in_a_sentence)
{
    const struct merge_report report = {.verdict = MERGE_UNDETERMINED, .scale = NAN, .count = 2};
    char text[256];

    merge_sentence(&report, text, sizeof(text));
    ck_assert_str_eq(text, " Adapter: whether it was merged cannot be told; 0 of 2 tensors hold its change.");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("adapter");
    TCase *tcase = tcase_create("adapter");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, scale_is_what_peft_makes_it, 0, sizeof(scales) / sizeof(scales[0]));
    tcase_add_loop_test(tcase, merges_are_told_apart, 0, sizeof(merges) / sizeof(merges[0]));
    tcase_add_test(tcase, an_adapter_that_changes_nothing_is_told_of_in_a_sentence);
    tcase_add_test(tcase, what_fits_nothing_is_refused);
    tcase_add_loop_test(tcase, rows_of_no_known_order_are_refused, 0, sizeof(misplaced) / sizeof(misplaced[0]));
    tcase_add_test(tcase, whose_order_rows_were_put_in_is_said);
    tcase_add_loop_test(tcase, any_range_of_a_merge_is_the_same, 0, sizeof(ranges) / sizeof(ranges[0]));
    tcase_add_loop_test(tcase, every_kind_is_merged_as_peft_does, 0, sizeof(kinds) / sizeof(kinds[0]));
    tcase_add_test(tcase, a_base_holds_nothing_of_its_adapter);
    tcase_add_loop_test(tcase, what_is_no_lora_is_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, no_more_changes_lie_on_a_tensor_than_can_be_read);
    tcase_add_test(tcase, a_bias_is_not_added_where_its_factors_are_not);
    tcase_add_test(tcase, real_merges_are_told_apart);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
