/* What must hold of whole documents with every analysis in them, whatever the models: no golden values, only how the
 * documents of related comparisons relate. */
#include <sys/stat.h>

#include "tests/unit/core/analysis/made_models.h"

/* The document of all analyses that take as many models as there are. */
static struct json_object *document_of(struct model *const *models, size_t count)
{
    struct compare_request request = {.analyses = 0};
    struct json_object *document;

    for (size_t i = 0; i < analysis_count; i++)
        if (analyses[i]->models_min <= count)
            request.analyses |= 1u << i;
    options_init(&request.options);
    request.options.most_damaged = 10000;
    request.options.quantiles = true;
    request.options.similarity_layers = true;
    document = document_parsed(compared_text(&request, models, count, 2));
    options_done(&request.options);
    return document;
}

static struct json_object *document_of_made(const struct made *const *made, size_t count)
{
    struct model *models[4] = {NULL};
    char paths[4][MADE_PATH];
    struct json_object *document;

    for (size_t i = 0; i < count; i++)
        models[i] = made_open(made[i], paths[i]);
    document = document_of(models, count);
    for (size_t i = 0; i < count; i++) {
        model_close(models[i]);
        unlink(paths[i]);
    }
    return document;
}

static struct json_object *compared(const struct made *a, const struct made *b)
{
    return document_of_made((const struct made *const[]){a, b}, 2);
}

/* A model with something of everything, and another that differs from it in every way but by renaming. */
static struct made *baseline_model(void)
{
    struct made *a = made_decoder(11, 3, 24, MADE_TRAINED, DTYPE_F32);

    made_add(a, DTYPE_I64, "step", 0)[0] = 100;
    made_add(a, DTYPE_F16, "model.layers.0.self_attn.rotary", 1, 7)[2] = -0.5;
    made_add(a, DTYPE_F32, "model.layers.2.extra.weight", 2, 0, 4);
    made_add(a, DTYPE_F32, "only.here", 2, 3, 5)[7] = 2;
    made_find(a, "model.layers.1.mlp.up_proj.weight")->values[5] = NAN;
    made_find(a, "model.layers.2.mlp.up_proj.weight")->values[9] = INFINITY;
    return a;
}

static struct made *candidate_model(const struct made *a)
{
    struct made *b = made_copy(a);

    made_disturb(b, "layers.1.", 0.02, 5);
    made_disturb(b, "layers.2.self_attn", 0.3, 6);
    made_find(b, "model.layers.2.mlp.up_proj.weight")->values[9] = 1;
    made_find(b, "model.norm.weight")->values[3] *= -1;
    made_find(b, "step")->values[0] = 117;
    made_remove(b, "only.here");
    made_add(b, DTYPE_BF16, "only.there", 1, 9)[1] = 3;
    return b;
}

/* Takes off what speaks of the files, not of what they hold. */
static void strip(struct json_object *value)
{
    static const char *const of_files[] = {"file_bytes", "overhead_bytes", "models"};
    const char *found[64];
    size_t count = 0;

    if (json_object_is_type(value, json_type_array))
        for (size_t i = 0; i < json_object_array_length(value); i++)
            strip(json_object_array_get_idx(value, i));
    if (!json_object_is_type(value, json_type_object))
        return;
    json_object_object_foreach(value, key, member)
    {
        bool is_stripped = false;

        for (size_t i = 0; i < sizeof(of_files) / sizeof(of_files[0]); i++)
            is_stripped |= strstr(key, of_files[i]) != NULL;
        if (is_stripped && count < 64)
            found[count++] = key;
        else
            strip(member);
    }
    for (size_t i = 0; i < count; i++)
        json_object_object_del(value, found[i]);
}

