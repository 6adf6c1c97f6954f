/* Codes in 32-bit words: GPTQ (AutoGPTQ, GPTQModel), AWQ (AutoAWQ), compressed-tensors' pack-quantized. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/model/packed_group.h"

enum { SAMPLE_WORDS = 1024 };

/* Matrix of I32 as words; the unsigned view of the same bits. */
static bool is_words(const struct tensor *tensor, uint64_t *ret_rows, uint64_t *ret_columns)
{
    return tensor && tensor->dtype == DTYPE_I32 && packed_is_matrix(tensor, ret_rows, ret_columns);
}

/* "GPTQ int4 g128", or "per channel" where a row is one group whatever its length. */
static void name_scheme(struct packed_group *group, const char *library)
{
    const struct packed *packed = &group->packed;
    const uint64_t columns = (packed->columns - 1) / packed->groups + 1;

    if (packed->groups == 1 && group->finder->group_size != (double)columns)
        snprintf(group->scheme, sizeof(group->scheme), "%s int%u per channel", library, packed->bits);
    else
        snprintf(group->scheme, sizeof(group->scheme), "%s int%u g%" PRIu64, library, packed->bits, columns);
}

/* Columns of a group, where groups are columns in order: what the config says, else what divides. */
static bool set_group_columns(struct packed_group *group, bool has_index)
{
    struct packed *packed = &group->packed;
    const double named = group->finder->group_size;
    const uint64_t size = named >= 1 && named <= 0x1p53 ? (uint64_t)named : 0;

    packed->column_block = 0;
    if (packed->groups == 1)
        packed->column_block = packed->columns;
    else if (size && (packed->columns - 1) / size + 1 == packed->groups)
        packed->column_block = size;
    else if (packed->columns % packed->groups == 0)
        packed->column_block = packed->columns / packed->groups;
    if (packed->column_block == 0 && !has_index)
        return packed_unsure(group, "its %" PRIu64 " columns are not %" PRIu64 " groups of one size", packed->columns,
                             packed->groups);
    return true;
}

/* How many words so many codes take, side by side across words. */
static uint64_t words_across(uint64_t codes, uint64_t bits)
{
    return codes / 32 * bits + (codes % 32 * bits + 31) / 32;
}

static bool is_named_bits(const struct packed_finder *finder, uint64_t bits)
{
    for (size_t i = 0; i < finder->bits_count; i++)
        if (finder->bits[i] == bits)
            return true;
    return false;
}

/* The one number of bits that the outputs' zero points fit in their words and the inputs, where an index tells how many
 * they are, in theirs; of several the one that the config names. 0 with why. */
static uint64_t find_gptq_bits(struct packed_group *group, const struct tensor *index, uint64_t words, uint64_t out,
                               uint64_t zero_words)
{
    uint64_t found = 0, named = 0, fits = 0;

    for (uint64_t bits = 2; bits <= 8; bits++) {
        if (words_across(out, bits) != zero_words ||
            (index ? words_across(index->shape.elements, bits) != words : words * 32 % bits != 0))
            continue;
        fits++;
        found = bits;
        if (is_named_bits(group->finder, bits))
            named = bits;
    }
    if (fits == 1 || named)
        return fits == 1 ? found : named;
    packed_unsure(group, "%" PRIu64 " words of zero points for %" PRIu64 " outputs are no number of bits", zero_words,
                  out);
    return 0;
}

/* Whether zero points are stored as they are, as the second version has them, and auto-round unless it writes as
 * AutoGPTQ does; false with why. */
