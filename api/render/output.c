#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "api/render/render.h"

void output_init(struct output *output, int fd)
{
    output->fd = fd;
    output->error = 0;
    output->written = 0;
    output->used = 0;
}

static void write_all(struct output *output, const char *data, size_t bytes)
{
    while (bytes && !output->error) {
        ssize_t written = write(output->fd, data, bytes);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            output->error = errno;
            return;
        }
        data += written;
        bytes -= (size_t)written;
    }
}

void output_flush(struct output *output)
{
    write_all(output, output->buffer, output->used);
    output->used = 0;
}

void output_write(struct output *output, const void *data, size_t bytes)
{
    output->written += bytes;
    if (bytes > sizeof(output->buffer) - output->used)
        output_flush(output);
    if (bytes > sizeof(output->buffer)) {
        write_all(output, data, bytes);
        return;
    }
    memcpy(output->buffer + output->used, data, bytes);
    output->used += bytes;
}

void output_text(struct output *output, const char *text)
{
    output_write(output, text, strlen(text));
}

int output_finish(struct output *output, struct error *err)
{
    output_flush(output);
    if (!output->error)
        return 0;
    if (output->error == ENOMEM)
        return error_set(err, ERROR_NO_MEMORY, "out of memory for the result");
    return error_set(err, output->error == ENOSPC || output->error == EDQUOT ? ERROR_NO_SPACE : ERROR_WRITE,
                     "cannot write the result: %s", strerror(output->error));
}
