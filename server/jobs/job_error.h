/* How a failed job says why: JSON {code, status, title, detail}, as struct job's error has it. */
#ifndef SERVER_JOBS_JOB_ERROR_H
#define SERVER_JOBS_JOB_ERROR_H

#include "api/problem.h"

/* What an error of the engine, or of another end, is when a job had it. */
enum problem job_problem_of(int code);

/* malloc'ed; NULL when memory is out. */
char *job_error_text(enum problem problem, const char *detail);

/* The code whose name a worker sent; ERROR_INTERNAL for a name that is none. */
int job_error_code(const char *name);

#endif
