/* What the store found becomes the index again, and goes on. */
#include "queue/resume.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "queue/quarantine.h"
#include "queue/queue.h"
#include "queue/undo.h"

/* A message whose place was taken by another one, which was durable before
 * its end was. */
struct obsolete {
	uint64_t seq;
	struct store_ref ref;
};

static void
add_obsolete(struct queue *q, uint64_t seq, struct store_ref ref)
{
	q->obsolete =
	    xreallocarray(q->obsolete, q->nobsolete + 1, sizeof(*q->obsolete));
	q->obsolete[q->nobsolete++] = (struct obsolete){ seq, ref };
}

/* They are over. */
static void
finish_obsolete(struct queue *q)
{
	for (size_t i = 0; i < q->nobsolete; i++)
		store_finish(q->store, q->obsolete[i].ref, q->obsolete[i].seq);
	if (q->nobsolete > 0)
		pace_soon(&q->pace);
	free(q->obsolete);
	q->obsolete = NULL;
	q->nobsolete = 0;
}

/* In the index; NULL: it must not be there. */
static struct entry *
add_recovered(
    struct queue *q, const struct mail_record *m, struct store_ref ref)
{
	struct entry *same = index_find_id(&q->index, m->msgid), *e;

	if (same != NULL && same->seq > m->seq) {
		add_obsolete(q, m->seq, ref);
		return NULL;
	}
	e = index_add_beside(&q->index, m, queue_now_ms(q));
	if (e == NULL) {
		log_warn(NULL, "unreadable", "seq=%llu why=%s",
		    (unsigned long long)m->seq,
		    log_cstr("its envelope makes no sense"));
		return NULL;
	}
	if (same != NULL) {
		add_obsolete(q, same->seq, same->ref);
		index_del(&q->index, &same);
	}
	return e;
}

void
resume_mail(void *ctx, const struct mail_record *m, struct store_ref ref)
{
	struct queue *q = ctx;
	struct entry *e = index_find_seq(&q->index, m->seq);

	if (e == NULL)
		e = add_recovered(q, m, ref);
	if (e == NULL)
		return;
	e->ref = ref;
	e->committed = 1;
	e->born_ms = BORN_UNKNOWN;
	for (uint32_t i = 0; i < e->nrcpt; i++)
		rcpt_mark(&e->rcpts[i], MARK_RECOVERED);
}

static const uint8_t read_state[] = {
	[STATE_RCPT_WAITING] = RCPT_ACTIVE,
	[STATE_RCPT_DELIVERED] = RCPT_DELIVERED,
	[STATE_RCPT_BOUNCED] = RCPT_BOUNCED,
	[STATE_RCPT_REMOVED] = RCPT_REMOVED,
	[STATE_RCPT_HELD] = RCPT_HELD,
	[STATE_RCPT_FAILED] = RCPT_BOUNCED,
	[STATE_RCPT_QUARANTINED] = RCPT_QUARANTINED,
	[STATE_RCPT_ARRIVED] = RCPT_DELIVERED,
	[STATE_RCPT_RELAYED] = RCPT_DELIVERED,
};

/* Its sender is still to be told. */
static bool
is_to_report(uint8_t stored)
{
	return stored == STATE_RCPT_FAILED || stored == STATE_RCPT_ARRIVED ||
	       stored == STATE_RCPT_RELAYED;
}

