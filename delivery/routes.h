/*
 * Routes: what the resolver said about next hops with names, remembered as
 * long as it allowed. Works that want the same one share one question.
 */
#ifndef POSTERN_DELIVERY_ROUTES_H
#define POSTERN_DELIVERY_ROUTES_H

#include "lib/base/tree.h"
#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/from_resolver.h"
#include "delivery/policy.h"
#include "edges/delivery_resolver.h"
#include "lib/base/loop.h"
#include "lib/rules/hop.h"

enum {
	ROUTES_MAX = 10000, /* remembered; the one not used for longest goes */
	ROUTES_BYTES_MAX = 16 << 20,
	ROUTE_FAULT_MS = 60000 /* how long at most a failure is remembered */
};

/* A host of a route: some of its addresses. */
struct route_host {
	char *name; /* owned */
	uint16_t preference;
	uint8_t first, count;
	struct host_dane dane;
	struct policy_slot policy; /* made last for it */
};

/* Counted; whole and unchanging once somebody was given it, but for the
 * policies. */
struct route {
	RB_ENTRY(route) entry;
	TAILQ_ENTRY(route) used; /* of the remembered: the last used first */
	TAILQ_HEAD(, route_wait) waiting;
	unsigned int refs;

	enum { ROUTE_ASKED, ROUTE_KEPT, ROUTE_LOOSE } place;
	struct question question;
	char *name; /* owned, lower case; that of the question */
	enum way_result result;
	bool partial;            /* found, but not all of it */
	bool mx_is_secure;       /* its MX was authenticated (DNSSEC) */
	struct route_host *told; /* of on_dane last; or NULL */
	char *text;              /* owned; why there is none */
	uint64_t expires_ms;
	struct route_host *hosts; /* owned, in the order they came */
	struct addr *addrs;       /* owned */
	size_t nhosts, naddrs, bytes;
};

/* One who waits for an answer; embedded in its owner. */
struct route_wait {
	TAILQ_ENTRY(route_wait) entry;
	struct route *route; /* NULL: waits for nothing */
	/* r is the callee's, with a reference. */
	void (*fn)(void *ctx, struct route *r);
	void *ctx;
};

void routes_init(struct loop *l);
/* The route of a hop with a name, and what DNSSEC says of its hosts if dane,
 * with a reference; or NULL: then w->fn is called with it once, never before
 * this returned. */
struct route *routes_get(
    const struct hop_url *url, bool dane, struct route_wait *w);
/* w waits no longer, if it did. */
void routes_cancel(struct route_wait *w);
/* Forgets the answers; who holds one keeps it. */
void routes_clear(void);
void route_unref(struct route **r);

/* Which addresses of r in which order: by preference, hosts of the same one
 * shuffled, and each host's addresses within their family. Fills order with
 * indexes of r->addrs and returns how many. */
size_t route_draw(const struct route *r, uint8_t order[static WAY_ALL_MAX]);
/* The host whose address that is. */
struct route_host *route_host_of(const struct route *r, size_t addr);

/* Remembered now. */
size_t routes_count(void);

#endif
