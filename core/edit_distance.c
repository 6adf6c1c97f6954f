#include "core/edit_distance.h"

unsigned edit_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned row[EDIT_NAME_BYTES_MAX + 1]; /* to each beginning of b, from the beginning of a looked at so far */

    if (a_bytes > EDIT_NAME_BYTES_MAX || b_bytes > EDIT_NAME_BYTES_MAX)
        return EDIT_FAR;
    for (unsigned j = 0; j <= b_bytes; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_bytes; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            unsigned replaced = diagonal + (a[i - 1] != b[j - 1]);
            unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = replaced < least ? replaced : least;
        }
    }
    return row[b_bytes];
}
