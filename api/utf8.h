/* UTF-8 as requests bring it: strict, one character at a time. */
#ifndef API_UTF8_H
#define API_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the character at text, or 0 when it is not valid (overlong, surrogate, cut short). */
size_t utf8_decode(const char *text, size_t bytes, uint32_t *ret_code);
bool utf8_is_valid(const char *text, size_t bytes);

/* Characters that act on a terminal or turn the reading direction instead of showing themselves. */
bool is_harmful_character(uint32_t code);

#endif
