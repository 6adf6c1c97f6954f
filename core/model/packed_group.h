/* One group of tensors while it is looked at; what the recognisers share. */
#ifndef CORE_MODEL_PACKED_GROUP_H
#define CORE_MODEL_PACKED_GROUP_H

#include "core/arena.h"
#include "core/decode/bitmask.h"
#include "core/decode/packed.h"
#include "core/decode/sums.h"
#include "core/model/config.h"
#include "core/model/model.h"

enum {
    PACKED_PARTS_MAX = 40,
    PACKED_RANK_MAX = 4,
    PACKED_NAME_BYTES = 4096,
    PACKED_BITS_MAX = 8,
    PACKED_PATH_BYTES = 128
};

enum packed_method {
    METHOD_NONE, /* no quantization_config */
    METHOD_OTHER,
    METHOD_GPTQ,
    METHOD_AWQ,
    METHOD_BITSANDBYTES,
    METHOD_COMPRESSED_TENSORS,
    METHOD_FP8,
    METHOD_FBGEMM_FP8,
    METHOD_MODELOPT,
    METHOD_QUANTO,
    METHOD_AUTO_ROUND,
    METHOD_BITNET,
    METHOD_GEMMA,
    METHOD_MLX,
    METHOD_QUARK,
};

struct packed_finder {
    struct model *model;
    struct config *config; /* NULL: none */
    struct config *beside; /* a quantiser's own file, where config.json names no method */
    struct config *comfy;  /* what ComfyUI's metadata say of the file's layers */
    struct error *err;
    const struct config *quantisation; /* the one that names the method, whose settings lie below root */
    const char *root;
    enum packed_method method;
    struct name method_name;
    uint64_t bits[PACKED_BITS_MAX]; /* that the config's groups name */
    size_t bits_count;
    uint64_t block[2]; /* of FP8 scales; 0: not named */
    double group_size; /* 0: not named */
};

struct packed_group {
    struct packed_finder *finder;
    const struct tensor *anchor; /* the part whose name gave the group away */
    struct name stem;            /* its name without the suffix */
    const struct tensor *parts[PACKED_PARTS_MAX];
    uint8_t part_count;
    const struct decoder *decoder;  /* of what follows */
    struct packed packed, inner[2]; /* and its scales and zero points, where these are codes themselves */
    struct sums sums;
    struct bitmask bitmask;
    char name[PACKED_NAME_BYTES]; /* of what the group stands for */
    size_t name_bytes;
    uint64_t dims[PACKED_RANK_MAX];
    uint32_t rank;
    char scheme[64];
    char why[200]; /* it is not certain; "": it is nothing of the kind */
    int rc;        /* of a read that failed */
};

/* A recogniser fills the group in and returns whether it is certain; with anything else, why and rc tell. */
typedef bool packed_recogniser(struct packed_group *group);
packed_recogniser packed_gptq_or_awq, packed_compressed_tensors, packed_scaled, packed_scaled_inverse,
    packed_scaled_aside, packed_gptoss, packed_bitsandbytes_4, packed_bitsandbytes_8, packed_quanto, packed_hqq,
    packed_torchao, packed_torchao_torch, packed_torchao_affine, packed_mlx, packed_comfy, packed_comfy_scaled,
    packed_aqlm, packed_sparse;

/* What is the same for all groups of the model. ERROR_NO_MEMORY. */
int packed_config_read(struct packed_finder *finder);
void packed_config_done(struct packed_finder *finder);

/* A setting of the method's, by its path below where the method is named; _is without regard to case, _key the first
 * key of an object. */
bool packed_setting_text(const struct packed_finder *finder, const char *member, struct name *ret);
bool packed_setting_u64(const struct packed_finder *finder, const char *member, uint64_t *ret);
bool packed_setting_is(const struct packed_finder *finder, const char *member, const char *text);
bool packed_setting_key(const struct packed_finder *finder, const char *member, struct name *ret);
bool packed_packing_has(const struct packed_finder *finder, const char *part); /* in auto-round's packing_format */

/* Says why it is not certain; returns false. */
bool packed_unsure(struct packed_group *group, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The tensor named stem + suffix, or NULL. */
const struct tensor *packed_partner(const struct packed_group *group, struct name stem, const char *suffix);

/* Cuts end off a name that ends so and has more. */
bool packed_cut(struct name *name, const char *end);

/* The metadata of stem + suffix: what is no tensor in a pickle. */
bool packed_metadata(const struct packed_group *group, const char *suffix, struct name *ret);

/* One that has no map, no index and nothing nested, and factors of one. */
extern const struct packed packed_plain;

/* Makes tensor a part and gives its number; one that is not plain elements makes the group unsure. */
bool packed_take(struct packed_group *group, const struct tensor *tensor, uint8_t *ret_part);

/* Calls what the group stands for stem + suffix. */
bool packed_call(struct packed_group *group, struct name stem, const char *suffix);

bool packed_is_matrix(const struct tensor *tensor, uint64_t *ret_rows, uint64_t *ret_columns);
bool packed_is_stack(const struct tensor *tensor, uint64_t ret_dims[3]); /* of matrices; of one that has rank 2 */
bool packed_is_real(const struct tensor *tensor);                        /* F16, BF16, F32 */

/* The bytes of a small part, or whole numbers of one; false with rc or why set. */
bool packed_read(struct packed_group *group, const struct tensor *tensor, void *out, size_t bytes);
bool packed_read_whole(struct packed_group *group, const struct tensor *tensor, uint64_t *out, size_t count);
bool packed_read_float(struct packed_group *group, const struct tensor *tensor, float *ret);

/* A part that is JSON in U8, parsed; NULL with rc or why set. */
struct config *packed_read_json(struct packed_group *group, const struct tensor *state);

/* Scales of what packed.rows × packed.columns stand for, by their shape: one, one a row, one a block of block[0] ×
 * block[1] (0: none is named), one a group of columns of a row, of each matrix of a stack; with may_infer also of a
 * grid that divides the matrix. as_dtype is how they are read. */
bool packed_set_scales(struct packed_group *group, const struct tensor *scales, enum dtype as_dtype,
                       const uint64_t block[2], bool may_infer);

/* Codes of two FP4 a byte, low half first: dims of the matrices as stored. */
bool packed_set_fp4(struct packed_group *group, const struct tensor *codes, const uint64_t dims[3]);
/* FP4 with a scale F8_E4M3 for 16 columns, and what these are times or divided by: one number or one a matrix. */
bool packed_set_nvfp4(struct packed_group *group, const struct tensor *codes, const struct tensor *scales);
bool packed_set_second(struct packed_group *group, const struct tensor *second, float *ret_one);

/* One number for each column, by which activations are multiplied before the weight is: a factor of its own. */
bool packed_set_column_factors(struct packed_group *group, const struct tensor *factors);

/* Takes the group of each column from its index, where that is not simply columns in order. */
bool packed_set_group_index(struct packed_group *group, const struct tensor *index);

/* Names the scheme by what it is and how many rows and columns a scale is for: "block F8_E4M3 128x128". */
void packed_name_blocks(struct packed_group *group, const char *what);

/* Elements of a byte each, as they lie in codes, a matrix or a stack of them, which becomes a part. */
bool packed_set_elements(struct packed_group *group, const struct tensor *codes);

/* The matrix's own shape as the tensor's; that of a stack of rank 3, or of one matrix where rank is 2. */
void packed_set_shape(struct packed_group *group, uint64_t rows, uint64_t columns);
void packed_set_stack(struct packed_group *group, uint32_t rank, const uint64_t dims[3]);

#endif
