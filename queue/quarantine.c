/* Into quarantine, out of it by time, and what is there. */
#include "queue/quarantine.h"

#include <stdlib.h>

#include "edges/control_all.h"
#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/from_control.h"
#include "queue/queue.h"

enum {
	LIST_SLICE = 500, /* messages looked at in one go */
	REASON_MAX = 128
};

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

struct quarantined {
	struct asking asking; /* the first member */
	struct filter filter;
	uint64_t seq; /* the next one to look at */
	uint64_t matched;
};

static void
tell_message(struct quarantined *l, const struct entry *e, const struct rcpt *r)
{
	const struct queue *q = l->asking.peer->q;
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
	channel_tell(
	    l->asking.peer->channel, TYPE_row_quarantined, &m, l->asking.id);
}

static void
tell_rcpt(struct quarantined *l, const struct rcpt *r)
{
	struct row_rcpt m = {
		.to = rcpt_to(r),
		.state = r->state,
		.action = word_str(r->action),
		.attempts = r->attempts,
		.reply = word_str(r->reply),
		.relay = word_str(r->relay),
	};

	channel_tell(l->asking.peer->channel, TYPE_row_rcpt, &m, l->asking.id);
}

static void
look_at(struct quarantined *l, const struct entry *e)
{
	const struct queue *q = l->asking.peer->q;
	bool first = true;

	if (!e->committed || e->nquarantined == 0 ||
	    !filter_has_entry(&l->filter, e, queue_now_ms(q)))
		return;
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		const struct rcpt *r = &e->rcpts[i];

		if (r->state != RCPT_QUARANTINED ||
		    !filter_has_rcpt(&l->filter, r))
			continue;
		if (first)
			tell_message(l, e, r);
		first = false;
		tell_rcpt(l, r);
	}
	l->matched += first ? 0 : 1;
}

static bool
done(struct quarantined *l, enum answer_code code, const char *text)
{
	struct answer_done m = {
		.code = (uint8_t)code,
		.text = str_of(text),
		.matched = l->matched,
	};

	channel_tell(
	    l->asking.peer->channel, TYPE_answer_done, &m, l->asking.id);
	return true;
}

static bool
step_one(struct quarantined *l, struct str msgid)
{
	struct entry *e = index_find_id(&l->asking.peer->q->index, msgid);

	if (e == NULL || !e->committed || e->nquarantined == 0)
		return done(l, ANSWER_NOT_FOUND, "no such message");
	if (l->filter.limit > 0)
		look_at(l, e);
	return done(l, ANSWER_OK, "");
}

static bool
step(struct asking *a)
{
	struct quarantined *l = (struct quarantined *)a;
	struct index *ix = &a->peer->q->index;
	struct str msgid = filter_id(&l->filter);
	struct entry *e;

	if (l->filter.bad)
		return done(l, ANSWER_REFUSED_IT, "a filter makes no sense");
	if (msgid.len > 0)
		return step_one(l, msgid);
	for (int i = 0; i < LIST_SLICE; i++) {
		e = index_from_seq(ix, l->seq);
		if (e == NULL || l->matched >= l->filter.limit)
			return done(l, ANSWER_OK, "");
		l->seq = e->seq + 1;
		look_at(l, e);
		if (channel_is_full(a->peer->channel))
			break;
	}
	return false;
}

static void
quarantined_free(struct asking *a)
{
	struct quarantined *l = (struct quarantined *)a;

	filter_clear(&l->filter);
	free(l);
}

void
quarantine_list(struct control_peer *p, uint64_t id, struct filter *f)
{
	struct quarantined *l = xcalloc(1, sizeof(*l));

	l->filter = *f;
	filter_init(f);
	l->asking.step = step;
	l->asking.free = quarantined_free;
	asking_start(&l->asking, p, id);
}
