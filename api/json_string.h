/* How text looks as a string of JSON, in replies and in results alike. */
#ifndef API_JSON_STRING_H
#define API_JSON_STRING_H

#include <stddef.h>

/* Hands the string with its quotes to put, piece by piece. Bytes that are not valid UTF-8 become U+FFFD; control and
 * bidirectional characters are escaped, so that a hostile tensor name or label stays inert in a terminal. */
void json_string_write(const char *text, size_t bytes, void (*put)(void *context, const char *piece, size_t bytes),
                       void *context);

#endif
