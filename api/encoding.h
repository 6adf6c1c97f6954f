/* The content coding gzip, for clients that ask for it (RFC 9110 8.4 and 12.5.3). */
#ifndef API_ENCODING_H
#define API_ENCODING_H

#include "api/exchange.h"

/* For every response, before conditions are looked at: decides on the coding by Accept-Encoding and says so (Vary,
 * Content-Encoding, an ETag of its own). Bodies under 1,000 bytes and ranges stay as they are unless identity is
 * refused; who refuses both gets 406. */
void encoding_select(const struct request *request, struct response *response);

/* After conditions: compresses a short body; a long one is marked (is_gzip) to be compressed as it is sent. */
void encoding_apply(struct response *response);

/* Makes the ETag of the gzip representation of one; the quoted text grows by 5. */
void encoding_etag(const char *etag, char *out, size_t size);

/* Reads a response's body compressed, piece by piece, with about 150 KB of memory whatever its length. */
struct gzip_reader;
struct gzip_reader *gzip_reader_new(const struct response *response); /* NULL without memory */
/* Bytes put into buffer, 0 at the end, -1 when the body cannot be read. */
ssize_t gzip_reader_read(struct gzip_reader *reader, void *buffer, size_t size);
void gzip_reader_free(struct gzip_reader *reader); /* NULL is fine */

#endif
