/*
 * An administrator's change, message by message: those recipients that all
 * terms match and to which the change means something. Each operation has a
 * number, logged with the caller's uid and the reason, and kept in the
 * records it makes.
 */
#include "queue/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/queue.h"
#include "queue/requeue.h"
#include "queue/undo.h"

enum { CHANGE_SLICE = 500 }; /* messages looked at in one go */

struct changing {
	struct asking asking; /* the first member */
	struct queue *q;
	struct filter filter;
	uint8_t kind; /* enum change */
	bool dry_run;
	char *reason;    /* owned */
	char reply[540]; /* of CHANGE_REJECT */
	uint32_t uid;
	uint64_t operation;        /* 0 until something changes */
	bool is_through;           /* all was changed */
	struct answer_done answer; /* then */
	uint64_t seq;              /* the next one to look at */
	uint64_t end;              /* those that came later are not meant */
	uint64_t matched, changed; /* messages */
	struct rcpt **rcpts;       /* owned: of the present message */
	uint32_t nrcpts, cap;
};

/* --- what each change does to one recipient --- */

static struct queue *
queue_of(const struct changing *c)
{
	return c->q;
}

static bool
may_flush(const struct rcpt *r)
{
	return r->state == RCPT_DEFERRED ||
	       (r->state == RCPT_ACTIVE && r->place == PLACE_WAITING);
}

static void
flush(const struct changing *c, struct rcpt *r)
{
	struct queue *q = queue_of(c);

	if (r->state == RCPT_DEFERRED) {
		queue_take_rcpt(q, r);
		queue_send_rcpt(q, r);
	}
	if (r->place == PLACE_WAITING)
		schedule_hurry(&q->schedule, r, queue_now_ms(q));
	queue_run_soon(q);
}

static bool
may_hold(const struct rcpt *r)
{
	return r->state == RCPT_ACTIVE || r->state == RCPT_DEFERRED;
}

static void
hold(const struct changing *c, struct rcpt *r)
{
	struct queue *q = queue_of(c);

	if (r->place == PLACE_WORK) {
		rcpt_mark(r, MARK_HOLD); /* if this attempt does not do it */
		return;
	}
	queue_take_rcpt(q, r);
	fate_held(q, r, NULL);
}

static bool
may_release(const struct rcpt *r)
{
	return r->state == RCPT_HELD ||
	       (rcpt_is_open(r) && (r->marks & MARK_HOLD) != 0);
}

static void
release(const struct changing *c, struct rcpt *r)
{
	struct queue *q = queue_of(c);

	rcpt_unmark(r, MARK_HOLD);
	if (r->state != RCPT_HELD)
		return;
	trace_add(q->trace, rcpt_entry(r)->msgid,
	    &(struct trace_event){
		.kind = TRACE_RELEASED, .texts = { rcpt_to(r) } });
	fate_active(q, r);
	queue_send_rcpt(q, r);
}

static bool
may_requeue(const struct rcpt *r)
{
	return rcpt_is_open(r) && r->state != RCPT_QUARANTINED;
}

static void
requeue(const struct changing *c, struct rcpt *r)
{
	struct queue *q = queue_of(c);

	if (r->place == PLACE_WORK) {
		rcpt_unmark(r, MARK_HOLD);
		rcpt_mark(r, MARK_REQUEUE);
		/* The record of the wish names another action: those that
		 * follow must, whatever becomes of it. */
		rcpt_mark(r, MARK_REROUTED);
		return;
	}
	queue_take_rcpt(q, r);
	requeue_rcpt(q, r);
}

static bool
may_remove(const struct rcpt *r)
{
	return rcpt_is_open(r) || r->state == RCPT_BOUNCED;
}

static void
remove_rcpt(const struct changing *c, struct rcpt *r)
{
	struct queue *q = queue_of(c);

	if (r->place == PLACE_WORK) {
		rcpt_mark(r, MARK_REMOVE);
		return;
	}
	queue_take_rcpt(q, r);
	fate_removed(q, r);
}

