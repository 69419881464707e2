/* One filter's place in a session. */
#include "milters/client/member.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

/* clang-format off */
static const struct {
	enum told needs;   /* before it can be asked */
	enum told leaves;  /* once it was */
	enum scope refuses;
	enum scope discards;
	enum scope accepts;
} stages[MILTER_STAGES] = {
	[MILTER_CONNECT] = { TOLD_NOTHING, TOLD_CONNECT, SCOPE_SESSION, SCOPE_EVENT,   SCOPE_SESSION },
	[MILTER_HELO]    = { TOLD_CONNECT, TOLD_HELO,    SCOPE_SESSION, SCOPE_EVENT,   SCOPE_SESSION },
	[MILTER_MAIL]    = { TOLD_HELO,    TOLD_MAIL,    SCOPE_MESSAGE, SCOPE_MESSAGE, SCOPE_MESSAGE },
	[MILTER_RCPT]    = { TOLD_MAIL,    TOLD_MAIL,    SCOPE_EVENT,   SCOPE_MESSAGE, SCOPE_MESSAGE },
	[MILTER_DATA]    = { TOLD_MAIL,    TOLD_MAIL,    SCOPE_MESSAGE, SCOPE_MESSAGE, SCOPE_MESSAGE },
	[MILTER_UNKNOWN] = { TOLD_HELO,    TOLD_HELO,    SCOPE_EVENT,   SCOPE_EVENT,   SCOPE_EVENT },
	[MILTER_CONTENT] = { TOLD_MAIL,    TOLD_HELO,    SCOPE_EVENT,   SCOPE_EVENT,   SCOPE_EVENT },
};

/* What comes next for a filter that knows so much. */
static const enum milter_stage next_event[] = {
	[TOLD_NOTHING] = MILTER_CONNECT,
	[TOLD_CONNECT] = MILTER_HELO,
	[TOLD_HELO]    = MILTER_MAIL,
};

/* clang-format on */

static bool advance(struct member *m);

struct member *
member_new(struct loop *l, const struct milter *milter,
    const struct milter_facts *facts, member_fn *fn, void *ctx)
{
	struct member *m = xcalloc(1, sizeof(*m));

	m->loop = l;
	m->milter = milter;
	m->facts = facts;
	m->fn = fn;
	m->ctx = ctx;
	return m;
}

/* --- the connection --- */

static void
disconnect(struct member *m)
{
	dial_cancel(&m->dial);
	timer_free(&m->late);
	talk_free(&m->talk);
	health_release(&m->hold);
	m->told = TOLD_NOTHING;
	m->good = false;
}

/* What was said of the message counts no more. */
static void
forget_message(struct member *m)
{
	free(m->failed);
	m->failed = NULL;
	m->reported = m->skipped = m->full = false;
	if (m->decided == SCOPE_MESSAGE)
		m->decided = SCOPE_EVENT;
}

void
member_free(struct member **p)
{
	struct member *m = *p;

	if (m == NULL)
		return;
	*p = NULL;
	disconnect(m);
	forget_message(m);
	edits_free(&m->edits);
	free(m->decision_reply);
	free(m->reply);
	free(m);
}

/* The question, if there is one, is answered by this failure, and so are
 * those to come. */
static void
fail(struct member *m, const char *fault)
{
	char *text = xstrdup(fault);

	disconnect(m);
	free(m->failed);
	m->failed = text;
	m->reported = m->waiting;
	if (m->waiting)
		m->answer = (struct member_answer){ .fault = m->failed };
}

/* The socket cannot be had. True: that is the answer, no other is left. */
static bool
is_unreachable(struct member *m, const char *fault)
{
	health_bad(m->hold, fault);
	if (health_next(m->hold))
		return false;
	fail(m, fault);
	return true;
}

static void
deliver(struct member *m)
{
	m->waiting = false;
	m->answer.us = clock_mono_us() - m->began_us;
	m->fn(m->ctx, m);
}

