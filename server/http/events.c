/* Streams of events, without a thread each: a connection sleeps (suspended) until there is something for it.
 *
 * All streams of one job share a topic. When the job changes, a task on the pool reads it once and renders one text for
 * all of them; a client that reads slowly skips what it missed, so a stream holds at most the text under way. Progress
 * is told at most four times a second, a change of state at once. A client that leaves is seen by its descriptor in the
 * watcher's epoll, for libmicrohttpd does not look at suspended connections.
 *
 * One lock guards all of it. Topics belong to the lock; a topic lives while it has a stream or its task is queued. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "api/resources/events.h"
#include "server/http/front.h"

enum { SPACING_MS = 250, BLOCK_BYTES = 1024 };

struct text {
    unsigned holders;
    bool is_last;
    uint64_t version; /* 0: no news of the job */
    size_t bytes;
    char bytes_of[];
};

struct topic {
    struct task task; /* first */
    struct http *http;
    struct topic *next; /* in its bucket */
    char job_id[JOB_ID_BYTES];
    struct stream *first;
    struct text *text; /* the last news; NULL: none yet */
    int64_t read_ms;
    bool is_queued, is_changed;
    bool is_urgent; /* the change is one of state */
};

struct stream {
    struct topic *topic;
    struct stream *previous, *next;
    struct exchange *exchange;
    struct MHD_Connection *mhd;
    int fd;
    size_t slot;
    uint32_t generation;
    struct text *text; /* under way; NULL: nothing is */
    size_t sent_bytes;
    uint64_t version; /* told, or under way */
    int64_t quiet_since_ms;
    bool is_over, is_gone, is_suspended;
};

static struct text *text_new(const char *bytes, size_t count, uint64_t version, bool is_last)
{
    struct text *text = malloc(sizeof(*text) + count);

    if (!text)
        return NULL;
    *text = (struct text){.holders = 1, .version = version, .bytes = count, .is_last = is_last};
    memcpy(text->bytes_of, bytes, count);
    return text;
}

static struct text *hold(struct text *text)
{
    text->holders++;
    return text;
}

static void release(struct text *text)
{
    if (text && --text->holders == 0)
        free(text);
}

int streams_open(struct http *http, struct error *err)
{
    static const char comment[] = ":\n\n";
    static const char farewell[] = "event: closing\ndata: {\"detail\":\"the service is ending; come back\"}\n\n";
    struct streams *streams = &http->streams;

    streams->slots = calloc(http->config.max_streams, sizeof(struct stream *));
    streams->comment = text_new(comment, sizeof(comment) - 1, 0, false);
    streams->farewell = text_new(farewell, sizeof(farewell) - 1, 0, true);
    if (!streams->slots || !streams->comment || !streams->farewell)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    return 0;
}

void streams_done(struct streams *streams)
{
    free(streams->slots);
    release(streams->comment);
    release(streams->farewell);
}

/* Everything below is under the lock, but for what says otherwise. */

static struct topic **bucket_of(struct streams *streams, const char *job_id)
{
    return &streams->topics[name_hash(name_of(job_id)) % STREAM_BUCKETS];
}

static struct topic *topic_find(struct streams *streams, const char *job_id)
{
    struct topic *topic = *bucket_of(streams, job_id);

    while (topic && strcmp(topic->job_id, job_id) != 0)
        topic = topic->next;
    return topic;
}

static void topic_drop_unused(struct streams *streams, struct topic *topic)
{
    struct topic **link = bucket_of(streams, topic->job_id);

    if (topic->first || topic->is_queued)
        return;
    while (*link != topic)
        link = &(*link)->next;
    *link = topic->next;
    release(topic->text);
    free(topic);
}

static void wake(struct stream *stream)
{
    if (!stream->is_suspended)
        return;
    stream->is_suspended = false;
    libmicrohttpd.MHD_resume_connection(stream->mhd);
}

static void queue_read(struct topic *topic)
{
    topic->is_queued = true;
    pool_submit(topic->http->pool, LANE_STORE, &topic->task, true); /* one a topic, and there are only so many */
}

/* Takes event's text. */
static void publish(struct topic *topic, const struct event *event)
{
    struct text *text = text_new(event->text, event->bytes, event->version, event->is_last);

    free(event->text);
    if (!text) {
        topic->is_changed = true; /* once more, in a while */
        return;
    }
    release(topic->text);
    topic->text = text;
    for (struct stream *s = topic->first; s; s = s->next)
        if (s->version < text->version)
            wake(s);
}

