#include "core/format/zip.h"

#include <inttypes.h>
#include <minizip/unzip.h>
#include <stdlib.h>
#include <string.h>

#include "core/checked.h"
#include "core/io/inflated.h"

enum {
    PAGE_BYTES = 4096,
    NAME_BYTES = 4096,
    END_BYTES = 22,
    COMMENT_MAX = 65535,
    ZIP64_LOCATOR_BYTES = 20,
    ZIP64_BYTES = 56 + ZIP64_LOCATOR_BYTES, /* its directory's end, and where that is */
    ZIP64_EXTRA = 1,                        /* the field that holds what does not fit into four bytes */
    ENTRY_BYTES = 46,
    LOCAL_HEADER_BYTES = 30,
    ENCRYPTED = 1,
    SIZES_FOLLOW = 8, /* the member's bytes: its own header does not have them */
    DEFLATED = 8
};

struct page {
    uint64_t offset;
    size_t bytes;
    uint8_t data[PAGE_BYTES];
};

/* What minizip reads through: it asks for a byte at a time, of the directory and of a member's header by turns. */
struct stream {
    struct source *source;
    uint64_t at;
    struct page pages[2];
    unsigned last; /* the page that was used last */
    int rc;
    struct error *err;
};

static voidpf stream_open(voidpf opaque, const void *path, int mode)
{
    (void)mode;
    (void)path;
    return opaque;
}

static const struct page *page_at(struct stream *stream)
{
    const uint64_t offset = stream->at - stream->at % PAGE_BYTES, rest = stream->source->size - offset;
    struct page *page;

    for (unsigned i = 0; i < 2; i++)
        if (stream->pages[i].bytes && stream->pages[i].offset == offset) {
            stream->last = i;
            return &stream->pages[i];
        }
    stream->last = !stream->last;
    page = &stream->pages[stream->last];
    page->offset = offset;
    page->bytes = rest < PAGE_BYTES ? (size_t)rest : PAGE_BYTES;
    stream->rc = source_read_at(stream->source, offset, page->data, page->bytes, stream->err);
    if (stream->rc)
        page->bytes = 0;
    return stream->rc ? NULL : page;
}

static uLong stream_read(voidpf opaque, voidpf file, void *out, uLong bytes)
{
    struct stream *stream = file;
    const uint64_t rest = stream->at < stream->source->size ? stream->source->size - stream->at : 0;

    (void)opaque;
    if (bytes > rest)
        bytes = (uLong)rest;
    for (uLong done = 0; done < bytes;) {
        const struct page *page = stream->rc ? NULL : page_at(stream);
        size_t from, n;

        if (!page)
            return 0;
        from = (size_t)(stream->at - page->offset);
        n = page->bytes - from < bytes - done ? page->bytes - from : bytes - done;
        memcpy((uint8_t *)out + done, page->data + from, n);
        done += n;
        stream->at += n;
    }
    return bytes;
}

static ZPOS64_T stream_tell(voidpf opaque, voidpf file)
{
    (void)opaque;
    return ((struct stream *)file)->at;
}

static long stream_seek(voidpf opaque, voidpf file, ZPOS64_T offset, int origin)
{
    struct stream *stream = file;
    const uint64_t from = origin == ZLIB_FILEFUNC_SEEK_CUR   ? stream->at
                          : origin == ZLIB_FILEFUNC_SEEK_END ? stream->source->size
                                                             : 0;

    (void)opaque;
    if (offset > stream->source->size - from)
        return -1;
    stream->at = from + offset;
    return 0;
}

static int stream_nothing(voidpf opaque, voidpf file)
{
    (void)opaque;
    (void)file;
    return 0;
}

static int malformed(struct stream *stream, struct error *err, const char *what)
{
    return stream->rc ? stream->rc : error_set(err, ERROR_FORMAT, "ZIP: %s", what);
}