/* A connection ended in a fault. True: that is the answer. A filter that was
 * started anew between two messages has done nothing wrong yet. */
static bool
has_failed(struct member *m, const char *fault, bool lost)
{
	uint32_t version, actions, steps;
	char *text = xstrdup(fault);
	bool reached = talk_negotiated(m->talk, &version, &actions, &steps);
	bool retry = lost && !m->fresh && m->told < TOLD_MAIL;
	bool answered = true;

	talk_free(&m->talk);
	if (!reached) {
		answered = is_unreachable(m, text);
	} else if (retry) {
		disconnect(m);
		answered = false;
	} else {
		health_bad(m->hold, text);
		fail(m, text);
	}
	free(text);
	return answered;
}

/* --- what it says --- */

static enum scope
scope_of(enum milter_stage stage, enum milter_verdict v)
{
	switch (v) {
	case MILTER_CONTINUE:
	case MILTER_QUARANTINE:
		break;
	case MILTER_ACCEPT:
		return stages[stage].accepts;
	case MILTER_DISCARD:
		return stages[stage].discards;
	case MILTER_TEMPFAIL:
	case MILTER_REJECT:
		return stages[stage].refuses;
	case MILTER_SHUTDOWN:
		return SCOPE_SESSION;
	}
	return SCOPE_EVENT;
}

/* A verdict that holds for more than the event. */
static void
keep(struct member *m, const struct talk_answer *a)
{
	enum scope scope = scope_of(m->telling, a->verdict);

	if (scope == SCOPE_EVENT)
		return;
	m->decided = scope;
	m->decision = a->verdict;
	free(m->decision_reply);
	m->decision_reply = a->reply != NULL ? xstrdup(a->reply) : NULL;
}

static void
note_good(struct member *m)
{
	uint32_t version, actions, steps;

	if (m->good || !talk_negotiated(m->talk, &version, &actions, &steps))
		return;
	m->good = true;
	health_good(m->hold, version, actions, steps);
}

/* Takes what talk said. True: it answers the question. */
static bool
is_answer(struct member *m, const struct talk_answer *a)
{
	if (a->fault != NULL)
		return has_failed(m, a->fault, a->lost);
	note_good(m);
	m->told = stages[m->telling].leaves;
	if (m->telling == MILTER_CONTENT)
		health_proved(m->hold);
	keep(m, a);
	if (m->decided == SCOPE_SESSION) {
		/* There is nothing more to ask. */
		health_proved(m->hold);
		disconnect(m);
		m->answer = (struct member_answer){ m->decision,
			m->decision_reply, NULL, false, 0 };
		return true;
	}
	if (m->telling != m->wanted && a->verdict <= MILTER_CONTINUE)
		return false;
	m->answer =
	    (struct member_answer){ a->verdict, a->reply, NULL, false, 0 };
	return true;
}

static void
on_answer(void *ctx, const struct talk_answer *a)
{
	struct member *m = ctx;

	if (a->fault == NULL)
		health_took(
		    m->health, m->telling, clock_mono_us() - m->told_us);
	if (is_answer(m, a) || advance(m))
		deliver(m);
}

static void
on_lost(void *ctx, const struct talk_answer *a)
{
	struct member *m = ctx;
	bool in_message = m->told == TOLD_MAIL && m->decided == SCOPE_EVENT;

	if (in_message || !a->lost)
		health_bad(m->hold, a->fault);
	if (in_message)
		fail(m, a->fault);
	else /* it has said all, or knows nothing yet */
		disconnect(m);
}

static const struct talk_ops talk_ops = { on_answer, on_lost };

/* --- connecting --- */