/* Takes both. */
static void assert_same(struct json_object *one, struct json_object *other)
{
    strip(one);
    strip(other);
    json_object_object_foreach(one, key, member)
    {
        struct json_object *opposite = NULL;

        ck_assert_msg(json_object_object_get_ex(other, key, &opposite), "%s is missing", key);
        ck_assert_msg(strcmp(json_object_to_json_string(member), json_object_to_json_string(opposite)) == 0,
                      "%s differs:\n%s\n%s", key, json_object_to_json_string(member),
                      json_object_to_json_string(opposite));
    }
    ck_assert_int_eq(json_object_object_length(one), json_object_object_length(other));
    json_object_put(one);
    json_object_put(other);
}

static struct json_object *at(struct json_object *root, const char *format, ...) __attribute__((format(printf, 2, 3)));

static struct json_object *at(struct json_object *root, const char *format, ...)
{
    char pointer[256];
    va_list args;

    va_start(args, format);
    vsnprintf(pointer, sizeof(pointer), format, args);
    va_end(args);
    return made_at(root, pointer);
}

static void assert_equal_at(struct json_object *one, const char *from, struct json_object *other, const char *to)
{
    ck_assert_msg(
        strcmp(json_object_to_json_string(made_at(one, from)), json_object_to_json_string(made_at(other, to))) == 0,
        "%s is %s, mirrored %s is %s", from, json_object_to_json_string(made_at(one, from)), to,
        json_object_to_json_string(made_at(other, to)));
}

static void assert_negated_at(struct json_object *one, struct json_object *other, const char *pointer)
{
    ck_assert_msg(made_number_at(one, pointer) == 0 - made_number_at(other, pointer), "%s: %s and %s", pointer,
                  made_text_at(one, pointer), made_text_at(other, pointer));
}

static void assert_tensor_mirrored(struct json_object *x, struct json_object *y)
{
    static const char *const alike[] = {"/delta/l2",
                                        "/delta/rms",
                                        "/delta/max_abs",
                                        "/delta/max_abs_index",
                                        "/delta/mean_abs",
                                        "/delta/cosine",
                                        "/delta/changed_elements",
                                        "/delta/changed_fraction",
                                        "/delta/sign_flips",
                                        "/delta/nonfinite_changed"};
    const char *status = made_text_at(x, "/status");
    struct json_object *delta = NULL;

    assert_equal_at(x, "/name", y, "/name");
    ck_assert_str_eq(strcmp(status, "added") == 0     ? "removed"
                     : strcmp(status, "removed") == 0 ? "added"
                                                      : status,
                     made_text_at(y, "/status"));
    if (strcmp(status, "added") != 0)
        assert_equal_at(x, "/baseline", y, "/candidate");
    if (strcmp(status, "removed") != 0)
        assert_equal_at(x, "/candidate", y, "/baseline");
    if (!json_object_object_get_ex(x, "delta", &delta))
        return;
    for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++)
        assert_equal_at(x, alike[i], y, alike[i]);
    if (json_object_object_get(delta, "mean"))
        assert_negated_at(x, y, "/delta/mean");
}

