#include "core/model/align.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/format.h"
#include "core/model/name_index.h"
#include "core/model/order.h"

/* A model of empty tensors, named as the words of names. */
static struct model *model_of(const char *names)
{
    struct opener opener = {.limits = &limits_default};
    char json[4096] = "{", words[1024], *rest = words, *word;
    uint8_t file[4104];
    struct source *source;
    struct model *model;
    struct error err;
    uint64_t bytes;

    snprintf(words, sizeof(words), "%s", names);
    while ((word = strsep(&rest, " ")))
        if (*word)
            sprintf(json + strlen(json), "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                    json[1] ? "," : "", word);
    strcat(json, "}");
    bytes = strlen(json);
    memcpy(file, &bytes, 8);
    memcpy(file + 8, json, bytes);
    ck_assert_int_eq(memory_open(file, 8 + bytes, "m", &source, NULL), 0);
    ck_assert_msg(model_open_source(&opener, source, &model, &err) == 0, "%s", err.text);
    return model;
}

/* "name:sides" of every pair; a side is 1 where the model has the tensor, and that tensor must bear the name. */
static const char *describe(const struct pairing *pairing, const struct model *const *models, char out[2048])
{
    out[0] = '\0';
    for (size_t p = 0; p < pairing->pairs; p++) {
        struct name name = pairing_name(pairing, models, p);

        sprintf(out + strlen(out), "%s%.*s:", p ? " " : "", (int)name.bytes, name.text);
        for (size_t m = 0; m < pairing->models; m++) {
            const struct tensor *tensor = pairing_tensor(pairing, models, p, m);

            ck_assert(!tensor || name_equal(tensor->name, name));
            strcat(out, tensor ? "1" : "0");
        }
        ck_assert_int_eq(pairing->rule[p], PAIRED_BY_NAME);
    }
    return out;
}

static const struct {
    const char *models[3];
    size_t count;
    const char *pairs;
} rows[] = {
    {{"a b c", "a b c"}, 2, "a:11 b:11 c:11"},
    {{"c a b", "b c a"}, 2, "a:11 b:11 c:11"},
    {{"a c", "b d"}, 2, "a:10 b:01 c:10 d:01"},
    {{"l.10.w l.2.w", "l.2.w l.9.w l.10.w"}, 2, "l.2.w:11 l.9.w:01 l.10.w:11"},
    {{"", "a b"}, 2, "a:01 b:01"},
    {{"a b", ""}, 2, "a:10 b:10"},
    {{"", ""}, 2, ""},
    {{"a b", "b c", "c a"}, 3, "a:101 b:110 c:011"},
    {{"x", "a", "a x"}, 3, "a:011 x:101"},
    {{"a2 a1"}, 1, "a1:1 a2:1"},
    {{"a1", "a01"}, 2, "a01:01 a1:10"},
};

START_TEST(tensors_of_equal_names_stand_opposite)
{
    const struct model *models[3];
    struct pairing *pairing;
    char text[2048];

    for (size_t m = 0; m < rows[_i].count; m++)
        models[m] = model_of(rows[_i].models[m]);
    ck_assert_int_eq(pairing_align(models, rows[_i].count, &pairing, NULL), 0);
    ck_assert_str_eq(describe(pairing, models, text), rows[_i].pairs);
    ck_assert_uint_eq(pairing->excluded, 0);
    pairing_free(pairing);
    pairing_free(NULL);
    for (size_t m = 0; m < rows[_i].count; m++)
        model_close((struct model *)models[m]);
}
END_TEST

static bool begins_with(void *context, struct name name)
{
    const char *prefix = context;

    return name.bytes >= strlen(prefix) && memcmp(name.text, prefix, strlen(prefix)) == 0;
}

START_TEST(a_selection_leaves_names_out_and_counts_them)
{
    const struct model *models[2] = {model_of("a.1 a.2 b.1"), model_of("a.2 b.1 b.2 c")};
    struct selection selection = {begins_with, (void *)(uintptr_t) "b"};
    struct pairing *pairing;
    char text[2048];

    ck_assert_int_eq(pairing_align(models, 2, &pairing, NULL), 0);
    pairing_select(models, pairing, &selection);
    ck_assert_str_eq(describe(pairing, models, text), "b.1:11 b.2:01");
    ck_assert_uint_eq(pairing->excluded, 3);
    pairing_free(pairing);
    for (size_t m = 0; m < 2; m++)
        model_close((struct model *)models[m]);
}
END_TEST

START_TEST(pairs_grow_beyond_the_largest_model)
{
    const struct model *models[2] = {model_of("a b c d e f g h"), model_of("i j k l m n o p q")};
    struct pairing *pairing;

    ck_assert_int_eq(pairing_align(models, 2, &pairing, NULL), 0);
    ck_assert_uint_eq(pairing->pairs, 17);
    ck_assert_ptr_null(pairing_tensor(pairing, models, 16, 0));
    ck_assert(name_equal(pairing_name(pairing, models, 16), name_of("q")));
    pairing_free(pairing);
    for (size_t m = 0; m < 2; m++)
        model_close((struct model *)models[m]);
}
END_TEST

START_TEST(names_are_found_by_hash_and_only_once)
{
    enum { NAMES = 5000 };
    static char texts[NAMES][16];
    static struct name names[NAMES + 1];
    struct name_records records = {names, sizeof(*names)};
    struct name_index *index = name_index_new(NAMES + 1);

    ck_assert_ptr_nonnull(index);
    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof(texts[i]), "tensor.%u", i);
        names[i] = name_of(texts[i]);
        ck_assert_uint_eq(name_index_find(index, records, names[i]), NAME_INDEX_NONE);
        ck_assert_uint_eq(name_index_add(index, records, i), i);
    }
    names[NAMES] = name_of("tensor.77");
    ck_assert_uint_eq(name_index_add(index, records, NAMES), 77);
    for (uint32_t i = 0; i < NAMES; i++)
        ck_assert_uint_eq(name_index_find(index, records, name_of(texts[i])), i);
    ck_assert_uint_eq(name_index_find(index, records, name_of("tensor.")), NAME_INDEX_NONE);
    ck_assert_uint_eq(name_index_find(index, records, name_of("")), NAME_INDEX_NONE);
    name_index_free(index);
    name_index_free(NULL);
}
END_TEST