static bool find_version(struct packed_group *group, bool *ret_is_second)
{
    static const char *const forms[] = {"checkpoint_format", "format"};
    const struct packed_finder *finder = group->finder;
    struct name form;

    *ret_is_second = false;
    if (finder->method == METHOD_AUTO_ROUND) {
        *ret_is_second = !packed_packing_has(finder, "gptq") || packed_packing_has(finder, "gptqmodel");
        return packed_packing_has(finder, "auto_round") || packed_packing_has(finder, "gptq") ||
               packed_unsure(group, "quantization_config names no packing_format of auto-round's");
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!packed_setting_text(finder, forms[i], &form))
            continue;
        if (packed_setting_is(finder, forms[i], "gptq_p"))
            group->packed.is_planar = true;
        *ret_is_second = *ret_is_second || group->packed.is_planar || packed_setting_is(finder, forms[i], "gptq_v2");
        if (!*ret_is_second && !packed_setting_is(finder, forms[i], "gptq"))
            return packed_unsure(group, "%s is neither gptq, gptq_v2 nor gptq_p", forms[i]);
    }
    return true;
}

/* Of 5 to 7 bits auto-round writes codes side by side; GPTQModel's are in planes, and it calls that gptq_p. */
static bool are_planes_known(struct packed_group *group)
{
    const struct packed_finder *finder = group->finder;
    struct name version;

    return group->packed.is_planar || finder->method == METHOD_AUTO_ROUND ||
           packed_setting_text(finder, "autoround_version", &version) ||
           packed_unsure(group, "the config does not tell how codes of 5 to 7 bits lie: it names neither gptq_p nor "
                                "auto-round");
}

/* qweight I32 [⌈in · bits / 32⌉, out], qzeros I32 [groups, ⌈out · bits / 32⌉], scales [groups, out], g_idx I32 [in].
 * What is stored of a zero point is one less in version 1, word by word: one that is 0 borrows from its neighbours. Of
 * bits that do not divide a word, code by code. */
static bool gptq(struct packed_group *group, const struct tensor *scales)
{
    static const uint32_t ones[9] = {[2] = 0x55555555, [4] = 0x11111111, [8] = 0x01010101};
    const struct tensor *zeros = packed_partner(group, group->stem, "qzeros");
    const struct tensor *index = packed_partner(group, group->stem, "g_idx");
    struct packed *packed = &group->packed;
    uint64_t words, out, groups, zero_words, rows, bits, in;
    bool is_second;
    uint8_t part;

    if (!is_words(group->anchor, &words, &out) || !is_words(zeros, &groups, &zero_words) ||
        !packed_is_matrix(scales, &rows, &packed->rows) || !packed_is_real(scales) || rows != groups ||
        packed->rows != out)
        return packed_unsure(group, "qweight, qzeros and scales do not fit GPTQ's shapes");
    bits = find_gptq_bits(group, index, words, out, zero_words);
    if (bits == 0 || !find_version(group, &is_second))
        return false;
    if (bits >= 5 && bits <= 7 && !are_planes_known(group))
        return false;
    in = index ? index->shape.elements : words * 32 / bits;
    if (packed->is_planar && (words % bits != 0 || zero_words % bits != 0))
        return packed_unsure(group, "%" PRIu64 " words of planes are not of 32 codes each", words);
    packed_set_shape(group, out, in);
    packed->codes = PACKED_DOWN;
    packed->bits = (uint8_t)bits;
    packed->words = out;
    packed->groups = groups;
    packed->zeros = PACKED_ZEROS_DOWN;
    if (!packed_take(group, group->anchor, &part) || !packed_take(group, scales, &packed->scales.part) ||
        !packed_take(group, zeros, &packed->zero.part) || !set_group_columns(group, index != NULL) ||
        (index && !packed_set_group_index(group, index)))
        return false;
    packed->scales = (struct packed_matrix){packed->scales.part, scales->dtype, 1, out};
    packed->zero = (struct packed_matrix){packed->zero.part, DTYPE_U32, 1, zero_words};
    packed->zero_addend = is_second ? 0 : ones[bits];
    packed->zero_plus = is_second || ones[bits] ? 0 : 1;
    name_scheme(group, group->finder->method == METHOD_AUTO_ROUND ? "auto-round" : is_second ? "GPTQv2" : "GPTQ");
    return packed_call(group, group->stem, "weight");
}

