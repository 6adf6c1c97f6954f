/* Files by torch (fixtures/twins/make_torch.py) beside their twin, pickles written by hand, and files that lie. */
#include "core/format/format.h"

#include <inttypes.h>

#include "core/format/pickle.h"
#include "tests/unit/core/format/twins.h"

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))
#define TWINS        FIXTURES "/twins/"

/* Every tensor of model is that of the twin whose name has prefix in front and suffix behind; those that skip starts
 * are left out. */
static size_t check_renamed(const struct model *model, const struct model *twin, const char *from, const char *to)
{
    size_t checked = 0;

    for (size_t t = 0; t < model->tensor_count; t++) {
        const struct tensor *a = &model->tensors[t], *b;
        size_t bytes_a, bytes_b, from_bytes = strlen(from);
        char name[256];
        uint8_t *x, *y;

        if (a->name.bytes < from_bytes || memcmp(a->name.text, from, from_bytes) != 0)
            continue;
        snprintf(name, sizeof(name), "%s%.*s", to, (int)(a->name.bytes - from_bytes), a->name.text + from_bytes);
        b = model_find(twin, name_of(name));
        if (!b)
            continue;
        ck_assert_msg(a->dtype == b->dtype && shape_equal(&a->shape, &b->shape), "%s", name);
        x = elements_of(model, a, &bytes_a);
        y = elements_of(twin, b, &bytes_b);
        ck_assert_msg(bytes_a == bytes_b && memcmp(x, y, bytes_a) == 0, "%s has other values", name);
        free(x);
        free(y);
        checked++;
    }
    return checked;
}

START_TEST(files_of_every_container_hold_what_torch_reads)
{
    static const struct {
        const char *file, *format, *from, *to;
        size_t tensors, checked;
        enum { PLAIN, RARE, OBJECTS } twin;
    } rows[] = {
        {"state.pt", "torch", "", "", 25, 25, PLAIN},
        {"state-deflated.pt", "torch", "", "", 25, 25, PLAIN},
        {"state-legacy.pt", "torch-legacy", "", "", 22, 22, PLAIN},
        {"state-legacy-1.pt", "torch-legacy", "", "", 22, 22, PLAIN},
        {"state-legacy-3.pt", "torch-legacy", "", "", 22, 22, PLAIN},
        {"state-legacy-5.pt", "torch-legacy", "", "", 22, 22, PLAIN},
        {"quantised.pt", "torch", "", "q.", 4, 4, PLAIN},
        {"module.pt", "torch", "", "net.", 10, 10, PLAIN},
        {"checkpoint.ckpt", "torch", "model.", "net.", 28, 10, PLAIN},
        {"checkpoint.ckpt", "torch", "optimizer.state.", "adam.", 28, 12, PLAIN},
        {"module-legacy.pt", "torch-legacy", "", "net.", 8, 8, RARE},
        {"state-tar.pt", "torch-tar", "state.", "tar.", 6, 6, RARE},
        {"exported.pt2", "torch", "", "before.", 9, 8, RARE},
        {"exported.pt2", "torch", "", "constant.", 9, 1, RARE},
        {"exported-old.pt2", "torch", "", "before.", 8, 8, RARE},
        {"narrow.pt", "torch", "", "narrow.", 3, 3, RARE},
        {"frozen.pt", "torch", "constants.", "frozen.", 2, 2, RARE},
        {"groups.ckpt", "torch", "plain.state.", "plain.", 38, 4, RARE},
        {"groups.ckpt", "torch", "groups.state.", "groups.", 38, 4, RARE},
        {"objects.pt", "torch", "", "objects.", 12, 10, OBJECTS},
        {"quantised-module.pt", "torch", "", "quantised.", 12, 6, OBJECTS},
        {"quantised-script.pt", "torch", "", "script.", 6, 4, OBJECTS},
        {"package.pt", "torch", "", "package.", 2, 2, OBJECTS},
        {"package-of-two.pt", "torch", "", "two.", 3, 1, OBJECTS},
    };
    static const char *const twins[] = {TWINS "torch.safetensors", TWINS "torch-rare.safetensors",
                                        TWINS "torch-objects.safetensors"};
    struct model *twin = open_path(twins[rows[_i].twin]);
    struct model *model;
    char path[512];

    snprintf(path, sizeof(path), TWINS "%s", rows[_i].file);
    model = open_path(path);
    ck_assert_str_eq(model->format->name, rows[_i].format);
    ck_assert_uint_eq(model->tensor_count, rows[_i].tensors);
    ck_assert_uint_eq(model_count_files(model), 1);
    ck_assert_uint_eq(check_renamed(model, twin, rows[_i].from, rows[_i].to), rows[_i].checked);
    model_close(model);
    model_close(twin);
}
END_TEST