START_TEST(swapping_the_models_mirrors_the_document)
{
    struct made *a = baseline_model(), *b = candidate_model(a);
    struct json_object *x = compared(a, b), *y = compared(b, a);
    static const char *const alike[] = {"/summary/verdict",
                                        "/summary/parameters",
                                        "/summary/cosine",
                                        "/summary/max_abs",
                                        "/summary/tensors/changed",
                                        "/analyses/quantization_analysis/max_abs",
                                        "/analyses/quantization_analysis/cosine",
                                        "/analyses/convergence_analysis/step_norm",
                                        "/analyses/similarity_matrix/min_coverage",
                                        "/analyses/layer_impact/depth_profile/share",
                                        "/analyses/change_summary/changed_parameters"};
    static const char *const turned[][2] = {
        {"/summary/tensors/added", "/summary/tensors/removed"},
        {"/summary/tensors/removed", "/summary/tensors/added"},
        {"/analyses/similarity_matrix/cosine/0/1", "/analyses/similarity_matrix/cosine/1/0"},
        {"/analyses/similarity_matrix/relative_l2/0/1", "/analyses/similarity_matrix/relative_l2/1/0"},
        {"/analyses/similarity_matrix/relative_l2/1/0", "/analyses/similarity_matrix/relative_l2/0/1"},
        {"/analyses/similarity_matrix/correlation/0/1", "/analyses/similarity_matrix/correlation/1/0"},
        {"/analyses/similarity_matrix/coverage/0/1", "/analyses/similarity_matrix/coverage/1/0"},
        {"/analyses/convergence_analysis/norm/0", "/analyses/convergence_analysis/norm/1"},
        {"/analyses/architecture_comparison/baseline", "/analyses/architecture_comparison/candidate"},
        {"/analyses/architecture_comparison/tensors/added", "/analyses/architecture_comparison/tensors/removed"},
        {"/analyses/architecture_comparison/loading/missing", "/analyses/architecture_comparison/loading/unexpected"},
        {"/analyses/memory_analysis/baseline/tensor_bytes", "/analyses/memory_analysis/candidate/tensor_bytes"},
        {"/analyses/memory_analysis/baseline/opportunities", "/analyses/memory_analysis/candidate/opportunities"},
    };

    for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++)
        assert_equal_at(x, alike[i], y, alike[i]);
    for (size_t i = 0; i < sizeof(turned) / sizeof(turned[0]); i++)
        assert_equal_at(x, turned[i][0], y, turned[i][1]);
    assert_negated_at(x, y, "/analyses/memory_analysis/delta_tensor_bytes");
    ck_assert_double_eq_tol(made_number_at(x, "/analyses/quantization_analysis/compression") *
                                made_number_at(y, "/analyses/quantization_analysis/compression"),
                            1, 1e-15);
    /* ||b - a|| = relative_l2 * ||a||, over the elements finite in both */
    ck_assert_double_eq_tol(made_number_at(x, "/summary/relative_l2") / made_number_at(y, "/summary/relative_l2") *
                                made_number_at(x, "/analyses/similarity_matrix/relative_l2/1/0") /
                                made_number_at(x, "/analyses/similarity_matrix/relative_l2/0/1"),
                            1, 1e-12);
    ck_assert_uint_eq(json_object_array_length(at(x, "/tensors")), json_object_array_length(at(y, "/tensors")));
    for (size_t i = 0; i < json_object_array_length(at(x, "/tensors")); i++)
        assert_tensor_mirrored(at(x, "/tensors/%zu", i), at(y, "/tensors/%zu", i));
    for (size_t i = 0; i < json_object_array_length(at(x, "/analyses/layer_impact/layers")); i++) {
        static const char *const figures[] = {"layer", "changed_parameters", "l2", "cosine", "share", "impact"};

        for (size_t f = 0; f < sizeof(figures) / sizeof(figures[0]); f++) {
            char pointer[128];

            snprintf(pointer, sizeof(pointer), "/analyses/layer_impact/layers/%zu/%s", i, figures[f]);
            assert_equal_at(x, pointer, y, pointer);
        }
    }
    json_object_put(x);
    json_object_put(y);
    made_free(a);
    made_free(b);
}
END_TEST

static struct made *permuted(const struct made *from, uint64_t seed)
{
    struct made *made = made_copy(from);
    uint64_t state = seed;

    for (size_t i = made->count - 1; i > 0; i--) {
        size_t j = made_bits(&state) % (i + 1);
        struct made_tensor kept = made->items[i];

        made->items[i] = made->items[j];
        made->items[j] = kept;
    }
    return made;
}

START_TEST(the_order_of_tensors_in_the_files_changes_nothing)
{
    struct made *a = baseline_model(), *b = candidate_model(a), *p = permuted(a, 1), *q = permuted(b, 2);

    assert_same(compared(a, b), compared(p, q));
    assert_same(compared(a, b), compared(a, q));
    assert_same(document_of_made((const struct made *const[]){a}, 1),
                document_of_made((const struct made *const[]){p}, 1));
    assert_same(document_of_made((const struct made *const[]){a, b, a}, 3),
                document_of_made((const struct made *const[]){p, q, a}, 3));
    made_free(a);
    made_free(b);
    made_free(p);
    made_free(q);
}
END_TEST

