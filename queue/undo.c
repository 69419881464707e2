/* Notes, and back to what they say. */
#include "queue/undo.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/operations.h"
#include "queue/quarantine.h"
#include "queue/queue.h"
#include "queue/report.h"

/* --- notes --- */

static struct undo_note *
note_of(struct rcpt *r)
{
	struct undo_note *notes = rcpt_entry(r)->undo;

	return notes != NULL && notes[r->index].operation != 0 ?
		   &notes[r->index] :
		   NULL;
}

static void
set_note(struct rcpt *r, const struct undo_note *n)
{
	struct entry *e = rcpt_entry(r);

	if (e->undo == NULL && n->operation == 0)
		return;
	if (e->undo == NULL)
		e->undo = xcalloc(e->nrcpt, sizeof(*e->undo));
	e->undo[r->index] = *n;
}

static void
forget_note(struct rcpt *r)
{
	set_note(r, &(struct undo_note){ .operation = 0 });
}

static uint64_t
until_ms(struct queue *q, uint64_t operation)
{
	const struct operation *op = operations_find(q, operation);

	return op == NULL ? 0 : operation_until_ms(q, op);
}

/* The first stands in the retry list for the whole message, which is over: it
 * goes on, or fate_record.c keeps it anew. */
static void
end_keeping(struct queue *q, struct entry *e)
{
	struct rcpt *first = &e->rcpts[0];

	if (first->place == PLACE_RETRY && !rcpt_is_open(first))
		retry_del(&q->retry, first);
}

void
undo_keep(struct queue *q, struct rcpt *r, uint64_t operation)
{
	struct undo_note n = { .operation = operation };
	struct state_rcpt now;

	end_keeping(q, rcpt_entry(r));
	if (until_ms(q, operation) == 0) {
		forget_note(r);
		return;
	}
	fate_describe(q, r, &now);
	n.was = now.state;
	n.next_ms = now.next_ms;
	set_note(r, &n);
}

bool
undo_is_by(const struct rcpt *r, uint64_t operation)
{
	const struct undo_note *n = note_of((struct rcpt *)(uintptr_t)r);

	return n != NULL && n->operation == operation;
}

bool
undo_is_kept(struct queue *q, struct rcpt *r)
{
	const struct undo_note *n = note_of(r);

	return r->state == RCPT_REMOVED && n != NULL &&
	       until_ms(q, n->operation) != 0;
}

void
undo_describe(struct queue *q, struct rcpt *r, struct state_rcpt *out)
{
	const struct undo_note *n = note_of(r);

	if (n == NULL || until_ms(q, n->operation) == 0)
		return;
	out->operation = n->operation;
	out->was = n->was;
	out->was_ms = n->next_ms;
}

void
undo_read(struct rcpt *r, const struct state_rcpt *s)
{
	struct undo_note n = {
		.operation = s->operation, .next_ms = s->was_ms, .was = s->was
	};

	set_note(r, &n);
}

/* --- back --- */

static void
wait_again(struct queue *q, struct rcpt *r, const struct undo_note *n)
{
	uint64_t ms;

	rcpt_set_state(&q->index, r, RCPT_ACTIVE);
	if (n->next_ms == 0) {
		queue_send_rcpt(q, r);
		return;
	}
	ms = retry_clamp(&q->config->queue, n->next_ms, clock_wall_ms());
	rcpt_set_state(&q->index, r, RCPT_DEFERRED);
	retry_add(&q->retry, r, queue_now_ms(q) + ms);
	queue_set_due(q);
}

static void
quarantine_again(struct queue *q, struct rcpt *r, const struct undo_note *n)
{
	uint64_t now = clock_wall_ms();

	rcpt_set_state(&q->index, r, RCPT_QUARANTINED);
	r->in.since_ms = n->next_ms;
	quarantine_wait(q, r, now > n->next_ms ? now - n->next_ms : 0);
}

static void
bounce_again(struct queue *q, struct rcpt *r, bool report)
{
	rcpt_set_state(&q->index, r, RCPT_BOUNCED);
	if (report)
		report_failed(q, r, 0);
}

static void
be_again(struct queue *q, struct rcpt *r, const struct undo_note *n)
{
	unsigned int stored = n->was & ~(unsigned int)STATE_RCPT_FLAGS;

	if ((n->was & STATE_RCPT_UNFILTERED) != 0)
		rcpt_mark(r, MARK_UNFILTERED);
	if (stored == STATE_RCPT_WAITING)
		wait_again(q, r, n);
	else if (stored == STATE_RCPT_QUARANTINED)
		quarantine_again(q, r, n);
	else if (stored == STATE_RCPT_BOUNCED || stored == STATE_RCPT_FAILED)
		bounce_again(q, r, stored == STATE_RCPT_FAILED);
	else
		rcpt_set_state(&q->index, r, RCPT_HELD);
}

