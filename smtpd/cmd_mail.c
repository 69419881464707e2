/* MAIL FROM (RFC 5321 4.1.1.2). */
#include "lib/base/log.h"
#include "smtpd/blocks.h"
#include "smtpd/command.h"
#include "smtpd/filtering.h"
#include "smtpd/from_queue.h"
#include "smtpd/limits.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/syntax.h"
#include "smtpd/tx.h"

enum stage
mail_check(const struct session *s, struct command *c)
{
	struct str rest;
	unsigned int flags = PATH_ALLOW_NULL;
	enum stage r;

	if (!syntax_keyword(c, STR("FROM:"), &rest))
		return command_refuse(
		    c, "syntax", "501 5.5.4 Syntax: MAIL FROM:<address>");
	/* A user of this machine needs no domain. */
	if (s->client.family == ADDR_LOCAL)
		flags |= PATH_ALLOW_LOCAL;
	r = syntax_path(c, rest, flags, PARAM_MAIL);
	if (r == STAGE_GO)
		policy_complete(s, &c->path);
	return r;
}

/* Somebody may have said so since it came. */
static bool
is_blocked(const struct session *s)
{
	const char *why, *reply;

	if (blocks_find(s->config, &s->client, &reply, &why) != BLOCKS_DENY)
		return false;
	stats_add(STAT_BLOCKED, 1);
	log_info(&s->log, "blocked", "client=%s by=%s",
	    log_cstr(s->client_text), log_cstr(why));
	return true;
}

enum stage
mail_limits(const struct session *s, struct command *c)
{
	const char *why, *reply;

	if (is_blocked(s))
		return command_refuse(c, "blocked", "421 4.7.0 Access denied");
	reply = sessions_last_word(&why);
	if (reply != NULL)
		return command_refuse(c, why, reply);
	if (s->nmails >= limits_messages(s)) {
		stats_add(STAT_LIMIT_MESSAGES, 1);
		return command_refuse(c, "messages",
		    "421 4.7.0 Too many messages on this connection");
	}
	if (c->params.has_size && c->params.size > limits_message_size(s))
		return command_refuse(
		    c, "size", "552 5.3.4 Message is too big");
	return from_queue_check(c);
}

enum stage
mail_apply(struct session *s, struct command *c)
{
	if (s->filtering != NULL && s->filtering->tx != NULL) {
		s->tx = s->filtering->tx;
		s->filtering->tx = NULL;
	} else
		s->tx = tx_new(
		    &s->log, &c->path, &c->params, c->written, mail_args(c));
	s->nmails++;
	s->over_limit = false;
	return command_answer(c, "250 2.1.0 Ok");
}
