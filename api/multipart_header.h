/* The header of a part, and the parameters that it and a multipart's Content-Type have. */
#ifndef API_MULTIPART_HEADER_H
#define API_MULTIPART_HEADER_H

#include "api/multipart.h"

/* The boundary parameter, without its end; its length, 0 when there is none or it may not be one (RFC 2046 5.1.1). */
size_t multipart_boundary(const char *content_type, char out[MULTIPART_BOUNDARY_MAX]);

/* Lines with their CR LF, the empty one too. ERROR_REQUEST. */
int multipart_header_parse(const char *text, size_t bytes, struct multipart_part *ret_part, struct error *err);

/* The filename of a Content-Disposition field of whatever type, as a part's is read. ERROR_REQUEST: malformed or too
 * long. *ret_has: whether there is one. */
int disposition_filename(const char *field, char out[MULTIPART_FILENAME_BYTES_MAX + 1], bool *ret_has,
                         struct error *err);

#endif
