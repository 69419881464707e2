/* The sockets connections come in by. */
#ifndef POSTERN_SMTPD_LISTENER_H
#define POSTERN_SMTPD_LISTENER_H

#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/rules/config.h"

/* A listening socket (taken) of the configuration's listener id. After
 * listener_start: of the configuration that comes. */
void listener_add(struct loop *l, uint32_t id, int socket);
/* The configuration for new connections; keeps a reference. NULL: none. After
 * listener_start its listeners are those that were added since the last one,
 * and no others: who is in the backlog of one that goes is let in first, by
 * the configuration that it was of. */
void listener_set_config(struct config *c);
/* That one; NULL before the first. */
struct config *listener_config(void);
/* Accepts from now on; who waits at a socket that came as LISTEN_LEFT is told
 * to come back (or as LISTEN_LEFT_SMTPS: is not), and it is closed. */
void listener_start(void);
/* Another gateway goes on with them: lets in who waits, then as
 * listener_stop. */
void listener_retire(void);
/* Closes them all, for good. */
void listener_stop(void);

#endif
