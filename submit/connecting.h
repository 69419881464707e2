/* The way to a gateway on this machine. */
#ifndef POSTERN_SUBMIT_CONNECTING_H
#define POSTERN_SUBMIT_CONNECTING_H

#include "lib/base/buf.h"

#define CONNECT_CONTROL "/run/postern/postern.sock" /* unless said else */

/* A stream socket connected to the Unix socket at path; -1 with errno, also
 * when nobody accepts it for a minute. */
int connect_to(const char *path);
/* The submit socket's path, terminated, into out: what the gateway with this
 * control socket says; without it (or without the right to ask it) what
 * POSTERN_SUBMIT says, else the usual place. */
void connect_find(const char *control, struct buf *out);

#endif
