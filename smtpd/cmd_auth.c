/* AUTH (RFC 4954). What stands behind the mechanism is a secret: nothing of it
 * is logged, and it is wiped with the command (VERB_SECRET). */
#include "smtpd/auth.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

struct str
auth_shown(struct str args)
{
	static const char *const names[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256",
		"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS",
		"SCRAM-SHA-512", "CRAM-MD5", "DIGEST-MD5", "XOAUTH2",
		"OAUTHBEARER", "NTLM", "GSSAPI", "EXTERNAL", "ANONYMOUS" };
	struct str word = str_head(args, str_find(args, ' '));

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq_nocase(word, str_of(names[i])))
			return word;
	return args.len > 0 ? STR(AUTH_MASK) : word;
}

size_t
auth_find_hint(struct str text)
{
	static const struct str words[] = { { "AUTH", 4 }, { "LOGIN", 5 },
		{ "PASS", 4 }, { "PLAIN", 5 } };

	for (size_t at = 0; at < text.len; at++)
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (str_starts_nocase(str_skip(text, at), words[i]))
				return at;
	return text.len;
}

/* May it be said now; whatever stands behind it? */
static enum stage
check_state(const struct session *s, struct command *c)
{
	if (s->listener->auth == NULL)
		return command_unavailable(c);
	if (!s->esmtp)
		return command_refuse(
		    c, "sequence", "503 5.5.1 Send EHLO first");
	if (s->user != NULL)
		return command_refuse(
		    c, "sequence", "503 5.5.1 Already authenticated");
	if (s->tx != NULL)
		return command_refuse(
		    c, "sequence", "503 5.5.1 Not in a transaction");
	if (!auth_is_offered(s))
		return command_refuse(c, "tls-required",
		    "538 5.7.11 Encryption is needed for authentication");
	return STAGE_GO;
}

enum stage
auth_check(const struct session *s, struct command *c)
{
	struct str mech = str_head(c->args, str_find(c->args, ' '));
	enum stage r = check_state(s, c);

	if (r != STAGE_GO)
		return r;
	c->written = str_trim(str_skip(c->args, mech.len));
	if (mech.len == 0 || str_find(c->written, ' ') != c->written.len)
		return command_refuse(
		    c, "syntax", "501 5.5.4 Syntax: AUTH mechanism [response]");
	if (auth_find_mech(s, mech) == NULL)
		return command_refuse(
		    c, "mechanism", "504 5.5.4 This mechanism is not offered");
	return STAGE_GO;
}

enum stage
auth_limits(const struct session *s, struct command *c)
{
	if (!limits_auth_is_over(s))
		return STAGE_GO;
	stats_add(STAT_AUTH_LIMITED, 1);
	return command_refuse(c, "auth-failures", AUTH_LIMITED_REPLY);
}

enum stage
auth_apply(struct session *s, struct command *c)
{
	struct str mech = str_head(c->args, str_find(c->args, ' '));

	auth_begin(s, auth_find_mech(s, mech));
	if (c->written.len == 0)
		return auth_challenge(s);
	/* An empty one is written so (RFC 4954 4). */
	if (str_eq(c->written, STR("=")))
		return auth_take(s, STR(""), c->followed);
	return auth_take(s, c->written, c->followed);
}
