/* Into quarantine, out of it by time, and what is there. */
#include "queue/quarantine.h"

#include "edges/control_all.h"
#include "edges/smtpd_queue.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/listing.h"
#include "queue/queue.h"

enum { REASON_MAX = 128 };

/* Without an end: in milliseconds, further away than anybody waits. */
static const uint64_t NEVER_MS = (uint64_t)1 << 50;

/* --- times --- */

static uint64_t
left_ms(const struct queue *q, const struct rcpt *r)
{
	uint64_t now = queue_now_ms(q);

	return r->due_ms > now ? r->due_ms - now : 0;
}

static uint64_t
due_at(const struct queue *q, uint64_t age)
{
	uint64_t left = q->quarantine_ms > age ? q->quarantine_ms - age : 0;

	return queue_now_ms(q) + left;
}

/* --- in --- */

void
quarantine_wait(struct queue *q, struct rcpt *r, uint64_t age)
{
	retry_add(&q->retry, r, due_at(q, age));
	queue_set_due(q);
}

void
quarantine_wait_on(struct queue *q, struct rcpt *r)
{
	retry_add(&q->retry, r, r->due_ms);
	queue_set_due(q);
}

void
quarantine_put(
    struct queue *q, struct rcpt *r, struct str filter, struct str reason)
{
	bool was = r->state == RCPT_QUARANTINED;

	if (!was)
		r->in.since_ms = clock_wall_ms();
	fate_quarantined(q, r, filter, reason);
	/* One that was looked at again and stays has waited already. */
	if (was)
		quarantine_wait_on(q, r);
	else
		quarantine_wait(q, r, 0);
}

void
quarantine_by_rule(struct queue *q, struct rcpt *r)
{
	struct route_decision d = route_decide(&q->router, r);
	struct buf reason;

	buf_init(&reason, REASON_MAX);
	quarantine_put(
	    q, r, STR(QUARANTINE_BY_RULE), route_reason(&d, &reason));
	buf_clear(&reason);
}

/* --- out --- */

void
quarantine_expire(struct queue *q, struct rcpt *r)
{
	struct heard h = {
		.reply = word_str(r->reply),
		.relay = word_str(r->relay),
	};

	fate_dropped(q, r, TRACE_EXPIRED, &h);
}

/* --- another configuration --- */

static void
set_due_again(struct queue *q, struct rcpt *r, uint64_t age)
{
	bool waits = r->place == PLACE_RETRY;

	if (waits)
		retry_del(&q->retry, r);
	r->due_ms = due_at(q, age);
	if (waits)
		retry_add(&q->retry, r, r->due_ms);
}

static void
wait_anew(struct queue *q, struct entry *e, uint64_t was_ms)
{
	uint64_t left;

	if (!e->committed || e->nquarantined == 0)
		return;
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		left = left_ms(q, r);
		if (r->state == RCPT_QUARANTINED)
			set_due_again(q, r, was_ms > left ? was_ms - left : 0);
	}
}

void
quarantine_set_config(struct queue *q)
{
	uint64_t was_ms = q->quarantine_ms;
	struct entry *e;

	q->quarantine_ms = q->config->queue.quarantine_ttl;
	if (q->quarantine_ms == 0)
		q->quarantine_ms = NEVER_MS;
	if (!q->started || q->quarantine_ms == was_ms)
		return;
	for (e = index_from_seq(&q->index, 0); e != NULL;
	     e = index_from_seq(&q->index, e->seq + 1))
		wait_anew(q, e, was_ms);
	queue_set_due(q);
}

/* --- what is there --- */

static void
tell_message(
    const struct listing_to *to, const struct entry *e, const struct rcpt *r)
{
	const struct queue *q = to->peer->q;
	struct row_quarantined m = {
		.msgid = { e->msgid, ID_LEN },
		.from = entry_from(e),
		.size = entry_size(e),
		.filter = str_head(word_str(r->relay), 64),
		.reason = str_head(word_str(r->reply), 600),
		.since_ms = r->in.since_ms,
	};

	if (q->config->queue.quarantine_ttl != 0)
		m.expires_ms = clock_wall_ms() + left_ms(q, r);
	channel_tell(to->peer->channel, TYPE_row_quarantined, &m, to->id);
}

static bool
is_quarantined(const struct entry *e)
{
	return e->nquarantined > 0;
}

static bool
tell(const struct listing_to *to, const struct entry *e)
{
	bool first = true;

	if (!filter_has_entry(&to->filter, e, queue_now_ms(to->peer->q)))
		return false;
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		const struct rcpt *r = &e->rcpts[i];

		if (r->state != RCPT_QUARANTINED ||
		    !filter_has_rcpt(&to->filter, r))
			continue;
		if (first)
			tell_message(to, e, r);
		first = false;
		listing_tell_rcpt(to, r);
	}
	return !first;
}

static const struct listing_view view = { is_quarantined, tell };

void
quarantine_list(struct control_peer *p, uint64_t id, struct filter *f)
{
	listing_start(p, id, f, &view);
}
