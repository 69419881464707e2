/* The administrator's questions, each a row of the table below. */
#include "queue/from_control.h"

#include <stdio.h>
#include <stdlib.h>

#include "edges/smtpd_queue.h"
#include "lib/base/alloc.h"
#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/proc/tell_stats.h"
#include "queue/blocking.h"
#include "queue/change.h"
#include "queue/destinations.h"
#include "queue/listing.h"
#include "queue/message.h"
#include "queue/pause_question.h"
#include "queue/quarantine.h"
#include "queue/queue.h"
#include "queue/tracing.h"
#include "queue/undo_question.h"

/* --- questions that take their time --- */

static void
asking_free(struct asking *a)
{
	if (a->peer != NULL)
		LIST_REMOVE(a, next);
	a->free(a);
}

static void
step_all(struct control_peer *p)
{
	struct asking *a, *next;
	bool more = false;

	for (a = LIST_FIRST(&p->askings); a != NULL; a = next) {
		next = LIST_NEXT(a, next);
		if (a->waiting)
			continue;
		if (channel_is_full(p->channel))
			return; /* on_drained comes back */
		if (a->step(a))
			asking_free(a);
		else if (!a->waiting)
			more = true;
	}
	if (more)
		timer_set(p->go_on, 0);
}

static void
on_go_on(void *ctx)
{
	step_all(ctx);
}

void
asking_start(struct asking *a, struct control_peer *p, uint64_t id)
{
	a->peer = p;
	a->id = id;
	LIST_INSERT_HEAD(&p->askings, a, next);
	timer_set(p->go_on, 0);
}

void
asking_wake(struct asking *a)
{
	a->waiting = false;
	if (a->peer == NULL)
		asking_free(a);
	else
		timer_set(a->peer->go_on, 0);
}

void
answer(struct control_peer *p, uint64_t id, enum answer_code code,
    const char *text)
{
	struct answer_done m = { .code = (uint8_t)code, .text = str_of(text) };

	channel_tell(p->channel, TYPE_answer_done, &m, id);
}

/* --- rows --- */

static bool
step_rows(struct asking *a)
{
	struct row_listing *l = (struct row_listing *)a;
	struct answer_done done = { .code = ANSWER_OK };

	while (!channel_is_full(a->peer->channel)) {
		if (l->row(l)) {
			l->n++;
			continue;
		}
		done.matched = l->n;
		channel_tell(a->peer->channel, TYPE_answer_done, &done, a->id);
		return true;
	}
	return false;
}

static void
rows_free(struct asking *a)
{
	free(a);
}

void
row_listing_start(struct row_listing *l, struct control_peer *p, uint64_t id,
    bool (*row)(struct row_listing *l))
{
	l->row = row;
	l->asking.step = step_rows;
	l->asking.free = rows_free;
	asking_start(&l->asking, p, id);
}

/* --- numbers --- */

static void
on_ask_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct control_peer *p = ctx;
	struct queue *q = p->q;
	const struct index *ix = &q->index;
	const struct store_totals *t = store_totals(q->store);
	uint64_t open = ix->nstate[STATE_ACTIVE] + ix->nstate[STATE_DEFERRED] +
			ix->nstate[STATE_HELD] + ix->nstate[STATE_QUARANTINED];
	uint64_t active = ix->nstate[STATE_ACTIVE];
	uint64_t put_off = schedule_count_put_off(&q->schedule);
	uint64_t free_bytes;

	/* Counted by recipient: never more than there are. */
	if (put_off > active)
		put_off = active;
	const struct counter rows[] = {
		{ "queue.messages", open },
		{ "queue.active", active - put_off },
		{ "queue.deferred", ix->nstate[STATE_DEFERRED] + put_off },
		{ "queue.held", ix->nstate[STATE_HELD] },
		{ "queue.rate_held", q->user_rates.held },
		{ "queue.quarantined", ix->nstate[STATE_QUARANTINED] },
		{ "queue.filtering", q->refilter.njobs },
		{ "queue.filtered", q->refilter.asked },
		{ "queue.kept", ix->nkept },
		{ "queue.blocks", q->blocks.n },
		{ "queue.pauses", q->pauses.n },
		{ "queue.refusing", queue_space(q, &free_bytes) != SPACE_OK },
		{ "queue.bytes", ix->bytes },
		{ "queue.commits", t->commits },
		{ "queue.commit_batch",
		    t->commits > 0 ? t->batched / t->commits : 0 },
		{ "queue.written", t->bytes },
		{ "queue.fsyncs", t->syncs },
		{ "queue.segments", t->segments },
		{ "queue.segments_reused", t->segments_reused },
		{ "queue.works", q->nworks },
		{ "queue.reports", q->reports.made },
		{ "queue.reporting", q->reports.count },
		{ "queue.tls_reports", q->tls_reporting.made },
		{ "queue.reports_unwanted", q->reports.unwanted },
		{ "queue.cache_bytes", q->cache.bytes },
		{ "queue.cache_hits", q->cache.hits },
		{ "queue.cache_misses", q->cache.misses },
	};

	(void)msg;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tell_stat(ch, id, rows[i].name, rows[i].value);
	tell_latency(ch, id, "queue.commit", &q->commit_times);
	tell_latency(ch, id, "queue.delivery", &q->delivery_times);
	tell_stats_common(ch, id, "queue");
	answer(p, id, ANSWER_OK, "");
}

