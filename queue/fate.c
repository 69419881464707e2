/* Delivered, deferred, bounced, expired, held, removed: what that changes, and
 * the log. fate_record.c tells the store. */
#include "queue/fate.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "queue/queue.h"
#include "queue/report.h"
#include "queue/requeue.h"

enum { MICROSECONDS = 1000 }; /* of a millisecond */

/* --- the log, and the trace --- */

static const char *const events[] = {
	[TRACE_DELIVERED] = "delivered",
	[TRACE_DEFERRED] = "deferred",
	[TRACE_BOUNCED] = "bounced",
	[TRACE_EXPIRED] = "expired",
	[TRACE_DISCARDED] = "discarded",
};

static void
trace_fate(struct queue *q, struct rcpt *r, enum trace_kind kind,
    const struct heard *h)
{
	struct trace_event ev = {
		.kind = kind,
		.texts = { rcpt_to(r), word_str(r->action), h->relay, h->reply,
		    h->tls },
		.numbers = { r->attempts },
	};

	if (kind == TRACE_DISCARDED)
		ev.texts[1] = h->relay;
	trace_add(q->trace, rcpt_entry(r)->msgid, &ev);
}

static void
trace_rcpt(struct queue *q, struct rcpt *r, enum trace_kind kind)
{
	struct trace_event ev = {
		.kind = kind,
		.texts = { rcpt_to(r) },
	};

	if (kind == TRACE_HELD)
		ev.texts[1] = word_str(r->reply);
	trace_add(q->trace, rcpt_entry(r)->msgid, &ev);
}

static void
log_fate(struct queue *q, struct rcpt *r, enum trace_kind kind,
    const struct heard *h)
{
	struct entry *e = rcpt_entry(r);
	struct log_ctx ctx = { NULL, "msg", e->msgid };
	uint64_t age = entry_age(e, queue_now_ms(q));
	bool has_tls = h->tls.len > 0;

	trace_fate(q, r, kind, h);
	log_info(&ctx, events[kind],
	    "to=%s action=%s relay=%s reply=%s delay=%" PRIu64 ".%03u"
	    " attempts=%u%s%s%s",
	    log_str(rcpt_to(r)), log_str(word_str(r->action)),
	    log_str(h->relay.len > 0 ? h->relay : STR("none")),
	    log_str(h->reply), age / 1000, (unsigned int)(age % 1000),
	    r->attempts, has_tls ? " tls=" : "", has_tls ? log_str(h->tls) : "",
	    h->possible_duplicate ? " possible-duplicate=yes" : "");
}

/* --- the end of an attempt --- */

static struct heard
attempt(struct queue *q, struct rcpt *r, const struct heard *h)
{
	struct heard said = *h;

	assert(r->place == PLACE_NONE);
	/* Once it may have arrived, every later delivery may be a second
	 * one. */
	if (h->possible_duplicate)
		rcpt_mark(r, MARK_DUPLICATE);
	if ((r->marks & (MARK_DUPLICATE | MARK_RECOVERED)) != 0 &&
	    (r->marks & MARK_UNFILTERED) == 0)
		said.possible_duplicate = true;
	rcpt_unmark(r, MARK_UNREADABLE);
	r->attempts++;
	/* The usual mail has one recipient and ends here: nobody will look. */
	if (rcpt_entry(r)->nrcpt > 1 || r->reply != NULL) {
		rcpt_set_word(&q->index, &r->reply, h->reply);
		rcpt_set_word(&q->index, &r->relay, h->relay);
	}
	return said;
}

static void
keep_reply(struct queue *q, struct rcpt *r, const struct heard *h)
{
	rcpt_set_word(&q->index, &r->reply, h->reply);
	rcpt_set_word(&q->index, &r->relay, h->relay);
}

void
fate_delivered(struct queue *q, struct rcpt *r, const struct heard *h)
{
	struct heard said = attempt(q, r, h);

	rcpt_set_state(&q->index, r, RCPT_DELIVERED);
	latency_add(&q->delivery_times,
	    entry_age(rcpt_entry(r), queue_now_ms(q)) * MICROSECONDS);
	log_fate(q, r, TRACE_DELIVERED, &said);
	if (h->handover != HANDOVER_DSN && rcpt_wants(r, NOTIFY_SUCCESS)) {
		keep_reply(q, r, h);
		if (h->handover == HANDOVER_RELAYED)
			rcpt_mark(r, MARK_RELAYED);
		report_delivered(q, r, queue_now_ms(q));
	}
	fate_changed(q, r);
}

