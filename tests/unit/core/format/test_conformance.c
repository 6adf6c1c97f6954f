/* With DIFFAID_SHARED set: everything of other people's making that this build says it reads, held against truth that
 * their own libraries computed. Prints one table. Without it there is nothing to do. */
#include <dirent.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "core/scan/decode.h"
#include "tests/unit/core/format/twins.h"

enum { COLUMNS = 9, PATH_BYTES = 1024, NAMES_MAX = 4096 };

static const char *shared;

struct tally {
    const char *what;
    size_t files, read, refused, unexplained, rows, rows_right, rows_wrong, rows_left_out;
};

static void print(const struct tally *tally)
{
    printf("%-24s %5zu files: %4zu read, %3zu refused with a reason, %zu unexplained; %4zu truth rows: %4zu right, %zu "
           "left out with a warning, %zu wrong\n",
           tally->what, tally->files, tally->read, tally->refused, tally->unexplained, tally->rows, tally->rows_right,
           tally->rows_left_out, tally->rows_wrong);
}

/* Cuts a line of tab-separated fields up in place. */
static size_t split(char *line, char *fields[COLUMNS])
{
    size_t count = 0;

    line[strcspn(line, "\r\n")] = '\0';
    while (line && count < COLUMNS) {
        fields[count++] = line;
        line = strchr(line, '\t');
        if (line)
            *line++ = '\0';
    }
    return count;
}

static int open_quietly(const char *path, struct model **ret_model, struct error *err)
{
    struct place place = {.dir_fd = AT_FDCWD, .path = path, .uri = path};

    *err = (struct error){0};
    return model_open(&place, &limits_default, ret_model, err);
}

/* Under its own name, or below the dict that truth's name is relative to. */
static const struct tensor *find(const struct model *model, const char *name)
{
    static const char *const above[] = {"", "model.", "state_dict.", "params."};
    char text[PATH_BYTES], dotted[PATH_BYTES];

    if (strcmp(name, "-") == 0) /* an array alone has no name */
        name = "array";
    if (model->format == &flax_format || model->format == &tensorflow_format ||
        model->format == &tensorflow_graph_format) { /* truth joins names by slashes */
        char *tail;

        snprintf(dotted, sizeof(dotted), "%s", name);
        tail = strstr(dotted, "/.ATTRIBUTES/VARIABLE_VALUE");
        if (tail)
            *tail = '\0';
        for (char *slash = strchr(dotted, '/'); slash; slash = strchr(slash, '/'))
            *slash = '.';
        name = dotted;
    }
    for (size_t i = 0; i < sizeof(above) / sizeof(above[0]); i++) {
        const struct tensor *tensor;

        snprintf(text, sizeof(text), "%s%s", above[i], name);
        tensor = model_find(model, name_of(text));
        if (tensor)
            return tensor;
    }
    return NULL;
}

/* Of a Keras archive, which names variables as its config does: "fc1.weight" is fc1's kernel there. */
static const struct tensor *find_variable(const struct model *model, const char *canonical)
{
    static const char *const names[][2] = {{"weight", "kernel"},
                                           {"weight", "gamma"},
                                           {"weight", "embeddings"},
                                           {"bias", "bias"},
                                           {"bias", "beta"},
                                           {"running_mean", "moving_mean"},
                                           {"running_var", "moving_variance"}};
    const int layer = (int)strcspn(canonical, ".");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct tensor *tensor;
        char text[PATH_BYTES];

        snprintf(text, sizeof(text), "%.*s/%s", layer, canonical, names[i][1]);
        tensor = strcmp(canonical + layer + 1, names[i][0]) == 0 ? model_find(model, name_of(text)) : NULL;
        if (tensor)
            return tensor;
    }
    return NULL;
}

/* Where each dimension of the canonical tensor lies in the one that the truth names. */
static const struct {
    const char *name;
    uint32_t rank;
    uint32_t from[4];
} transforms[] = {{"none", 0, {0}},
                  {"reshape", 0, {0}},
                  {"transpose", 2, {1, 0}},
                  {"reverse_dims", 4, {3, 2, 1, 0}},
                  {"hwio->oihw", 4, {3, 2, 0, 1}},
                  {"dw_hwcm->oihw", 4, {2, 3, 0, 1}},
                  {"ohwi->oihw", 4, {0, 3, 1, 2}}};

