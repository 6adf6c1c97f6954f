/* libmicrohttpd, loaded when a service starts: it brings GnuTLS and eight more libraries along, whose relocations took
 * more than half of the time that a comparison at the command line needs to begin. */
#ifndef SERVER_HTTP_LIBMICROHTTPD_H
#define SERVER_HTTP_LIBMICROHTTPD_H

#include <microhttpd.h>

#include "core/error.h"

#define LIBMICROHTTPD_FUNCTIONS(F)                                                                                     \
    F(MHD_start_daemon)                                                                                                \
    F(MHD_stop_daemon)                                                                                                 \
    F(MHD_add_connection)                                                                                              \
    F(MHD_get_connection_info)                                                                                         \
    F(MHD_get_connection_values_n)                                                                                     \
    F(MHD_suspend_connection)                                                                                          \
    F(MHD_resume_connection)                                                                                           \
    F(MHD_create_response_from_buffer)                                                                                 \
    F(MHD_create_response_from_callback)                                                                               \
    F(MHD_create_response_from_fd_at_offset64)                                                                         \
    F(MHD_set_response_options)                                                                                        \
    F(MHD_add_response_header)                                                                                         \
    F(MHD_queue_response)                                                                                              \
    F(MHD_destroy_response)

struct libmicrohttpd {
#define LIBMICROHTTPD_MEMBER(name) __typeof__(name) *name;
    LIBMICROHTTPD_FUNCTIONS(LIBMICROHTTPD_MEMBER)
#undef LIBMICROHTTPD_MEMBER
};

/* The one that is loaded; its functions are the process's, like those of a library that is linked. */
extern struct libmicrohttpd libmicrohttpd;

/* Before any other use, and before threads; stays loaded. ERROR_UNSUPPORTED: it is not installed, or too old. */
int libmicrohttpd_load(struct error *err);

#endif