enum { SHARDS = 3, SHARD_PATH = 96 };

/* The model dealt out to shards in a directory of its own. */
static struct model *open_sharded(const struct made *made, char directory[MADE_PATH], char paths[SHARDS][SHARD_PATH])
{
    struct place place = {.dir_fd = AT_FDCWD, .path = directory, .uri = "made"};
    struct model *model = NULL;
    struct error error = {0};

    snprintf(directory, MADE_PATH, "/tmp/diffaid-made-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    for (size_t s = 0; s < SHARDS; s++) {
        struct made *shard = calloc(1, sizeof(*shard));
        char path[MADE_PATH];

        shard->note = made->note;
        for (size_t i = s; i < made->count; i += SHARDS)
            shard->items[shard->count++] = made->items[i];
        model_close(made_open(shard, path));
        snprintf(paths[s], SHARD_PATH, "%s/model-%05zu-of-%05d.safetensors", directory, s + 1, SHARDS);
        ck_assert_int_eq(rename(path, paths[s]), 0);
        free(shard); /* its values are the whole model's */
    }
    ck_assert_msg(model_open(&place, &limits_default, &model, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(model->file_count, SHARDS);
    return model;
}

START_TEST(splitting_a_model_into_shards_changes_nothing)
{
    struct made *a = baseline_model(), *b = candidate_model(a);
    char directory[MADE_PATH], paths[SHARDS][SHARD_PATH], path[MADE_PATH];
    struct model *sharded = open_sharded(a, directory, paths), *other = made_open(b, path);

    assert_same(compared(a, b), document_of((struct model *const[]){sharded, other}, 2));
    assert_same(compared(b, a), document_of((struct model *const[]){other, sharded}, 2));
    assert_same(document_of_made((const struct made *const[]){a}, 1), document_of(&sharded, 1));
    model_close(sharded);
    model_close(other);
    unlink(path);
    for (size_t s = 0; s < SHARDS; s++)
        unlink(paths[s]);
    rmdir(directory);
    made_free(a);
    made_free(b);
}
END_TEST

/* What every analysis says of two models without a difference in value. */
static void assert_no_difference(struct json_object *document, const char *status)
{
    struct json_object *list = at(document, "/tensors");

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *tensor = json_object_array_get_idx(list, i);
        const char *is = made_text_at(tensor, "/status");

        ck_assert_msg(strcmp(is, status) == 0 || strcmp(is, "bit_equal") == 0, "%s is %s",
                      made_text_at(tensor, "/name"), is);
        ck_assert_str_eq(made_text_at(tensor, "/delta/changed_elements"), "0");
        ck_assert_str_eq(made_text_at(tensor, "/delta/nonfinite_changed"), "0");
        if (made_at(tensor, "/delta/l2")) {
            ck_assert_double_eq(made_number_at(tensor, "/delta/l2"), 0);
            ck_assert_double_eq(made_number_at(tensor, "/delta/cosine"), 1);
        }
    }
    ck_assert_double_eq(made_number_at(document, "/summary/relative_l2"), 0);
    ck_assert_double_eq(made_number_at(document, "/summary/cosine"), 1);
    ck_assert_double_eq(made_number_at(document, "/summary/max_abs"), 0);
    ck_assert_str_eq(made_text_at(document, "/analyses/quantization_analysis/precision_loss"), "none");
    ck_assert_double_eq(made_number_at(document, "/analyses/convergence_analysis/last_step"), 0);
    ck_assert_double_eq(made_number_at(document, "/analyses/similarity_matrix/cosine/0/1"), 1);
    ck_assert_double_eq(made_number_at(document, "/analyses/similarity_matrix/relative_l2/0/1"), 0);
    ck_assert_double_eq(made_number_at(document, "/analyses/similarity_matrix/min_coverage"), 1);
    ck_assert_str_eq(made_text_at(document, "/analyses/change_summary/changed_tensors"), "0");
    ck_assert_str_eq(made_text_at(document, "/analyses/architecture_comparison/compatible"), "true");
    ck_assert_double_eq(made_number_at(document, "/analyses/architecture_comparison/loadable_fraction"), 1);
    list = at(document, "/analyses/layer_impact/layers");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *layer = json_object_array_get_idx(list, i);

        ck_assert_str_eq(made_text_at(layer, "/changed_parameters"), "0");
        ck_assert_ptr_null(made_at(layer, "/share"));
        if (made_at(layer, "/impact"))
            ck_assert_str_eq(made_text_at(layer, "/impact"), "none");
    }
    list = at(document, "/analyses/anomaly_detection/findings");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        ck_assert_str_ne(made_text_at(json_object_array_get_idx(list, i), "/against"), "baseline");
}

