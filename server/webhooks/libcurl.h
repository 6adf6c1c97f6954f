/* libcurl, loaded when a service with webhooks starts: it brings some thirty libraries along, and neither the command
 * line nor a worker should wait for those, or hold them. */
#ifndef SERVER_WEBHOOKS_LIBCURL_H
#define SERVER_WEBHOOKS_LIBCURL_H

#include <curl/curl.h>

#include "core/error.h"

#undef curl_easy_setopt /* macros that check types, on the functions' names */
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define LIBCURL_FUNCTIONS(F)                                                                                           \
    F(curl_global_init)                                                                                                \
    F(curl_easy_init)                                                                                                  \
    F(curl_easy_setopt)                                                                                                \
    F(curl_easy_getinfo)                                                                                               \
    F(curl_easy_strerror)                                                                                              \
    F(curl_easy_cleanup)                                                                                               \
    F(curl_slist_append)                                                                                               \
    F(curl_slist_free_all)                                                                                             \
    F(curl_multi_init)                                                                                                 \
    F(curl_multi_add_handle)                                                                                           \
    F(curl_multi_remove_handle)                                                                                        \
    F(curl_multi_perform)                                                                                              \
    F(curl_multi_poll)                                                                                                 \
    F(curl_multi_wakeup)                                                                                               \
    F(curl_multi_info_read)                                                                                            \
    F(curl_multi_cleanup)                                                                                              \
    F(curl_url)                                                                                                        \
    F(curl_url_set)                                                                                                    \
    F(curl_url_get)                                                                                                    \
    F(curl_url_cleanup)                                                                                                \
    F(curl_free)

struct libcurl {
#define LIBCURL_MEMBER(name) __typeof__(name) *name;
    LIBCURL_FUNCTIONS(LIBCURL_MEMBER)
#undef LIBCURL_MEMBER
};

/* Stays loaded. ERROR_UNSUPPORTED: it is not installed, or too old. */
int libcurl_load(struct libcurl *ret, struct error *err);

#endif
