/* The sockets connections come in by. */
#ifndef POSTERN_SMTPD_LISTENER_H
#define POSTERN_SMTPD_LISTENER_H

#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/rules/config.h"

/* A listening socket (taken) of the configuration's listener id. */
void listener_add(struct loop *l, uint32_t id, int socket);
/* The configuration for new connections; keeps a reference. NULL: none. */
void listener_set_config(struct config *c);
/* That one; NULL before the first. */
struct config *listener_config(void);
/* Accepts from now on. */
void listener_start(void);
/* Closes them all. */
void listener_stop(void);

#endif