static int transform_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(transforms) / sizeof(transforms[0]); i++)
        if (strcmp(transforms[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* MATLAB's dimensions are given as MATLAB has them, the truth's as HDF5 does. */
static int transform_of(const struct model *model, const char *name)
{
    return transform_by_name(strcmp(model->format->name, "mat-7.3") == 0 ? "none" : name);
}

static void turn(const struct tensor *tensor, int transform, const double *values, float *out)
{
    const uint64_t *dims = tensor->shape.dims;
    const uint32_t rank = transforms[transform].rank;
    uint64_t at[4] = {0};

    for (size_t i = 0; i < tensor->shape.elements; i++) {
        uint64_t from[4] = {0}, flat = 0;

        for (uint32_t d = 0; d < rank; d++)
            from[transforms[transform].from[d]] = at[d];
        for (uint32_t d = 0; d < rank; d++)
            flat = flat * dims[d] + from[d];
        out[i] = (float)values[rank ? flat : i];
        for (uint32_t d = rank; d-- > 0 && ++at[d] == dims[transforms[transform].from[d]];)
            at[d] = 0;
    }
}

/* The SHA-256 of the values as F32, in the canonical order. */
static void hash_values(const struct model *model, const struct tensor *tensor, int transform, char out[65])
{
    const size_t elements = (size_t)tensor->shape.elements;
    double *values = calloc(elements + 1, 2 * sizeof(*values));
    float *singles = calloc(elements + 1, sizeof(*singles));
    uint8_t digest[32];
    size_t bytes;
    uint8_t *stored = elements_of(model, tensor, &bytes);

    ck_assert(values && singles);
    ck_assert(transforms[transform].rank == 0 || transforms[transform].rank == tensor->shape.rank);
    decode_f64(tensor->dtype, stored, 0, elements, values);
    turn(tensor, transform, values, singles);
    ck_assert_int_eq(EVP_Digest(singles, elements * sizeof(*singles), digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    free(values);
    free(singles);
    free(stored);
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static bool is_read_here(const char *path)
{
    static const char *const suffixes[] = {".safetensors", ".gguf", ".pt",   ".pth",     ".ckpt",  ".bin",
                                           ".npy",         ".npz",  ".onnx", ".msgpack", ".index", ".pt2",
                                           ".h5",          ".hdf5", ".mat",  ".tflite",  ".keras", ".pb"};

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (ends_with(path, suffixes[i]))
            return true;
    return strncmp(path, "tf/ckpt", 7) == 0 || strcmp(path, "tf/saved_model") == 0; /* directories */
}

static bool is_left_out(const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->warning_count; i++) {
        const char *message = model->warnings[i].message;

        if (strncmp(message, name, strlen(name)) == 0 && strncmp(message + strlen(name), " was left out: ", 15) == 0) {
            printf("  %s: %s\n", model->uri + strlen(shared), message);
            return true;
        }
    }
    return false;
}

/* twins/truth.tsv: file, name, …, transform, dtype, shape, hash. */
static void check_twins_row(struct tally *tally, struct model *model, char *fields[COLUMNS])
{
    const bool is_keras = strcmp(model->format->name, "keras") == 0;
    const struct tensor *tensor = is_keras ? find_variable(model, fields[2]) : find(model, fields[1]);
    char hash[65] = "";

    tally->rows++;
    if (tensor && tensor_is_decodable(tensor))
        hash_values(model, tensor, transform_of(model, fields[3]), hash);
    if (strcmp(hash, fields[6]) == 0) {
        tally->rows_right++;
        return;
    }
    if (!tensor && is_left_out(model, fields[1])) {
        tally->rows_left_out++;
        return;
    }
    tally->rows_wrong++;
    printf("  wrong: %s %s %s\n", fields[0], fields[1], tensor ? "has other values" : "is missing");
}

START_TEST(twins_hold_the_canonical_values)
{
    struct tally tally = {.what = "twins"};
    char path[2 * PATH_BYTES], line[PATH_BYTES], current[PATH_BYTES] = "", *fields[COLUMNS];
    struct model *model = NULL;
    struct error err;
    FILE *truth;

    snprintf(path, sizeof(path), "%s/twins/truth.tsv", shared);
    truth = fopen(path, "r");
    ck_assert_ptr_nonnull(truth);
    while (fgets(line, sizeof(line), truth)) {
        if (split(line, fields) < 7 || !is_read_here(fields[0]) || transform_by_name(fields[3]) < 0)
            continue;
        if (strcmp(current, fields[0]) != 0) {
            model_close(model);
            model = NULL;
            snprintf(current, sizeof(current), "%s", fields[0]);
            snprintf(path, sizeof(path), "%s/twins/%s", shared, fields[0]);
            tally.files++;
            if (open_quietly(path, &model, &err) == 0)
                tally.read++;
            else
                tally.refused++;
            if (!model)
                printf("  refused: %s\n", err.text);
        }
        if (model && strlen(fields[6]) == 64)
            check_twins_row(&tally, model, fields);
    }
    fclose(truth);
    model_close(model);
    print(&tally);
    ck_assert_uint_eq(tally.rows_wrong, 0);
    ck_assert_uint_eq(tally.refused, 0);
    ck_assert_uint_gt(tally.rows_right, 400);
    ck_assert_uint_lt(tally.rows_left_out, 5);
}
END_TEST

/* TensorFlow's have no rows of their own: each of their variables that the safetensors twin has is its. */
START_TEST(twins_of_tensorflow_hold_what_the_safetensors_twin_holds)
{
    static const char *const files[] = {"tf/ckpt", "tf/ckpt_v1names", "tf/ckpt/twin.ckpt.index"};
    struct tally tally = {.what = "twins of TensorFlow"};
    struct model *twin, *model;
    char path[2 * PATH_BYTES];

    snprintf(path, sizeof(path), "%s/twins/safetensors/model.safetensors", shared);
    twin = open_path(path);
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        snprintf(path, sizeof(path), "%s/twins/%s", shared, files[f]);
        model = open_path(path);
        tally.files++;
        tally.read++;
        for (size_t t = 0; t < twin->tensor_count; t++) {
            char name[PATH_BYTES], a[65], b[65];
            const struct tensor *tensor;

            snprintf(name, sizeof(name), "%.*s", (int)twin->tensors[t].name.bytes, twin->tensors[t].name.text);
            tensor = find(model, name);
            ck_assert_msg(tensor, "%s has no %s", path, name);
            hash_values(model, tensor, 0, a);
            hash_values(twin, &twin->tensors[t], 0, b);
            tally.rows++;
            if (strcmp(a, b) == 0)
                tally.rows_right++;
            else
                tally.rows_wrong++;
        }
        model_close(model);
    }
    model_close(twin);
    print(&tally);
    ck_assert_uint_eq(tally.rows_right, 66);
}
END_TEST

/* Every file below, by the way; names are relative to shared. */
static void walk(const char *below, void (*visit)(struct tally *, const char *), struct tally *tally)
{
    char path[2 * PATH_BYTES];
    struct dirent **entries;
    int count;

    snprintf(path, sizeof(path), "%s/%s", shared, below);
    count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char next[PATH_BYTES + 256];
        struct stat status;

        snprintf(next, sizeof(next), "%s/%s", below, entries[i]->d_name);
        snprintf(path, sizeof(path), "%s/%s", shared, next);
        if (entries[i]->d_name[0] != '.' && stat(path, &status) == 0) {
            if (S_ISDIR(status.st_mode))
                walk(next, visit, tally);
            else if (is_read_here(next))
                visit(tally, path);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* Opens, and reads every value: a refusal must say what is wrong. */
static void visit_any(struct tally *tally, const char *path)
{
    struct model *model;
    struct error err;
    int rc = open_quietly(path, &model, &err);

    tally->files++;
    if (rc == 0) {
        for (size_t t = 0; t < model->tensor_count; t++) {
            size_t bytes;

            if (tensor_is_decodable(&model->tensors[t]) && model->tensors[t].shape.elements < 1 << 24)
                free(elements_of(model, &model->tensors[t], &bytes));
        }
        tally->read++;
        model_close(model);
    } else if (rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED) {
        tally->refused++;
        printf("  refused: %s\n", strstr(err.text, path) ? err.text + strlen(shared) : err.text);
    } else {
        tally->unexplained++;
        printf("  unexplained: %s: %s\n", path, err.text);
    }
}

START_TEST(files_of_many_projects_are_read_or_refused_with_a_reason)
{
    static const char *const folders[] = {"fixtures", "layouts", "packed", "quantised", "series"};
    struct tally tally = {.what = folders[_i]};

    walk(folders[_i], visit_any, &tally);
    print(&tally);
    ck_assert_uint_gt(tally.files, 0);
    ck_assert_uint_eq(tally.unexplained, 0);
}
END_TEST

/* A checkpoint holds the weights that were saved beside it as safetensors. */
START_TEST(checkpoints_hold_the_weights_saved_beside_them)
{
    static const char *const series[] = {"converging", "oscillating"};
    struct tally tally = {.what = "series: pt = safetensors"};

    for (int step = 0; step <= 440; step += 40) {
        struct model *checkpoint, *weights;
        char path[PATH_BYTES];

        snprintf(path, sizeof(path), "%s/series/%s/ckpt_%05d.pt", shared, series[_i], step);
        checkpoint = open_path(path);
        snprintf(path, sizeof(path), "%s/series/%s/model_%05d.safetensors", shared, series[_i], step);
        weights = open_path(path);
        tally.files++;
        tally.read++;
        for (size_t t = 0; t < weights->tensor_count; t++) {
            char name[PATH_BYTES], a[65], b[65];
            const struct tensor *tensor;

            snprintf(name, sizeof(name), "%.*s", (int)weights->tensors[t].name.bytes, weights->tensors[t].name.text);
            tensor = find(checkpoint, name);
            ck_assert_msg(tensor, "%s is not in the checkpoint", name);
            hash_values(checkpoint, tensor, 0, a);
            hash_values(weights, &weights->tensors[t], 0, b);
            tally.rows++;
            if (strcmp(a, b) == 0)
                tally.rows_right++;
            else
                tally.rows_wrong++;
        }
        model_close(checkpoint);
        model_close(weights);
    }
    print(&tally);
    ck_assert_uint_eq(tally.rows_wrong, 0);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;
    SRunner *runner;
    int failed;

    shared = getenv("DIFFAID_SHARED");
    if (!shared) {
        puts("DIFFAID_SHARED is not set: nothing to hold against");
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    suite = suite_create("conformance");
    tcase = tcase_create("conformance");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, twins_hold_the_canonical_values);
    tcase_add_test(tcase, twins_of_tensorflow_hold_what_the_safetensors_twin_holds);
    tcase_add_loop_test(tcase, files_of_many_projects_are_read_or_refused_with_a_reason, 0, 5);
    tcase_add_loop_test(tcase, checkpoints_hold_the_weights_saved_beside_them, 0, 2);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