static void
read_rcpt(struct queue *q, struct rcpt *r, const struct state_rcpt *s)
{
	uint8_t stored = s->state & (uint8_t)~STATE_RCPT_FLAGS;
	enum rcpt_state state = read_state[stored];

	rcpt_unmark(r, MARK_REPORT | MARK_WARNED | MARK_UNFILTERED);
	if (is_to_report(stored))
		rcpt_mark(r, MARK_REPORT);
	if (stored == STATE_RCPT_RELAYED)
		rcpt_mark(r, MARK_RELAYED);
	if ((s->state & STATE_RCPT_WARNED) != 0)
		rcpt_mark(r, MARK_WARNED);
	if ((s->state & STATE_RCPT_UNFILTERED) != 0)
		rcpt_mark(r, MARK_UNFILTERED);
	r->attempts = s->attempts;
	/* Wall, until resume_rcpt. */
	r->due_ms = 0;
	r->in.since_ms = state == RCPT_QUARANTINED ? s->next_ms : 0;
	rcpt_set_word(&q->index, &r->reply, s->reply);
	rcpt_set_word(&q->index, &r->relay, s->relay);
	undo_read(r, s);
	if (s->action.len > 0) {
		rcpt_set_word(&q->index, &r->action, s->action);
		rcpt_mark(r, MARK_REROUTED);
	}
	if (state == RCPT_ACTIVE && s->next_ms > 0) {
		state = RCPT_DEFERRED;
		r->due_ms = s->next_ms;
	}
	rcpt_set_state(&q->index, r, state);
}

void
resume_state(void *ctx, const struct state_record *s)
{
	struct queue *q = ctx;
	struct entry *e = index_find_seq(&q->index, s->seq);

	if (e == NULL)
		return;
	/* Its age when this was written: the time we were down does not
	 * count, nor does a clock that jumped meanwhile. */
	if (s->when_ms >= e->received_ms)
		e->born_ms = (int64_t)queue_now_ms(q) -
			     (int64_t)(s->when_ms - e->received_ms);
	if (s->operation > q->last_operation)
		q->last_operation = s->operation;
	for (uint32_t i = 0; i < s->nrcpt; i++)
		if (s->rcpts[i].index < e->nrcpt)
			read_rcpt(
			    q, &e->rcpts[s->rcpts[i].index], &s->rcpts[i]);
}

void
resume_finished(void *ctx, uint64_t seq)
{
	struct queue *q = ctx;
	struct entry *e = index_find_seq(&q->index, seq);

	if (e != NULL)
		index_del(&q->index, &e);
}

void
resume_restate(void *ctx, uint64_t seq)
{
	struct queue *q = ctx;
	struct entry *e = index_find_seq(&q->index, seq);

	if (e != NULL)
		fate_restate(q, e);
}

/* The latest time that was, as far as the log and the clock agree. */
static uint64_t
last_ms(const struct queue *q, uint64_t wall_ms)
{
	uint64_t log_ms = store_latest_ms(q->store);

	return log_ms < wall_ms ? log_ms : wall_ms;
}

/* What a recovered recipient waits for. */
static void
resume_rcpt(struct queue *q, struct rcpt *r, uint64_t wall_ms)
{
	uint64_t ms, last = last_ms(q, wall_ms);

	if (r->state == RCPT_ACTIVE) {
		queue_send_rcpt(q, r);
	} else if (r->state == RCPT_DEFERRED) {
		ms = retry_clamp(&q->config->queue, r->due_ms, wall_ms);
		retry_add(&q->retry, r, queue_now_ms(q) + ms);
	} else if (r->state == RCPT_QUARANTINED) {
		ms = r->in.since_ms;
		quarantine_wait(q, r, last > ms ? last - ms : 0);
	}
}

/* No state tells the age of a message that only waited. It was there at the
 * latest time the log knows of; more than the clock says it cannot be. */
static void
resume_age(struct queue *q, struct entry *e, uint64_t wall_ms)
{
	uint64_t last = last_ms(q, wall_ms);

	if (e->born_ms != BORN_UNKNOWN)
		return;
	e->born_ms = (int64_t)queue_now_ms(q);
	if (last > e->received_ms)
		e->born_ms -= (int64_t)(last - e->received_ms);
}

void
resume_all(struct queue *q)
{
	uint64_t wall_ms = clock_wall_ms();
	struct entry *e, *next;

	finish_obsolete(q);
	for (e = index_from_seq(&q->index, 0); e != NULL; e = next) {
		next = index_from_seq(&q->index, e->seq + 1);
		resume_age(q, e, wall_ms);
		report_resume(q, e);
		if (!entry_is_open(e))
			fate_close(q, e);
		for (uint32_t i = 0; i < e->nrcpt; i++)
			resume_rcpt(q, &e->rcpts[i], wall_ms);
	}
}