/* groups.ckpt has a buffer as large as the first weight: which of them the optimizer's number 0 is cannot be told. */
START_TEST(a_number_that_two_names_fit_keeps_its_number)
{
    struct model *model = open_path(TWINS "groups.ckpt");

    ck_assert_ptr_nonnull(model_find(model, name_of("plain.state.0.exp_avg")));
    ck_assert_ptr_nonnull(model_find(model, name_of("groups.state.0.exp_avg")));
    ck_assert_ptr_null(model_find(model, name_of("plain.state.position.exp_avg")));
    ck_assert_ptr_null(model_find(model, name_of("plain.state.tied.weight.exp_avg")));
    model_close(model);
}
END_TEST

START_TEST(what_has_no_values_of_its_own_is_listed_without)
{
    static const struct {
        const char *name, *reason;
        uint64_t bytes;
    } rows[] = {{"meta", "a tensor on the meta device has no values", 0}};
    struct model *model = open_path(TWINS "odd.pt");
    const struct tensor *tensor = model_find(model, name_of(rows[_i].name));

    ck_assert_uint_eq(model->tensor_count, 5);
    ck_assert_ptr_nonnull(tensor);
    ck_assert(!tensor_is_decodable(tensor));
    ck_assert_str_eq(tensor->storage->reason, rows[_i].reason);
    ck_assert_uint_eq(tensor->extent.bytes, rows[_i].bytes);
    model_close(model);
}
END_TEST

START_TEST(floats_of_half_a_byte_count_one_by_one)
{
    struct model *model = open_path(TWINS "odd.pt");
    const struct tensor *tensor = model_find(model, name_of("f4"));
    uint8_t bytes[4];

    ck_assert_ptr_nonnull(tensor);
    ck_assert_int_eq(tensor->dtype, DTYPE_F4);
    ck_assert_uint_eq(tensor->shape.dims[1], 4);
    ck_assert_int_eq(decoder_read(model, tensor, 0, 8, bytes, NULL), 0);
    ck_assert_mem_eq(bytes, "\x21\x43\x65\xf7", 4);
    model_close(model);
}
END_TEST

START_TEST(ranges_of_deflated_members_are_read_in_any_order)
{
    struct model *plain = open_path(TWINS "state.pt"), *deflated = open_path(TWINS "state-deflated.pt");

    for (size_t t = 0; t < plain->tensor_count; t++) {
        const struct tensor *a = &plain->tensors[t], *b = model_find(deflated, a->name);
        const size_t size = dtype_traits(a->dtype)->bits / 8;

        for (uint64_t i = a->shape.elements; i-- > 0;) {
            uint8_t x[16], y[16];

            ck_assert_int_eq(decoder_read(plain, a, i, 1, x, NULL), 0);
            ck_assert_int_eq(decoder_read(deflated, b, i, 1, y, NULL), 0);
            ck_assert_mem_eq(x, y, size);
        }
    }
    model_close(plain);
    model_close(deflated);
}
END_TEST

static const char *metadata_of(const struct model *model, const char *key, char out[64])
{
    for (size_t i = 0; i < model->metadata_count; i++)
        if (name_equal(model->metadata[i].key, name_of(key))) {
            snprintf(out, 64, "%.*s", (int)model->metadata[i].value.bytes, model->metadata[i].value.text);
            return out;
        }
    return "(missing)";
}

