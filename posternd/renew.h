/*
 * What a process was handed at its start cannot be changed while it runs: who
 * was handed something that another configuration has otherwise (its user, its
 * directories, its socket) is stopped gracefully before that one holds for
 * those who give it work, and started anew when they have it.
 */
#ifndef POSTERN_POSTERND_RENEW_H
#define POSTERN_POSTERND_RENEW_H

#include "posternd/gateway.h"

/* spawn.c: p starts now, with what gw->conf says. */
void renew_note(struct process *p);
/* Would it be handed something else by gw->conf, or is it not wanted? */
bool renew_is_due(const struct process *p);
/* Stops all of them. */
void renew_stop(struct gateway *gw);
/* Are all that were stopped gone? given_work: those, that is, whom others give
 * work. */
bool renew_is_over(const struct gateway *gw, bool given_work);
/* Starts those that are wanted, also those that were never there. */
void renew_start(struct gateway *gw);

#endif
