/*
 * One question, from the first filter to the last: the members of a step are
 * asked before any of them is waited for; the strictest word of a step counts,
 * and one that is more than to go on ends the round.
 */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "milters/client/chain.h"
#include "milters/client/verdict.h"

/* A longer one does not fit into a packet. */
enum {
	FIELD_MAX = 60 * 1024,
	REASON_MAX = 600,
	EDITS_TEXT_MAX = 4 * EDITS_BYTES_MAX
};

#define REPLY_LATER    "451 4.7.1 Service unavailable - try again later"
#define REPLY_FULL     "451 4.3.2 Too busy, try again later"
#define REPLY_TOO_LONG "552 5.3.4 A header field is too long"
#define REPLY_NO_ROOM  "452 4.3.1 No room for the changed message"
#define REPLY_NO_FILE  "451 4.3.0 The changed message cannot be kept"

struct word {
	enum milter_verdict verdict;
	const char *reply;
};

/* What a failure means for a message. */
static const struct word failures[] = {
	[MILTER_FAIL_TEMPFAIL] = { MILTER_TEMPFAIL, REPLY_LATER },
	[MILTER_FAIL_ACCEPT] = { MILTER_CONTINUE, NULL },
	[MILTER_FAIL_REJECT] = { MILTER_REJECT,
	    "550 5.7.1 Service unavailable" },
	[MILTER_FAIL_QUARANTINE] = { MILTER_CONTINUE, NULL },
	[MILTER_FAIL_DISCONNECT] = { MILTER_SHUTDOWN,
	    "421 4.7.1 Service unavailable - closing connection" },
};

/* How much is taken from the client. */
enum outcome { GOES_ON, SET_ASIDE, DROPPED, REFUSED };

static const enum outcome outcomes[] = {
	[MILTER_ACCEPT] = GOES_ON,
	[MILTER_CONTINUE] = GOES_ON,
	[MILTER_QUARANTINE] = SET_ASIDE,
	[MILTER_DISCARD] = DROPPED,
	[MILTER_TEMPFAIL] = REFUSED,
	[MILTER_REJECT] = REFUSED,
	[MILTER_SHUTDOWN] = REFUSED,
};

static bool
ends_round(enum milter_verdict v)
{
	return outcomes[v] >= DROPPED;
}

/* In a mail transaction, so that a message is at stake. */
static bool
has_message(enum milter_stage s)
{
	return s != MILTER_CONNECT && s != MILTER_HELO && s != MILTER_UNKNOWN;
}

/* --- what a member's word means --- */

/* Copied: the connection may end while others are asked. */
static void
set_word(struct member *member, enum milter_verdict verdict, const char *reply)
{
	free(member->reply);
	member->reply = reply != NULL ? xstrdup(reply) : NULL;
	member->word = verdict;
}

static void
set_failed(struct milters *m, struct member *member, const char *fault)
{
	const struct milter *milter = member->milter;
	struct word w = failures[milter->on_failure];
	struct buf b;

	/* Before there is a message nothing is lost: it is tried again. */
	if (!has_message(m->stage) && w.verdict != MILTER_SHUTDOWN)
		w = failures[MILTER_FAIL_ACCEPT];
	set_word(member, w.verdict, w.reply);
	if (m->stage != MILTER_CONTENT ||
	    milter->on_failure != MILTER_FAIL_QUARANTINE)
		return;
	buf_init(&b, REASON_MAX);
	buf_addf(&b, "filter %s failed: %s", milter->name, fault);
	buf_add_char(&b, '\0');
	set_word(member, MILTER_QUARANTINE, b.failed ? "filter failed" : b.p);
	buf_clear(&b);
}

/* Half of a new body was there when it failed: what became of the mail is
 * not known, whatever its failures mean else. */
static bool
broke_off(const struct member *member)
{
	return member->answer.fault != NULL && member->edits != NULL &&
	       edits_has_body(member->edits);
}