START_TEST(scalars_of_a_checkpoint_are_metadata)
{
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"epoch", "3"},
        {"global_step", "1200"},
        {"loss", "0.125"},
        {"config.hidden", "4"},
        {"config.name", "tiny"},
        {"config.dropout", "(missing)"},
        {"optimizer.param_groups.0.lr", "0.01"},
        {"optimizer.param_groups.0.betas.0", "0.8"},
        {"optimizer.param_groups.0.betas.1", "0.95"},
        {"optimizer.param_groups.0.amsgrad", "false"},
        {"optimizer.param_groups.0.params.0", "(missing)"},
        {"history.0", "(missing)"},
    };
    struct model *model = open_path(TWINS "checkpoint.ckpt");
    char text[64];

    ck_assert_str_eq(metadata_of(model, rows[_i].key, text), rows[_i].value);
    model_close(model);
}
END_TEST

START_TEST(classes_that_are_not_known_are_told_of)
{
    struct model *model = open_path(TWINS "module.pt");

    ck_assert_uint_eq(model->warning_count, 1);
    ck_assert_str_eq(model->warnings[0].code, "python-objects");
    ck_assert_ptr_nonnull(strstr(model->warnings[0].message, "somebody.elses.Net"));
    model_close(model);
}
END_TEST

/* Pickles, and what becomes of them: bytes are in the order that pickletools lists opcodes. */
#define PICKLE(text) (const uint8_t *)(text), sizeof(text) - 1
static const struct {
    const uint8_t *bytes;
    size_t count;
    int code;
    const char *says;
} pickles[] = {
    {PICKLE("\x80\x02}q\x00."), 0, ""},
    {PICKLE("(dp0\nS'a'\nI1\ns."), 0, ""},
    {PICKLE("\x80\x04\x95\x0a\0\0\0\0\0\0\0]\x94(K\x01K\x02K\x03"
            "e."),
     0, ""},
    {PICKLE("\x80\x02"
            "cnet\nNet\n)\x81}b."),
     0, ""},
    {PICKLE("\x80\x02"
            "ccollections\nOrderedDict\n)R."),
     0, ""},
    {PICKLE(""), ERROR_FORMAT, "ends without a stop, at byte 0"},
    {PICKLE("\x80\x02}"), ERROR_FORMAT, "ends without a stop"},
    {PICKLE("\x80\x06."), ERROR_UNSUPPORTED, "protocol beyond 5"},
    {PICKLE("."), ERROR_FORMAT, "empty stack"},
    {PICKLE("(."), ERROR_FORMAT, "empty stack"},
    {PICKLE("\x80\x02X\xff\xff\xff\x7f"
            "a."),
     ERROR_FORMAT, "ends within an opcode"},
    {PICKLE("\x80\x02\x8b\xff\xff\xff\xff."), ERROR_FORMAT, "negative length"},
    {PICKLE("\x80\x02h\x05."), ERROR_FORMAT, "recalls what it has not remembered"},
    {PICKLE("\x80\x02Nr\xff\xff\xff\xff."), ERROR_LIMIT, "remembers at a place beyond the limit"},
    {PICKLE("\x80\x02Nt."), ERROR_FORMAT, "no mark"},
    {PICKLE("\x80\x02NNs."), ERROR_FORMAT, "empty stack"},
    {PICKLE("\x80\x02NNNs."), ERROR_FORMAT, "sets items in what is no dict"},
    {PICKLE("\x80\x02}(Nu."), ERROR_FORMAT, "a key without a value"},
    {PICKLE("\x80\x02}Na."), ERROR_FORMAT, "appends to what is no list"},
    {PICKLE("\x80\x02]}b."), ERROR_FORMAT, "gives a state to what has none"},
    {PICKLE("\x80\x02\xf0."), ERROR_FORMAT, "no known opcode, 0xf0"},
    {PICKLE("\x80\x02N)R."), ERROR_UNSUPPORTED, "calls what is no global"},
    {PICKLE("\x80\x04\x95\x02\0\0\0\0\0\0\0N."), 0, ""},
    {PICKLE("\x80\x04\x95\x03\0\0\0\0\0\0\0N."), ERROR_FORMAT, "has a frame that reaches beyond its end"},
    /* What runs code where others open it. */
    {PICKLE("cos\nsystem\n(S'id'\ntR."), ERROR_UNSUPPORTED, "unsafe global os.system"},
    {PICKLE("cposix\nsystem\n(S'id'\ntR."), ERROR_UNSUPPORTED, "unsafe global posix.system"},
    {PICKLE("\x80\x02"
            "c__builtin__\neval\nX\x01\0\0\0"
            "1\x85R."),
     ERROR_UNSUPPORTED, "unsafe global __builtin__.eval"},
    {PICKLE("\x80\x04\x8c\x08"
            "builtins\x8c\x04"
            "exec\x93."),
     ERROR_UNSUPPORTED, "unsafe global builtins.exec"},
    {PICKLE("\x80\x02"
            "cbuiltins\ngetattr\n."),
     ERROR_UNSUPPORTED, "unsafe global builtins.getattr"},
    {PICKLE("\x80\x02"
            "csubprocess\nPopen\n)\x81."),
     ERROR_UNSUPPORTED, "unsafe global subprocess.Popen"},
    {PICKLE("(S'id'\nios\nsystem\n."), ERROR_UNSUPPORTED, "unsafe global os.system"},
    {PICKLE("\x80\x02"
            "ctorch.hub\nload\n)R."),
     ERROR_UNSUPPORTED, "unsafe global torch.hub.load"},
    {PICKLE("\x80\x02"
            "cnet\nmake\n)R."),
     ERROR_UNSUPPORTED, "calls what no checkpoint needs, the global net.make"},
    /* Classes by their names, with what a member of an enumeration is called with; not Python's own, and no more. */
    {PICKLE("\x80\x02"
            "cnet\nMade\n)R."),
     0, ""},
    {PICKLE("\x80\x02"
            "cnet\nMade\nK\x01\x85R."),
     0, ""},
    {PICKLE("\x80\x02"
            "cnet\nMade\nK\x01K\x02\x86R."),
     ERROR_UNSUPPORTED, "calls what no checkpoint needs, the global net.Made"},
    {PICKLE("\x80\x02"
            "cnet\nmake\nK\x01\x85R."),
     ERROR_UNSUPPORTED, "calls what no checkpoint needs, the global net.make"},
    {PICKLE("\x80\x02"
            "clogging\nFileHandler\nX\x01\0\0\0"
            "a\x85R."),
     ERROR_UNSUPPORTED, "calls what no checkpoint needs, the global logging.FileHandler"},
    {PICKLE("\x80\x02"
            "cnet\nMade\nX\x06\0\0\0"
            "bf16-1\x85R."),
     0, ""},
    {PICKLE("\x80\x02"
            "cnet\nMade\nX\x04\0\0\0"
            "a.so\x85R."),
     ERROR_UNSUPPORTED, "calls what no checkpoint needs, the global net.Made"},
    {PICKLE("\x80\x02"
            "cnet\nMade\nX\0\0\0\0\x85R."),
     ERROR_UNSUPPORTED, "calls what no checkpoint needs, the global net.Made"},
    {PICKLE("(cnet\nmake\nNo."), ERROR_UNSUPPORTED, "calls what no checkpoint needs, the global net.make"},
    {PICKLE("\x80\x02"
            "cnet\nos\nsystem\n."),
     ERROR_FORMAT, "empty stack"},
};