/* On the pool, without the lock. */
static void read_job(struct task *task)
{
    struct topic *topic = (struct topic *)task;
    struct streams *streams = &topic->http->streams;
    struct error err = {.code = ERROR_NONE};
    struct event event;
    int rc;

    must(pthread_mutex_lock(&streams->lock));
    topic->is_changed = topic->is_urgent = false;
    must(pthread_mutex_unlock(&streams->lock));
    rc = event_read(topic->http->backend, topic->job_id, &event, &err);
    must(pthread_mutex_lock(&streams->lock));
    topic->is_queued = false;
    topic->read_ms = clock_steady_ms();
    if (rc)
        topic->is_changed = true; /* the store cannot say now: once more, in a while */
    else
        publish(topic, &event);
    if (topic->is_urgent && topic->first)
        queue_read(topic);
    topic_drop_unused(streams, topic);
    must(pthread_mutex_unlock(&streams->lock));
}

static struct topic *topic_of(struct http *http, const char *job_id)
{
    struct topic *topic = topic_find(&http->streams, job_id), **bucket = bucket_of(&http->streams, job_id);

    if (topic)
        return topic;
    topic = calloc(1, sizeof(*topic));
    if (!topic)
        return NULL;
    topic->task.run = read_job;
    topic->http = http;
    memcpy(topic->job_id, job_id, sizeof(topic->job_id));
    topic->next = *bucket;
    *bucket = topic;
    return topic;
}

static void watch_departure(struct stream *stream)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET,
                                .data.u64 = STREAM_EVENT | (uint64_t)stream->generation << 32 | stream->slot};

    epoll_ctl(stream->topic->http->waiters.epoll, EPOLL_CTL_ADD, stream->fd, &event);
}

/* Gives the stream a slot and its topic. */
static bool enlist(struct http *http, struct stream *stream, const struct response *response)
{
    struct streams *streams = &http->streams;
    size_t slot = 0;

    if (streams->count == http->config.max_streams)
        return false;
    while (streams->slots[slot])
        slot++;
    stream->topic = topic_of(http, response->follow.job_id);
    if (!stream->topic)
        return false;
    stream->slot = slot;
    stream->generation = ++streams->generation & 0x7fffffff;
    streams->slots[slot] = stream;
    streams->count++;
    if (slot >= streams->end)
        streams->end = slot + 1;
    stream->next = stream->topic->first;
    if (stream->next)
        stream->next->previous = stream;
    stream->topic->first = stream;
    /* What changed between the handler's look and this moment must not be missed. */
    if (!stream->is_over)
        stream->topic->is_changed = true;
    return true;
}

/* The next text to send, or NULL. */
static struct text *next_text(struct http *http, struct stream *stream)
{
    struct text *news = stream->topic->text;

    if (stream->is_over)
        return NULL;
    if (news && news->version > stream->version) {
        stream->version = news->version;
        stream->is_over = news->is_last;
        return hold(news);
    }
    if (http->streams.is_ending) {
        stream->is_over = true;
        return hold(http->streams.farewell);
    }
    if (clock_steady_ms() - stream->quiet_since_ms >= http->config.comment_ms)
        return hold(http->streams.comment);
    return NULL;
}

