/* Who exists: the processes that the configuration wants. */
#ifndef POSTERN_POSTERND_ROSTER_H
#define POSTERN_POSTERND_ROSTER_H

#include "posternd/gateway.h"

/* Names all of gw->conf's processes, at the start, with room for more;
 * complains about users that do not exist. */
void roster_make(struct gateway *gw);
/* Does the present configuration want it? One that it does not want any more
 * keeps its place and is down. */
bool roster_is_wanted(const struct process *p);
/* Is there a place for each process that next wants? */
bool roster_has_room(const struct gateway *gw, const struct config *next);
/* Those that gw->conf wants and that have no place get one. They are down;
 * watch.c has not heard of those that are appended: the first of them, or the
 * end. */
struct process *roster_grow(struct gateway *gw);
/* As whom its next process runs, by gw->conf; complains, and returns -1. */
int roster_set_user(struct process *p);
/* Complains about each user of the agents in c that does not exist. */
void roster_check_users(const struct gateway *gw, const struct config *c);

#endif