START_TEST(a_pickle_is_read_or_refused_in_words)
{
    struct arena arena = {.limit = 1 << 20};
    struct pickle pickle;
    struct error err = {0};
    uint8_t *copy = malloc(pickles[_i].count + 1);
    int rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, pickles[_i].bytes, pickles[_i].count);
    rc = pickle_read(copy, pickles[_i].count, &arena, &pickle, &err);
    ck_assert_msg(rc == pickles[_i].code && strstr(err.text, pickles[_i].says), "%d: %s", rc, err.text);
    if (rc == 0)
        ck_assert_uint_eq(pickle.bytes, pickles[_i].count);
    arena_done(&arena);
    free(copy);
}
END_TEST

START_TEST(a_pickle_that_grows_without_end_meets_the_limit)
{
    struct arena arena = {.limit = 1 << 20};
    struct pickle pickle;
    struct error err = {0};
    uint8_t *bytes = malloc(1 << 20);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, ']', 1 << 20);
    ck_assert_int_eq(pickle_read(bytes, 1 << 20, &arena, &pickle, &err), ERROR_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "take more memory than such a file may"));
    arena_done(&arena);
    free(bytes);
}
END_TEST

/* Forty lists, each of which holds the one before it twice: 2^40 values from 300 bytes. */
START_TEST(values_that_lead_to_one_another_are_walked_a_limited_number_of_times)
{
    static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
    struct limits limits = limits_default;
    const struct opener opener = {.limits = &limits};
    uint8_t bytes[512];
    size_t count = sizeof(magic);
    struct source *source;
    struct model *model;
    struct error err = {0};

    limits.tensors = 1000;
    memcpy(bytes, magic, sizeof(magic));
    memcpy(bytes + count, "I1001\n.}.]q\0", 12);
    count += 12;
    for (uint8_t i = 0; i < 40; i++) {
        const uint8_t level[] = {']', '(', 'h', i, 'h', i, 'e', 'q', (uint8_t)(i + 1)};

        memcpy(bytes + count, level, sizeof(level));
        count += sizeof(level);
    }
    memcpy(bytes + count, ".].", 3);
    count += 3;
    ck_assert_int_eq(memory_open(bytes, count, "x.pt", &source, NULL), 0);
    ck_assert_int_eq(model_open_source(&opener, source, &model, &err), ERROR_LIMIT);
    ck_assert_msg(strstr(err.text, "lead to one another too often"), "%s", err.text);
    source_close(source);
}
END_TEST

