/* Protocol Buffers' wire format, gone through field by field: what is not asked for is skipped unread. */
#ifndef CORE_FORMAT_WIRE_H
#define CORE_FORMAT_WIRE_H

#include "core/arena.h"
#include "core/format/byte_reader.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* One field. Its content has been passed when the next is asked for; until then reader->at may be anywhere. */
struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;   /* of a varint or a fixed number */
    uint64_t at, end; /* of a length-delimited one, in the source */
};

/* The next field of the message that ends at end, from *at, which moves on; false at the end and on a fault. */
bool wire_next(struct byte_reader *reader, uint64_t *at, uint64_t end, struct wire_field *ret_field);

bool wire_varint(struct byte_reader *reader, uint64_t *ret_value);

/* A length-delimited field of at most limit bytes as text of the arena. */
bool wire_text(struct byte_reader *reader, const struct wire_field *field, uint64_t limit, struct arena *arena,
               struct name *ret_text);

#endif