static uint16_t le16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t le32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t le64(const uint8_t *bytes)
{
    return le32(bytes) | (uint64_t)le32(bytes + 4) << 32;
}

/* An entry of the directory, or a member's own header. */
struct entry {
    uint16_t flags, method, name_bytes, extra_bytes;
    uint32_t crc;
    uint64_t stored_bytes, bytes;
    uint64_t offset; /* of the member's own header; an entry's */
};

static bool read_bytes(struct stream *stream, uint64_t offset, void *out, size_t bytes)
{
    return stream_seek(NULL, stream, offset, ZLIB_FILEFUNC_SEEK_SET) == 0 &&
           stream_read(NULL, stream, out, bytes) == bytes;
}

/* What does not fit into four bytes stands in a field of its own, in this order, and only that. */
static bool read_wide(struct stream *stream, uint64_t at, struct entry *entry)
{
    uint64_t *const values[] = {&entry->bytes, &entry->stored_bytes, &entry->offset};
    const uint64_t end = at + entry->extra_bytes;
    uint64_t field_end = at;
    bool is_found = false;

    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[8];

        if (*values[i] != UINT32_MAX)
            continue;
        while (!is_found) {
            if (field_end + 4 > end || !read_bytes(stream, field_end, bytes, 4))
                return false;
            at = field_end + 4;
            field_end = at + le16(bytes + 2);
            is_found = le16(bytes) == ZIP64_EXTRA;
        }
        if (field_end > end || at + 8 > field_end || !read_bytes(stream, at, bytes, 8))
            return false;
        *values[i] = le64(bytes);
        at += 8;
    }
    return true;
}

/* The entry at hand. Versions of minizip that are in use take ZIP64's sizes and offsets for what they stand in for. */
static bool read_entry(unzFile file, struct stream *stream, struct entry *ret)
{
    uint8_t bytes[ENTRY_BYTES];
    unz64_file_pos pos;

    if (unzGetFilePos64(file, &pos) != UNZ_OK || !read_bytes(stream, pos.pos_in_zip_directory, bytes, sizeof(bytes)) ||
        memcmp(bytes, "PK\x01\x02", 4) != 0)
        return false;
    *ret = (struct entry){.flags = le16(bytes + 8),
                          .method = le16(bytes + 10),
                          .crc = le32(bytes + 16),
                          .stored_bytes = le32(bytes + 20),
                          .bytes = le32(bytes + 24),
                          .name_bytes = le16(bytes + 28),
                          .extra_bytes = le16(bytes + 30),
                          .offset = le32(bytes + 42)};
    return read_wide(stream, pos.pos_in_zip_directory + ENTRY_BYTES + ret->name_bytes, ret);
}

/* Whether the member's own header says what its entry does, as far as it says anything. */
static bool is_same(const struct entry *local, const struct entry *entry)
{
    const bool has_sizes = !(local->flags & SIZES_FOLLOW);

    return local->method == entry->method && local->name_bytes == entry->name_bytes &&
           (!has_sizes || (local->crc == entry->crc &&
                           (local->stored_bytes == UINT32_MAX || local->stored_bytes == entry->stored_bytes) &&
                           (local->bytes == UINT32_MAX || local->bytes == entry->bytes)));
}

/* Holds the member's own header against its entry, and tells where its bytes begin. */
static int check_local_header(struct stream *stream, const struct entry *entry, struct zip_member *member,
                              struct error *err)
{
    char name[NAME_BYTES], directory[NAME_PRINTABLE_BYTES], own[NAME_PRINTABLE_BYTES];
    uint8_t bytes[LOCAL_HEADER_BYTES];
    struct entry local = {0};
    bool is_read = entry->offset < stream->source->size && read_bytes(stream, entry->offset, bytes, sizeof(bytes)) &&
                   memcmp(bytes, "PK\x03\x04", 4) == 0;