/* The file's bytes with each of some places changed. */
static uint8_t *read_file(const char *name, size_t *ret_bytes)
{
    char path[512];
    uint8_t *bytes = malloc(1 << 16);
    FILE *file;

    snprintf(path, sizeof(path), TWINS "%s", name);
    file = fopen(path, "rb");
    ck_assert(file && bytes);
    *ret_bytes = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    return bytes;
}

static int open_bytes(const uint8_t *bytes, size_t count, struct model **ret_model, struct error *err)
{
    const struct opener opener = {.limits = &limits_default};
    uint8_t *copy = malloc(count + 1);
    struct source *source;
    int rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, count);
    *err = (struct error){0};
    ck_assert_int_eq(memory_open(copy, count, "x.pt", &source, NULL), 0);
    rc = model_open_source(&opener, source, ret_model, err);
    if (rc)
        source_close(source);
    else
        model_close(*ret_model);
    free(copy);
    return rc;
}

static uint8_t *find_bytes(uint8_t *bytes, size_t count, const char *what, size_t what_bytes, int which)
{
    for (size_t i = 0; i + what_bytes <= count; i++)
        if (memcmp(bytes + i, what, what_bytes) == 0 && which-- == 0)
            return bytes + i;
    ck_abort_msg("the file has not what is to be changed");
    return NULL;
}