static void
judge(struct milters *m, struct member *member)
{
	const struct member_answer *a = &member->answer;

	if (member->edits != NULL && edits_storage_failed(member->edits) &&
	    (a->fault != NULL || a->verdict <= MILTER_CONTINUE)) {
		set_word(member, MILTER_TEMPFAIL,
		    m->message->body_failed ? REPLY_NO_FILE : REPLY_NO_ROOM);
	} else if (a->fault != NULL) {
		set_failed(m, member, a->fault);
		if (broke_off(member) && outcomes[member->word] != REFUSED)
			set_word(member, MILTER_TEMPFAIL, REPLY_LATER);
		/* Our own limit lets nobody past a filter. */
		if (member->full && has_message(m->stage) &&
		    outcomes[member->word] != REFUSED)
			set_word(member, MILTER_TEMPFAIL, REPLY_FULL);
	} else {
		set_word(member, a->verdict,
		    a->reply != NULL ? a->reply : verdict_default(a->verdict));
		if (a->verdict <= MILTER_CONTINUE && member->edits != NULL &&
		    edits_quarantine(member->edits) != NULL)
			set_word(member, MILTER_QUARANTINE,
			    edits_quarantine(member->edits));
	}
}

/* --- who hears of it --- */

static void
tell_event(struct milters *m, struct member *member)
{
	const struct member_answer *a = &member->answer;
	struct milter_event e = { .filter = member->milter->name,
		.stage = m->stage,
		.verdict = member->word,
		.reply = member->reply,
		.fault = a->fault,
		.us = a->us,
		.shadow = member->milter->shadow };
	bool plain = a->fault == NULL && member->word == MILTER_CONTINUE;
	struct health *h = health_find(member->milter);
	struct buf b;

	/* One that is left alone is worth a line at the end, or where that
	 * refuses something. */
	if (a->fault != NULL && member->skipped &&
	    outcomes[member->word] == GOES_ON)
		plain = true;
	if (m->freed || (m->stage != MILTER_CONTENT && (plain || a->again)))
		return;
	if (m->stage == MILTER_CONTENT || ends_round(member->word))
		health_verdict(h, member->word);
	buf_init(&b, EDITS_TEXT_MAX);
	if (member->edits != NULL && a->fault == NULL) {
		edits_describe(member->edits, &b);
		buf_add_char(&b, '\0');
		if (!b.failed && b.len > 1)
			e.edits = b.p;
		health_edits(h, edits_count(member->edits));
	}
	if (e.shadow && a->fault == NULL) {
		e.differs =
		    outcomes[member->word] != outcomes[m->answer.verdict];
		health_compared(h, e.differs);
	}
	m->ops->on_event(m->ctx, &e);
	buf_clear(&b);
}

/* A shadow that went on where the mail was refused: no event, but counted. */
static void
compare_silent(const struct milters *m, const struct member *member)
{
	if (m->stage != MILTER_CONTENT && member->answer.fault == NULL &&
	    member->word == MILTER_CONTINUE && !member->answer.again &&
	    outcomes[m->answer.verdict] != GOES_ON)
		health_compared(health_find(member->milter), true);
}

static void
tell_shadows(struct milters *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct member *member = m->order[i];
		if (!member->asked || !member->milter->shadow)
			continue;
		compare_silent(m, member);
		tell_event(m, member);
	}
}

/* --- a step --- */

static void
on_conflict(void *ctx, const struct header_node *n)
{
	const struct milters *m = ctx;

	log_info(NULL, "milter-conflict", "msg=%s field=%s changed_by=%s",
	    log_str(m->facts->msgid), log_str(n->name),
	    log_cstr(n->changed_by > 0 && n->changed_by <= m->n ?
			 m->order[n->changed_by - 1]->milter->name :
			 ""));
}

/* Of two of the same strictness the first counts. */
static void
count(struct milters *m, const struct member *member)
{
	if (outcomes[member->word] == GOES_ON ||
	    member->word <= m->answer.verdict)
		return;
	free(m->reply);
	m->reply = member->reply != NULL ? xstrdup(member->reply) : NULL;
	m->answer = (struct milter_answer){ member->word, m->reply,
		member->milter->name, member->answer.fault != NULL };
	if (member->word == MILTER_DISCARD)
		m->discarder = member;
}

static void
apply(struct milters *m, struct member *member)
{
	const char *fault;

	if (member->edits == NULL || member->answer.fault != NULL ||
	    edits_apply(member->edits, member->step, (uint32_t)m->first + 1,
		&m->message->sum, &fault, on_conflict, m) == 0)
		return;
	member->answer.fault = fault;
	set_failed(m, member, fault);
}

