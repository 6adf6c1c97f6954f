/* Pairs found by content: renamed, dropped, doubled and permuted layers, and what must not be paired. */
#include <stdio.h>

#include "core/scan/settle.h"
#include "tests/unit/core/scan/patterns.h"

enum {
    PAIR_NEEDS =
        NEED_SIDE | NEED_DELTA | NEED_PROFILE | NEED_ROWS | NEED_COLUMNS | NEED_FLIPS | NEED_QUANTILES | NEED_DIGEST
};

/* Models written as words "name=content": contents of one letter are equal where the letters are. A capital is large
 * (several units), 'k' constant, digits permutations of one another with equal sums. */
struct toy {
    struct test_model model;
    uint8_t *data;
};

static void toy_fill(uint8_t *to, char content, uint64_t elements)
{
    const uint64_t dims[] = {elements};

    for (uint64_t i = 0; i < elements; i++) {
        const float k = content == 'k' ? 0.5f : (float)((content - '0' + (int)i) % 4);

        memcpy(to + 4 * i, &k, 4);
    }
    if (content != 'k' && (content < '0' || content > '9'))
        pattern_fill(to, DTYPE_F32, dims, 1, (uint64_t)content * 7919, PATTERN_WEIGHT);
}

static int compare_words(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;

    return name_compare_natural((struct name){x, (uint32_t)strcspn(x, "=")},
                                (struct name){y, (uint32_t)strcspn(y, "=")});
}

/* is_reversed: the tensors lie in the file the other way round. */
static void toy_init(struct toy *toy, const char *words, bool is_reversed)
{
    static char texts[8][1024];
    static unsigned next;
    char *word[TEST_TENSORS], *rest = texts[next++ % 8];
    size_t count = 0, room = (size_t)24 << 20, offset = is_reversed ? room : 0;

    snprintf(rest, sizeof(texts[0]), "%s", words);
    for (char *at; (at = strsep(&rest, " "));)
        if (*at)
            word[count++] = at;
    qsort(word, count, sizeof(*word), compare_words);
    toy->data = calloc(room, 1);
    ck_assert_ptr_nonnull(toy->data);
    test_model_init(&toy->model, toy->data, room, true);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(word[i], '=');
        const uint64_t elements = equals[1] >= 'A' && equals[1] <= 'Z' ? 1100000 : 96;
        const uint64_t dims[] = {elements / 4, 4};
        struct tensor *tensor;

        if (is_reversed)
            offset -= elements * 4;
        tensor = test_model_add(&toy->model, DTYPE_F32, offset, 2, dims);
        tensor->name = (struct name){word[i], (uint32_t)(equals - word[i])};
        toy_fill(toy->data + offset, equals[1], elements);
        if (!is_reversed)
            offset += elements * 4;
    }
}

struct settled {
    struct toy toy[3];
    const struct model *models[3];
    size_t count;
    struct pairing *pairing;
    struct scan_result *result;
    struct settlement *settlement;
    char text[4096];
};

static void append_side(struct settled *s, const struct tensor *tensor)
{
    size_t used = strlen(s->text);

    if (tensor)
        snprintf(s->text + used, sizeof(s->text) - used, "%.*s", (int)tensor->name.bytes, tensor->name.text);
    else
        snprintf(s->text + used, sizeof(s->text) - used, "-");
}

/* "baseline>candidate" of every pair; = where equal, ! where changed; its rule where that is not the name. */
static const char *describe(struct settled *s)
{
    s->text[0] = '\0';
    for (size_t pair = 0; pair < s->pairing->pairs; pair++) {
        const struct tensor *a = pairing_tensor(s->pairing, s->models, pair, 0);
        const struct tensor *b = pairing_tensor(s->pairing, s->models, pair, s->count - 1);
        const char *mark = !a || !b ? ">" : s->result->deltas[pair].is_bytes_equal ? "=" : "!";

        if (pair)
            strcat(s->text, " ");
        append_side(s, a);
        strcat(s->text, mark);
        append_side(s, b);
        if (s->pairing->rule[pair] != PAIRED_BY_NAME) {
            strcat(s->text, ":");
            strcat(s->text, pairing_rule_names[s->pairing->rule[pair]]);
        }
    }
    return s->text;
}