#define CHANGE(from, to) from, to, sizeof(from) - 1
static const struct {
    const char *file, *from, *to;
    size_t bytes;
    int which, code;
    const char *says;
} lies[] = {
    {"state.pt", CHANGE("FloatStorage", "FroatStorage"), 0, ERROR_UNSUPPORTED, "unknown type torch.FroatStorage"},
    {"state.pt", CHANGE("_rebuild_tensor_v2", "_rebuild_tensor_w2"), 0, ERROR_UNSUPPORTED,
     "calls what no checkpoint needs, the global torch._utils._rebuild_tensor_w2"},
    {"state.pt", CHANGE("torch._utils\n_rebuild_tensor_v2", "posix\nsystem\n_rebuild_tensor_v2"), 0, ERROR_UNSUPPORTED,
     "unsafe global posix.system"},
    {"state.pt", CHANGE("byteorder", "bytexrder"), 0, ERROR_FORMAT, "calls itself"},
    {"state.pt", CHANGE("data.pkl", "dada.pkl"), 0, ERROR_FORMAT, "calls itself"},
    {"state.pt", CHANGE("little", "middle"), 0, ERROR_FORMAT, "neither little nor big"},
    {"state.pt", CHANGE("PK\x01\x02", "PK\x01\x03"), 3, ERROR_FORMAT, "directory"},
    {"state.pt", CHANGE("PK\x05\x06", "PK\x05\x07"), 0, ERROR_FORMAT, "no directory at its end"},
    {"state-legacy.pt", CHANGE("M\xe9\x03.", "M\xe8\x03."), 0, ERROR_UNSUPPORTED, "another version"},
    {"state.pt", CHANGE("PK\x03\x04\0\0\x08", "PK\x03\x04\0\0\x09"), 1, ERROR_FORMAT, "is encrypted by its own header"},
    {"state-tar.pt", CHANGE("storages", "storagez"), 0, ERROR_UNSUPPORTED, "no known format recognises the content"},
    {"state-tar.pt", CHANGE("tensors", "tensorz"), 0, ERROR_FORMAT, "tar: the header at offset"},
    {"state-tar.pt", CHANGE("FloatStorage", "FlootStorage"), 0, ERROR_UNSUPPORTED, "is of an unknown type"},
    {"exported.pt2", CHANGE("\"as_int\": 3", "\"as_int\": 9"), 0, ERROR_FORMAT,
     "reaches element 35 of a storage of 12"},
    {"exported.pt2", CHANGE("\"dtype\": 7", "\"dtype\": 0"), 0, ERROR_FORMAT, "of dtype 0 with 2 sizes and 2 strides"},
    {"exported.pt2", CHANGE("weight_0\"", "weight_z\""), 0, ERROR_FORMAT, "its storage is not in the file"},
    {"exported.pt2", CHANGE("{\"config\"", "[\"config\""), 0, ERROR_FORMAT, "the config of its weights"},
    {"exported-old.pt2", CHANGE("data.pkl", "dato.pkl"), 0, ERROR_FORMAT, "calls itself archive/dato.pkl"},
};

START_TEST(a_file_that_was_tampered_with_is_refused)
{
    struct model *model;
    struct error err;
    size_t count;
    uint8_t *bytes = read_file(lies[_i].file, &count);
    int rc;

    memcpy(find_bytes(bytes, count, lies[_i].from, lies[_i].bytes, lies[_i].which), lies[_i].to, lies[_i].bytes);
    rc = open_bytes(bytes, count, &model, &err);
    ck_assert_msg(rc == lies[_i].code && strstr(err.text, lies[_i].says), "%d: %s", rc, err.text);
    ck_assert_msg(strncmp(err.text, "x.pt: ", 6) == 0, "%s", err.text);
    free(bytes);
}
END_TEST

/* An archive of two stored members, the second's header and bytes within the first's. */
static size_t make_overlapping(uint8_t *bytes)
{
    static const struct {
        const char *name;
        uint32_t offset, bytes;
    } members[2] = {{"a/data.pkl", 0, 60}, {"a/data/0", 50, 4}};
    size_t directory = 100, end, count = directory;

    memset(bytes, 0, 512);
    for (int m = 0; m < 2; m++) {
        const uint32_t name_bytes = (uint32_t)strlen(members[m].name), sizes[2] = {members[m].bytes, members[m].bytes};
        uint8_t *local = bytes + members[m].offset, *entry = bytes + count;

        memcpy(local, "PK\3\4\24", 5);
        memcpy(local + 18, sizes, 8);
        memcpy(local + 26, &name_bytes, 2);
        memcpy(local + 30, members[m].name, name_bytes);
        memcpy(entry, "PK\1\2\24\0\24", 7);
        memcpy(entry + 20, sizes, 8);
        memcpy(entry + 28, &name_bytes, 2);
        memcpy(entry + 42, &members[m].offset, 4);
        memcpy(entry + 46, members[m].name, name_bytes);
        count += 46 + name_bytes;
    }
    end = count;
    memcpy(bytes + end, "PK\5\6\0\0\0\0\2\0\2", 11);
    memcpy(bytes + end + 12, (uint32_t[]){(uint32_t)(end - directory), (uint32_t)directory}, 8);
    return end + 22;
}

