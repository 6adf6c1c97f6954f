/* A file of PyTorch's: the first byte chooses. 0: a pickle alone; 1: a legacy container, the magic number put in front;
 * else: a whole file. What is accepted must hold together, and what can be decoded is. */
#include "core/format/pickle.h"
#include "tests/fuzz/opened_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pickle(const uint8_t *data, size_t size)
{
    struct arena arena = {.limit = 64 << 20};
    struct pickle pickle;
    struct error err = {0};
    int rc = pickle_read(data, size, &arena, &pickle, &err);

    MUST(rc == 0 ? pickle.root && pickle.bytes <= size : err.code == rc && err.text[0]);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
    uint8_t *file;

    if (size < 2)
        return 0;
    if (data[0] == 0) {
        check_pickle(data + 1, size - 1);
        return 0;
    }
    if (data[0] != 1) {
        check_file(data + 1, size - 1);
        return 0;
    }
    file = malloc(sizeof(magic) + size - 1);
    MUST(file);
    memcpy(file, magic, sizeof(magic));
    memcpy(file + sizeof(magic), data + 1, size - 1);
    check_file(file, sizeof(magic) + size - 1);
    free(file);
    return 0;
}