    if (is_read)
        local = (struct entry){.flags = le16(bytes + 6),
                               .method = le16(bytes + 8),
                               .crc = le32(bytes + 14),
                               .stored_bytes = le32(bytes + 18),
                               .bytes = le32(bytes + 22),
                               .name_bytes = le16(bytes + 26),
                               .extra_bytes = le16(bytes + 28)};
    name_printable(member->name, directory);
    if (!is_read || !is_same(&local, entry) ||
        !read_bytes(stream, entry->offset + LOCAL_HEADER_BYTES, name, entry->name_bytes))
        return stream->rc ? stream->rc
                          : error_set(err, ERROR_FORMAT, "ZIP: the member %s and its entry in the directory disagree",
                                      directory);
    if (local.flags & ENCRYPTED)
        return error_set(err, ERROR_FORMAT, "ZIP: the member %s is encrypted by its own header, not by the directory's",
                         directory);
    if (memcmp(name, member->name.text, member->name.bytes) != 0)
        return error_set(err, ERROR_FORMAT, "ZIP: the directory's member %s calls itself %s", directory,
                         name_printable((struct name){name, member->name.bytes}, own));
    member->offset = entry->offset + LOCAL_HEADER_BYTES + local.name_bytes + local.extra_bytes;
    return 0;
}

static int read_member(unzFile file, struct stream *stream, struct arena *arena, struct zip_member *ret,
                       uint64_t *ret_start, struct error *err)
{
    char name[NAME_BYTES], printable[NAME_PRINTABLE_BYTES];
    struct zip_member member = {0};
    struct entry entry;
    char *copy;
    int rc;

    if (unzGetCurrentFileInfo64(file, NULL, name, sizeof(name), NULL, 0, NULL, 0) != UNZ_OK ||
        !read_entry(file, stream, &entry))
        return malformed(stream, err, "its directory is damaged");
    if (entry.name_bytes == 0 || entry.name_bytes >= sizeof(name))
        return error_set(err, ERROR_LIMIT, "ZIP: a member's name has %u bytes", entry.name_bytes);
    copy = arena_copy(arena, name, entry.name_bytes);
    if (!copy)
        return error_set(err, arena_error(arena), "ZIP: the names of its members %s", arena_error_text(arena));
    member.name = (struct name){copy, entry.name_bytes};
    member.stored_bytes = entry.stored_bytes;
    member.bytes = entry.bytes;
    name_printable(member.name, printable);
    if (entry.flags & ENCRYPTED)
        return error_set(err, ERROR_UNSUPPORTED, "ZIP: the member %s is encrypted", printable);
    if (entry.method != 0 && entry.method != DEFLATED)
        return error_set(err, ERROR_UNSUPPORTED,
                         "ZIP: the member %s is compressed by method %u, not stored or deflated", printable,
                         entry.method);
    member.is_deflated = entry.method == DEFLATED;
    rc = check_local_header(stream, &entry, &member, err);
    if (rc)
        return rc;
    if (!member.is_deflated && member.bytes != member.stored_bytes)
        return error_set(err, ERROR_FORMAT, "ZIP: the member %s is stored in %" PRIu64 " bytes and claims %" PRIu64,
                         printable, member.stored_bytes, member.bytes);
    if (member.offset > stream->source->size || member.stored_bytes > stream->source->size - member.offset)
        return error_set(err, ERROR_FORMAT,
                         "ZIP: the member %s claims %" PRIu64 " bytes at offset %" PRIu64 ", the file ends at %" PRIu64,
                         printable, member.stored_bytes, member.offset, stream->source->size);
    *ret_start = entry.offset;
    *ret = member;
    return 0;
}

int zip_member_compare(const void *a, const void *b)
{
    return name_compare_natural(((const struct zip_member *)a)->name, ((const struct zip_member *)b)->name);
}

/* The bytes that a member takes, its own header too. */
struct taken {
    uint64_t from, to;
    const struct zip_member *member;
};

