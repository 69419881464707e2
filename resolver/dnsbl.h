/* What DNS lists say of a client's address (RFC 5782): all lists of a table
 * asked at once, their weights summed. */
#ifndef POSTERN_RESOLVER_DNSBL_H
#define POSTERN_RESOLVER_DNSBL_H

#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/net/addr.h"
#include "lib/rules/config.h"

/* Time for all of them (a session waits 5 s, and is to have what there is),
 * how long an answer holds, and its text. */
enum {
	DNSBL_TOTAL_MS = 4000,
	DNSBL_TTL_MIN_S = 60,
	DNSBL_TTL_MAX_S = 3600,
	DNSBL_TEXT_MAX = 512
};

struct dnsbl;

struct dnsbl_found {
	int32_t score;    /* within DNSBL_SCORE_MAX */
	struct str lists; /* "a.example=127.0.0.2 b.example=127.0.0.4" */
	unsigned int silent;
	uint32_t ttl_s;
};

/* f and its views live until fn returns. */
typedef void dnsbl_fn(void *ctx, const struct dnsbl_found *f);

/* Before the jail. */
void dnsbl_init(struct loop *l);
/* a is IPv4 or IPv6; t is of c, which is kept until the end. fn is called
 * once, never before this returned, and the question is gone behind it. */
struct dnsbl *dnsbl_ask(const struct addr *a, struct config *c,
    const struct table *t, dnsbl_fn *fn, void *ctx);
/* The asker goes away; fn will not run. */
void dnsbl_cancel(struct dnsbl **d);

#endif
