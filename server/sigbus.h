/* A mapped file that shrinks under us raises SIGBUS on the missing pages; so does a device that fails to read. */
#ifndef SERVER_SIGBUS_H
#define SERVER_SIGBUS_H

#include <stdbool.h>

/* From now on such a page reads as zeros: the pass goes on to its next check of the file, which names it and fails.
 * Any other SIGBUS ends the process as before. */
void sigbus_guard(void);

/* Whether that happened since the last sigbus_forget: figures of the pass are not to be trusted, even when the file is
 * what it was (then the device failed). */
bool sigbus_was_caught(void);
void sigbus_forget(void);

#endif