/* libmicrohttpd asks for bytes; without the lock. */
static ssize_t read_stream(void *context, uint64_t at, char *buffer, size_t size)
{
    struct stream *stream = context;
    struct http *http = stream->exchange->http;
    ssize_t got = 0;

    (void)at;
    must(pthread_mutex_lock(&http->streams.lock));
    if (!stream->text) {
        stream->text = next_text(http, stream);
        stream->sent_bytes = 0;
    }
    if (stream->is_gone) {
        /* Not with an error: libmicrohttpd 0.9.75 would close this connection only after all that are idle for longer.
         */
        got = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (stream->text) {
        size_t left = stream->text->bytes - stream->sent_bytes;

        got = (ssize_t)(left < size ? left : size);
        memcpy(buffer, stream->text->bytes_of + stream->sent_bytes, (size_t)got);
        stream->sent_bytes += (size_t)got;
        stream->exchange->bytes += (uint64_t)got;
        stream->quiet_since_ms = clock_steady_ms();
        if (stream->sent_bytes == stream->text->bytes) {
            release(stream->text);
            stream->text = NULL;
        }
    } else if (stream->is_over) {
        got = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->is_suspended = true;
        libmicrohttpd.MHD_suspend_connection(stream->mhd);
    }
    must(pthread_mutex_unlock(&http->streams.lock));
    return got;
}

/* The response ends. The descriptor is open still, but the exchange may be gone; without the lock. */
static void free_stream(void *context)
{
    struct stream *stream = context;
    struct http *http = stream->topic->http;
    struct streams *streams = &http->streams;

    must(pthread_mutex_lock(&streams->lock));
    epoll_ctl(http->waiters.epoll, EPOLL_CTL_DEL, stream->fd, NULL);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        stream->topic->first = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    streams->slots[stream->slot] = NULL;
    streams->count--;
    while (streams->end > 0 && !streams->slots[streams->end - 1])
        streams->end--;
    topic_drop_unused(streams, stream->topic);
    release(stream->text);
    must(pthread_mutex_unlock(&streams->lock));
    free(stream);
}

struct MHD_Response *stream_begin(struct exchange *exchange, const struct response *response)
{
    struct http *http = exchange->http;
    struct stream *stream = calloc(1, sizeof(*stream));
    struct MHD_Response *made = NULL;
    bool is_enlisted = false;

    if (!stream)
        return NULL;
    stream->exchange = exchange;
    stream->mhd = exchange->mhd;
    stream->fd = exchange->connection->fd;
    stream->version = response->follow.version;
    stream->is_over = response->follow.is_over;
    stream->quiet_since_ms = clock_steady_ms();
    stream->text = text_new(response->text, response->bytes, 0, false);
    if (stream->text) {
        must(pthread_mutex_lock(&http->streams.lock));
        is_enlisted = enlist(http, stream, response);
        if (is_enlisted) {
            watch_departure(stream);
            if (stream->topic->is_changed && !stream->topic->is_queued)
                queue_read(stream->topic);
        }
        must(pthread_mutex_unlock(&http->streams.lock));
    }
    if (!is_enlisted) {
        release(stream->text);
        free(stream);
        return NULL;
    }
    made = libmicrohttpd.MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream,
                                                           free_stream);
    if (!made)
        free_stream(stream);
    return made;
}

void streams_changed(struct http *http, const char *job_id, enum http_change change)
{
    struct streams *streams = &http->streams;
    struct topic *topic;

    must(pthread_mutex_lock(&streams->lock));
    topic = topic_find(streams, job_id);
    if (topic) {
        topic->is_changed = true;
        topic->is_urgent |= change == HTTP_CHANGE_STATE;
        if (!topic->is_queued && (topic->is_urgent || clock_steady_ms() - topic->read_ms >= SPACING_MS))
            queue_read(topic);
    }
    must(pthread_mutex_unlock(&streams->lock));
}

void streams_check(struct http *http, int64_t now)
{
    struct streams *streams = &http->streams;

    must(pthread_mutex_lock(&streams->lock));
    for (size_t i = 0; i < streams->end; i++) {
        struct stream *stream = streams->slots[i];

        if (!stream)
            continue;
        if (stream->topic->is_changed && !stream->topic->is_queued && now - stream->topic->read_ms >= SPACING_MS)
            queue_read(stream->topic);
        if (now - stream->quiet_since_ms >= http->config.comment_ms)
            wake(stream);
    }
    must(pthread_mutex_unlock(&streams->lock));
}

void streams_gone(struct http *http, uint64_t event)
{
    struct streams *streams = &http->streams;
    size_t slot = (uint32_t)event;
    struct stream *stream;

    must(pthread_mutex_lock(&streams->lock));
    stream = slot < streams->end ? streams->slots[slot] : NULL;
    if (stream && stream->generation == (uint32_t)((event & ~STREAM_EVENT) >> 32)) {
        stream->is_gone = true;
        wake(stream);
    }
    must(pthread_mutex_unlock(&streams->lock));
}

void streams_end(struct http *http)
{
    struct streams *streams = &http->streams;

    must(pthread_mutex_lock(&streams->lock));
    streams->is_ending = true;
    for (size_t i = 0; i < streams->end; i++)
        if (streams->slots[i])
            wake(streams->slots[i]);
    must(pthread_mutex_unlock(&streams->lock));
}
