/* What became of recipients, on its way to the store; and how long a message
 * stays when nothing is left to do. */
#include "queue/fate.h"

#include <assert.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "queue/queue.h"
#include "queue/report.h"
#include "queue/requeue.h"
#include "queue/undo.h"

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
		return r->in.since_ms;
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
	if (r->state == RCPT_DELIVERED && (r->marks & MARK_REPORT) != 0)
		return (r->marks & MARK_RELAYED) != 0 ? STATE_RCPT_RELAYED :
							STATE_RCPT_ARRIVED;
	if (rcpt_is_open(r) && (r->marks & MARK_REMOVE) != 0)
		return STATE_RCPT_REMOVED;
	if (rcpt_is_open(r) && (r->marks & MARK_HOLD) != 0)
		return STATE_RCPT_HELD;
	return stored_state[r->state];
}

void
fate_describe(struct queue *q, struct rcpt *r, struct state_rcpt *out)
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
	undo_describe(q, r, out);
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
		fate_describe(q, rcpts[i], &states[i]);
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

void
fate_changed(struct queue *q, struct rcpt *r)
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
record_changed(struct queue *q, struct entry *e)
{
	struct state_rcpt *states = room_for(&q->changes, e->nrcpt);
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		if ((r->marks & MARK_CHANGED) == 0)
			continue;
		rcpt_unmark(r, MARK_CHANGED);
		fate_describe(q, r, &states[n++]);
	}
	add_states(q, e, n, 0);
}

static void
forget(struct queue *q, struct entry *e)
{
	if (e->nbusy > 0) {
		/* fate_release comes back to it. Until then it must not be
		 * found at a start as it was before. */
		record_changed(q, e);
		return;
	}
	if (e->reporting)
		report_forget(q, e);
	if (e->rcpts[0].place == PLACE_RETRY)
		retry_del(&q->retry, &e->rcpts[0]);
	trace_end(q, e);
	store_finish(q->store, e->ref, e->seq);
	cache_drop(&q->cache, e);
	index_del(&q->index, &e);
	queue_check_limit(q);
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
	    &q->retry, &e->rcpts[0], queue_now_ms(q) + undo_keep_ms(q, e));
	queue_set_due(q);
	queue_check_limit(q);
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
