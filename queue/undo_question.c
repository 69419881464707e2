/*
 * An operation is undone message by message, as it was done: by an operation
 * of its own, which is on disk before any of it, and cannot be undone.
 */
#include "queue/undo_question.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/operations.h"
#include "queue/queue.h"
#include "queue/undo.h"

enum { UNDO_SLICE = 500, TEXT = 128 };

struct undoing {
	struct asking asking; /* the first member */
	struct queue *q;
	uint64_t of; /* the operation to undo */
	bool dry_run;
	uint32_t uid;
	char *reason;       /* owned */
	uint64_t operation; /* 0 until something changes */
	uint64_t seq;       /* the next message to look at */
	uint64_t was;       /* messages that it had changed */
	uint64_t changed;   /* of them: taken back */
	bool is_through;
	struct answer_done answer; /* then */
	char text[TEXT];           /* its */
	struct rcpt **rcpts;       /* owned: of the present message */
	uint32_t nrcpts, cap;
};

/* --- one message --- */

static void
gather(struct undoing *u, struct entry *e)
{
	u->nrcpts = 0;
	for (uint32_t i = 0; i < e->nrcpt; i++) {
		struct rcpt *r = &e->rcpts[i];

		if (!undo_is_by(r, u->of) || !undo_take_back(u->q, r, true))
			continue;
		if (u->nrcpts == u->cap) {
			u->cap = u->cap == 0 ? 16 : u->cap * 2;
			u->rcpts = xreallocarray(
			    u->rcpts, u->cap, sizeof(struct rcpt *));
		}
		u->rcpts[u->nrcpts++] = r;
	}
}

static void
apply(struct undoing *u, struct entry *e)
{
	for (uint32_t i = 0; i < u->nrcpts; i++)
		undo_take_back(u->q, u->rcpts[i], false);
	fate_record(u->q, e, u->rcpts, u->nrcpts, u->operation);
}

static void
begin(struct undoing *u)
{
	u->operation = operations_begin(u->q, &u->asking,
	    &(struct operation){ .kind = OPERATION_UNDO,
		.uid = u->uid,
		.of = u->of,
		.reason = str_of(u->reason) });
}

/* False: it is to be looked at again, once there is an operation. */
static bool
look_at(struct undoing *u, struct entry *e)
{
	if (e->undo == NULL || !e->committed || e->over)
		return true;
	gather(u, e);
	if (u->nrcpts == 0)
		return true;
	if (!u->dry_run && u->operation == 0) {
		begin(u);
		return false;
	}
	u->changed++;
	if (!u->dry_run)
		apply(u, e);
	return true;
}

/* --- all of them --- */

static void
log_operation(const struct undoing *u)
{
	log_info(NULL, "operation",
	    "change=undo of=%" PRIu64 " uid=%u matched=%" PRIu64
	    " changed=%" PRIu64 " operation=%" PRIu64 "%s reason=%s",
	    u->of, u->uid, u->was, u->changed, u->operation,
	    u->dry_run ? " dry-run=yes" : "", log_cstr(u->reason));
}

static bool
say(struct undoing *u)
{
	channel_tell(u->asking.peer->channel, TYPE_answer_done, &u->answer,
	    u->asking.id);
	return true;
}

static void
find_words(struct undoing *u)
{
	uint64_t gone = u->was - u->changed;

	if (gone == 0)
		return;
	if (u->changed == 0) {
		u->answer.code = ANSWER_NOT_FOUND;
		snprintf(u->text, sizeof(u->text),
		    "nothing of it is as it was left any more");
	} else {
		snprintf(u->text, sizeof(u->text),
		    "%" PRIu64 " of %" PRIu64
		    " are not as they were left any more",
		    gone, u->was);
	}
	u->answer.text = str_of(u->text);
}

static void
settle(struct undoing *u)
{
	pace_now(&u->q->pace);
	queue_check_limit(u->q);
	if (store_is_behind(u->q->store)) {
		u->answer.code = ANSWER_UNAVAILABLE;
		u->answer.text = STR("undone, but not on disk yet");
	}
}

static bool
done(struct undoing *u)
{
	/* A crash may have been in the middle of it. */
	if (u->was < u->changed)
		u->was = u->changed;
	u->is_through = true;
	u->answer = (struct answer_done){
		.code = ANSWER_OK,
		.matched = u->was,
		.changed = u->changed,
		.operation = u->operation,
	};
	find_words(u);
	log_operation(u);
	if (u->operation == 0)
		return say(u);
	settle(u);
	operations_end(u->q, &u->asking, u->operation, u->changed);
	return !u->asking.waiting && say(u);
}

