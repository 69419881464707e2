/* Which rule decides about a recipient of a client that is only described:
 * what a session would ask for is asked for here. */
#ifndef POSTERN_RESOLVER_MATCHING_H
#define POSTERN_RESOLVER_MATCHING_H

#include "edges/control_all.h"
#include "resolver/peer.h"

/* Answers question id of this peer. */
void matching_start(struct peer *p, uint64_t id, const struct ask_match *m);

#endif