void
fate_bounced(struct queue *q, struct rcpt *r, const struct heard *h)
{
	struct heard said = attempt(q, r, h);

	keep_reply(q, r, h);
	rcpt_set_state(&q->index, r, RCPT_BOUNCED);
	log_fate(q, r, TRACE_BOUNCED, &said);
	report_failed(q, r, queue_now_ms(q));
	fate_changed(q, r);
}

static void
expire(struct queue *q, struct rcpt *r)
{
	struct heard h = {
		.reply = word_str(r->reply),
		.relay = word_str(r->relay),
	};

	if ((r->marks & MARK_UNREADABLE) != 0) {
		/* Our fault: nobody's bounce. */
		fate_held(q, r, NULL);
		return;
	}
	if (h.reply.len == 0)
		h.reply = STR("4.4.7 delivery time expired");
	log_fate(q, r, TRACE_EXPIRED, &h);
	keep_reply(q, r, &(struct heard){ .reply = h.reply, .relay = h.relay });
	rcpt_set_state(&q->index, r, RCPT_BOUNCED);
	report_failed(q, r, 0);
	fate_changed(q, r);
}

static bool
is_expired(const struct queue *q, struct rcpt *r)
{
	return entry_age(rcpt_entry(r), queue_now_ms(q)) >=
	       route_ttl_ms(&q->router, r);
}

/* Once more after a step of the schedule, or when its time is over if that
 * comes first. */
static void
retry_later(struct queue *q, struct rcpt *r, bool unheard)
{
	uint64_t now = queue_now_ms(q);
	uint64_t age = entry_age(rcpt_entry(r), now);
	uint64_t ttl = route_ttl_ms(&q->router, r);
	uint64_t ms;

	q->chance = q->chance * 1664525U + 1013904223U;
	ms = (unheard ? retry_delay_unheard : retry_delay)(
	    &q->config->queue, r->attempts, q->chance >> 8);
	if (ms > ttl - age)
		ms = ttl - age;
	rcpt_set_state(&q->index, r, RCPT_DEFERRED);
	retry_add(&q->retry, r, now + ms);
	queue_set_due(q);
	report_deferred(q, r);
	fate_changed(q, r);
}

bool
fate_wished(struct queue *q, struct rcpt *r)
{
	unsigned int wish = r->marks & MARK_WISHES;
	bool goes_on = true;

	rcpt_unmark(r, MARK_WISHES);
	if (wish == MARK_REQUEUE) {
		requeue_rcpt(q, r);
		return true;
	}
	/* Release, or an undo, then goes on by the new action. */
	if ((wish & MARK_REQUEUE) != 0)
		goes_on = requeue_reroute(q, r);
	if ((wish & MARK_REMOVE) != 0) {
		queue_take_rcpt(q, r);
		fate_removed(q, r);
	} else if ((wish & MARK_HOLD) != 0 && goes_on) {
		fate_held(q, r, NULL);
	}
	return wish != 0;
}

/* After a try that was not the end. */
static void
put_off(struct queue *q, struct rcpt *r, bool unheard)
{
	if (fate_wished(q, r))
		return;
	if (is_expired(q, r))
		expire(q, r);
	else
		retry_later(q, r, unheard);
}

void
fate_deferred(struct queue *q, struct rcpt *r, const struct heard *h)
{
	struct heard said = attempt(q, r, h);

	keep_reply(q, r, h);
	log_fate(q, r, TRACE_DEFERRED, &said);
	put_off(q, r, h->possible_duplicate);
}

void
fate_unread(struct queue *q, struct rcpt *r, const struct heard *h)
{
	rcpt_mark(r, MARK_UNREADABLE);
	keep_reply(q, r, h);
	log_fate(q, r, TRACE_DEFERRED, h);
	put_off(q, r, false);
}

/* --- without an attempt --- */

bool
fate_expire(struct queue *q, struct rcpt *r)
{
	if (!is_expired(q, r))
		return false;
	expire(q, r);
	return true;
}

