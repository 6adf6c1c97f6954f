/* An HDF5 file: our driver, the chunks' index and filters, names. The library that parses it is Debian's, without the
 * fuzzer's marks, and has holes of its own (SECURITY.md): what crashes inside it is not ours to mend. */
#include "tests/fuzz/opened_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_file(data, size);
    return 0;
}
