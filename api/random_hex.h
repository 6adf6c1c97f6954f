/* Numbers that nobody can guess, as text. */
#ifndef API_RANDOM_HEX_H
#define API_RANDOM_HEX_H

#include <stddef.h>

/* Lower-case hexadecimal digits, terminated; count is at most 64. Zeros when the kernel has no random bytes. */
void random_hex(char *out, size_t count);

#endif
