/* A graph of TensorFlow's: a whole file, or one TensorProto, put into the graph of one constant around it. */
#include "tests/fuzz/opened_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Behind what comes before at data + *bytes: a field's tag and its length. */
static void put_head(uint8_t *data, size_t *bytes, uint8_t tag, size_t length)
{
    data[(*bytes)++] = tag;
    for (; length > 127; length >>= 7)
        data[(*bytes)++] = (uint8_t)(length | 128);
    data[(*bytes)++] = (uint8_t)length;
}

static size_t head_bytes(size_t length)
{
    uint8_t unused[16];
    size_t bytes = 0;

    put_head(unused, &bytes, 0, length);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t named[] = "\x0a\x01w\x12\x05"
                                   "Const",
                         key[] = "\x0a\x05value";
    const size_t names = sizeof(named) - 1, keys = sizeof(key) - 1;
    size_t value, entry, node, bytes = 0;
    uint8_t *graph;

    if (size == 0 || size > 1 << 20)
        return 0;
    if (data[0] != 0) {
        check_file(data, size);
        return 0;
    }
    value = head_bytes(size - 1) + size - 1;
    entry = keys + head_bytes(value) + value;
    node = names + head_bytes(entry) + entry;
    graph = malloc(head_bytes(node) + node);
    MUST(graph);
    put_head(graph, &bytes, 1 << 3 | 2, node);
    memcpy(graph + bytes, named, names);
    bytes += names;
    put_head(graph, &bytes, 5 << 3 | 2, entry);
    memcpy(graph + bytes, key, keys);
    bytes += keys;
    put_head(graph, &bytes, 2 << 3 | 2, value);
    put_head(graph, &bytes, 8 << 3 | 2, size - 1);
    memcpy(graph + bytes, data + 1, size - 1);
    check_file(graph, bytes + size - 1);
    free(graph);
    return 0;
}
