/* UTF-8, strict, one character at a time. */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the character at text, or 0 when it is not valid (overlong, surrogate, above U+10FFFF, cut short). */
size_t utf8_decode(const char *text, size_t bytes, uint32_t *ret_code);
bool utf8_is_valid(const char *text, size_t bytes);
/* Writes a character and returns its length. */
size_t utf8_encode(uint32_t code, char out[4]);

/* Characters that act on a terminal or turn the reading direction instead of showing themselves. */
bool utf8_is_harmful(uint32_t code);

#endif
