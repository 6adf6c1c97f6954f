/* AQLM: vectors of a row's neighbours, each the sum of entries of codebooks. */
#include <inttypes.h>
#include <stdio.h>

#include "core/model/packed_group.h"

/* codes I8 or I16 [out, in / width, books], codebooks [books, 2^bits, 1, width], scales [out, 1, 1, 1]. */
bool packed_aqlm(struct packed_group *group)
{
    const struct tensor *books = group->anchor, *codes = packed_partner(group, group->stem, "codes");
    const struct tensor *scales = packed_partner(group, group->stem, "scales");
    const uint64_t *of = books->shape.dims;
    struct sums *sums = &group->sums;
    uint8_t part;

    if (!codes)
        return false;
    if (books->shape.rank != 4 || codes->shape.rank != 3 || codes->shape.elements == 0 || !scales ||
        books->shape.elements == 0 || !packed_is_real(books) || !packed_is_real(scales) ||
        codes->shape.dims[2] != of[0] || scales->shape.elements != codes->shape.dims[0])
        return packed_unsure(group, "codes, codebooks and scales do not fit AQLM");
    if (of[2] != 1)
        return packed_unsure(group, "its groups are of %" PRIu64 " outputs, which is not decoded", of[2]);
    if ((of[1] & (of[1] - 1)) != 0 ||
        !(codes->dtype == DTYPE_I8 ? of[1] <= 256 : codes->dtype == DTYPE_I16 && of[1] > 256 && of[1] <= 65536))
        return packed_unsure(group, "%" PRIu64 " entries of a codebook do not fit codes of %s", of[1],
                             dtype_traits(codes->dtype)->name);
    if (of[0] > SUMS_BOOKS_MAX || of[3] > SUMS_WIDTH_MAX || books->shape.elements > SUMS_NUMBERS_MAX ||
        codes->shape.dims[1] > UINT32_MAX)
        return packed_unsure(group, "it has more than %d codebooks, or these more than %d columns or %d numbers",
                             SUMS_BOOKS_MAX, SUMS_WIDTH_MAX, SUMS_NUMBERS_MAX);
    *sums = (struct sums){.columns = codes->shape.dims[1] * of[3],
                          .width = (uint32_t)of[3],
                          .books = (uint32_t)of[0],
                          .entries = (uint32_t)of[1],
                          .codes = codes->dtype};
    group->decoder = &decoder_sums;
    packed_set_shape(group, codes->shape.dims[0], sums->columns);
    snprintf(group->scheme, sizeof(group->scheme), "AQLM %" PRIu64 "x%d g%" PRIu64, of[0], __builtin_ctzll(of[1]),
             of[3]);
    return packed_take(group, codes, &part) && packed_take(group, books, &part) && packed_take(group, scales, &part) &&
           packed_call(group, group->stem, "weight");
}
