/*
 * The way of a work over its next hops: from URL to URL, from address to
 * address, each with the policy that a connection there has to obey. A URL
 * with a name is resolved when it is its turn. Where mail must not go is
 * passed over. Places that could not be talked to a moment ago come last.
 */
#ifndef POSTERN_DELIVERY_WAY_WALK_H
#define POSTERN_DELIVERY_WAY_WALK_H

#include "delivery/agent_work.h"
#include "lib/rules/config.h"

/* Goes on when what walk_next waited for has come; called from the loop. */
void walk_init(struct loop *l, void (*go_on)(struct work *w));
/* From the first of w's next hops on. */
void walk_begin(struct work *w);
/* Asks for nothing more, holds nothing more. */
void walk_clear(struct walk *k);

enum walk_result {
	WALK_PLACE, /* try this one */
	WALK_WAIT,  /* the resolver or the fetcher was asked */
	WALK_END    /* none is left; w->failure says why */
};

/* The place given last by MX turned out to be ourselves: those no better would
 * only send it back (RFC 5321 5.1), and are given no more. */
void walk_is_ours(struct walk *k);
/* The next place that is not ourselves. out->host and policy live until
 * the next call. */
enum walk_result walk_next(struct work *w, struct config *c, struct place *out);
/* The same, but only one that is as good as the one given last: another
 * address of the same name and preference. False: there is none. */
bool walk_next_beside(struct work *w, struct config *c, struct place *out);
/* A place that was not tried to its end: its turn comes again, before those
 * that are no better. */
void walk_give_back(struct walk *k, const struct place *p);

#endif
