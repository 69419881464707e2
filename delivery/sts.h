/*
 * MTA-STS policies (RFC 8461) of the domains that mail goes to: what the
 * fetcher said, remembered as long as it allowed. Works that want the same one
 * share one question.
 */
#ifndef POSTERN_DELIVERY_STS_H
#define POSTERN_DELIVERY_STS_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/from_fetch.h"
#include "edges/delivery_fetch.h"
#include "lib/base/loop.h"

enum {
	STS_DOMAINS_MAX = 10000, /* remembered; the longest unused goes */
	STS_FAULT_S = 60         /* how long it is that nobody answered */
};

/* Counted, unchanging. */
struct sts_policy {
	unsigned int refs;
	enum sts_mode mode;
	enum sts_fault fault;
	char *id, *mxs; /* owned */
	uint32_t max_age_s;
};

struct sts_domain;

/* One who waits for an answer; embedded in its owner. */
struct sts_wait {
	TAILQ_ENTRY(sts_wait) entry;
	struct sts_domain *domain; /* NULL: waits for nothing */
	/* p is the callee's, with a reference. */
	void (*fn)(void *ctx, struct sts_policy *p);
	void *ctx;
};

/* The policy of a domain (A-labels), with a reference; or NULL: then w->fn is
 * called with it once, never before this returned. When the fetcher is not
 * there, or does not answer in time, that is one with STS_UNANSWERED. */
struct sts_policy *sts_get(struct str domain, struct sts_wait *w);
/* w waits no longer, if it did. */
void sts_cancel(struct sts_wait *w);
struct sts_policy *sts_ref(struct sts_policy *p);
void sts_unref(struct sts_policy **p);
/* Is this MX host one of the policy's (RFC 8461 4.1)? */
bool sts_allows(const struct sts_policy *p, const char *host);

void sts_init(struct loop *l);
/* Forgets the answers; who holds one keeps it. */
void sts_clear(void);
/* Remembered now. */
size_t sts_count(void);

#endif