static int compare_tens(const void *context, uint32_t a, uint32_t b)
{
    (void)context;
    return a / 10 < b / 10 ? -1 : a / 10 > b / 10;
}

START_TEST(sorting_keeps_equal_items_in_their_order)
{
    enum { ITEMS = 1000 };
    uint32_t items[ITEMS], scratch[ITEMS / 2 + 1], state = 1, seen[ITEMS * 2] = {0};

    for (uint32_t round = 0; round < 50; round++) {
        uint32_t count = round * 20 + round % 3, place[ITEMS * 2];

        for (uint32_t i = 0; i < count; i++) {
            bool is_taken = true;

            while (is_taken) {
                state = state * 1664525u + 1013904223u;
                items[i] = (state >> 12) % (ITEMS * 2);
                is_taken = seen[items[i]] == round + 1;
            }
            seen[items[i]] = round + 1;
            place[items[i]] = i;
        }
        order_sort(items, count, scratch, compare_tens, NULL);
        for (uint32_t i = 1; i < count; i++) {
            ck_assert_int_le(compare_tens(NULL, items[i - 1], items[i]), 0);
            if (compare_tens(NULL, items[i - 1], items[i]) == 0)
                ck_assert_uint_lt(place[items[i - 1]], place[items[i]]);
        }
    }
}
END_TEST

START_TEST(shapes_compare_by_their_dims)
{
    const uint64_t one[] = {2, 3}, two[] = {3, 2};
    struct shape a = {one, 6, 2}, b = {two, 6, 2}, c = {one, 2, 1}, scalar = {NULL, 1, 0};

    ck_assert(shape_equal(&a, &a));
    ck_assert(!shape_equal(&a, &b));
    ck_assert(!shape_equal(&a, &c));
    ck_assert(!shape_equal(&a, &scalar));
    ck_assert(shape_equal(&scalar, &scalar));
}
END_TEST

START_TEST(dtypes_are_known_by_name)
{
    for (int i = DTYPE_UNKNOWN + 1; i < DTYPE_COUNT; i++) {
        const struct dtype_traits *traits = dtype_traits((enum dtype)i);

        ck_assert_int_eq(dtype_by_name(name_of(traits->name)), i);
        ck_assert_uint_ne(traits->bits, 0);
        ck_assert_int_ne(traits->kind, DTYPE_KIND_NONE);
        ck_assert_uint_eq(strlen(traits->short_name), strlen(traits->name));
        ck_assert(traits->min <= 0 || i == DTYPE_F8_E8M0);
        ck_assert(traits->max > traits->min || dtype_is_complex((enum dtype)i));
    }
    ck_assert_int_eq(dtype_by_name(name_of("f32")), DTYPE_UNKNOWN);
    ck_assert_int_eq(dtype_by_name(name_of("F3")), DTYPE_UNKNOWN);
    ck_assert_int_eq(dtype_by_name((struct name){"F32x", 3}), DTYPE_F32);
    ck_assert_int_eq(dtype_traits((enum dtype)99)->kind, DTYPE_KIND_NONE);
    ck_assert(dtype_is_parameter(DTYPE_BF16) && dtype_is_parameter(DTYPE_C64));
    ck_assert(!dtype_is_parameter(DTYPE_I64) && !dtype_is_parameter(DTYPE_BOOL) && !dtype_is_parameter(DTYPE_UNKNOWN));
}
END_TEST

