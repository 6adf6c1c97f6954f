/* The line between the service and a worker process: one JSON object a line over a Unix socket, descriptors beside it.
 *
 *   service → worker   start {threads, memory_bytes, file_bytes, sandbox, roots: [{name, path}]}; descriptors: each
 * root, then the uploads run {serial, request, uploads: {id: name}}; descriptors: result.json, its index, result.txt
 *                      inspect {serial, path}; descriptor: result.json
 *                      cancel {serial}
 *   worker → service   ready {walls}
 *                      progress {phase, bytes_done, bytes_total, tensors_done, tensors_total}
 *                      done {run}
 *                      failed {code, detail}
 *                      stopped {call}: the last word of a process that tried a system call behind its walls
 *
 * The service reads a worker's lines as those of a stranger: their length is bounded and nothing in them is trusted.
 * Sending and receiving may happen on two threads; each of them on one at a time. */
#ifndef SERVER_JOBS_CHANNEL_H
#define SERVER_JOBS_CHANNEL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

enum {
    CHANNEL_DESCRIPTORS_MAX = 66, /* of one message: all roots and the uploads */
    CHANNEL_LINE_FROM_WORKER = 1 << 20,
    CHANNEL_FD = 3, /* where a worker finds its end */
};

struct channel {
    int fd;
    size_t line_max; /* of what is received */
    char *buffer;
    size_t used, capacity;
    int received[CHANNEL_DESCRIPTORS_MAX]; /* in the order of messages, not yet taken */
    size_t received_count;
};

/* Takes fd. */
void channel_init(struct channel *channel, int fd, size_t line_max);
void channel_done(struct channel *channel); /* closes; also descriptors that nobody took */

/* ERROR_READ when the other side is gone or does not read. Borrows the descriptors. */
int channel_send(struct channel *channel, struct json_object *message, const int *descriptors, size_t count,
                 struct error *err);

/* The next message (the caller's), or NULL in *ret when none is complete yet and `wait` is false. ERROR_READ when the
 * other side is gone, ERROR_FORMAT when it sent what is no message. */
int channel_receive(struct channel *channel, bool wait, struct json_object **ret, struct error *err);

/* The oldest `count` descriptors received; false when there are fewer (none is taken then). */
bool channel_take(struct channel *channel, int *descriptors, size_t count);

/* Members of a message; "" and 0 when missing or of another type. */
const char *message_text(struct json_object *message, const char *key);
uint64_t message_u64(struct json_object *message, const char *key);

struct json_object *message_new(const char *type);
void message_add_text(struct json_object *message, const char *key, const char *value);
void message_add_u64(struct json_object *message, const char *key, uint64_t value);

#endif
