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
	struct buf hops; /* of the last relay by MX */
};

void router_set_config(struct router *t, const struct config *c);

enum route_fate {
	ROUTE_TO,        /* out is filled; its views live until the next call */
	ROUTE_DISCARD,   /* dropped on the floor, as configured */
	ROUTE_NOWHERE,   /* the action has no next hop for this domain */
	ROUTE_HOLD,      /* the action is gone and no rule matches */
	ROUTE_QUARANTINE /* it is gone, and the rule sets mail aside */
};
/* May give r another action, when its own is gone. */
enum route_fate route_rcpt(
    struct router *t, struct index *ix, struct rcpt *r, struct route *out);
/* The time to live of r's message for r, in ms. */
uint64_t route_ttl_ms(const struct router *t, struct rcpt *r);

/* What the rules say. */
struct route_decision {
	const struct action *action; /* NULL: it is refused */
	bool quarantine;             /* set aside first */
	bool matched;                /* some rule did */
	uint32_t line;               /* of that */
};

/* What the rules give r today, by what is known of its mail: the client's
 * address and HELO, the listener's tag, TLS, who has authenticated. */
struct route_decision route_decide(const struct router *t, struct rcpt *r);
/* Why r is in quarantine by such a decision; out is reset before. */
struct str route_reason(const struct route_decision *d, struct buf *out);
/* r's action from now on; its state records say so. */
void route_set_action(struct index *ix, struct rcpt *r, const struct action *a);

/* The listener of our own reports, whose sender is <>. */
#define ROUTE_REPORT_LISTENER "report"

/* Is it one of those? */
bool route_is_report(const struct entry *e);

/* Where a report to this address goes, as from a local client with the sender
 * <>: what the rules say, by MX when none matches. */
struct route_decision route_report(const struct router *t, struct str to);

#endif
