/*
 * Quarantine: recipients whose mail waits for somebody to decide. They are
 * never scheduled; they stand in the retry list by the time at which they
 * expire, `queue quarantine-ttl' after they came there.
 */
#ifndef POSTERN_QUEUE_QUARANTINE_H
#define POSTERN_QUEUE_QUARANTINE_H

#include <stdint.h>

#include "lib/base/str.h"
#include "queue/index.h"

struct control_peer;
struct filter;
struct queue;

/* r, in state RCPT_QUARANTINED for age_ms now and nowhere, waits. */
void quarantine_wait(struct queue *q, struct rcpt *r, uint64_t age_ms);
/* r, RCPT_QUARANTINED and taken out, goes on waiting for as long as it had
 * to. */
void quarantine_wait_on(struct queue *q, struct rcpt *r);
/* r, nowhere, is set aside from now on. */
void quarantine_put(
    struct queue *q, struct rcpt *r, struct str filter, struct str reason);
/* The rules of today have it set aside. */
void quarantine_by_rule(struct queue *q, struct rcpt *r);
/* Its time is over. */
void quarantine_expire(struct queue *q, struct rcpt *r);

/* Another configuration: times to expire may have changed. */
void quarantine_set_config(struct queue *q);

/* ask_quarantine; f is taken. */
void quarantine_list(struct control_peer *p, uint64_t id, struct filter *f);

#endif