static bool
is_quarantined(const struct rcpt *r)
{
	return r->state == RCPT_QUARANTINED;
}

static void
unquarantine(const struct changing *c, struct rcpt *r)
{
	queue_take_rcpt(queue_of(c), r);
	fate_passed(queue_of(c), r);
}

static void
reject(const struct changing *c, struct rcpt *r)
{
	struct heard h = { .reply = str_of(c->reply) };

	queue_take_rcpt(queue_of(c), r);
	fate_refused(queue_of(c), r, &h);
}

static bool
may_rescan(const struct rcpt *r)
{
	return is_quarantined(r) && !refilter_has(r);
}

static void
rescan(const struct changing *c, struct rcpt *r)
{
	queue_take_rcpt(queue_of(c), r);
	refilter_add(queue_of(c), r);
}

static const struct {
	bool (*may)(const struct rcpt *);
	void (*apply)(const struct changing *, struct rcpt *);
	bool recorded; /* the store is to know the operation */
} changes[] = {
	[CHANGE_FLUSH] = { may_flush, flush, false },
	[CHANGE_HOLD] = { may_hold, hold, true },
	[CHANGE_RELEASE] = { may_release, release, true },
	[CHANGE_REQUEUE] = { may_requeue, requeue, true },
	[CHANGE_REMOVE] = { may_remove, remove_rcpt, true },
	[CHANGE_UNQUARANTINE] = { is_quarantined, unquarantine, true },
	[CHANGE_REJECT] = { is_quarantined, reject, true },
	[CHANGE_RESCAN] = { may_rescan, rescan, false },
};

/* --- one message --- */

/* Whose removal waits for the end of an attempt is removed: nothing else is to
 * take the place of what undoes that. */
static bool
is_removed(const struct rcpt *r)
{
	return r->place == PLACE_WORK && (r->marks & MARK_REMOVE) != 0;
}

static void
gather(struct changing *c, struct entry *e)
{
	c->nrcpts = 0;
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		if (!filter_has_rcpt(&c->filter, r) || is_removed(r) ||
		    !changes[c->kind].may(r))
			continue;
		if (c->nrcpts == c->cap) {
			c->cap = c->cap == 0 ? 16 : c->cap * 2;
			c->rcpts = xreallocarray(
			    c->rcpts, c->cap, sizeof(struct rcpt *));
		}
		c->rcpts[c->nrcpts++] = r;
	}
}

static void
apply(struct changing *c, struct entry *e)
{
	for (uint32_t i = 0; i < c->nrcpts; i++) {
		if (changes[c->kind].recorded)
			undo_keep(c->q, c->rcpts[i], c->operation);
		changes[c->kind].apply(c, c->rcpts[i]);
	}
	if (changes[c->kind].recorded)
		fate_record(c->q, e, c->rcpts, c->nrcpts, c->operation);
}

/* Who does it, and why, is on disk before any of it. */
static void
begin(struct changing *c)
{
	c->operation = operations_begin(c->q, &c->asking,
	    &(struct operation){
		.kind = c->kind, .uid = c->uid, .reason = str_of(c->reason) });
}

/* False: it is to be looked at again, once there is an operation. */
static bool
look_at(struct changing *c, struct entry *e)
{
	if (!e->committed || entry_is_hidden(e) ||
	    !filter_has(&c->filter, e, queue_now_ms(c->q))) {
		return true;
	}
	gather(c, e);
	if (c->nrcpts > 0 && !c->dry_run && c->operation == 0) {
		begin(c);
		return false;
	}
	c->matched++;
	if (c->nrcpts == 0)
		return true;
	c->changed++;
	if (!c->dry_run)
		apply(c, e);
	return true;
}

/* --- all of them --- */

