/* A mapped file that shrinks under us raises SIGBUS on the missing pages. */
#ifndef SERVER_SIGBUS_H
#define SERVER_SIGBUS_H

/* From now on such a page reads as zeros: the pass goes on to its next check of the file, which names it and fails.
 * Any other SIGBUS ends the process as before. */
void sigbus_guard(void);

#endif
