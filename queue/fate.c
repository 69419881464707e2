/* Delivered, deferred, bounced, expired, held, removed: log and record. */
#include "queue/fate.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/quarantine.h"
#include "queue/queue.h"
#include "queue/report.h"
#include "queue/requeue.h"

/* --- the record --- */

static const uint8_t stored_state[] = {
	[RCPT_ACTIVE] = STATE_RCPT_WAITING,
	[RCPT_DEFERRED] = STATE_RCPT_WAITING,
	[RCPT_HELD] = STATE_RCPT_HELD,
	[RCPT_DELIVERED] = STATE_RCPT_DELIVERED,
	[RCPT_BOUNCED] = STATE_RCPT_BOUNCED,
	[RCPT_REMOVED] = STATE_RCPT_REMOVED,
	[RCPT_QUARANTINED] = STATE_RCPT_QUARANTINED,
};

/* A time to come, as wall time for the record; of a quarantined one: since
 * when. */
static uint64_t
next_wall_ms(const struct queue *q, const struct rcpt *r)
{
	uint64_t now = queue_now_ms(q);

	if (r->state == RCPT_QUARANTINED)
		return quarantine_since_ms(q, r);
	if (r->place != PLACE_RETRY || !rcpt_is_open(r))
		return 0;
	return clock_wall_ms() + (r->due_ms > now ? r->due_ms - now : 0);
}

static struct state_rcpt *
room_for(struct changes *ch, uint32_t n)
{
	if (n > ch->cap) {
		ch->cap = n < 16 ? 16 : n;
		ch->states =
		    xreallocarray(ch->states, ch->cap, sizeof(*ch->states));
	}
	return ch->states;
}

/* What is wished for during an attempt is how it goes on if we do not see its
 * end. */
static uint8_t
state_to_store(const struct rcpt *r)
{
	if (r->state == RCPT_BOUNCED && (r->marks & MARK_REPORT) != 0)
		return STATE_RCPT_FAILED;
	if (rcpt_is_open(r) && (r->marks & MARK_REMOVE) != 0)
		return STATE_RCPT_REMOVED;
	if (rcpt_is_open(r) && (r->marks & MARK_HOLD) != 0)
		return STATE_RCPT_HELD;
	return stored_state[r->state];
}

static void
describe(const struct queue *q, struct rcpt *r, struct state_rcpt *out)
{
	*out = (struct state_rcpt){
		.index = r->index,
		.state = state_to_store(r),
		.attempts = r->attempts,
		.next_ms = next_wall_ms(q, r),
		.reply = word_str(r->reply),
		.relay = word_str(r->relay),
	};
	if ((r->marks & MARK_WARNED) != 0)
		out->state |= STATE_RCPT_WARNED;
	if ((r->marks & MARK_UNFILTERED) != 0)
		out->state |= STATE_RCPT_UNFILTERED;
	requeue_describe(q, r, out);
}

static void
add_states(struct queue *q, struct entry *e, uint32_t n, uint64_t operation)
{
	struct state_record rec = {
		.seq = e->seq,
		/* By age, so that a jump of the clock does not get in. */
		.when_ms = e->received_ms + entry_age(e, queue_now_ms(q)),
		.operation = operation,
		.rcpts = q->changes.states,
		.nrcpt = n,
	};

	if (n > 0)
		store_add_state(q->store, e->ref, &rec);
}

void
fate_record(struct queue *q, struct entry *e, struct rcpt *const *rcpts,
    uint32_t n, uint64_t operation)
{
	struct state_rcpt *states = room_for(&q->changes, n);

	for (uint32_t i = 0; i < n; i++) {
		describe(q, rcpts[i], &states[i]);
		rcpt_unmark(rcpts[i], MARK_CHANGED);
	}
	add_states(q, e, n, operation);
	pace_later(&q->pace);
}

/* --- the list of changed messages --- */

void
fate_init(struct queue *q)
{
	q->changes = (struct changes){ 0 };
	q->changes.last = &q->changes.first;
}

static void
entry_changed(struct queue *q, struct entry *e)
{
	struct changes *ch = &q->changes;

	pace_later(&q->pace);
	if (e->changed)
		return;
	e->changed = 1;
	e->changed_next = NULL;
	*ch->last = e;
	ch->last = &e->changed_next;
}

static void
rcpt_changed(struct queue *q, struct rcpt *r)
{
	rcpt_mark(r, MARK_CHANGED);
	entry_changed(q, rcpt_entry(r));
}

/* Is there something an administrator may want to see or to undo? */
static bool
is_worth_keeping(const struct queue *q, const struct entry *e)
{
	if (e->over || q->config->queue.undo == 0)
		return false;
	for (uint32_t i = 0; i < e->nrcpt; i++)
		if (e->rcpts[i].state != RCPT_DELIVERED)
			return true;
	return false;
}

static void
forget(struct queue *q, struct entry *e)
{
	if (e->nbusy > 0)
		return; /* fate_release comes back to it */
	if (e->reporting)
		report_forget(q, e);
	if (e->rcpts[0].place == PLACE_RETRY)
		retry_del(&q->retry, &e->rcpts[0]);
	store_finish(q->store, e->ref, e->seq);
	cache_drop(&q->cache, e);
	index_del(&q->index, &e);
	queue_check_limit(q);
}

static void
record_changed(struct queue *q, struct entry *e)
{
	struct state_rcpt *states = room_for(&q->changes, e->nrcpt);
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		if ((r->marks & MARK_CHANGED) == 0)
			continue;
		rcpt_unmark(r, MARK_CHANGED);
		describe(q, r, &states[n++]);
	}
	add_states(q, e, n, 0);
}

