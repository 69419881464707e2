/* Where a recipient's mail goes: its action, looked up in the present
 * configuration. */
#ifndef POSTERN_QUEUE_ROUTE_H
#define POSTERN_QUEUE_ROUTE_H

#include "queue/index.h"
#include "queue/schedule.h"

/* What the configuration says, worked out once. */
struct router {
	const struct config *config; /* not owned */
	bool by_domain; /* some `deliver` line is for certain domains */
	struct deliver_numbers numbers; /* of all, or of the last domain */
	uint64_t numbers_hash;
};

void router_set_config(struct router *t, const struct config *c);

enum route_fate {
	ROUTE_TO,      /* out is filled; its views live until the next call */
	ROUTE_DISCARD, /* dropped on the floor, as configured */
	ROUTE_NOWHERE, /* the action has no next hop for this domain */
	ROUTE_HOLD     /* the action is gone and no rule matches */
};
/* May give r another action, when its own is gone. */
enum route_fate route_rcpt(
    struct router *t, struct index *ix, struct rcpt *r, struct route *out);
/* The time to live of r's message for r, in ms. */
uint64_t route_ttl_ms(const struct router *t, const struct rcpt *r);

#endif