static bool
has_wish(const struct rcpt *r, enum rcpt_marks wish)
{
	return r->place == PLACE_WORK && (r->marks & wish) != 0;
}

static bool
may_restore(const struct rcpt *r)
{
	return r->state == RCPT_REMOVED || has_wish(r, MARK_REMOVE);
}

static void
log_restored(struct queue *q, struct rcpt *r, uint64_t operation)
{
	struct log_ctx ctx = { NULL, "msg", rcpt_entry(r)->msgid };
	struct trace_event ev = {
		.kind = TRACE_RESTORED,
		.texts = { rcpt_to(r) },
		.numbers = { operation },
	};

	log_info(&ctx, "restored", "to=%s removed-by=%llu", log_str(rcpt_to(r)),
	    (unsigned long long)operation);
	trace_add(q->trace, rcpt_entry(r)->msgid, &ev);
}

static void
restore(struct queue *q, struct rcpt *r, const struct undo_note *n)
{
	unsigned int was = n->was & ~(unsigned int)STATE_RCPT_FLAGS;

	log_restored(q, r, n->operation);
	if (r->place == PLACE_WORK) {
		rcpt_unmark(r, MARK_REMOVE);
		if (was == STATE_RCPT_HELD)
			rcpt_mark(r, MARK_HOLD);
		return;
	}
	end_keeping(q, rcpt_entry(r));
	be_again(q, r, n);
}

static bool
may_unhold(const struct rcpt *r)
{
	return r->state == RCPT_HELD || has_wish(r, MARK_HOLD);
}

static void
unhold(struct queue *q, struct rcpt *r, const struct undo_note *n)
{
	struct trace_event ev = {
		.kind = TRACE_RELEASED,
		.texts = { rcpt_to(r) },
	};

	trace_add(q->trace, rcpt_entry(r)->msgid, &ev);
	if (r->place == PLACE_WORK)
		rcpt_unmark(r, MARK_HOLD);
	else
		be_again(q, r, n);
}

static bool
may_hold_again(const struct rcpt *r)
{
	return r->state == RCPT_ACTIVE || r->state == RCPT_DEFERRED;
}

static void
hold_again(struct queue *q, struct rcpt *r, const struct undo_note *n)
{
	(void)n;
	if (r->place == PLACE_WORK) {
		rcpt_mark(r, MARK_HOLD);
		return;
	}
	queue_take_rcpt(q, r);
	fate_held(q, r, NULL);
}

static const struct {
	bool (*may)(const struct rcpt *r);
	void (*apply)(
	    struct queue *q, struct rcpt *r, const struct undo_note *n);
} ways_back[OPERATION_KINDS] = {
	[CHANGE_REMOVE] = { may_restore, restore },
	[CHANGE_HOLD] = { may_unhold, unhold },
	[CHANGE_RELEASE] = { may_hold_again, hold_again },
};

bool
undo_take_back(struct queue *q, struct rcpt *r, bool dry)
{
	const struct undo_note *kept = note_of(r);
	const struct operation *op =
	    kept == NULL ? NULL : operations_find(q, kept->operation);
	struct undo_note n;

	if (op == NULL || ways_back[op->kind].may == NULL ||
	    !ways_back[op->kind].may(r))
		return false;
	if (dry)
		return true;
	n = *kept;
	forget_note(r);
	ways_back[op->kind].apply(q, r, &n);
	fate_changed(q, r);
	return true;
}

/* --- how long --- */

static uint64_t
keep_until_ms(struct queue *q, struct rcpt *r, uint64_t now_ms)
{
	const struct undo_note *n = note_of(r);

	/* Nobody removed it: it may be looked at. */
	if (r->state == RCPT_BOUNCED || (r->state == RCPT_REMOVED && n == NULL))
		return now_ms + q->config->queue.undo;
	return r->state == RCPT_REMOVED ? until_ms(q, n->operation) : 0;
}

uint64_t
undo_keep_ms(struct queue *q, struct entry *e)
{
	uint64_t now = clock_wall_ms(), last = now, until;

	for (uint32_t i = 0; i < e->nrcpt; i++) {
		until = keep_until_ms(q, &e->rcpts[i], now);
		if (until > last)
			last = until;
	}
	return last - now;
}

void
undo_set_config(struct queue *q)
{
	uint64_t was = q->undo_ms, is = q->config->queue.undo, due;
	struct entry *e;

	q->undo_ms = is;
	if (!q->started || was == is)
		return;
	for (e = index_from_seq(&q->index, 0); e != NULL;
	     e = index_from_seq(&q->index, e->seq + 1)) {
		struct rcpt *first = &e->rcpts[0];

		if (first->place != PLACE_RETRY || rcpt_is_open(first))
			continue;
		due = first->due_ms + is;
		retry_del(&q->retry, first);
		retry_add(&q->retry, first, due > was ? due - was : 0);
	}
	queue_set_due(q);
}