/* All of the present step have answered. */
static void
settle(struct milters *m)
{
	bool stops = false;

	for (size_t i = m->first; i < m->last; i++) {
		struct member *member = m->order[i];
		judge(m, member);
		stops = stops ||
			(!member->milter->shadow && ends_round(member->word));
	}
	for (size_t i = m->first; i < m->last; i++) {
		struct member *member = m->order[i];
		if (member->milter->shadow)
			continue;
		if (!stops)
			apply(m, member);
		count(m, member);
		tell_event(m, member);
	}
	if (!m->freed && m->message != NULL && m->message->sum.body != NULL)
		m->ops->body_show(m->message->sum.body, &m->message->mail);
}

static bool
is_asked(struct milters *m, size_t i)
{
	struct member *member = m->order[i];

	member->asked = true;
	if (m->stage != MILTER_CONTENT)
		return member_ask(member, m->stage);
	member->edits = edits_new(&m->message->headers, &m->message->mail,
	    (uint32_t)i + 1, m->ops, m->ctx);
	return member_ask_content(
	    member, &m->message->headers, &m->message->mail);
}

static void
ask_step(struct milters *m)
{
	m->waiting = 0;
	for (size_t i = m->first; i < m->last; i++) {
		if (!is_asked(m, i))
			m->waiting++;
	}
}

static size_t
end_of_step(const struct milters *m)
{
	size_t i = m->first;

	while (i < m->n && m->order[i]->step == m->order[m->first]->step)
		i++;
	return i;
}

/* --- the round --- */

/* The message will not be asked about any more: those that wait for more of
 * it are told. */
static void
release_members(struct milters *m)
{
	struct member *member;

	TAILQ_FOREACH(member, &m->members, entry)
		member_end_message(member);
}

static void
free_edits(struct milters *m)
{
	struct member *member;

	TAILQ_FOREACH(member, &m->members, entry)
		edits_free(&member->edits);
}

static bool
finish(struct milters *m)
{
	enum milter_verdict v = m->answer.verdict;

	m->first = m->last = m->n;
	tell_shadows(m);
	if (m->stage == MILTER_CONTENT) {
		free_edits(m);
		if (ends_round(v))
			edits_sum_clear(&m->message->sum, m->ops);
		else
			headers_format(
			    &m->message->headers, &m->message->header);
	}
	if (ends_round(v) && has_message(m->stage) &&
	    (m->stage != MILTER_RCPT || v == MILTER_DISCARD))
		release_members(m);
	return true;
}

static bool
is_shadow_step(const struct milters *m)
{
	bool shadow = true;

	for (size_t i = m->first; i < m->last; i++)
		shadow = shadow && m->order[i]->milter->shadow;
	return shadow;
}

/* Filters cannot be shown what does not fit into a packet; shadows need not
 * see everything. True: the step is not asked. */
static bool
is_too_long(struct milters *m)
{
	if (m->stage != MILTER_CONTENT ||
	    m->message->headers.longest <= FIELD_MAX)
		return false;
	if (!is_shadow_step(m))
		m->answer = (struct milter_answer){ MILTER_REJECT,
			REPLY_TOO_LONG, NULL, false };
	return true;
}

/* Goes on behind the present step. */
static bool
run(struct milters *m)
{
	while (m->last < m->n && !ends_round(m->answer.verdict)) {
		m->first = m->last;
		m->last = end_of_step(m);
		if (is_too_long(m))
			continue;
		ask_step(m);
		if (m->waiting > 0)
			return false;
		settle(m);
		if (m->freed)
			return false;
	}
	return finish(m);
}

bool
round_run(struct milters *m)
{
	m->first = m->last = 0;
	m->waiting = 0;
	for (size_t i = 0; i < m->n; i++)
		m->order[i]->asked = false;
	if (m->discarder != NULL && has_message(m->stage)) {
		if (m->stage != MILTER_CONTENT)
			return true;
		m->answer = (struct milter_answer){ MILTER_DISCARD, NULL,
			m->discarder->milter->name, false };
	}
	return run(m);
}

bool
round_take(struct milters *m)
{
	assert(m->waiting > 0);
	if (--m->waiting > 0)
		return false;
	settle(m);
	return !m->freed && run(m);
}

void
round_free_message(struct milters *m)
{
	struct message *message = m->message;

	free_edits(m);
	if (message == NULL)
		return;
	headers_clear(&message->headers);
	edits_sum_clear(&message->sum, m->ops);
	buf_clear(&message->header);
	free(message);
	m->message = NULL;
}

void
round_end_message(struct milters *m)
{
	release_members(m);
	round_free_message(m);
	m->waiting = 0;
	m->discarder = NULL;
}