/* Nothing is to be done any more, but it is kept for a while: rcpts[0] then
 * stands in the retry list for the whole message. */
static void
keep_for_undo(struct queue *q, struct entry *e)
{
	if (e->nbusy > 0)
		return; /* fate_release comes back to it */
	cache_drop(&q->cache, e);
	if (e->rcpts[0].place != PLACE_NONE)
		return;
	retry_add(
	    &q->retry, &e->rcpts[0], queue_now_ms(q) + q->config->queue.undo);
	queue_set_due(q);
}

static void
flush_entry(struct queue *q, struct entry *e)
{
	if (entry_is_open(e) || report_is_due(e)) {
		record_changed(q, e);
	} else if (is_worth_keeping(q, e)) {
		record_changed(q, e);
		keep_for_undo(q, e);
	} else {
		forget(q, e);
	}
}

void
fate_flush(void *ctx)
{
	struct queue *q = ctx;
	struct changes *ch = &q->changes;
	struct entry *e;

	while ((e = ch->first) != NULL) {
		ch->first = e->changed_next;
		if (ch->first == NULL)
			ch->last = &ch->first;
		e->changed = 0;
		flush_entry(q, e);
	}
}

void
fate_close(struct queue *q, struct entry *e)
{
	entry_changed(q, e);
}

void
fate_finish(struct queue *q, struct entry *e)
{
	e->over = 1;
	entry_changed(q, e);
}

void
fate_restate(struct queue *q, struct entry *e)
{
	for (uint32_t i = 0; i < e->nrcpt; i++)
		rcpt_mark(&e->rcpts[i], MARK_CHANGED);
	record_changed(q, e);
	pace_later(&q->pace);
}

void
fate_keep(struct entry *e)
{
	e->nbusy++;
}

void
fate_release(struct queue *q, struct entry *e)
{
	assert(e->nbusy > 0);
	if (--e->nbusy > 0)
		return;
	if (e->reporting)
		report_idle(q, e);
	if (!entry_is_open(e))
		entry_changed(q, e);
}

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
		.texts = { rcpt_to(r), word_str(r->action), h->relay,
		    h->reply },
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

	trace_fate(q, r, kind, h);
	log_info(&ctx, events[kind],
	    "to=%s action=%s relay=%s reply=%s delay=%" PRIu64 ".%03u"
	    " attempts=%u%s",
	    log_str(rcpt_to(r)), log_str(word_str(r->action)),
	    log_str(h->relay.len > 0 ? h->relay : STR("none")),
	    log_str(h->reply), age / 1000, (unsigned int)(age % 1000),
	    r->attempts,
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

void
fate_delivered(struct queue *q, struct rcpt *r, const struct heard *h)
{
	struct heard said = attempt(q, r, h);

	rcpt_set_state(&q->index, r, RCPT_DELIVERED);
	log_fate(q, r, TRACE_DELIVERED, &said);
	rcpt_changed(q, r);
}

static void
keep_reply(struct queue *q, struct rcpt *r, const struct heard *h)
{
	rcpt_set_word(&q->index, &r->reply, h->reply);
	rcpt_set_word(&q->index, &r->relay, h->relay);
}

void
fate_bounced(struct queue *q, struct rcpt *r, const struct heard *h)
{
	struct heard said = attempt(q, r, h);

	keep_reply(q, r, h);
	rcpt_set_state(&q->index, r, RCPT_BOUNCED);
	log_fate(q, r, TRACE_BOUNCED, &said);
	report_failed(q, r, queue_now_ms(q));
	rcpt_changed(q, r);
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
	rcpt_changed(q, r);
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
	rcpt_changed(q, r);
}

bool
fate_wished(struct queue *q, struct rcpt *r)
{
	unsigned int wish = r->marks & MARK_WISHES;

	rcpt_unmark(r, MARK_WISHES);
	if ((wish & MARK_REMOVE) != 0)
		fate_removed(q, r);
	else if ((wish & MARK_HOLD) != 0)
		fate_held(q, r, NULL);
	else if ((wish & MARK_REQUEUE) != 0)
		requeue_rcpt(q, r);
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
	rcpt_changed(q, r);
}

void
fate_removed(struct queue *q, struct rcpt *r)
{
	struct log_ctx ctx = { NULL, "msg", rcpt_entry(r)->msgid };

	log_info(&ctx, "removed", "to=%s", log_str(rcpt_to(r)));
	trace_rcpt(q, r, TRACE_REMOVED);
	rcpt_unmark(r, MARK_REPORT | MARK_UNFILTERED);
	rcpt_set_state(&q->index, r, RCPT_REMOVED);
	rcpt_changed(q, r);
}

void
fate_active(struct queue *q, struct rcpt *r)
{
	rcpt_unmark(r, MARK_UNREADABLE | MARK_REPORT);
	rcpt_set_state(&q->index, r, RCPT_ACTIVE);
	rcpt_changed(q, r);
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
	rcpt_changed(q, r);
}

void
fate_dropped(struct queue *q, struct rcpt *r, enum trace_kind kind,
    const struct heard *h)
{
	rcpt_unmark(r, MARK_UNFILTERED);
	log_fate(q, r, kind, h);
	rcpt_set_state(&q->index, r, RCPT_REMOVED);
	rcpt_changed(q, r);
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
	rcpt_changed(q, r);
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
	if (id == NULL)
		return;
	snprintf(text, sizeof(text), "2.0.0 goes on as %s", id);
	rcpt_set_word(&q->index, &r->reply, str_of(text));
	rcpt_changed(q, r);
}
