/*
 * What a restart in place needs was there when it was tried, and is not when
 * the new program runs: somebody has changed the configuration just now, or
 * taken a port. There is no way back, and no reason to give up: the sockets
 * are ours, clients wait in them, and sessions go on in retired smtpds.
 */
#ifndef POSTERN_POSTERND_COMEBACK_H
#define POSTERN_POSTERND_COMEBACK_H

#include "posternd/gateway.h"
#include "posternd/handover.h"

/* Waits a moment (SIGHUP makes it short, SIGTERM and SIGINT end it), then runs
 * the program once more with what was handed over, all of which is still open.
 * Signals are held. */
_Noreturn void comeback(const struct gateway *gw, const struct handover *h);

#endif
