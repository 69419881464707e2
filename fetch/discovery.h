/*
 * The policy of one domain, from its TXT record to the page (RFC 8461 3): a
 * look at the record, and when that has news, the page. All of it in a bounded
 * time, so many at once; the others wait for their turn, those behind whom a
 * policy stands already before them, and who has had his gives way.
 */
#ifndef POSTERN_FETCH_DISCOVERY_H
#define POSTERN_FETCH_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/policy_text.h"
#include "lib/base/loop.h"

enum {
	DISCOVERY_MS = 65000, /* all of it; delivery waits a little longer */
	DISCOVERY_PAGE_MS = 60000, /* the page (RFC 8461 3.3) */
	DISCOVERY_PAGES_MAX = 32,  /* connections at once */
	DISCOVERY_TURN_MS = 5000   /* of a connection while others wait */
};

enum discovery_result {
	DISCOVERY_NOTHING, /* there is no record */
	DISCOVERY_UNKNOWN, /* no answer about the record */
	DISCOVERY_SAME,    /* the record has the id that we know */
	DISCOVERY_FOUND,   /* a policy */
	DISCOVERY_FAILED   /* a record, but no policy: fault, why */
};

struct discovered {
	enum discovery_result result;
	uint32_t ttl_s; /* of the record, or of there being none */
	struct str id;  /* of the record; empty: unknown */
	const struct policy_text *policy; /* of DISCOVERY_FOUND */
	enum sts_fault fault;
	const char *why;
};

struct discovery;
/* Once, never before discovery_start returned; d and what it points to live
 * until it returns. */
typedef void discovery_fn(void *ctx, const struct discovered *d);

void discovery_init(struct loop *l);
/* known: the id of the policy there is, empty: none. anyway: the page is
 * fetched whatever the record says, and known stands for an id that it does
 * not say. */
struct discovery *discovery_start(struct str domain, struct str known,
    bool anyway, discovery_fn *fn, void *ctx);
/* fn is not called. */
void discovery_cancel(struct discovery **d);

/* Pages asked for so far, and those that brought no policy. */
uint64_t discovery_fetches(void);
uint64_t discovery_failures(void);

#endif
