/*
 * Restart in place: the present program, or the one that has taken its place
 * on the disk, runs in this process from now on, with the listening sockets
 * that we have. Nobody is refused meanwhile; the smtpds of before finish their
 * sessions (retired.h).
 *
 *	checking   the new program says whether it could start
 *	agents     who has no client and no mail of its own stops
 *	moving     smtpds accept no more; what they commit waits for the next
 *	           queue in a socket that we keep
 *	queue      it stops: the spool is free
 *	leaving    exec, when no message is under way to us
 */
#ifndef POSTERN_POSTERND_UPGRADE_H
#define POSTERN_POSTERND_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>

#include "posternd/gateway.h"
#include "posternd/handover.h"

/* Begins, or says in the log why not. */
void upgrade_start(struct gateway *gw);
bool upgrade_is_running(const struct gateway *gw);
/* It is gone, and is not to be there before the restart. */
bool upgrade_wants_none(const struct process *p);
/* The gateway stops instead. */
void upgrade_cancel(struct gateway *gw);
/* Some process is gone, or has moved: is it time for the next step? */
void upgrade_step(struct gateway *gw);
/* A child of ours that is none of the processes? Then it was the check. */
bool upgrade_reap(struct gateway *gw, pid_t pid, int status);

/* What is handed over, but for processes; for the check, too. */
void upgrade_describe(const struct gateway *gw, struct handover *h);

#endif