static void
on_dialed(void *ctx, const struct dialed *d)
{
	struct member *m = ctx;
	bool answered = false;

	m->dial = NULL;
	timer_free(&m->late);
	if (d->fd >= 0) {
		m->talk =
		    talk_new(m->loop, d->fd, m->milter, m->facts, &talk_ops, m);
	} else if (d->ours) {
		fail(m, d->why);
		answered = true;
	} else {
		answered = is_unreachable(m, d->why);
	}
	if (answered || advance(m))
		deliver(m);
}

static void
on_late(void *ctx)
{
	struct member *m = ctx;
	bool answered = true;

	timer_free(&m->late);
	if (dial_give_up(&m->dial))
		fail(m, "the dialer does not answer");
	else
		answered = is_unreachable(m, "no connection in time");
	if (answered || advance(m))
		deliver(m);
}

/* True: it cannot be, and that is the answer. */
static bool
cannot_connect(struct member *m)
{
	const char *why;

	m->health = health_find(m->milter);
	if (m->hold == NULL)
		m->hold = health_hold(m->health, m->milter, &why);
	if (m->hold == NULL) {
		m->skipped = true;
		m->full = why == health_full;
		fail(m, why);
		return true;
	}
	m->fresh = true;
	m->dial =
	    dial_begin(m->loop, m->milter, hold_socket(m->hold), on_dialed, m);
	m->late = timer_new(m->loop, on_late, m);
	timer_set(m->late, m->milter->connect_timeout);
	return false;
}

/* --- questions --- */

static bool
tell(struct member *m, enum milter_stage stage, struct talk_answer *a)
{
	m->telling = stage;
	m->told_us = clock_mono_us();
	if (stage == MILTER_CONTENT)
		return talk_content(m->talk, m->headers, m->mail, m->edits, a);
	return talk_ask(m->talk, stage, a);
}

/* On to the next event that the filter has to be told. True: m->answer is
 * there. */
static bool
advance(struct member *m)
{
	struct talk_answer a;

	for (;;) {
		enum milter_stage stage = m->wanted;
		if (m->talk == NULL)
			return cannot_connect(m);
		if (m->told < stages[m->wanted].needs)
			stage = next_event[m->told];
		if (stage == MILTER_HELO && stage != m->wanted &&
		    m->facts->helo.len == 0) {
			m->told = TOLD_HELO;
			continue;
		}
		if (!tell(m, stage, &a))
			return false;
		if (is_answer(m, &a))
			return true;
	}
}

/* True: what was said before is the answer. */
static bool
stands(struct member *m)
{
	if (m->failed != NULL) {
		m->answer = (struct member_answer){ .fault = m->failed,
			.again = m->reported };
		m->reported = true;
		return true;
	}
	if (m->decided == SCOPE_EVENT)
		return false;
	m->answer = (struct member_answer){ m->decision, m->decision_reply,
		NULL, true, 0 };
	return true;
}

bool
member_ask(struct member *m, enum milter_stage stage)
{
	if (stage == MILTER_MAIL)
		member_end_message(m);
	if (stands(m))
		return true;
	m->wanted = stage;
	m->fresh = false;
	m->began_us = clock_mono_us();
	m->waiting = true;
	if (!advance(m))
		return false;
	m->waiting = false;
	m->answer.us = clock_mono_us() - m->began_us;
	return true;
}

bool
member_ask_content(struct member *m, const struct headers *headers,
    const struct milter_mail *mail)
{
	m->headers = headers;
	m->mail = mail;
	return member_ask(m, MILTER_CONTENT);
}

void
member_tell_refused(struct member *m)
{
	if (m->told == TOLD_MAIL && m->decided == SCOPE_EVENT)
		talk_tell_refused(m->talk);
}

void
member_end_message(struct member *m)
{
	if (m->waiting) {
		m->waiting = false;
		if (m->talk != NULL)
			talk_abort(m->talk);
		disconnect(m);
	} else if (m->told == TOLD_MAIL) {
		talk_abort(m->talk);
		m->told = TOLD_HELO;
	}
	forget_message(m);
}