START_TEST(a_model_against_itself_is_identical_for_every_analysis)
{
    struct made *a = baseline_model();
    struct json_object *document = compared(a, a);

    assert_no_difference(document, "bit_equal");
    ck_assert_str_eq(made_text_at(document, "/summary/verdict"), "identical");
    ck_assert_str_eq(made_text_at(document, "/analyses/change_summary/class"), "identical");
    ck_assert_double_eq(made_number_at(document, "/analyses/quantization_analysis/compression"), 1);
    ck_assert_str_eq(made_text_at(document, "/analyses/memory_analysis/delta_file_bytes"), "0");
    assert_equal_at(document, "/analyses/memory_analysis/baseline", document, "/analyses/memory_analysis/candidate");
    assert_equal_at(document, "/analyses/architecture_comparison/baseline", document,
                    "/analyses/architecture_comparison/candidate");
    json_object_put(document);
    made_free(a);
}
END_TEST

START_TEST(a_cast_to_a_wider_type_is_value_equal)
{
    struct made *a = baseline_model(), *b;
    struct json_object *document;

    for (size_t i = 0; i < a->count; i++)
        for (uint64_t e = 0; a->items[i].dtype == DTYPE_F32 && e < a->items[i].elements; e++)
            a->items[i].values[e] = (float)a->items[i].values[e];
    b = made_copy(a);
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].dtype == DTYPE_F32)
            b->items[i].dtype = DTYPE_F64;
    document = compared(a, b);
    assert_no_difference(document, "value_equal");
    ck_assert_str_eq(made_text_at(document, "/summary/verdict"), "equivalent");
    ck_assert_str_eq(made_text_at(document, "/summary/because"), "values");
    json_object_put(document);
    made_free(a);
    made_free(b);
}
END_TEST

/* The tensors of one layer under another name, instead of their own or as copies beside them. */
static struct made *with_layer(const struct made *from, const char *layer, const char *to, bool is_copy)
{
    struct made *made = made_copy(from);

    for (size_t i = 0; i < from->count; i++) {
        const char *found = strstr(from->items[i].name, layer);
        struct made_tensor *tensor = &made->items[i];

        if (!found)
            continue;
        if (is_copy) {
            tensor = &made->items[made->count++];
            ck_assert_uint_le(made->count, MADE_TENSORS);
            *tensor = from->items[i];
            tensor->values = calloc(tensor->elements + 1, sizeof(double));
            memcpy(tensor->values, from->items[i].values, tensor->elements * sizeof(double));
        }
        snprintf(tensor->name, sizeof(tensor->name), "%.*s%s%s", (int)(found - from->items[i].name),
                 from->items[i].name, to, found + strlen(layer));
    }
    return made;
}

