/* A file of Flax's. */
#include "core/format/msgpack.h"
#include "tests/fuzz/opened_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (msgpack_is_map_of_texts(data, size))
        check_file(data, size);
    return 0;
}