/* qweight I32 [in, out / 8], qzeros I32 [groups, out / 8], scales [groups, out]. */
static bool awq_gemm(struct packed_group *group, const struct tensor *scales, const struct tensor *zeros)
{
    struct packed *packed = &group->packed;
    uint64_t in, words, groups, zero_words, rows, out;
    uint8_t part;

    if (!is_words(group->anchor, &in, &words) || !is_words(zeros, &groups, &zero_words) ||
        !packed_is_matrix(scales, &rows, &out) || !packed_is_real(scales) || rows != groups || zero_words != words ||
        out != words * 8)
        return false;
    packed_set_shape(group, out, in);
    packed->codes = PACKED_AWQ;
    packed->bits = 4;
    packed->words = words;
    packed->groups = groups;
    packed->zeros = PACKED_ZEROS_AWQ;
    if (!packed_take(group, group->anchor, &part) || !packed_take(group, scales, &packed->scales.part) ||
        !packed_take(group, zeros, &packed->zero.part) || !set_group_columns(group, false))
        return false;
    packed->scales = (struct packed_matrix){packed->scales.part, scales->dtype, 1, out};
    packed->zero = (struct packed_matrix){packed->zero.part, DTYPE_U32, 1, words};
    name_scheme(group, "AWQ");
    return true;
}

/* How many groups the config makes of so many columns; 0: it does not say. */
static uint64_t groups_named(const struct packed_group *group, uint64_t columns)
{
    const double size = group->finder->group_size;

    if (size == -1)
        return 1;
    return size >= 1 && size <= (double)columns ? (columns - 1) / (uint64_t)size + 1 : 0;
}

/* qweight I32 [out, in / 8], qzeros I32 [out, words], scales [out, 8 · words], which is filled up. */
static bool awq_gemv(struct packed_group *group, const struct tensor *scales, const struct tensor *zeros)
{
    struct packed *packed = &group->packed;
    uint64_t out, words, rows, zero_words, zero_rows, room;
    uint8_t part;

    if (!is_words(group->anchor, &out, &words) || !is_words(zeros, &zero_rows, &zero_words) ||
        !packed_is_matrix(scales, &rows, &room) || !packed_is_real(scales) || rows != out || zero_rows != out ||
        room != zero_words * 8)
        return false;
    packed_set_shape(group, out, words * 8);
    packed->codes = PACKED_ALONG;
    packed->bits = 4;
    packed->row_bytes = words * 4;
    packed->groups = groups_named(group, packed->columns);
    packed->zeros = PACKED_ZEROS_ALONG;
    if (packed->groups == 0 || packed->groups > room)
        return packed_unsure(group, "the config's group_size does not fit %" PRIu64 " groups", room);
    if (!packed_take(group, group->anchor, &part) || !packed_take(group, scales, &packed->scales.part) ||
        !packed_take(group, zeros, &packed->zero.part) || !set_group_columns(group, false))
        return false;
    packed->scales = (struct packed_matrix){packed->scales.part, scales->dtype, room, 1};
    packed->zero = (struct packed_matrix){packed->zero.part, DTYPE_U32, zero_words, 1};
    name_scheme(group, "AWQ-GEMV");
    return true;
}

/* qweight I16 [out / 4, in], scales [8 · n, out]; "qzeros" of the same shape are −scale · zero, to be added. */
static bool awq_fast(struct packed_group *group, const struct tensor *scales, const struct tensor *zeros)
{
    struct packed *packed = &group->packed;
    uint64_t quarter, in, room, out;
    uint8_t part;

    if (group->anchor->dtype != DTYPE_I16 || !packed_is_matrix(group->anchor, &quarter, &in) ||
        !packed_is_matrix(scales, &room, &out) || !packed_is_real(scales) || !packed_is_real(zeros) ||
        !shape_equal(&scales->shape, &zeros->shape) || out != quarter * 4 || in % 64 != 0)
        return false;
    packed_set_shape(group, out, in);
    packed->codes = PACKED_AWQ_FAST;
    packed->bits = 4;
    packed->groups = groups_named(group, in);
    packed->zeros = PACKED_ZEROS;
    packed->is_shift = true;
    if (packed->groups == 0 || packed->groups > room)
        return packed_unsure(group, "the config's group_size does not fit %" PRIu64 " groups", room);
    if (!packed_take(group, group->anchor, &part) || !packed_take(group, scales, &packed->scales.part) ||
        !packed_take(group, zeros, &packed->zero.part) || !set_group_columns(group, false))
        return false;
    packed->scales = (struct packed_matrix){packed->scales.part, scales->dtype, 1, out};
    packed->zero = (struct packed_matrix){packed->zero.part, zeros->dtype, 1, out};
    name_scheme(group, "AWQ-GEMV-fast");
    return true;
}

