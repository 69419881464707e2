/* Who calls: the name that the DNS gives an address, and whether that name
 * has the address (forward-confirmed reverse DNS). */
#ifndef POSTERN_RESOLVER_CALLER_H
#define POSTERN_RESOLVER_CALLER_H

#include <stdint.h>

#include "lib/net/addr.h"
#include "lib/rules/rules.h"

/* PTR names that are looked at, and how long an answer holds. */
enum { CALLER_NAMES_MAX = 5, CALLER_TTL_MIN_S = 1, CALLER_TTL_MAX_S = 300 };

struct caller;

struct caller_found {
	enum client_name state; /* never PENDING */
	struct str name;        /* valid, lower case; confirmed only if state
				 * says so; empty: none */
	uint32_t ttl_s;
};

/* f and its views live until fn returns. */
typedef void caller_fn(void *ctx, const struct caller_found *f);

/* a is IPv4 or IPv6. fn is called once, never before this returned, and the
 * caller is gone behind it. */
struct caller *caller_ask(const struct addr *a, caller_fn *fn, void *ctx);
/* The asker goes away; fn will not run. */
void caller_cancel(struct caller **c);

#endif
