/* RCPT TO (RFC 5321 4.1.1.3). */
#include "lib/base/buf.h"
#include "smtpd/command.h"
#include "smtpd/filtering.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"
#include "smtpd/syntax.h"
#include "smtpd/tx.h"

enum {
	/* Refused for their number, before the client is thought to be
	 * beyond reason. */
	OVER_LIMIT_MAX = 1000
};

enum stage
rcpt_check(const struct session *s, struct command *c)
{
	enum stage r;
	struct str rest;

	if (!syntax_keyword(c, STR("TO:"), &rest))
		return command_refuse(
		    c, "syntax", "501 5.5.4 Syntax: RCPT TO:<address>");
	r = syntax_path(c, rest, PATH_ALLOW_LOCAL, PARAM_RCPT);
	if (r != STAGE_GO)
		return r;
	/* The only mailbox that needs no domain (RFC 5321 4.5.1); those of this
	 * machine are who they are. */
	if (c->path.domain.len == 0 && s->client.family != ADDR_LOCAL &&
	    !str_eq_nocase(c->path.local, STR("postmaster")))
		return command_refuse(
		    c, "syntax", "501 5.1.3 The address has no domain");
	policy_complete(s, &c->path);
	if (c->path.is_utf8 && !s->tx->params.smtputf8)
		return command_refuse(c, "utf8",
		    "553 5.6.7 Only with SMTPUTF8 in the MAIL command");
	return STAGE_GO;
}

enum stage
rcpt_limits(const struct session *s, struct command *c)
{
	if (s->tx->nrcpt < s->config->limits.recipients)
		return STAGE_GO;
	c->quiet = s->over_limit;
	if (s->tx->nover >= OVER_LIMIT_MAX)
		return command_refuse(
		    c, "recipients", "421 4.7.0 Far too many recipients");
	return command_refuse(c, "recipients", "452 4.5.3 Too many recipients");
}

enum stage
rcpt_rules(const struct session *s, struct command *c)
{
	const struct rule *rule;

	if (policy_postmaster(s, &c->path, &c->verdict))
		return STAGE_GO;
	c->verdict = policy_decide(s, &c->path);
	if (policy_is_undecided(&c->verdict))
		return policy_need(s, c);
	rule = c->verdict.rule;
	if (rule == NULL)
		return command_refuse(c, "no-match", rules_reply(NULL));
	if (!rules_takes(rule))
		return command_refuse(c, "rule", rules_reply(rule));
	return STAGE_GO;
}

/* What the client wrote, without its angle brackets. */
static struct str
without_brackets(struct str s)
{
	if (s.len >= 2 && s.p[0] == '<')
		return str_head(str_skip(s, 1), s.len - 2);
	return s;
}

enum stage
rcpt_apply(struct session *s, struct command *c)
{
	const struct rule *rule = c->verdict.rule;
	bool aside = rule->verdict == VERDICT_QUARANTINE;
	struct buf to;

	buf_init(&to, PATH_FORMAT_MAX);
	path_format(&c->path, &to);
	if (to.len > PATH_MAX_LEN) {
		/* Quoting made it longer than anybody could take it. */
		buf_clear(&to);
		return command_refuse(
		    c, "syntax", "501 5.1.3 The address is too long");
	}
	tx_add_rcpt(s->tx, buf_str(&to), without_brackets(c->written),
	    &c->params, rule->action,
	    aside ? START_QUARANTINED : START_WAITING);
	if (aside)
		tx_set_rule_reason(s->tx, rule);
	buf_clear(&to);
	s->nrcpt_ok++;
	return command_answer(c, "250 2.1.5 Ok");
}

void
rcpt_refused(struct session *s, const struct command *c)
{
	s->nrcpt_bad++;
	if (s->tx == NULL)
		return;
	s->tx->nrefused++;
	if (s->tx->nrcpt >= s->config->limits.recipients) {
		s->tx->nover++;
		s->over_limit = true;
	}
	if (s->filtering != NULL && command_was_judged(c))
		filtering_tell_refused(s->filtering, c);
}