static bool awq(struct packed_group *group, const struct tensor *scales)
{
    static const struct {
        const char *version;
        bool (*recognise)(struct packed_group *, const struct tensor *, const struct tensor *);
    } versions[] = {{"gemm", awq_gemm}, {"gemv", awq_gemv}, {"gemv_fast", awq_fast}};
    static const char *const settings[] = {"version", "checkpoint_format", "format"}; /* AutoAWQ's, GPTQModel's */
    const struct tensor *zeros = packed_partner(group, group->stem, "qzeros");
    struct name version = {0};

    if (!zeros)
        return packed_unsure(group, "there are no qzeros");
    if (group->finder->bits_count && group->finder->bits[0] != 4)
        return packed_unsure(group, "AWQ of %" PRIu64 " bits is not known", group->finder->bits[0]);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]) && !version.text; i++)
        packed_setting_text(group->finder, settings[i], &version);
    if (!version.text)
        version = name_of("gemm"); /* what the library takes where nothing is said */
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (version.bytes == strlen(versions[i].version) &&
            strncasecmp(version.text, versions[i].version, version.bytes) == 0) {
            if (versions[i].recognise(group, scales, zeros))
                return packed_call(group, group->stem, "weight");
            return packed_unsure(group, "qweight, qzeros and scales do not fit AWQ's shapes of version %s",
                                 versions[i].version);
        }
    return packed_unsure(group, "the config's version of AWQ is not known");
}

bool packed_gptq_or_awq(struct packed_group *group)
{
    const struct tensor *scales = packed_partner(group, group->stem, "scales");

    if (!scales || (dtype_traits(group->anchor->dtype)->kind == DTYPE_KIND_FLOAT))
        return false;
    if (group->finder->method == METHOD_AWQ ||
        (group->finder->method == METHOD_AUTO_ROUND && packed_packing_has(group->finder, "awq")))
        return awq(group, scales);
    if (group->finder->method == METHOD_GPTQ || group->finder->method == METHOD_AUTO_ROUND)
        return gptq(group, scales);
    return packed_unsure(group, "quantization_config names neither gptq nor awq");
}

/* The same so that none crosses a word. */
static uint64_t words_within(uint64_t codes, uint64_t bits)
{
    return (codes - 1) / (32 / bits) + 1;
}

/* Whether bits that no code has are 0, in the words of rows that hold so many codes each, or are crossed by them (0).
 */
static bool are_unused_zero(const uint32_t *words, size_t count, uint64_t row_words, uint64_t columns, uint64_t bits,
                            uint64_t each)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t before = i % row_words * (each ? each * bits : 32), room = each ? each * bits : 32;
        const uint64_t used = columns * bits - before < room ? columns * bits - before : room;

        if (used < 32 && words[i] >> used != 0)
            return false;
    }
    return true;
}

/* Where as many words hold the codes either way, those that are there tell which: bits without a code are never set. */
static bool find_crossing(struct packed_group *group, uint64_t columns, uint64_t row_words, uint64_t bits,
                          bool *ret_is_across)
{
    const struct tensor *codes = group->anchor;
    const uint64_t stored = codes->extent.bytes / sizeof(uint32_t);
    uint32_t words[SAMPLE_WORDS];
    const size_t count = stored < SAMPLE_WORDS ? (size_t)stored : SAMPLE_WORDS;
    bool is_within;

    if (codes->storage || !packed_read(group, codes, words, count * sizeof(*words)))
        return false;
    *ret_is_across = are_unused_zero(words, count, row_words, columns, bits, 0);
    is_within = are_unused_zero(words, count, row_words, columns, bits, 32 / bits);
    return *ret_is_across != is_within;
}

