/*
 * How a line becomes a reply. Every later question (a filter, a resolver)
 * has its place in the chain of stages.
 */
#include "smtpd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "smtpd/auth.h"
#include "smtpd/body.h"
#include "smtpd/client_name.h"
#include "smtpd/cmd_bdat.h"
#include "smtpd/limits.h"
#include "smtpd/recorder.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/tx.h"

static struct command *
command_new(
    struct session *s, const struct verb *verb, struct str args, bool followed)
{
	struct command *c = xmalloc(sizeof(*c) + args.len + 1);

	memset(c, 0, sizeof(*c));
	c->session = s;
	c->verb = verb;
	c->followed = followed;
	if (args.len > 0)
		memcpy(c->line, args.p, args.len);
	c->line[args.len] = '\0';
	c->args = (struct str){ c->line, args.len };
	return c;
}

static void
stop_waiting(struct command *c)
{
	if (c->waits_in != NULL)
		TAILQ_REMOVE(c->waits_in, c, waiting);
	c->waits_in = NULL;
}

void
command_free(struct command **c)
{
	if (*c == NULL)
		return;
	stop_waiting(*c);
	if (((*c)->verb->flags & VERB_SECRET) != 0 || (*c)->session->veiled)
		explicit_bzero((*c)->line, (*c)->args.len);
	free((*c)->text);
	free((*c)->domain);
	free(*c);
	*c = NULL;
}

/* --- answers --- */

enum stage
command_answer(struct command *c, const char *text)
{
	c->reply = text;
	return STAGE_ANSWERED;
}

