/*
 * What a service manager wants to hear (sd_notify(3)), over the socket that
 * NOTIFY_SOCKET names; without one all of this does nothing.
 */
#ifndef POSTERN_POSTERND_NOTIFY_H
#define POSTERN_POSTERND_NOTIFY_H

/* Remembers where to; before the environment is cleaned. */
void notify_init(void);
/* "NOTIFY_SOCKET=…", for a program that follows in our place; NULL: none. */
const char *notify_variable(void);
/* We accept mail: after the start, a reload or a restart in place. */
void notify_ready(void);
/* A new configuration, or a new program, comes; notify_ready follows. */
void notify_reloading(void);
void notify_stopping(void);

#endif
