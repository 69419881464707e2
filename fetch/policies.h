/*
 * The policies of all domains that were asked for: found (discovery.h), kept
 * in memory and on disk, refreshed ahead of time.
 *
 * A policy holds until its max_age is over, whatever becomes of its record and
 * its page meanwhile (RFC 8461 5.1); with a question that comes after the
 * record's TTL the record is looked at, and only when it has another id is
 * the page fetched. Besides, the page of a policy that is in use is fetched
 * once a day, or when half of its time is over.
 */
#ifndef POSTERN_FETCH_POLICIES_H
#define POSTERN_FETCH_POLICIES_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/delivery_fetch.h"
#include "lib/base/counter.h"
#include "lib/base/loop.h"

enum {
	POLICIES_MAX = 10000, /* of those with, and of those without one; the
			       * longest unused goes */
	/* How long what was not found for want of an answer, and a page that
	 * was no policy, is not asked for again (RFC 8461 3.3). */
	POLICY_UNKNOWN_S = 60,
	POLICY_FAILED_S = 300,
	POLICY_REFRESH_S = 86400,
	POLICY_REFRESH_MIN_S = 60,
	POLICY_RETRY_S = 3600,
	POLICY_USED_S = 14 * 86400, /* one not asked for in this time is not
				     * refreshed */
	POLICY_REFRESHES_MAX = 8    /* at once */
};

struct domain_policy;

/* One who waits for an answer; embedded in its owner. */
struct policy_wait {
	TAILQ_ENTRY(policy_wait) entry;
	struct domain_policy *domain; /* NULL: waits for nothing */
	/* What m points to lives until it returns. */
	void (*fn)(struct policy_wait *w, const struct answer_sts *m);
};

void policies_init(struct loop *l);
/* What the store has. */
void policies_load(void);
/* The answer to a question for a domain: now, then *m lives until the next
 * round, and true; or by w->fn, once, never before this returned. */
bool policies_get(
    struct str domain, struct policy_wait *w, struct answer_sts *m);
/* w waits no longer, if it did. */
void policies_cancel(struct policy_wait *w);
/* Forgets all that memory has; what comes next is policies_init. */
void policies_clear(void);

/* What this counts, ended by a NULL name. */
const struct counter *policies_counters(void);

#endif
