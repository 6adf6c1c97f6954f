/* W3C Trace Context (level 1): the trace that a request belongs to, for logs, the job and what is called because of it.
 */
#ifndef API_TRACE_H
#define API_TRACE_H

#include <stdbool.h>

enum { TRACE_ID_BYTES = 33, TRACEPARENT_BYTES = 56 }; /* as text, with their NULs */

/* Goes on with the trace that the header field traceparent tells of: the same trace id and sampled flag under a parent
 * id of our own, always of version 00. False, and out is "": sent is NULL or not valid. */
bool trace_continue(const char *sent, char out[TRACEPARENT_BYTES]);

/* The trace id of what trace_continue made; "" of "". */
void trace_id_of(const char *traceparent, char out[TRACE_ID_BYTES]);

#endif