static void assert_same_series(struct json_object *one, struct json_object *other)
{
    assert_equal_at(one, "/analyses/convergence_analysis", other, "/analyses/convergence_analysis");
    assert_equal_at(one, "/analyses/similarity_matrix", other, "/analyses/similarity_matrix");
    json_object_put(one);
    json_object_put(other);
}

START_TEST(a_layer_found_by_its_content_keeps_its_place_in_the_series)
{
    struct made *a = made_decoder(3, 3, 16, MADE_TRAINED, DTYPE_F32), *b = made_copy(a), *c = made_copy(a), *renamed;

    made_disturb(b, "", 0.05, 7);
    made_disturb(c, "layers.0", 0.2, 8);
    renamed = with_layer(c, "layers.1.", "blocks.9.", false);
    assert_same_series(compared(a, c), compared(a, renamed));
    assert_same_series(document_of_made((const struct made *const[]){a, b, c}, 3),
                       document_of_made((const struct made *const[]){a, b, renamed}, 3));
    made_free(a);
    made_free(b);
    made_free(c);
    made_free(renamed);
}
END_TEST

START_TEST(a_copied_layer_counts_once_in_the_series)
{
    struct made *a = made_decoder(3, 3, 16, MADE_TRAINED, DTYPE_F32), *b = made_copy(a), *doubled;
    struct json_object *series;

    made_disturb(b, "layers.0", 0.2, 8);
    doubled = with_layer(b, "layers.1.", "layers.3.", true);
    for (int turned = 0; turned < 2; turned++) {
        series = turned ? compared(doubled, a) : compared(a, doubled);
        ck_assert_str_eq(made_text_at(series, turned ? "/analyses/similarity_matrix/coverage/1/0"
                                                     : "/analyses/similarity_matrix/coverage/0/1"),
                         "1");
        ck_assert_double_lt(made_number_at(series, "/analyses/similarity_matrix/min_coverage"), 1);
        ck_assert_double_gt(made_number_at(series, "/analyses/similarity_matrix/min_coverage"), 0.5);
        json_object_put(series);
    }
    made_free(a);
    made_free(b);
    made_free(doubled);
}
END_TEST

START_TEST(prefixes_change_nothing_in_a_series)
{
    struct made *a = made_decoder(3, 3, 16, MADE_TRAINED, DTYPE_F32), *b = made_copy(a), *c = made_copy(a), *p, *q;

    made_disturb(b, "", 0.05, 7);
    made_disturb(c, "layers.0", 0.2, 8);
    p = with_layer(b, "model.", "module.model.", false);
    q = with_layer(c, "model.", "_orig_mod.module.model.", false);
    assert_same_series(document_of_made((const struct made *const[]){a, b, c}, 3),
                       document_of_made((const struct made *const[]){a, p, q}, 3));
    assert_same_series(document_of_made((const struct made *const[]){a, c, b}, 3),
                       document_of_made((const struct made *const[]){a, q, b}, 3));
    made_free(a);
    made_free(b);
    made_free(c);
    made_free(p);
    made_free(q);
}
END_TEST

static double sum_of(struct json_object *list, const char *pointer)
{
    double sum = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (made_at(json_object_array_get_idx(list, i), pointer))
            sum += made_number_at(json_object_array_get_idx(list, i), pointer);
    return sum;
}

