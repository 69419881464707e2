/*
 * The channel to the resolver: asks for names of clients, and lets nothing
 * through that is not one; asks what DNS lists say of them.
 */
#ifndef POSTERN_SMTPD_FROM_RESOLVER_H
#define POSTERN_SMTPD_FROM_RESOLVER_H

#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/net/addr.h"

struct caller;
struct listed;

/* A channel over fd (taken); the one before is dead. */
struct channel *from_resolver_start(struct loop *l, int fd);
/* Closes it: whoever asked is answered with a fault. */
void from_resolver_stop(void);
/* Asks for the name of the client at a. 0: caller_set is called exactly once,
 * never before this returned. -1: there is no channel, or too many questions
 * wait for their answers. */
int from_resolver_ask(const struct addr *a, struct caller *c);
/* The same for the lists of the table of this name, and listed_set. */
int from_resolver_ask_lists(
    const struct addr *a, const char *table, struct listed *l);

#endif
