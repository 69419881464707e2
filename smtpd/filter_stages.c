/* What is asked of filters at each verb; the column `filters' of its table. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/mail/reply.h"
#include "smtpd/client_name.h"
#include "smtpd/filtering.h"
#include "smtpd/greeting.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"
#include "smtpd/tx.h"

static const char too_busy[] = "451 4.3.2 Too busy, try again later";

/* --- the connection --- */

/* A refusal without code and enhanced code, its first line. */
static struct str
plain_text(struct str reply)
{
	struct str text = str_skip(reply, 4), rest;
	struct status status;

	text = str_head(text, str_find(text, '\r'));
	return status_parse(text, &status, &rest) == 0 ? rest : text;
}

/* The session is refused: 5xx is the greeting (RFC 5321 3.1), and MAIL hears
 * the whole of it; of 4xx only MAIL hears. */
static enum stage
refuse_session(struct filtering *f, struct command *c, bool greeting)
{
	struct str text;

	if (c->close)
		return STAGE_ANSWERED;
	f->stored = xstrdup(c->reply);
	text = plain_text(str_of(f->stored));
	if (!greeting || f->stored[0] != '5') {
		c->reply = c->why = NULL;
		return STAGE_GO;
	}
	command_answerf(c, "554 5.7.1 %s %.*s", session_hostname(f->session),
	    (int)text.len, text.p);
	return STAGE_ANSWERED;
}

enum stage
open_filters(struct session *s, struct command *c)
{
	struct filtering *f = filtering_need(s);

	switch (filtering_ask(f, c, MILTER_CONNECT)) {
	case STAGE_WAITING:
		return STAGE_WAITING;
	case STAGE_ANSWERED:
		/* Who is refused for having spoken meanwhile hears of that. */
		if (!greeting_is_disturbed(s))
			return refuse_session(f, c, true);
		break;
	case STAGE_GO:
		break;
	}
	return STAGE_GO;
}

enum stage
helo_filters(struct session *s, struct command *c)
{
	struct filtering *f = s->filtering;

	if (f == NULL || f->stored != NULL)
		return STAGE_GO;
	if (!f->asked) {
		/* Also RSET, in effect, and filters hear of that first. */
		session_end_tx(s);
		milters_choose(f->milters, f->set, false);
		facts_set_helo(&f->facts, c->args);
	}
	if (filtering_ask(f, c, MILTER_HELO) == STAGE_WAITING)
		return STAGE_WAITING;
	return c->reply != NULL ? refuse_session(f, c, false) : STAGE_GO;
}

/* The session was refused before. */
static enum stage
refuse_stored(const struct filtering *f, struct command *c)
{
	command_answerf(c, "%s", f->stored);
	c->why = "filter";
	return STAGE_ANSWERED;
}

enum stage
vrfy_filters(struct session *s, struct command *c)
{
	struct filtering *f = s->filtering;

	return f != NULL && f->stored != NULL ? refuse_stored(f, c) : STAGE_GO;
}

/* The line is nobody's while filters look at it in a transaction: one of them
 * may go silent (they expect RCPT or DATA then). */
enum stage
unknown_filters(struct session *s, struct command *c)
{
	struct filtering *f = s->filtering;

	if (f == NULL || f->stored != NULL || s->tx != NULL)
		return STAGE_GO;
	f->facts.m.line = c->args;
	return filtering_ask(f, c, MILTER_UNKNOWN);
}

/* --- the transaction --- */

struct str
mail_args(const struct command *c)
{
	const char *end = c->written.p + c->written.len;
	size_t before = (size_t)(end - c->args.p);

	return str_trim(str_skip(c->args, before));
}

/* A message begins at the filters. */
static enum stage
begin_mail(struct filtering *f, struct command *c)
{
	struct session *s = f->session;
	struct tx *tx;

	if (filtering_has(f->set, false) && filtering_count(f) < 0)
		return command_refuse(c, "filtering-full", too_busy);
	tx = f->tx =
	    tx_new(&s->log, &c->path, &c->params, c->written, mail_args(c));
	filtering_learn_mail(&f->facts, tx);
	milters_choose(f->milters, f->set, false);
	return STAGE_GO;
}

enum stage
mail_filters(struct session *s, struct command *c)
{
	struct filtering *f = s->filtering;
	enum stage r = STAGE_GO;

	if (f == NULL)
		return STAGE_GO;
	if (f->stored != NULL)
		return refuse_stored(f, c);
	if (!f->asked)
		r = begin_mail(f, c);
	if (r == STAGE_GO)
		r = filtering_ask(f, c, MILTER_MAIL);
	if (r == STAGE_ANSWERED)
		filtering_end_tx(f);
	return r;
}

/* What the filters are told first needs the client's name, while there is
 * hope for it. */
static enum stage
begin_late(struct session *s, struct command *c)
{
	if (s->filtering == NULL &&
	    policy_name_state(s) == CLIENT_NAME_PENDING) {
		caller_wait(s->caller, c);
		return STAGE_WAITING;
	}
	if (filtering_count(filtering_need(s)) < 0)
		return command_refuse(c, "filtering-full", too_busy);
	return STAGE_GO;
}

/* The first recipient that is taken decides which filters there are. */
static enum stage
choose(struct session *s, struct command *c, const struct milter_set *set)
{
	struct tx *tx = s->tx;
	enum stage r = STAGE_GO;

	if (tx->nrcpt > 0)
		return tx->set == set ?
			   STAGE_GO :
			   command_refuse(c, "filter-set",
			       "452 4.5.3 This recipient needs other filters, "
			       "send to it separately");
	if (filtering_has(set, false))
		r = begin_late(s, c);
	if (r != STAGE_GO)
		return r;
	tx->set = set;
	if (s->filtering != NULL)
		milters_choose(s->filtering->milters, set, false);
	return STAGE_GO;
}

enum stage
rcpt_filters(struct session *s, struct command *c)
{
	struct filtering *f = s->filtering;
	struct buf to;
	enum stage r;

	if (f == NULL || !f->asked) {
		r = choose(s, c, filtering_rcpt_set(s, c->verdict.rule));
		if (r != STAGE_GO)
			return r;
		f = s->filtering;
		if (f == NULL)
			return STAGE_GO;
		buf_init(&to, PATH_FORMAT_MAX);
		path_format(&c->path, &to);
		facts_set_rcpt(&f->facts, c->written, buf_str(&to),
		    c->verdict.rule->action);
		buf_clear(&to);
	}
	return filtering_ask(f, c, MILTER_RCPT);
}

enum stage
data_filters(struct session *s, struct command *c)
{
	struct filtering *f = s->filtering;
	enum stage r;

	if (f == NULL)
		return STAGE_GO;
	r = filtering_ask(f, c, MILTER_DATA);
	/* They refused the message, not the command. */
	c->ends_tx = r == STAGE_ANSWERED;
	return r;
}
