/* The engine of worker processes: a request's text to three files of a result. */
#ifndef SERVER_JOBS_ENGINE_H
#define SERVER_JOBS_ENGINE_H

#include "server/jobs/worker.h"

extern const struct worker_engine comparison_engine;

#endif