static void
log_operation(const struct changing *c)
{
	log_info(NULL, "operation",
	    "change=%s uid=%u matched=%" PRIu64 " changed=%" PRIu64
	    " operation=%" PRIu64 "%s reason=%s",
	    operation_name(c->kind), c->uid, c->matched, c->changed,
	    c->operation, c->dry_run ? " dry-run=yes" : "",
	    log_cstr(c->reason));
}

static bool
say(struct changing *c)
{
	channel_tell(c->asking.peer->channel, TYPE_answer_done, &c->answer,
	    c->asking.id);
	return true;
}

/* What was changed stays changed, whatever happens after the answer. */
static void
settle(struct changing *c)
{
	pace_now(&c->q->pace);
	if (changes[c->kind].recorded && store_is_behind(c->q->store)) {
		c->answer.code = ANSWER_UNAVAILABLE;
		c->answer.text = STR("changed, but not on disk yet");
	}
}

static bool
done(struct changing *c, enum answer_code code, const char *text)
{
	c->answer = (struct answer_done){
		.code = (uint8_t)code,
		.text = str_of(text),
		.matched = c->matched,
		.changed = c->changed,
		.operation = c->operation,
	};
	c->is_through = true;
	if (code == ANSWER_OK)
		log_operation(c);
	if (c->operation == 0)
		return say(c);
	settle(c);
	operations_end(c->q, &c->asking, c->operation, c->changed);
	return !c->asking.waiting && say(c);
}

static bool
step_one(struct changing *c, struct str msgid)
{
	struct entry *e = index_find_id(&c->q->index, msgid);

	if (e == NULL || !e->committed || entry_is_hidden(e))
		return done(c, ANSWER_NOT_FOUND, "no such message");
	if (c->filter.limit > 0 && !look_at(c, e))
		return false;
	return done(c, ANSWER_OK, "");
}

static bool
step(struct asking *a)
{
	struct changing *c = (struct changing *)a;
	struct index *ix = &a->peer->q->index;
	struct str msgid = filter_id(&c->filter);
	struct entry *e;

	if (c->is_through)
		return say(c);
	if (c->filter.bad)
		return done(c, ANSWER_REFUSED_IT, "a filter makes no sense");
	if (msgid.len > 0)
		return step_one(c, msgid);
	for (int i = 0; i < CHANGE_SLICE; i++) {
		e = index_from_seq(ix, c->seq);
		if (e == NULL || e->seq >= c->end ||
		    c->matched >= c->filter.limit)
			return done(c, ANSWER_OK, "");
		if (!look_at(c, e))
			return false;
		c->seq = e->seq + 1;
	}
	return false;
}

static void
changing_free(struct asking *a)
{
	struct changing *c = (struct changing *)a;

	/* Its asker went in the middle of it. */
	if (c->operation != 0 && !c->is_through) {
		log_operation(c);
		operations_end(c->q, NULL, c->operation, c->changed);
	}
	filter_clear(&c->filter);
	free(c->rcpts);
	free(c->reason);
	free(c);
}

/* The reason, when there is one; with a code of its own if it has that. */
static void
make_reply(struct changing *c)
{
	const char *why = c->reason;
	bool coded =
	    why[0] == '5' && strspn(why, "0123456789") == 3 && why[3] == ' ';

	snprintf(c->reply, sizeof(c->reply), "%s%s", coded ? "" : "554 5.7.1 ",
	    *why != '\0' ? why : "Message refused");
}

void
change_start(struct control_peer *p, uint64_t id, const struct ask_change *m,
    struct filter *f)
{
	struct changing *c = xcalloc(1, sizeof(*c));

	c->q = p->q;
	c->filter = *f;
	filter_init(f);
	c->kind = m->change;
	c->dry_run = m->dry_run != 0;
	c->reason = str_dup(m->reason);
	make_reply(c);
	c->uid = m->uid;
	c->end = store_next_seq(p->q->store);
	c->asking.step = step;
	c->asking.free = changing_free;
	asking_start(&c->asking, p, id);
}