enum stage
command_answerf(struct command *c, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return command_answer(c, "451 4.3.0 Local error");
	free(c->text);
	c->text = xmalloc((size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(c->text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	c->reply = c->text;
	return STAGE_ANSWERED;
}

enum stage
command_refuse(struct command *c, const char *why, const char *text)
{
	c->why = why;
	return command_answer(c, text);
}

enum stage
command_unavailable(struct command *c)
{
	return command_refuse(
	    c, "not-implemented", "502 5.5.1 Command not implemented");
}

/* --- stages --- */

static bool
needs_tls(const struct session *s)
{
	return (s->listener->flags & LISTENER_TLS_REQUIRE) != 0 &&
	       !secure_is_on(s);
}

static enum stage
stage_state(struct command *c)
{
	const struct session *s = c->session;
	const struct verb *v = c->verb;

	/* First of all how much does not belong to the dialogue. */
	if ((v->flags & VERB_OCTETS) != 0 && bdat_size(c) == STAGE_ANSWERED)
		return STAGE_ANSWERED;
	if ((v->flags & VERB_CLEAR) == 0 && needs_tls(s))
		return command_refuse(c, "tls-required",
		    "530 5.7.0 Must issue a STARTTLS command first");
	if ((v->flags & VERB_HELO) != 0 && s->helo == NULL)
		return command_refuse(
		    c, "sequence", "503 5.5.1 Send HELO or EHLO first");
	if ((v->flags & VERB_NO_TX) != 0 && s->tx != NULL)
		return command_refuse(
		    c, "sequence", "503 5.5.1 Nested MAIL command");
	if ((v->flags & VERB_TX) != 0 && s->tx == NULL)
		return command_refuse(
		    c, "sequence", "503 5.5.1 Need MAIL command");
	if ((v->flags & VERB_OPEN) != 0 && s->body != NULL)
		return command_refuse(
		    c, "sequence", "503 5.5.1 Content comes with BDAT");
	if ((v->flags & VERB_NO_ARGS) != 0 && c->args.len > 0)
		return command_refuse(
		    c, "syntax", "501 5.5.4 No argument is allowed here");
	return v->check != NULL ? v->check(s, c) : STAGE_GO;
}

static enum stage
stage_limits(struct command *c)
{
	return c->verb->limits != NULL ? c->verb->limits(c->session, c) :
					 STAGE_GO;
}

static enum stage
stage_rules(struct command *c)
{
	return c->verb->rules != NULL ? c->verb->rules(c->session, c) :
					STAGE_GO;
}

static enum stage
stage_filters(struct command *c)
{
	return c->verb->filters != NULL ? c->verb->filters(c->session, c) :
					  STAGE_GO;
}

static enum stage
stage_apply(struct command *c)
{
	return c->verb->apply(c->session, c);
}

typedef enum stage stage_fn(struct command *c);

enum {
	STAGE_OF_STATE,
	STAGE_OF_LIMITS,
	STAGE_OF_RULES,
	STAGE_OF_FILTERS,
	STAGE_OF_APPLY,
	NSTAGES
};

static stage_fn *const stages[NSTAGES] = {
	[STAGE_OF_STATE] = stage_state,
	[STAGE_OF_LIMITS] = stage_limits,
	[STAGE_OF_RULES] = stage_rules,
	[STAGE_OF_FILTERS] = stage_filters,
	[STAGE_OF_APPLY] = stage_apply,
};

bool
command_was_judged(const struct command *c)
{
	return c->stage == STAGE_OF_LIMITS || c->stage == STAGE_OF_RULES;
}

/* --- the way through them --- */

static void
log_refusal(const struct command *c)
{
	const struct session *s = c->session;
	struct str args = c->args;

	if (c->quiet)
		return;
	if ((c->verb->flags & VERB_SECRET) != 0)
		args = auth_shown(args);
	else if (s->veiled && args.len > 0)
		args = STR(AUTH_MASK);
	log_info(s->tx != NULL ? &s->tx->log : &s->log, "reject",
	    "stage=%s reply=%s why=%s client=%s rdns=%s arg=%s",
	    log_cstr(c->verb->stage), log_cstr(c->reply),
	    log_cstr(c->why != NULL ? c->why : "refused"),
	    log_cstr(s->client_text), log_cstr(caller_text(s->caller)),
	    log_str(args));
}

/* Input came with the command, or while it waited for somebody. */
static bool
is_followed(const struct command *c)
{
	return c->followed || session_has_input(c->session);
}

/* Counts what the reply means for the client's standing; may replace it. */
static enum penalty
judge(struct command *c)
{
	struct session *s = c->session;
	enum penalty p = PENALTY_NONE;

	if (c->reply[0] == '4' || c->reply[0] == '5') {
		stats_add(
		    c->reply[0] == '5' ? STAT_REJECTED : STAT_TEMPFAILED, 1);
		log_refusal(c);
		if (c->verb->refused != NULL)
			c->verb->refused(s, c);
	}
	/* What was sent right behind a DATA that we refuse is content, and
	 * must not be read as commands. */
	if ((c->verb->flags & VERB_CONTENT) != 0 &&
	    c->stage != STAGE_OF_APPLY && c->reply[0] >= '4' && is_followed(c))
		c->close = true;
	if (c->reply[0] == '5')
		p = limits_error(s);
	/* More of it may follow all the same: behind a dot or a count that
	 * came too early, too. */
	if ((c->verb->flags & (VERB_CONTENT | VERB_OCTETS)) != 0)
		s->veiled = true;
	if (((c->verb->flags & VERB_JUNK) != 0 || c->junk) && limits_junk(s) &&
	    p != PENALTY_CLOSE) {
		c->reply = "421 4.7.0 Too many commands without mail";
		p = PENALTY_CLOSE;
		s->reason = "junk-limit";
		stats_add(STAT_LIMIT_JUNK, 1);
	} else if (p == PENALTY_CLOSE) {
		c->reply = "421 4.7.0 Too many errors";
		s->reason = "error-limit";
		stats_add(STAT_LIMIT_ERRORS, 1);
	}
	return p;
}

/* The reply leaves, the command goes. */
static void
finish(struct command *c)
{
	struct session *s = c->session;
	bool was_waiting = c->was_waiting;

	if (c->close || strncmp(c->reply, "421", 3) == 0) {
		session_end(s, c->reply, c->why != NULL ? c->why : "refused");
		return; /* the command went with it */
	}
	void (*then)(struct session * s) = c->then;

	if (c->reply[0] != '\0')
		session_say(s, c->reply);
	command_free(&s->command);
	if (then != NULL)
		then(s);
	else
		session_command_done(s, was_waiting);
}

/* An answer is there: now, or after the delay a client with many errors
 * earns. */
static void
answered(struct command *c)
{
	struct session *s = c->session;
	enum penalty p;

	if (c->octets > 0 && !c->close && strncmp(c->reply, "421", 3) != 0) {
		bdat_skip(c);
		return; /* until they have gone by */
	}
	/* What those behind it bring would be a mail with a hole. */
	if ((c->verb->flags & VERB_OCTETS) != 0 && c->reply[0] >= '4')
		c->ends_tx = true;
	p = judge(c);
	if (c->ends_tx)
		session_end_tx(s);
	switch (p) {
	case PENALTY_DELAY:
		if (c->close)
			break;
		c->was_waiting = true;
		session_enter(s, SESSION_DELAY);
		return;
	case PENALTY_CLOSE:
		c->close = true;
		break;
	case PENALTY_NONE:
		break;
	}
	finish(c);
}

static void
run(struct command *c)
{
	for (; c->stage < NSTAGES; c->stage++) {
		c->wait_state = 0;
		switch (stages[c->stage](c)) {
		case STAGE_GO:
			continue;
		case STAGE_WAITING:
			c->was_waiting = true;
			if (c->wait_state != 0)
				session_enter(c->session,
				    (enum session_state)c->wait_state);
			return;
		case STAGE_ANSWERED:
			answered(c);
			return;
		}
	}
	/* No verb's apply leaves without an answer. */
	command_answer(c, "451 4.3.0 Local error");
	answered(c);
}

void
command_begin(struct session *s, struct str line, bool followed)
{
	struct str args;
	const struct verb *verb = verb_find(line, &args);

	recorder_command(s, verb, line, args);
	s->command = command_new(s, verb, args, followed);
	if (s->veiled)
		stream_wipe(s->stream);
	s->ncmds++;
	run(s->command);
}

void
command_begin_too_long(struct session *s)
{
	s->command = command_new(s, verb_too_long(), STR(""), false);
	s->ncmds++;
	run(s->command);
}

void
command_begin_open(struct session *s)
{
	s->command = command_new(s, verb_open(), STR(""), false);
	run(s->command);
}

void
command_wait(struct command *c, struct commands *list, unsigned int state)
{
	c->wait_state = (uint8_t)state;
	if (c->waits_in != NULL)
		return;
	TAILQ_INSERT_TAIL(list, c, waiting);
	c->waits_in = list;
}

void
command_resume(struct command *c)
{
	stop_waiting(c);
	run(c);
}

void
command_wake(struct commands *list)
{
	struct commands now = TAILQ_HEAD_INITIALIZER(now);
	struct command *c;

	TAILQ_FOREACH(c, list, waiting)
		c->waits_in = &now;
	TAILQ_CONCAT(&now, list, waiting);
	while ((c = TAILQ_FIRST(&now)) != NULL)
		command_resume(c);
}

void
command_done(struct command *c)
{
	if (c->session->state == SESSION_DELAY)
		finish(c);
	else
		answered(c);
}