/* The one number of bits, of those that the config names or of any, that `columns` codes in `words` words fit. */
static bool find_bits(struct packed_group *group, uint64_t columns, uint64_t words)
{
    const struct packed_finder *finder = group->finder;
    struct packed *packed = &group->packed;
    unsigned fits = 0;

    for (uint64_t bits = 1; bits <= 8; bits++) {
        bool is_across = words_across(columns, bits) == words;
        bool is_within = words_within(columns, bits) == words && 32 % bits != 0;

        if (finder->bits_count && !is_named_bits(finder, bits))
            continue;
        if (is_across && is_within && (columns <= 32 / bits || find_crossing(group, columns, words, bits, &is_across)))
            is_within = !is_across; /* one word is the same either way */
        fits += is_across + is_within;
        if (is_across || is_within) {
            packed->bits = (uint8_t)bits;
            packed->codes_per_word = (uint8_t)(is_across ? 0 : 32 / bits);
        }
    }
    if (fits == 1)
        return true;
    return packed_unsure(group, "%" PRIu64 " words a row of %" PRIu64 " columns fit %s", words, columns,
                         fits ? "several layouts" : "no number of bits that the config names");
}

/* Zero points: as the codes, packed along the outputs, of each matrix of a stack for itself; or a number each. */
static bool set_zeros(struct packed_group *group, const struct tensor *zeros)
{
    struct packed *packed = &group->packed;
    const bool are_words = zeros->dtype == DTYPE_I32;
    const uint64_t planes = group->rank == 3 ? group->dims[0] : 1, out = packed->rows / planes;
    const uint64_t words = packed->codes_per_word ? words_within(out, packed->bits) : words_across(out, packed->bits);
    uint64_t dims[3];

    if (zeros->dtype == DTYPE_I8 && zeros->shape.elements == 1 && packed->row_block == packed->rows) {
        packed->zeros = PACKED_ZEROS;
        packed->zero.dtype = zeros->dtype;
        return packed_take(group, zeros, &packed->zero.part);
    }
    if (!packed_is_stack(zeros, dims) || dims[0] != planes || dims[2] != packed->groups ||
        (are_words ? dims[1] != words : zeros->dtype != DTYPE_I8 || dims[1] != out))
        return packed_unsure(group, "the shape of weight_zero_point fits neither its outputs nor words of them");
    if (are_words && planes > 1 && (packed->codes_per_word || out * packed->bits % 32 != 0))
        return packed_unsure(group, "weight_zero_point of a stack ends within a word");
    if (!packed_take(group, zeros, &packed->zero.part))
        return false;
    packed->zeros = are_words ? PACKED_ZEROS_DOWN : PACKED_ZEROS;
    packed->zero.dtype = are_words ? DTYPE_U32 : DTYPE_I8;
    packed->zero.row_step = dims[2];
    packed->zero.column_step = 1;
    return true;
}

/* weight_packed I32 [out, words], weight_shape [2], weight_scale [out, groups]; a stored code is 2^(bits − 1) more. Of
 * a stack each matrix is packed for itself. */