static void settle(struct settled *s, const char *const *words, size_t count, bool is_reversed)
{
    struct scan_env env = {.threads = 2};
    struct scan_plan plan = {.models = s->models, .model_count = count, .needs = PAIR_NEEDS};
    struct error err = {0};

    s->count = count;
    for (size_t m = 0; m < count; m++) {
        toy_init(&s->toy[m], words[m], is_reversed);
        s->models[m] = &s->toy[m].model.model;
    }
    ck_assert_int_eq(pairing_align(s->models, count, &s->pairing, &err), 0);
    ck_assert_int_eq(pairing_add_prefixed(s->models, s->pairing, &err), 0);
    plan.pairing = s->pairing;
    ck_assert_msg(scan_run(&plan, &env, &s->result, &err) == 0, "%s", err.text);
    ck_assert_msg(settle_by_content(&plan, &env, s->pairing, s->result, &s->settlement, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(s->result->pairs, s->pairing->pairs);
    for (size_t m = 0; m < count; m++)
        ck_assert_int_eq(s->toy[m].model.source.held, 0);
}

static void settled_done(struct settled *s)
{
    for (size_t m = 0; m < s->count; m++)
        free(s->toy[m].data);
    settlement_free(s->settlement);
    scan_result_free(s->result);
    pairing_free(s->pairing);
}

static const struct {
    const char *what, *models[3], *pairs, *ambiguous;
} rows[] = {
    {"nothing to do", {"l.0.w=a l.1.w=b", "l.0.w=a l.1.w=c"}, "l.0.w=l.0.w l.1.w!l.1.w", ""},
    {"a dropped layer",
     {"l.0.v=A l.0.w=b l.1.v=c l.1.w=d l.2.v=e l.2.w=f", "l.0.v=c l.0.w=d l.1.v=e l.1.w=f"},
     "l.0.v>- l.0.w>- l.1.v=l.0.v:content l.1.w=l.0.w:content l.2.v=l.1.v:content l.2.w=l.1.w:content",
     ""},
    {"a doubled layer",
     {"l.0.v=a l.0.w=b l.1.v=c l.1.w=d", "l.0.v=a l.0.w=b l.1.v=a l.1.w=b l.2.v=c l.2.w=d"},
     "l.0.v=l.0.v l.0.v=l.1.v:copy l.0.w=l.0.w l.0.w=l.1.w:copy l.1.v=l.2.v:content l.1.w=l.2.w:content",
     ""},
    {"one of two equal layers dropped",
     {"l.0.v=a l.0.w=b l.1.v=a l.1.w=b l.2.v=c l.2.w=d", "l.0.v=a l.0.w=b l.1.v=c l.1.w=d"},
     "l.0.v=l.0.v l.0.w=l.0.w l.1.v=l.0.v:copy l.1.w=l.0.w:copy l.2.v=l.1.v:content l.2.w=l.1.w:content",
     ""},
    {"permuted layers, one of several units",
     {"l.0.w=A l.1.w=B l.2.w=c", "l.0.w=B l.1.w=c l.2.w=A"},
     "l.0.w=l.2.w:content l.1.w=l.0.w:content l.2.w=l.1.w:content",
     ""},
    {"one renamed tensor among changed ones", {"a=a b=b c=c", "a=a b=x d=c"}, "a=a b!b c=d:content", ""},
    {"a tied tensor that became one of its own is no copy", {"embed=a", "embed=a head=a"}, "embed=embed ->head", ""},
    {"a buffer that every layer has makes no copy of a new layer",
     {"l.0.f=f l.0.w=a", "l.0.f=f l.0.w=a l.1.f=f l.1.w=b"},
     "l.0.f=l.0.f l.0.w=l.0.w ->l.1.f ->l.1.w",
     ""},
    {"constant tensors never match", {"a=k", "b=k"}, "a>- ->b", ""},
    {"equal sums of other bytes do not match", {"a=1", "b=2"}, "a>- ->b", ""},
    {"several candidates are ambiguous", {"a=a b=a", "x=a y=a"}, "a>- b>- ->x ->y", "x:a,b y:a,b"},
    {"several candidates of one place are decided by layer order",
     {"l.0.w=a l.1.w=a", "m.l.0.w=a m.l.1.w=a q.l.7.w=z"},
     "l.0.w=m.l.0.w:prefix l.1.w=m.l.1.w:prefix ->q.l.7.w",
     ""},
    {"layer order beneath another prefix",
     {"l.4.w=a l.10.w=a l.11.w=b", "l.5.w=a l.11.w=a l.12.w=b"},
     "l.4.w=l.5.w:content l.10.w=l.11.w:content l.11.w=l.12.w:content",
     ""},
    {"a prefix pair that changed yields to content",
     {"model.a=a model.b=b", "a=b c=a"},
     "model.a=c:content model.b=a:content",
     ""},
    {"models between stay with the baseline",
     {"a=a b=b c=c", "a=a b=b c=c", "a=b d=a c=c"},
     "a=d:content b=a:content c=c",
     ""},
    {"models between follow a candidate that only the baseline names otherwise",
     {"x=a y=b", "l=c y=b", "l=a y=b"},
     "x=l:content y=y",
     ""},
};

static size_t models_of(size_t row)
{
    return rows[row].models[2] ? 3 : 2;
}

static const char *describe_ambiguous(const struct settled *s, char *out, size_t size)
{
    const struct settlement *settlement = s->settlement;
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < settlement->ambiguity_count; i++) {
        const struct ambiguity *one = &settlement->ambiguities[i];
        struct name name = s->models[s->count - 1]->tensors[one->tensor].name;

        used += (size_t)snprintf(out + used, size - used, "%s%.*s:", i ? " " : "", (int)name.bytes, name.text);
        for (size_t k = 0; k < one->candidate_count; k++) {
            name = s->models[0]->tensors[one->candidates[k]].name;
            used += (size_t)snprintf(out + used, size - used, "%s%.*s", k ? "," : "", (int)name.bytes, name.text);
        }
    }
    return out;
}

START_TEST(tensors_are_paired_as_they_were_moved)
{
    for (int is_reversed = 0; is_reversed < 2; is_reversed++) {
        struct settled s = {0};
        char ambiguous[1024];

        settle(&s, rows[_i].models, models_of((size_t)_i), is_reversed);
        ck_assert_msg(strcmp(describe(&s), rows[_i].pairs) == 0, "%s: %s", rows[_i].what, s.text);
        ck_assert_str_eq(describe_ambiguous(&s, ambiguous, sizeof(ambiguous)), rows[_i].ambiguous);
        settled_done(&s);
    }
}
END_TEST

/* A pass over the pairs as they are now finds the same bits: nothing that was carried over is stale. */
START_TEST(carried_figures_are_those_of_a_pass_over_the_new_pairs)
{
    struct scan_env env = {.threads = 2};
    struct scan_result *again = NULL;
    struct settled s = {0};
    struct error err = {0};
    struct scan_plan plan;

    settle(&s, rows[_i].models, models_of((size_t)_i), false);
    plan = (struct scan_plan){.models = s.models, .model_count = s.count, .pairing = s.pairing, .needs = PAIR_NEEDS};
    ck_assert_msg(scan_run(&plan, &env, &again, &err) == 0, "%s", err.text);
    test_same_results(again, s.result);
    scan_result_free(again);
    settled_done(&s);
}
END_TEST

static size_t count_rule(const struct settled *s, enum pairing_rule rule)
{
    size_t count = 0;

    for (size_t pair = 0; pair < s->pairing->pairs; pair++)
        count += s->pairing->rule[pair] == rule;
    return count;
}

static bool has_pair(const struct settled *s, const struct tensor *a, const struct tensor *b)
{
    for (size_t pair = 0; pair < s->pairing->pairs; pair++) {
        const struct tensor *x = pairing_tensor(s->pairing, s->models, pair, 0);
        const struct tensor *y = pairing_tensor(s->pairing, s->models, pair, s->count - 1);

        if (!a == !x && !b == !y && (!a || name_equal(a->name, x->name)) && (!b || name_equal(b->name, y->name)))
            return true;
    }
    return false;
}

START_TEST(swapping_the_models_mirrors_the_pairs)
{
    struct settled s = {0}, mirrored = {0};

    if (models_of((size_t)_i) > 2)
        return;
    settle(&s, rows[_i].models, 2, false);
    settle(&mirrored, (const char *const[]){rows[_i].models[1], rows[_i].models[0]}, 2, false);
    ck_assert_uint_eq(s.pairing->pairs, mirrored.pairing->pairs);
    for (size_t pair = 0; pair < s.pairing->pairs; pair++)
        ck_assert_msg(has_pair(&mirrored, pairing_tensor(s.pairing, s.models, pair, 1),
                               pairing_tensor(s.pairing, s.models, pair, 0)),
                      "%s", rows[_i].what);
    for (int rule = PAIRED_BY_NAME; rule <= PAIRED_AS_COPY; rule++)
        ck_assert_uint_eq(count_rule(&s, (enum pairing_rule)rule), count_rule(&mirrored, (enum pairing_rule)rule));
    settled_done(&s);
    settled_done(&mirrored);
}
END_TEST

START_TEST(only_what_is_paired_anew_is_read_again)
{
    struct settled s = {0};

    settle(&s, (const char *const[]){"a=A b=b c=c", "a=A b=x d=c"}, 2, false);
    ck_assert_uint_eq(s.settlement->confirmed_bytes, 2 * 96 * 4);
    settled_done(&s);
}
END_TEST

int main(void)
{
    const int count = (int)(sizeof(rows) / sizeof(rows[0]));
    Suite *suite = suite_create("settle");
    TCase *tcase = tcase_create("settle");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, tensors_are_paired_as_they_were_moved, 0, count);
    tcase_add_loop_test(tcase, carried_figures_are_those_of_a_pass_over_the_new_pairs, 0, count);
    tcase_add_loop_test(tcase, swapping_the_models_mirrors_the_pairs, 0, count);
    tcase_add_test(tcase, only_what_is_paired_anew_is_read_again);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
