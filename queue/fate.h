/*
 * What becomes of recipients: each change of state is logged at once, and
 * recorded with the store before its next commit: what changed of one
 * message meanwhile makes one record. Messages with nothing left are
 * finished then.
 */
#ifndef POSTERN_QUEUE_FATE_H
#define POSTERN_QUEUE_FATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edges/queue_delivery.h"
#include "lib/base/str.h"
#include "queue/index.h"
#include "queue/trace.h"

struct queue;

/* Messages that changed since the last commit. */
struct changes {
	struct entry *first, **last;
	struct state_rcpt *states; /* owned; to build a record in */
	uint32_t cap;
};

/* What an agent told. */
struct heard {
	struct str reply; /* with its code */
	struct str relay;
	struct str tls; /* as the log has it, or empty */
	bool possible_duplicate;
	enum handover handover; /* of what was delivered */
};

void fate_init(struct queue *q);
/* Before the store commits: adds the records of all that changed. Messages
 * may be gone then. ctx: the queue. */
void fate_flush(void *ctx);

/* The recipient is nowhere (PLACE_NONE); each ends an attempt. */
void fate_delivered(struct queue *q, struct rcpt *r, const struct heard *h);
void fate_deferred(struct queue *q, struct rcpt *r, const struct heard *h);
void fate_bounced(struct queue *q, struct rcpt *r, const struct heard *h);

/* The content could not be read: tried again, at last held; never bounced. */
void fate_unread(struct queue *q, struct rcpt *r, const struct heard *h);

/* Without an attempt; the recipient is nowhere. why: NULL, or kept as its
 * reply. */
void fate_held(struct queue *q, struct rcpt *r, const char *why);
void fate_removed(struct queue *q, struct rcpt *r);
/* Does what an administrator wished for during the attempt that ended; true
 * when there was such a wish. */
bool fate_wished(struct queue *q, struct rcpt *r);
/* The filters (or somebody in their place) refuse it: as bounced, and its
 * sender is told, unless it is a report of ours. */
void fate_refused(struct queue *q, struct rcpt *r, const struct heard *h);
/* Nobody gets it and nobody is told: TRACE_EXPIRED, TRACE_DISCARDED. */
void fate_dropped(struct queue *q, struct rcpt *r, enum trace_kind kind,
    const struct heard *h);
/* Set aside; the caller has it wait (quarantine.h). */
void fate_quarantined(
    struct queue *q, struct rcpt *r, struct str filter, struct str reason);
/* Out of quarantine, or let through by the filters: to be delivered now, with
 * all its time before it; sent. */
void fate_passed(struct queue *q, struct rcpt *r);
/* Another message has taken it over (id: NULL, the whole of this one); not
 * logged. */
void fate_taken_over(struct queue *q, struct rcpt *r, const char *id);
/* Nowhere, and to be sent now; the caller sends it. */
void fate_active(struct queue *q, struct rcpt *r);
/* Too old: expired now, and true. */
bool fate_expire(struct queue *q, struct rcpt *r);

/* r as the store is to have it. */
void fate_describe(struct queue *q, struct rcpt *r, struct state_rcpt *out);
/* r is not what the store has of it: it is told with its next commit. */
void fate_changed(struct queue *q, struct rcpt *r);
/* An administrator's change made these n recipients of e what they are: a
 * record of its own, which carries the operation's number. */
void fate_record(struct queue *q, struct entry *e, struct rcpt *const *rcpts,
    uint32_t n, uint64_t operation);

/* e is pointed to by something that takes time (a work, a read): it stays
 * until released as often. */
void fate_keep(struct entry *e);
void fate_release(struct queue *q, struct entry *e);
/* A recovered message with nothing left: forgotten, or kept for undo. */
void fate_close(struct queue *q, struct entry *e);
/* The message is to be forgotten, whatever its state, with the next commit:
 * the time to undo is over. */
void fate_finish(struct queue *q, struct entry *e);
/* Says the whole state of a message to the store again, now. */
void fate_restate(struct queue *q, struct entry *e);

#endif