static int compare_taken(const void *a, const void *b)
{
    const struct taken *x = a, *y = b;

    return (x->from > y->from) - (x->from < y->from);
}

/* Members that share bytes make a small archive a large one. */
static int check_apart(struct taken *taken, size_t count, struct error *err)
{
    char one[NAME_PRINTABLE_BYTES], two[NAME_PRINTABLE_BYTES];

    if (count)
        qsort(taken, count, sizeof(*taken), compare_taken);
    for (size_t i = 1; i < count; i++)
        if (taken[i].from < taken[i - 1].to)
            return error_set(err, ERROR_FORMAT, "ZIP: the members %s and %s lie on the same bytes",
                             name_printable(taken[i - 1].member->name, one),
                             name_printable(taken[i].member->name, two));
    return 0;
}

static int read_members(unzFile file, struct stream *stream, uint64_t count, struct taken *taken, struct zip *zip,
                        struct error *err)
{
    char printable[NAME_PRINTABLE_BYTES];
    int rc = unzGoToFirstFile(file), failed;

    zip->members = calloc((size_t)count + 1, sizeof(*zip->members));
    if (!zip->members || !taken)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for %" PRIu64 " members of a ZIP archive", count);
    while (rc == UNZ_OK && zip->count < count) {
        struct zip_member *member = &zip->members[zip->count];
        struct taken *bytes = &taken[zip->count];

        failed = read_member(file, stream, &zip->arena, member, &bytes->from, err);
        if (failed)
            return failed;
        bytes->to = member->offset + member->stored_bytes;
        bytes->member = member;
        zip->count++;
        rc = unzGoToNextFile(file);
    }
    if (stream->rc)
        return stream->rc;
    if (rc != UNZ_END_OF_LIST_OF_FILE || zip->count != count)
        return error_set(err, ERROR_FORMAT, "ZIP: claims %" PRIu64 " members, its directory has another number", count);
    if (count == 0)
        return 0;
    failed = check_apart(taken, zip->count, err);
    if (failed)
        return failed;
    zip->first = zip->members[0].name;
    qsort(zip->members, zip->count, sizeof(*zip->members), zip_member_compare);
    for (size_t i = 1; i < zip->count; i++)
        if (name_equal(zip->members[i - 1].name, zip->members[i].name))
            return error_set(err, ERROR_FORMAT, "ZIP: the member %s is there twice",
                             name_printable(zip->members[i].name, printable));
    return 0;
}

/* Where the directory says that it ends, its own end must begin: else the archive begins later than the file, which is
 * then several archives of which only the last would be read. end_at is the place of tail[at] in the file. */
static int check_start(const uint8_t *tail, size_t at, uint64_t end_at, struct error *err)
{
    uint64_t claim = (uint64_t)le32(tail + at + 16) + le32(tail + at + 12);

    if (at >= ZIP64_BYTES && memcmp(tail + at - ZIP64_LOCATOR_BYTES, "PK\x06\x07", 4) == 0 &&
        memcmp(tail + at - ZIP64_BYTES, "PK\x06\x06", 4) == 0) {
        end_at -= ZIP64_BYTES;
        if (!checked_add(le64(tail + at - ZIP64_BYTES + 48), le64(tail + at - ZIP64_BYTES + 40), &claim))
            claim = UINT64_MAX;
    }
    if (claim == end_at)
        return 0;
    return error_set(err, ERROR_FORMAT,
                     "ZIP: its directory claims to end at %" PRIu64 " and ends at %" PRIu64
                     ": something lies in front of the archive, or the file is several (a distributed checkpoint is)",
                     claim, end_at);
}