/* --- the table --- */

static void
on_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct control_peer *p = ctx;

	(void)ch;
	(void)id;
	filter_add(&p->filter, msg);
}

static void
on_ask_queue(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct control_peer *p = ctx;

	(void)ch;
	(void)msg;
	listing_queue(p, id, &p->filter);
}

static void
on_ask_destinations(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	(void)msg;
	destinations_start(ctx, id);
}

static void
on_ask_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	message_start(ctx, id, msg);
}

static void
on_ask_change(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct control_peer *p = ctx;

	(void)ch;
	change_start(p, id, msg, &p->filter);
}

static void
on_ask_quarantine(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct control_peer *p = ctx;

	(void)ch;
	(void)msg;
	quarantine_list(p, id, &p->filter);
}

static void
on_ask_trace(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	tracing_start(ctx, id, msg);
}

static void
on_ask_block(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	blocking_block(ctx, id, msg);
}

static void
on_ask_unblock(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	blocking_unblock(ctx, id, msg);
}

static void
on_ask_blocks(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	(void)msg;
	blocking_list(ctx, id);
}

static void
on_ask_pause(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	pause_question(ctx, id, msg);
}

static void
on_ask_pauses(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	(void)msg;
	pause_question_list(ctx, id);
}

static void
on_ask_undo(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	undo_question(ctx, id, msg);
}

static void
on_ask_operations(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ch;
	(void)msg;
	undo_question_list(ctx, id);
}

static const struct handler handlers[] = {
	{ TYPE_tell_term, on_term },
	CONTROL_QUESTIONS(CONTROL_REFUSAL){ TYPE_ask_stats, on_ask_stats },
	{ TYPE_ask_queue, on_ask_queue },
	{ TYPE_ask_destinations, on_ask_destinations },
	{ TYPE_ask_content, on_ask_content },
	{ TYPE_ask_change, on_ask_change },
	{ TYPE_ask_quarantine, on_ask_quarantine },
	{ TYPE_ask_trace, on_ask_trace },
	{ TYPE_ask_block, on_ask_block },
	{ TYPE_ask_unblock, on_ask_unblock },
	{ TYPE_ask_blocks, on_ask_blocks },
	{ TYPE_ask_pause, on_ask_pause },
	{ TYPE_ask_pauses, on_ask_pauses },
	{ TYPE_ask_undo, on_ask_undo },
	{ TYPE_ask_operations, on_ask_operations },
	{ 0, NULL },
};

/* --- the channel --- */

static void
peer_free(struct control_peer *p)
{
	struct asking *a;

	while ((a = LIST_FIRST(&p->askings)) != NULL) {
		LIST_REMOVE(a, next);
		a->peer = NULL;
		if (!a->waiting)
			a->free(a);
	}
	filter_clear(&p->filter);
	timer_free(&p->go_on);
	LIST_REMOVE(p, next);
	channel_free(&p->channel);
	free(p);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ch;
	peer_free(ctx);
}

struct channel *
from_control_add(struct queue *q, uint16_t instance, int socket)
{
	struct control_peer *p, *next;
	char name[32];

	for (p = LIST_FIRST(&q->controls); p != NULL; p = next) {
		next = LIST_NEXT(p, next);
		if (p->instance == instance)
			peer_free(p);
	}
	p = xcalloc(1, sizeof(*p));
	p->q = q;
	p->instance = instance;
	filter_init(&p->filter);
	LIST_INIT(&p->askings);
	p->go_on = timer_new(q->loop, on_go_on, p);
	p->channel = channel_new(
	    q->loop, socket, &control_all_edge, EDGE_B, handlers, on_closed, p);
	snprintf(name, sizeof(name), "control/%u", (unsigned int)instance);
	channel_set_peer(p->channel, name);
	channel_on_drained(p->channel, on_go_on, p);
	LIST_INSERT_HEAD(&q->controls, p, next);
	if (!q->started)
		channel_pause(p->channel);
	return p->channel;
}

void
from_control_resume(struct queue *q)
{
	struct control_peer *p;

	LIST_FOREACH(p, &q->controls, next)
		channel_resume(p->channel);
}