static bool
step(struct asking *a)
{
	struct undoing *u = (struct undoing *)a;
	struct entry *e;

	if (u->is_through)
		return say(u);
	for (int i = 0; i < UNDO_SLICE; i++) {
		e = index_from_seq(&u->q->index, u->seq);
		if (e == NULL)
			return done(u);
		if (!look_at(u, e))
			return false;
		u->seq = e->seq + 1;
	}
	return false;
}

static void
undoing_free(struct asking *a)
{
	struct undoing *u = (struct undoing *)a;
	struct operation *op = operations_find(u->q, u->of);

	if (op != NULL)
		op->undoing = false;
	/* Its asker went in the middle of it. */
	if (u->operation != 0 && !u->is_through) {
		log_operation(u);
		operations_end(u->q, NULL, u->operation, u->changed);
	}
	free(u->rcpts);
	free(u->reason);
	free(u);
}

/* --- may it? --- */

/* Why it cannot be undone: NULL: it can. out: room for the words. */
static const char *
find_refusal(struct queue *q, const struct operation *op, char out[static TEXT])
{
	const char *name = operation_name(op->kind);

	if (!operation_is_undoable(op->kind))
		snprintf(out, TEXT,
		    "operation %" PRIu64 " (%s) cannot be undone", op->number,
		    name);
	else if (op->running)
		snprintf(out, TEXT, "operation %" PRIu64 " is still under way",
		    op->number);
	else if (op->undoing)
		snprintf(out, TEXT, "operation %" PRIu64 " is being undone",
		    op->number);
	else if (op->undone != 0)
		snprintf(out, TEXT,
		    "operation %" PRIu64 " was undone by operation %" PRIu64,
		    op->number, op->undone);
	else if (q->config->queue.undo == 0)
		snprintf(out, TEXT, "nothing is kept (queue undo 0)");
	else if (operation_until_ms(q, op) == 0)
		snprintf(out, TEXT,
		    "operation %" PRIu64 " is too long ago (queue undo)",
		    op->number);
	else
		return NULL;
	return out;
}

static void
start(struct control_peer *p, uint64_t id, const struct ask_undo *m,
    struct operation *op)
{
	struct undoing *u = xcalloc(1, sizeof(*u));

	op->undoing = true;
	u->q = p->q;
	u->of = op->number;
	u->was = op->changed;
	u->dry_run = m->dry_run != 0;
	u->uid = m->uid;
	u->reason = str_dup(m->reason);
	u->asking.step = step;
	u->asking.free = undoing_free;
	asking_start(&u->asking, p, id);
}

void
undo_question(struct control_peer *p, uint64_t id, const struct ask_undo *m)
{
	struct operation *op = operations_find(p->q, m->operation);
	const char *why;
	char text[TEXT];

	if (m->operation == 0) {
		answer(p, id, ANSWER_REFUSED_IT,
		    "a dry run (operation 0) has changed nothing");
		return;
	}
	if (op == NULL) {
		answer(p, id, ANSWER_NOT_FOUND,
		    "no such operation, or it is too long ago");
		return;
	}
	why = find_refusal(p->q, op, text);
	if (why != NULL)
		answer(p, id, ANSWER_REFUSED_IT, why);
	else
		start(p, id, m, op);
}

/* --- the list --- */

struct operation_listing {
	struct row_listing rows; /* the first member */
	uint64_t last;
};

static void
tell_row(const struct asking *a, const struct operation *op)
{
	char name[40];
	struct row_operation row = {
		.operation = op->number,
		.change = str_of(operation_name(op->kind)),
		.when_ms = op->when_ms,
		.uid = op->uid,
		.changed = op->changed,
		.until_ms = operation_until_ms(a->peer->q, op),
		.reason = op->reason,
	};

	if (op->kind == OPERATION_UNDO) {
		snprintf(name, sizeof(name), "undo %" PRIu64, op->of);
		row.change = str_of(name);
	}
	channel_tell(a->peer->channel, TYPE_row_operation, &row, a->id);
}

static bool
next_row(struct row_listing *rows)
{
	struct operation_listing *l = (struct operation_listing *)rows;
	const struct operation *op =
	    operations_after(rows->asking.peer->q, l->last);

	if (op == NULL)
		return false;
	tell_row(&rows->asking, op);
	l->last = op->number;
	return true;
}

void
undo_question_list(struct control_peer *p, uint64_t id)
{
	struct operation_listing *l = xcalloc(1, sizeof(*l));

	row_listing_start(&l->rows, p, id, next_row);
}
