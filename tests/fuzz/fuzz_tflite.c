/* A TensorFlow Lite file. */
#include "tests/fuzz/opened_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_file(data, size);
    return 0;
}