START_TEST(shares_sum_to_one)
{
    struct made *a = baseline_model(), *b = candidate_model(a);
    struct json_object *document = compared(a, b);

    ck_assert_double_eq_tol(sum_of(at(document, "/analyses/layer_impact/layers"), "/share"), 1, 1e-12);
    ck_assert_double_eq_tol(sum_of(at(document, "/analyses/layer_impact/module_types"), "/share"), 1, 1e-12);
    ck_assert_double_eq_tol(sum_of(at(document, "/analyses/quantization_analysis/most_damaged"), "/share"), 1, 1e-12);
    json_object_put(document);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(the_triangle_inequality_holds)
{
    struct made *a = made_decoder(3, 2, 16, MADE_TRAINED, DTYPE_F32), *b = made_copy(a), *c;
    struct json_object *series, *direct;
    double steps, displacement;

    made_disturb(b, "", 0.05, 7);
    c = made_copy(b);
    made_disturb(c, "layers.1", 0.2, 8);
    series = document_of_made((const struct made *const[]){a, b, c}, 3);
    direct = compared(a, c);
    steps = made_number_at(series, "/analyses/convergence_analysis/step_norm/0") +
            made_number_at(series, "/analyses/convergence_analysis/step_norm/1");
    displacement = made_number_at(series, "/analyses/convergence_analysis/displacement");
    ck_assert_double_le(displacement, steps);
    ck_assert_double_ge(displacement, fabs(made_number_at(series, "/analyses/convergence_analysis/step_norm/0") -
                                           made_number_at(series, "/analyses/convergence_analysis/step_norm/1")));
    ck_assert_double_eq_tol(made_number_at(series, "/analyses/convergence_analysis/path_length"), steps, 1e-12 * steps);
    assert_equal_at(series, "/analyses/convergence_analysis/displacement", direct,
                    "/analyses/convergence_analysis/displacement");
    json_object_put(series);
    json_object_put(direct);
    made_free(a);
    made_free(b);
    made_free(c);
}
END_TEST

/* Two vectors of random values; where b's is not finite, a's element is given and must count for nothing. */
static void assert_correlation_without(enum dtype dtype, double opposite)
{
    struct made *with = calloc(1, sizeof(*with)), *with_b = calloc(1, sizeof(*with)), *less, *less_b;
    struct json_object *one, *other;
    uint64_t state = 5;

    made_add(with, dtype, "w", 1, 3000);
    made_add(with_b, dtype, "w", 1, 3000);
    made_fill_normal(&with->items[0], 1, &state);
    made_fill_normal(&with_b->items[0], 1, &state);
    less = made_copy(with);
    less_b = made_copy(with_b);
    with->items[0].values[2999] = opposite;
    with_b->items[0].values[2999] = NAN;
    less->items[0].elements = less->items[0].dims[0] = 2999;
    less_b->items[0].elements = less_b->items[0].dims[0] = 2999;
    one = compared(with, with_b);
    other = compared(less, less_b);
    ck_assert_double_eq_tol(made_number_at(one, "/analyses/similarity_matrix/correlation/0/1"),
                            made_number_at(other, "/analyses/similarity_matrix/correlation/0/1"), 1e-14);
    json_object_put(one);
    json_object_put(other);
    made_free(with);
    made_free(with_b);
    made_free(less);
    made_free(less_b);
}

START_TEST(an_element_opposite_a_nan_counts_for_nothing)
{
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F64, DTYPE_BF16, DTYPE_F16};
    static const double opposites[] = {0.5, -3, 60000, 1e30, INFINITY};

    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        for (size_t o = 0; o < sizeof(opposites) / sizeof(opposites[0]); o++)
            assert_correlation_without(types[t], opposites[o]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("properties");
    TCase *tcase = tcase_create("properties");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, swapping_the_models_mirrors_the_document);
    tcase_add_test(tcase, the_order_of_tensors_in_the_files_changes_nothing);
    tcase_add_test(tcase, splitting_a_model_into_shards_changes_nothing);
    tcase_add_test(tcase, a_model_against_itself_is_identical_for_every_analysis);
    tcase_add_test(tcase, a_cast_to_a_wider_type_is_value_equal);
    tcase_add_test(tcase, a_layer_found_by_its_content_keeps_its_place_in_the_series);
    tcase_add_test(tcase, a_copied_layer_counts_once_in_the_series);
    tcase_add_test(tcase, prefixes_change_nothing_in_a_series);
    tcase_add_test(tcase, shares_sum_to_one);
    tcase_add_test(tcase, the_triangle_inequality_holds);
    tcase_add_test(tcase, an_element_opposite_a_nan_counts_for_nothing);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
