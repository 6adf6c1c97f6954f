/* With DIFFAID_SHARED set: packed checkpoints as other people's libraries wrote them, held bit for bit against what
 * these libraries make of them. Prints one line a folder. Without it there is nothing to do. */
#include <dirent.h>
#include <unistd.h>

#include "core/scan/decode.h"
#include "tests/unit/core/format/twins.h"

static const char *shared;

static bool ends_with(struct name name, const char *end)
{
    const size_t bytes = strlen(end);

    return name.bytes >= bytes && memcmp(name.text + name.bytes - bytes, end, bytes) == 0;
}

/* How many of truth's tensors the model has, all values the same F32. */
static size_t count_right(const struct model *model, const struct model *truth, size_t *ret_all)
{
    size_t right = 0;

    *ret_all = 0;
    for (size_t t = 0; t < truth->tensor_count; t++) {
        const struct tensor *wanted = &truth->tensors[t], *tensor;
        const size_t elements = (size_t)wanted->shape.elements;
        size_t bytes;
        uint8_t *expected, *stored;
        double *values;
        bool is_right = true;

        if (ends_with(wanted->name, "@native"))
            continue;
        ++*ret_all;
        tensor = model_find(model, wanted->name);
        if (!tensor || !shape_equal(&tensor->shape, &wanted->shape))
            continue;
        expected = elements_of(truth, wanted, &bytes);
        stored = elements_of(model, tensor, &bytes);
        values = calloc(elements, sizeof(*values));
        ck_assert_ptr_nonnull(values);
        decode_f64(tensor->dtype, stored, 0, elements, values);
        for (size_t i = 0; i < elements; i++) {
            const float value = (float)values[i];

            is_right = is_right && memcmp(&value, expected + i * sizeof(value), sizeof(value)) == 0;
        }
        right += is_right;
        free(expected);
        free(stored);
        free(values);
    }
    return right;
}

START_TEST(packed_checkpoints_hold_what_their_libraries_make_of_them)
{
    static const char *const files[] = {"model.safetensors", "pytorch_model.bin", "qmodel.pt"};
    char path[2048], model_path[2048];
    size_t wrong = 0, checked = 0;
    struct dirent **entries;
    int count;

    snprintf(path, sizeof(path), "%s/packed", shared);
    count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        struct model *truth = NULL;

        snprintf(path, sizeof(path), "%s/packed/%s/truth.npz", shared, entries[i]->d_name);
        if (access(path, R_OK) == 0)
            truth = open_path(path);
        for (size_t f = 0; truth && f < sizeof(files) / sizeof(files[0]); f++) {
            struct model *model;
            size_t right, all;

            snprintf(model_path, sizeof(model_path), "%s/packed/%s/%s", shared, entries[i]->d_name, files[f]);
            if (access(model_path, R_OK) != 0)
                continue;
            model = open_path(model_path);
            right = count_right(model, truth, &all);
            printf("%s/%s: %zu of %zu right\n", entries[i]->d_name, files[f], right, all);
            for (size_t w = 0; right < all && w < model->warning_count; w++)
                printf("    %s\n", model->warnings[w].message);
            checked += all;
            wrong += all - right;
            model_close(model);
        }
        model_close(truth);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(checked, 0);
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
    suite = suite_create("packed_conformance");
    tcase = tcase_create("packed_conformance");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, packed_checkpoints_hold_what_their_libraries_make_of_them);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