START_TEST(several_archives_in_one_file_are_not_read_as_the_last)
{
    size_t count;
    uint8_t *bytes = read_file("state.pt", &count), *twice = malloc(2 * count);
    struct model *model;
    struct error err;

    ck_assert_ptr_nonnull(twice);
    memcpy(twice, bytes, count);
    memcpy(twice + count, bytes, count);
    ck_assert_int_eq(open_bytes(twice, 2 * count, &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "or the file is several"), "%s", err.text);
    free(twice);
    free(bytes);
}
END_TEST

START_TEST(a_zip_archive_of_something_else_is_told_by_its_first_member)
{
    static const char bytes[] = "PK\3\4\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\11\0\0\0notes.txt"
                                "PK\1\2\24\0\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\11\0\0\0\0\0\0\0\0\0"
                                "\0\0\0\0\0\0\0\0notes.txt"
                                "PK\5\6\0\0\0\0\1\0\1\0\67\0\0\0\47\0\0\0\0";
    struct model *model;
    struct error err;

    ck_assert_int_eq(open_bytes((const uint8_t *)bytes, sizeof(bytes), &model, &err), ERROR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "a ZIP archive that begins with notes.txt and has no data.pkl"), "%s", err.text);
}
END_TEST

START_TEST(members_that_share_bytes_are_refused)
{
    uint8_t bytes[512];
    struct model *model;
    struct error err;

    ck_assert_int_eq(open_bytes(bytes, make_overlapping(bytes), &model, &err), ERROR_FORMAT);
    ck_assert_msg(strstr(err.text, "the members a/data.pkl and a/data/0 lie on the same bytes"), "%s", err.text);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    static const char *const files[] = {"state.pt",     "state-deflated.pt", "state-legacy.pt", "quantised.pt",
                                        "state-tar.pt", "exported.pt2",      "exported-old.pt2"};
    size_t count;
    uint8_t *bytes = read_file(files[_i], &count);

    for (size_t cut = 0; cut<count; cut += cut> 64 && cut + 200 < count ? 7 : 1) {
        struct model *model;
        struct error err;
        int rc = open_bytes(bytes, cut, &model, &err);

        if (rc == 0 && strcmp(files[_i], "state-tar.pt") == 0 && cut > 2808)
            continue; /* zeros fill the last block of a tar */
        ck_assert_msg(rc == ERROR_FORMAT || rc == ERROR_UNSUPPORTED, "%s of %zu bytes: %d %s", files[_i], cut, rc,
                      err.text);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torch");
    TCase *tcase = tcase_create("torch");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60); /* thousands of cuts, in the sanitised build too */
    tcase_add_loop_test(tcase, files_of_every_container_hold_what_torch_reads, 0, 24);
    tcase_add_test(tcase, a_number_that_two_names_fit_keeps_its_number);
    tcase_add_loop_test(tcase, what_has_no_values_of_its_own_is_listed_without, 0, 1);
    tcase_add_test(tcase, floats_of_half_a_byte_count_one_by_one);
    tcase_add_test(tcase, several_archives_in_one_file_are_not_read_as_the_last);
    tcase_add_test(tcase, a_zip_archive_of_something_else_is_told_by_its_first_member);
    tcase_add_test(tcase, members_that_share_bytes_are_refused);
    tcase_add_test(tcase, ranges_of_deflated_members_are_read_in_any_order);
    tcase_add_loop_test(tcase, scalars_of_a_checkpoint_are_metadata, 0, 12);
    tcase_add_test(tcase, classes_that_are_not_known_are_told_of);
    tcase_add_loop_test(tcase, a_pickle_is_read_or_refused_in_words, 0, COUNT(pickles));
    tcase_add_test(tcase, a_pickle_that_grows_without_end_meets_the_limit);
    tcase_add_test(tcase, values_that_lead_to_one_another_are_walked_a_limited_number_of_times);
    tcase_add_loop_test(tcase, a_file_that_was_tampered_with_is_refused, 0, COUNT(lies));
    tcase_add_loop_test(tcase, a_file_cut_anywhere_is_refused, 0, 7);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
