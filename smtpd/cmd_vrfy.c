/* VRFY, answered from the rules (RFC 5321 3.5). */
#include "smtpd/command.h"

#include "lib/base/buf.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"
#include "smtpd/syntax.h"

enum stage
vrfy_check(const struct session *s, struct command *c)
{
	struct str rest;
	bool utf8;
	enum path_error e;

	if (c->args.len == 0)
		return command_refuse(
		    c, "syntax", "501 5.5.4 Syntax: VRFY address");
	e = path_parse(c->args,
	    PATH_ALLOW_BARE | PATH_ALLOW_LOCAL | PATH_ALLOW_UTF8, &c->path,
	    &rest);
	rest = str_trim(rest);
	utf8 = str_eq_nocase(rest, STR("SMTPUTF8"));
	if (e != PATH_OK || (rest.len > 0 && !utf8) || syntax_ascii(c) != 0)
		return command_refuse(
		    c, "syntax", "501 5.1.3 Bad address syntax");
	if (c->path.is_utf8 && !utf8)
		return command_refuse(
		    c, "utf8", "553 5.6.7 Only with SMTPUTF8");
	policy_complete(s, &c->path);
	return STAGE_GO;
}

enum stage
vrfy_rules(const struct session *s, struct command *c)
{
	const struct rule *rule;
	struct path to = c->path;

	/* Taken in any case; who reads it is nobody's business. */
	if (policy_postmaster(s, &to, &c->verdict)) {
		c->verdict.by_rcpt = false;
		return STAGE_GO;
	}
	c->verdict = policy_decide(s, &c->path);
	if (policy_is_undecided(&c->verdict))
		return policy_need(s, c);
	rule = c->verdict.rule;
	if (rule == NULL || rule->verdict == VERDICT_REJECT)
		return command_refuse(c, "vrfy", "550 5.1.1 No such user here");
	return STAGE_GO;
}

enum stage
vrfy_apply(struct session *s, struct command *c)
{
	struct buf b;

	(void)s;
	if (!c->verdict.by_rcpt || !rules_takes(c->verdict.rule))
		return command_answer(
		    c, "252 2.1.5 Cannot say, but mail for it would be tried");
	buf_init(&b, PATH_FORMAT_MAX);
	path_format(&c->path, &b);
	command_answerf(c, "250 2.1.5 <%.*s>", (int)b.len, b.p);
	buf_clear(&b);
	return STAGE_ANSWERED;
}