void
fate_held(struct queue *q, struct rcpt *r, const char *why)
{
	if (why != NULL)
		rcpt_set_word(&q->index, &r->reply, str_of(why));
	rcpt_set_state(&q->index, r, RCPT_HELD);
	trace_rcpt(q, r, TRACE_HELD);
	fate_changed(q, r);
}

void
fate_removed(struct queue *q, struct rcpt *r)
{
	struct log_ctx ctx = { NULL, "msg", rcpt_entry(r)->msgid };

	log_info(&ctx, "removed", "to=%s", log_str(rcpt_to(r)));
	trace_rcpt(q, r, TRACE_REMOVED);
	rcpt_unmark(r, MARK_REPORT | MARK_UNFILTERED);
	rcpt_set_state(&q->index, r, RCPT_REMOVED);
	fate_changed(q, r);
}

void
fate_active(struct queue *q, struct rcpt *r)
{
	rcpt_unmark(r, MARK_UNREADABLE | MARK_REPORT);
	rcpt_set_state(&q->index, r, RCPT_ACTIVE);
	fate_changed(q, r);
}

/* --- filters --- */

static void
forget_reply(struct queue *q, struct rcpt *r)
{
	word_drop(&q->index.words, &r->reply);
	word_drop(&q->index.words, &r->relay);
}

void
fate_refused(struct queue *q, struct rcpt *r, const struct heard *h)
{
	rcpt_unmark(r, MARK_UNFILTERED);
	log_fate(q, r, TRACE_BOUNCED, h);
	keep_reply(q, r, h);
	rcpt_set_state(&q->index, r, RCPT_BOUNCED);
	/* What we tell of ourselves begets nothing. */
	if (!route_is_report(rcpt_entry(r)))
		report_failed(q, r, 0);
	fate_changed(q, r);
}

void
fate_dropped(struct queue *q, struct rcpt *r, enum trace_kind kind,
    const struct heard *h)
{
	rcpt_unmark(r, MARK_UNFILTERED);
	log_fate(q, r, kind, h);
	rcpt_set_state(&q->index, r, RCPT_REMOVED);
	fate_changed(q, r);
}

void
fate_quarantined(
    struct queue *q, struct rcpt *r, struct str filter, struct str reason)
{
	struct entry *e = rcpt_entry(r);
	struct log_ctx ctx = { NULL, "msg", e->msgid };
	struct trace_event ev = {
		.kind = TRACE_QUARANTINED,
		.texts = { rcpt_to(r), filter, reason },
	};

	log_info(&ctx, "quarantined", "to=%s filter=%s reason=%s",
	    log_str(rcpt_to(r)), log_str(filter), log_str(reason));
	trace_add(q->trace, e->msgid, &ev);
	rcpt_unmark(r, MARK_UNFILTERED);
	rcpt_set_word(&q->index, &r->reply, reason);
	rcpt_set_word(&q->index, &r->relay, filter);
	rcpt_set_state(&q->index, r, RCPT_QUARANTINED);
	fate_changed(q, r);
}

void
fate_passed(struct queue *q, struct rcpt *r)
{
	struct entry *e = rcpt_entry(r);
	struct log_ctx ctx = { NULL, "msg", e->msgid };

	if (r->state == RCPT_QUARANTINED) {
		log_info(&ctx, "released", "to=%s filter=%s",
		    log_str(rcpt_to(r)), log_str(word_str(r->relay)));
		trace_rcpt(q, r, TRACE_RELEASED);
		e->born_ms = (int64_t)queue_now_ms(q);
	}
	rcpt_unmark(r, MARK_UNFILTERED);
	r->attempts = 0;
	forget_reply(q, r);
	fate_active(q, r);
	queue_send_rcpt(q, r);
}

void
fate_taken_over(struct queue *q, struct rcpt *r, const char *id)
{
	char text[32 + ID_LEN];

	rcpt_unmark(r, MARK_UNFILTERED);
	rcpt_set_state(&q->index, r, RCPT_REMOVED);
	forget_reply(q, r);
	if (id != NULL) {
		snprintf(text, sizeof(text), "2.0.0 goes on as %s", id);
		rcpt_set_word(&q->index, &r->reply, str_of(text));
	}
	fate_changed(q, r);
}
