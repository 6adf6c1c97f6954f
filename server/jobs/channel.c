#include "server/jobs/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/json_check.h"

enum { READ_BYTES = 65536, NESTING_MAX = 16 };

void channel_init(struct channel *channel, int fd, size_t line_max)
{
    *channel = (struct channel){.fd = fd, .line_max = line_max};
}

void channel_done(struct channel *channel)
{
    if (channel->fd >= 0)
        close(channel->fd);
    for (size_t i = 0; i < channel->received_count; i++)
        close(channel->received[i]);
    free(channel->buffer);
    *channel = (struct channel){.fd = -1};
}

static int send_error(struct error *err)
{
    return error_set(err, ERROR_READ, "the worker process is gone: %s", strerrordesc_np(errno));
}

/* All of the line and its end; the descriptors travel with the first byte. */
static int send_line(int fd, const char *text, size_t bytes, const int *descriptors, size_t descriptor_count,
                     struct error *err)
{
    union {
        char bytes[CMSG_SPACE(CHANNEL_DESCRIPTORS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec parts[2] = {{.iov_base = (void *)text, .iov_len = bytes}, {.iov_base = (char *)"\n", .iov_len = 1}};

    while (parts[1].iov_len) {
        struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
        size_t sent_of_text;
        ssize_t sent;

        if (descriptor_count) {
            struct cmsghdr *item;

            header.msg_control = control.bytes;
            header.msg_controllen = CMSG_SPACE(descriptor_count * sizeof(int));
            item = CMSG_FIRSTHDR(&header);
            item->cmsg_level = SOL_SOCKET;
            item->cmsg_type = SCM_RIGHTS;
            item->cmsg_len = CMSG_LEN(descriptor_count * sizeof(int));
            memcpy(CMSG_DATA(item), descriptors, descriptor_count * sizeof(int));
        }
        sent = sendmsg(fd, &header, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return send_error(err);
        descriptor_count = 0;
        sent_of_text = (size_t)sent < parts[0].iov_len ? (size_t)sent : parts[0].iov_len;
        parts[0].iov_base = (char *)parts[0].iov_base + sent_of_text;
        parts[0].iov_len -= sent_of_text;
        parts[1].iov_len -= (size_t)sent - sent_of_text;
    }
    return 0;
}

int channel_send(struct channel *channel, struct json_object *message, const int *descriptors, size_t count,
                 struct error *err)
{
    size_t bytes;
    const char *text = message ? json_object_to_json_string_length(
                                     message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes)
                               : NULL;

    if (!text)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a message");
    return send_line(channel->fd, text, bytes, descriptors, count, err);
}

static void keep_descriptors(struct channel *channel, struct msghdr *header)
{
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
        size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(int));
            if (channel->received_count < CHANNEL_DESCRIPTORS_MAX)
                channel->received[channel->received_count++] = fd;
            else
                close(fd);
        }
    }
}

/* Reads once into the buffer. 1: something came; 0: nothing there now. */
static int fill(struct channel *channel, bool wait, struct error *err)
{
    union {
        char bytes[CMSG_SPACE(CHANNEL_DESCRIPTORS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec vector;
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    ssize_t got;

    if (channel->capacity - channel->used < READ_BYTES) {
        size_t capacity = 2 * channel->capacity + READ_BYTES;
        char *buffer = realloc(channel->buffer, capacity);

        if (!buffer)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a message");
        channel->buffer = buffer;
        channel->capacity = capacity;
    }
    vector = (struct iovec){.iov_base = channel->buffer + channel->used, .iov_len = READ_BYTES};
    do {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof(control.bytes);
        got = recvmsg(channel->fd, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got < 0)
        return send_error(err);
    keep_descriptors(channel, &header);
    if (got == 0)
        return error_set(err, ERROR_READ, "the other side is gone");
    channel->used += (size_t)got;
    return 1;
}

static int parse(const char *line, size_t bytes, struct json_object **ret, struct error *err)
{
    struct json_object *message = NULL;
    struct request_fault fault;

    if (json_check(line, bytes, NESTING_MAX, &message, &fault) == ERROR_NO_MEMORY)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a message");
    if (!json_object_is_type(message, json_type_object)) {
        json_object_put(message);
        return error_set(err, ERROR_FORMAT, "a worker sent what is no message");
    }
    *ret = message;
    return 0;
}

int channel_receive(struct channel *channel, bool wait, struct json_object **ret, struct error *err)
{
    size_t searched = 0;

    *ret = NULL;
    for (;;) {
        char *end =
            channel->used > searched ? memchr(channel->buffer + searched, '\n', channel->used - searched) : NULL;
        int rc;

        if (end) {
            size_t bytes = (size_t)(end - channel->buffer);

            rc = bytes <= channel->line_max ? parse(channel->buffer, bytes, ret, err)
                                            : error_set(err, ERROR_FORMAT, "a worker sent a line of %zu bytes", bytes);
            channel->used -= bytes + 1;
            memmove(channel->buffer, end + 1, channel->used);
            return rc;
        }
        searched = channel->used;
        if (channel->used > channel->line_max)
            return error_set(err, ERROR_FORMAT, "a worker sent a line of more than %zu bytes", channel->line_max);
        rc = fill(channel, wait, err);
        if (rc <= 0)
            return rc;
    }
}

bool channel_take(struct channel *channel, int *descriptors, size_t count)
{
    if (channel->received_count < count)
        return false;
    memcpy(descriptors, channel->received, count * sizeof(int));
    channel->received_count -= count;
    memmove(channel->received, channel->received + count, channel->received_count * sizeof(int));
    return true;
}

const char *message_text(struct json_object *message, const char *key)
{
    struct json_object *value;

    if (!json_object_object_get_ex(message, key, &value) || !json_object_is_type(value, json_type_string))
        return "";
    return json_object_get_string(value);
}

uint64_t message_u64(struct json_object *message, const char *key)
{
    struct json_object *value;

    if (!json_object_object_get_ex(message, key, &value) || !json_object_is_type(value, json_type_int))
        return 0;
    return json_object_get_uint64(value);
}

struct json_object *message_new(const char *type)
{
    struct json_object *message = json_object_new_object();

    if (message)
        message_add_text(message, "type", type);
    return message;
}

void message_add_text(struct json_object *message, const char *key, const char *value)
{
    json_object_object_add(message, key, json_object_new_string(value));
}

void message_add_u64(struct json_object *message, const char *key, uint64_t value)
{
    json_object_object_add(message, key, json_object_new_uint64(value));
}
