/*
 * How TLS went, session by session, for the daily reports of the domains that
 * ask for them (RFC 8460): counted here, told to the queue now and then.
 */
#ifndef POSTERN_DELIVERY_TLS_TALLY_H
#define POSTERN_DELIVERY_TLS_TALLY_H

#include "delivery/conn.h"
#include "edges/queue_delivery.h"
#include "lib/base/loop.h"

/* Counting begins when the configuration has a sender of reports. */
void tls_tally_init(struct loop *l);
void tls_tally_set_config(const struct config *c);
/* A session of c (its policy, its domain, its addresses) had this result.
 * reason: a word, or "". */
void tls_tally_add(
    const struct conn *c, enum tls_result result, const char *reason);
/* Tells the queue all there is. */
void tls_tally_flush(void);

#endif
