/* Protocol Buffers' wire format, gone through field by field: what is not asked for is skipped unread. */
#ifndef CORE_FORMAT_WIRE_H
#define CORE_FORMAT_WIRE_H

#include "core/arena.h"
#include "core/format/byte_reader.h"
#include "core/format/format.h"

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

/* The numbers of a repeated field. */
struct wire_numbers {
    uint64_t count; /* packed or one by one */
    uint64_t taken; /* bytes of the file, roughly */
    bool is_run;    /* all of them lie at run_at as they would in memory */
    uint64_t run_at;
};

enum { WIRE_TRUTH = 0 };

/* Counts the numbers of the repeated field in the message at [at, end). type: of one that is not packed; WIRE_BYTES:
 * the field's bytes are numbers themselves. The first room of them go to out, little-endian in so many bytes each, or
 * as WIRE_TRUTH in one that is 1 for any but 0. */
bool wire_numbers(struct byte_reader *reader, uint64_t at, uint64_t end, uint32_t number, enum wire_type type,
                  unsigned bytes, uint8_t *out, uint64_t room, struct wire_numbers *ret);

/* The wire format has no magic: whether all fields from at on are ones of a message that ends at end, up to there or to
 * the one that reaches the head's end, whose number goes to *ret_last; *ret_seen has a bit for each number before.
 * types_of: which wire types a field of that number may have, as bits 1 << WIRE_…; 0: there is none. */
bool wire_probe(const struct head *head, uint64_t at, uint64_t end, unsigned (*types_of)(uint64_t number),
                uint64_t *ret_seen, uint64_t *ret_last);

/* A number at *at, which moves on, up to the head's end. */
uint64_t wire_head_varint(const struct head *head, uint64_t *at);

/* A length-delimited field of at most limit bytes as text of the arena. */
bool wire_text(struct byte_reader *reader, const struct wire_field *field, uint64_t limit, struct arena *arena,
               struct name *ret_text);

#endif
