/* Where mail to an address would go, told line by line (show routes). */
#ifndef POSTERN_RESOLVER_EXPLAIN_H
#define POSTERN_RESOLVER_EXPLAIN_H

#include "lib/base/str.h"
#include "resolver/peer.h"

/* Answers question id of p: the rule, the rules passed over, the next hops. */
void explain_start(struct peer *p, uint64_t id, struct str address);

#endif
