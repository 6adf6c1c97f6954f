#include <stdlib.h>
#include <unistd.h>

#include "api/backend.h"

const char *const job_state_names[JOB_STATE_COUNT] = {"queued", "running", "succeeded", "failed", "cancelled"};

const char *const callback_state_names[CALLBACK_STATE_COUNT] = {"none", "waiting", "pending", "delivered", "failed"};

bool id_is_valid(const char *text)
{
    for (size_t i = 0; i < JOB_ID_BYTES - 1; i++) {
        char c = text[i];

        if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return text[JOB_ID_BYTES - 1] == '\0';
}

void job_done(struct job *job)
{
    free(job->request);
    free(job->labels);
    free(job->error);
    free(job->summary);
    free(job->run);
}

void job_list_done(struct job_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        job_done(&list->jobs[i]);
    free(list->jobs);
}

void blob_done(struct blob *blob)
{
    if (blob->fd >= 0)
        close(blob->fd);
    free(blob->data);
}

void upload_done(struct upload *upload)
{
    free(upload->name);
}

void upload_list_done(struct upload_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        upload_done(&list->uploads[i]);
    free(list->uploads);
}

void model_list_done(struct model_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].path);
    free(list->entries);
}
