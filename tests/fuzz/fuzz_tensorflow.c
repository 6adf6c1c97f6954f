/* The index of a TensorFlow checkpoint: a whole file, or the content of its one block, which is given the checksums
 * that no chance would. Its data are not there: what comes before they are opened is what a file can lie in. */
#include "core/format/sstable.h"
#include "tests/fuzz/opened_model.h"
#include "tests/unit/core/format/made_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct made_table table = {0};

    if (size == 0 || size > 1 << 20)
        return 0;
    check_file(data, size);
    table.bytes = malloc(size + 128);
    MUST(table.bytes);
    table_put(&table, data + 1, size - 1);
    table_finish(&table, data[0] & 1);
    check_file(table.bytes, table.count);
    free(table.bytes);
    return 0;
}