/* "a>b" of every pair that a prefix stands between, and how many pairs there are. */
static const struct {
    const char *models[3];
    size_t count;
    const char *prefixed;
    size_t pairs;
} prefix_rows[] = {
    {{"model.a model.b", "a b"}, 2, "model.a>a model.b>b", 2},
    {{"a b", "module.a module.b"}, 2, "a>module.a b>module.b", 2},
    {{"_orig_mod.module.a", "model.a"}, 2, "_orig_mod.module.a>model.a", 1},
    {{"state_dict.model.a x.b", "a"}, 2, "state_dict.model.a>a", 2}, /* Lightning's checkpoints */
    {{"model_state_dict.a", "a"}, 2, "model_state_dict.a>a", 1},
    {{"state_dict.net.a state_dict.net.b", "a b"}, 2, "state_dict.net.a>a state_dict.net.b>b", 2},
    {{"a b", "state_dict.net.a state_dict.net.b"}, 2, "a>state_dict.net.a b>state_dict.net.b", 2},
    {{"state_dict.net._forward_module.a", "a"}, 2, "state_dict.net._forward_module.a>a", 1},
    {{"module.a", "_fsdp_wrapped_module.a"}, 2, "module.a>_fsdp_wrapped_module.a", 1},
    {{"a model.a", "a"}, 2, "", 2},          /* a has its partner */
    {{"model.a module.a", "a b"}, 2, "", 4}, /* two that become one: neither */
    {{"a", "model.a module.a"}, 2, "", 3},
    {{"bert.x bert.y.z cls.w", "x y.z pooler"}, 2, "bert.x>x bert.y.z>y.z", 4},
    {{"x y.z pooler", "bert.x bert.y.z cls.w"}, 2, "x>bert.x y.z>bert.y.z", 4},
    {{"t.a t.b t.c t.d", "a x y z"}, 2, "", 8}, /* one of four, of four: no evidence */
    {{"model.encoder.a head", "bert.encoder.a head"}, 2, "", 3},
    {{"model.a model.b c", "a c", "b module.c"}, 3, "c>module.c model.b>b", 3},
    {{"a b", "c", "d"}, 3, "", 4},
};

START_TEST(names_left_over_are_paired_without_prefixes)
{
    const struct model *models[3];
    struct pairing *pairing;
    char text[2048] = "";
    size_t n = prefix_rows[_i].count;

    for (size_t m = 0; m < n; m++)
        models[m] = model_of(prefix_rows[_i].models[m]);
    ck_assert_int_eq(pairing_align(models, n, &pairing, NULL), 0);
    ck_assert_int_eq(pairing_add_prefixed(models, pairing, NULL), 0);
    for (size_t p = 0; p < pairing->pairs; p++) {
        const struct tensor *a = pairing_tensor(pairing, models, p, 0);
        const struct tensor *b = pairing_tensor(pairing, models, p, n - 1);

        if (p > 0)
            ck_assert_int_lt(
                name_compare_natural(pairing_name(pairing, models, p - 1), pairing_name(pairing, models, p)), 0);
        if (pairing->rule[p] != PAIRED_BY_PREFIX || !a || !b)
            continue;
        sprintf(text + strlen(text), "%s%.*s>%.*s", *text ? " " : "", (int)a->name.bytes, a->name.text,
                (int)b->name.bytes, b->name.text);
    }
    ck_assert_str_eq(text, prefix_rows[_i].prefixed);
    ck_assert_uint_eq(pairing->pairs, prefix_rows[_i].pairs);
    pairing_free(pairing);
    for (size_t m = 0; m < n; m++)
        model_close((struct model *)(uintptr_t)models[m]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/align");
    TCase *tests = tcase_create("align");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, tensors_of_equal_names_stand_opposite, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_loop_test(tests, names_left_over_are_paired_without_prefixes, 0,
                        (int)(sizeof(prefix_rows) / sizeof(prefix_rows[0])));
    tcase_add_test(tests, a_selection_leaves_names_out_and_counts_them);
    tcase_add_test(tests, pairs_grow_beyond_the_largest_model);
    tcase_add_test(tests, names_are_found_by_hash_and_only_once);
    tcase_add_test(tests, sorting_keeps_equal_items_in_their_order);
    tcase_add_test(tests, shapes_compare_by_their_dims);
    tcase_add_test(tests, dtypes_are_known_by_name);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
