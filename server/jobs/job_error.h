/* How a failed job says why: JSON {code, status, title, detail}, as struct job's error has it. */
#ifndef SERVER_JOBS_JOB_ERROR_H
#define SERVER_JOBS_JOB_ERROR_H

#include "api/problem.h"

/* From an error of the engine, or of another end. malloc'ed; NULL when memory is out. */
char *job_error_of(int code, const char *detail);
char *job_error_of_problem(enum problem problem, const char *detail);

/* The code whose name a worker sent; ERROR_INTERNAL for a name that is none. */
int job_error_code(const char *name);

#endif
