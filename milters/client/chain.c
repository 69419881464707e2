/* Many filters as one: who is asked, when smtpd hears of it. */
#include "milters/client/chain.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "milters/client/milter.h"

static void
destroy(struct milters *m)
{
	struct member *member;

	loop_after_cancel(m->loop, &m->deliver);
	while ((member = TAILQ_FIRST(&m->members)) != NULL) {
		TAILQ_REMOVE(&m->members, member, entry);
		member_free(&member);
	}
	m->n = 0;
	round_end_message(m);
	free(m->order);
	free(m->reply);
	config_unref(&m->config);
	free(m);
}

static void
enter(struct milters *m)
{
	m->busy++;
}

static void
leave(struct milters *m)
{
	if (--m->busy == 0 && m->freed)
		destroy(m);
}

static void
on_deliver(void *ctx)
{
	struct milters *m = ctx;

	enter(m);
	m->asking = false;
	m->ops->on_answer(m->ctx, &m->answer);
	leave(m);
}

static void
on_member(void *ctx, struct member *member)
{
	struct milters *m = ctx;

	(void)member;
	enter(m);
	if (round_take(m))
		loop_after(m->loop, &m->deliver);
	leave(m);
}

struct milters *
milters_new(struct loop *l, struct config *config,
    const struct milter_facts *facts, const struct milter_ops *ops, void *ctx)
{
	struct milters *m = xcalloc(1, sizeof(*m));

	m->loop = l;
	m->config = config_ref(config);
	m->facts = facts;
	m->ops = ops;
	m->ctx = ctx;
	TAILQ_INIT(&m->members);
	deferred_init(&m->deliver, on_deliver, m);
	return m;
}

void
milters_free(struct milters **p)
{
	struct milters *m = *p;

	if (m == NULL)
		return;
	*p = NULL;
	m->freed = true;
	if (m->busy == 0)
		destroy(m);
}

/* --- who is asked --- */

static struct member *
get_member(struct milters *m, const struct milter *milter)
{
	struct member *member;

	TAILQ_FOREACH(member, &m->members, entry) {
		if (member->milter == milter)
			return member;
	}
	member = member_new(m->loop, milter, m->facts, on_member, m);
	TAILQ_INSERT_TAIL(&m->members, member, entry);
	return member;
}

static bool
is_chosen(const struct milters *m, const struct member *member)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->order[i] == member)
			return true;
	}
	return false;
}

void
milters_choose(
    struct milters *m, const struct milter_set *set, bool phase_queue)
{
	struct member *member;

	if (m->set == set && m->phase_queue == phase_queue)
		return;
	m->set = set;
	m->phase_queue = phase_queue;
	m->n = 0;
	if (set != NULL && set->n > 0)
		m->order =
		    xreallocarray(m->order, set->n, sizeof(struct member *));
	for (size_t i = 0; set != NULL && i < set->n; i++) {
		if (set->members[i].milter->after_queue != phase_queue)
			continue;
		member = get_member(m, set->members[i].milter);
		member->step = set->members[i].step;
		m->order[m->n++] = member;
	}
	TAILQ_FOREACH(member, &m->members, entry) {
		if (!is_chosen(m, member))
			member_end_message(member);
	}
}

bool
milters_have_room(
    const struct config *c, const struct milter_set *set, bool reserve)
{
	(void)c;
	for (size_t i = 0; set != NULL && i < set->n; i++) {
		const struct milter *milter = set->members[i].milter;
		if (!milter->shadow && !milter->after_queue &&
		    !health_has_room(milter, reserve))
			return false;
	}
	return true;
}

/* --- questions --- */

static bool
ask(struct milters *m, enum milter_stage stage, struct milter_answer *answer)
{
	bool done;

	m->stage = stage;
	m->asking = true;
	m->answer = (struct milter_answer){ .verdict = MILTER_CONTINUE };
	free(m->reply);
	m->reply = NULL;
	enter(m);
	done = round_run(m);
	if (done) {
		m->asking = false;
		*answer = m->answer;
	}
	leave(m);
	return done;
}

/* What was said at HELO before holds for nobody, also not for those who are
 * only asked again when they are chosen again. */
static void
forget_helo(struct milters *m)
{
	struct member *member;

	TAILQ_FOREACH(member, &m->members, entry) {
		member_end_message(member);
		if (member->told > TOLD_CONNECT)
			member->told = TOLD_CONNECT;
	}
}

bool
milters_ask(
    struct milters *m, enum milter_stage stage, struct milter_answer *answer)
{
	if (stage == MILTER_HELO)
		forget_helo(m);
	if (stage == MILTER_MAIL)
		round_end_message(m);
	return ask(m, stage, answer);
}

bool
milters_filter(struct milters *m, const struct milter_mail *mail,
    struct milter_answer *answer)
{
	struct message *message = xcalloc(1, sizeof(*message));

	round_free_message(m);
	message->mail = *mail;
	headers_init(&message->headers, mail->header, mail->ours);
	buf_init(&message->header, SIZE_MAX);
	m->message = message;
	return ask(m, MILTER_CONTENT, answer);
}

const struct milter_result *
milters_result(struct milters *m)
{
	struct message *message = m->message;

	message->result = (struct milter_result){
		.header_changed = message->headers.changed,
		.header = buf_str(&message->header),
		.body = message->sum.body,
		.from = message->sum.from,
		.from_args = message->sum.from_args,
		.rcpts = message->sum.rcpts,
		.nrcpts = message->sum.nrcpts,
	};
	message->sum.body = NULL;
	return &message->result;
}

void
milters_tell_refused(struct milters *m)
{
	for (size_t i = 0; m->discarder == NULL && i < m->n; i++)
		member_tell_refused(m->order[i]);
}

void
milters_abort(struct milters *m)
{
	m->asking = false;
	loop_after_cancel(m->loop, &m->deliver);
	round_end_message(m);
}

void
milters_end_message(struct milters *m)
{
	milters_abort(m);
}

void
milters_body_ready(struct milters *m, void *body, bool ok)
{
	for (size_t i = 0; i < m->n; i++) {
		struct member *member = m->order[i];
		if (member->edits == NULL ||
		    !edits_owns_body(member->edits, body))
			continue;
		m->message->body_failed = m->message->body_failed || !ok;
		enter(m);
		if (member->waiting)
			talk_body_ready(member->talk, ok);
		leave(m);
		return;
	}
}