static bool pack_quantized(struct packed_group *group, const struct tensor *scales, const uint64_t of[3])
{
    static const uint64_t no_block[2];
    const struct tensor *shape = packed_partner(group, group->stem, "weight_shape");
    const struct tensor *zeros = packed_partner(group, group->stem, "weight_zero_point");
    const struct tensor *index = packed_partner(group, group->stem, "weight_g_idx");
    const uint32_t rank = group->anchor->shape.rank;
    struct packed *packed = &group->packed;
    uint64_t dims[3] = {1};
    uint8_t part;

    if (!shape)
        return packed_unsure(group, "there is no weight_shape");
    if (!packed_take(group, group->anchor, &part) || !packed_take(group, shape, &part) ||
        !packed_read_whole(group, shape, dims + (3 - rank), rank))
        return false;
    if (dims[0] != of[0] || dims[1] != of[1] || dims[2] == 0 || dims[2] > UINT32_MAX)
        return packed_unsure(group, "weight_shape says %" PRIu64 " x %" PRIu64 " of %" PRIu64 " rows", dims[1], dims[2],
                             of[1]);
    packed_set_stack(group, rank, dims);
    if (!packed_is_real(scales))
        return packed_unsure(group, "weight_scale is of a type that scales do not have");
    if (!find_bits(group, dims[2], of[2]) || !packed_set_scales(group, scales, scales->dtype, no_block, false))
        return false;
    packed->codes = PACKED_ALONG;
    packed->row_bytes = of[2] * 4;
    packed->offset = (float)(1u << (packed->bits - 1));
    if (zeros && !set_zeros(group, zeros))
        return false;
    if (index && !packed_set_group_index(group, index))
        return false;
    name_scheme(group, "compressed-tensors");
    return packed_call(group, group->stem, "weight");
}

/* weight_packed U8 with powers of two for 32 columns: mxfp4 of two codes a byte, low half first, or mxfp6 of four
 * codes in three bytes. */
static bool pack_mx(struct packed_group *group, const struct tensor *scales)
{
    static const uint64_t block[2] = {1, 32};
    const struct tensor *codes = group->anchor;
    struct packed *packed = &group->packed;
    uint64_t dims[3], scale_dims[3], bits;
    uint8_t part;

    if (!packed_is_stack(codes, dims) || !packed_is_stack(scales, scale_dims) || scale_dims[0] != dims[0] ||
        scale_dims[1] != dims[1] || scale_dims[2] > UINT32_MAX ||
        (dims[2] != scale_dims[2] * 16 && dims[2] != scale_dims[2] * 24))
        return packed_unsure(group, "weight_scale fits neither nvfp4, mxfp4 nor mxfp6");
    bits = dims[2] / scale_dims[2] / 4;
    packed_set_stack(group, codes->shape.rank, (const uint64_t[3]){dims[0], dims[1], scale_dims[2] * 32});
    packed->codes = PACKED_ALONG;
    packed->bits = (uint8_t)bits;
    packed->row_bytes = dims[2];
    packed->meaning = PACKED_SMALL;
    packed->values = bits == 4 ? DTYPE_F4 : DTYPE_F6_E2M3;
    snprintf(group->scheme, sizeof(group->scheme), "compressed-tensors mxfp%" PRIu64, bits);
    return packed_take(group, codes, &part) && packed_set_scales(group, scales, DTYPE_F8_E8M0, block, false);
}

/* weight_packed U8: nvfp4, whose scales are divided by weight_global_scale, or one of powers of two. */
static bool pack_floats(struct packed_group *group, const struct tensor *scales)
{
    const struct tensor *global = packed_partner(group, group->stem, "weight_global_scale");

    if (!packed_call(group, group->stem, "weight"))
        return false;
    if (!global && (scales->dtype == DTYPE_U8 || scales->dtype == DTYPE_F8_E8M0))
        return pack_mx(group, scales);
    if (!global || scales->dtype != DTYPE_F8_E4M3)
        return packed_unsure(group, "weight_scale fits neither nvfp4, mxfp4 nor mxfp6");
    group->packed.are_divisors = true;
    snprintf(group->scheme, sizeof(group->scheme), "compressed-tensors nvfp4");
    return packed_set_nvfp4(group, group->anchor, scales) &&
           packed_set_second(group, global, &group->packed.scale_divisor);
}

bool packed_compressed_tensors(struct packed_group *group)
{
    const struct tensor *scales = packed_partner(group, group->stem, "weight_scale");
    uint64_t dims[3];

    if (!packed_is_stack(group->anchor, dims) || !scales || scales->shape.elements == 0)
        return packed_unsure(group, "there is no weight_scale beside a matrix");
    if (group->anchor->dtype == DTYPE_I32)
        return pack_quantized(group, scales, dims);
    if (group->anchor->dtype == DTYPE_U8)
        return pack_floats(group, scales);
    return packed_unsure(group, "it is of a type that no format packs into");
}
