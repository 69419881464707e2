/*
 * How TLS went, session by session, for the daily reports of the domains that
 * ask for them (RFC 8460): counted here, told to the queue now and then.
 */
#ifndef POSTERN_DELIVERY_TLS_TALLY_H
#define POSTERN_DELIVERY_TLS_TALLY_H

#include "delivery/conn.h"
#include "edges/queue_delivery.h"
#include "lib/base/loop.h"

enum {
	TALLY_DOMAINS_MAX = 4096, /* the one not seen for longest goes */
	TALLY_COUNTS_MAX = 64,    /* different ones of a domain and minute */
	TALLY_FLUSH_MS = 60000
};

/* Counting begins when the configuration has a sender of reports. */
void tls_tally_init(struct loop *l);
void tls_tally_set_config(const struct config *c);
/* A session of c (its policy, its addresses) had this result. reason: a word,
 * or "". */
void tls_tally_add(
    const struct conn *c, enum tls_result result, const char *reason);
/* There is no session, since mail must not go to that place. */
void tls_tally_refused(const struct policy_parts *q, const struct place *p,
    enum policy_refusal why);
/* The domain's policy was asked for; counts if something is wrong with it. */
void tls_tally_sts(struct str domain, const struct sts_policy *p);
/* Tells the queue what it can: all of the domains whose record is known. */
void tls_tally_flush(void);
/* Domains that are remembered now. */
size_t tls_tally_count(void);

#endif