/* minizip is content with a ZIP64 directory alone; others are not, and would read another archive in the same file. */
static int check_end(struct source *source, struct error *err)
{
    const uint64_t most = END_BYTES + COMMENT_MAX + ZIP64_BYTES;
    const size_t bytes = (size_t)(source->size < most ? source->size : most);
    uint8_t *tail = malloc(bytes + 1);
    bool has_end = false;
    int rc;

    if (!tail)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the end of a ZIP archive");
    rc = source_read_at(source, source->size - bytes, tail, bytes, err);
    for (size_t at = 0; rc == 0 && !has_end && at + END_BYTES <= bytes; at++) {
        has_end = memcmp(tail + at, "PK\x05\x06", 4) == 0 &&
                  at + END_BYTES + (size_t)(tail[at + 20] | tail[at + 21] << 8) == bytes;
        if (has_end)
            rc = check_start(tail, at, source->size - bytes + at, err);
    }
    free(tail);
    if (rc)
        return rc;
    return has_end
               ? 0
               : error_set(err, ERROR_FORMAT, "ZIP: it has no directory at its end, so it is cut short or no archive");
}

int zip_open(struct source *source, const struct limits *limits, struct zip *ret_zip, struct error *err)
{
    struct stream stream = {.source = source, .err = err};
    zlib_filefunc64_def io = {.zopen64_file = stream_open,
                              .zread_file = stream_read,
                              .ztell64_file = stream_tell,
                              .zseek64_file = stream_seek,
                              .zclose_file = stream_nothing,
                              .zerror_file = stream_nothing,
                              .opaque = &stream};
    struct zip zip = {.arena = {.limit = 2 * limits->header_bytes}};
    unz_global_info64 info;
    struct taken *taken;
    unzFile file;
    int rc = check_end(source, err);

    if (rc)
        return rc;
    file = unzOpen2_64("", &io);
    if (!file)
        return malformed(&stream, err, "its directory is damaged");
    if (unzGetGlobalInfo64(file, &info) != UNZ_OK)
        rc = malformed(&stream, err, "its directory is damaged");
    else if (info.number_entry > limits->tensors)
        rc = error_set(err, ERROR_LIMIT, "ZIP: claims %llu members, the limit is %" PRIu64,
                       (unsigned long long)info.number_entry, limits->tensors);
    if (rc == 0) {
        taken = calloc((size_t)info.number_entry + 1, sizeof(*taken));
        rc = read_members(file, &stream, info.number_entry, taken, &zip, err);
        free(taken);
    }
    unzClose(file);
    if (rc) {
        zip_done(&zip);
        return rc;
    }
    *ret_zip = zip;
    return 0;
}

void zip_done(struct zip *zip)
{
    free(zip->members);
    arena_done(&zip->arena);
    *zip = (struct zip){0};
}

const struct zip_member *zip_find(const struct zip *zip, struct name name)
{
    size_t low = 0, high = zip->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = name_compare_natural(zip->members[middle].name, name);

        if (order == 0)
            return &zip->members[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int zip_read(struct source *source, const struct zip_member *member, uint64_t limit, const char *what,
             uint8_t **ret_bytes, struct error *err)
{
    struct source *inflated = NULL;
    uint8_t *bytes;
    int rc = 0;

    if (member->bytes > limit)
        return error_set(err, ERROR_LIMIT, "%s has %" PRIu64 " bytes, the limit is %" PRIu64, what, member->bytes,
                         limit);
    if (member->is_deflated)
        rc = inflated_open(source, member->offset, member->stored_bytes, member->bytes, &inflated, err);
    if (rc)
        return rc;
    bytes = malloc((size_t)member->bytes + 1);
    if (bytes)
        rc = source_read_at(inflated ? inflated : source, inflated ? 0 : member->offset, bytes, (size_t)member->bytes,
                            err);
    else
        rc = error_set(err, ERROR_NO_MEMORY, "out of memory for %s", what);
    source_close(inflated);
    if (rc) {
        free(bytes);
        return rc;
    }
    bytes[member->bytes] = 0;
    *ret_bytes = bytes;
    return 0;
}
