/* Root's powers that a process started as root does not need. */
#ifndef SERVER_PRIVILEGES_H
#define SERVER_PRIVILEGES_H

#include <stdbool.h>

enum privilege {
    PRIVILEGE_READ_FILES = 1,  /* of whoever owns them */
    PRIVILEGE_WRITE_FILES = 2, /* likewise */
    PRIVILEGE_LOW_PORTS = 4
};

/* Drops every capability of the calling thread but those (an or of enum privilege), and sets no_new_privs, for it and
 * for what it starts. For a program's start, before there are threads. Nothing changes for a process without any. */
void privileges_drop(unsigned kept);

#endif
