/* HELO and EHLO (RFC 5321 4.1.1.1), and what we say we can do. */
#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/mail/path.h"
#include "smtpd/auth.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/xclient.h"

enum { EHLO_MAX = 4096 };

enum stage
helo_check(const struct session *s, struct command *c)
{
	(void)s;
	if (c->args.len == 0)
		return command_refuse(
		    c, "syntax", "501 5.5.4 A host name is needed");
	if (path_is_domain(c->args, false) || path_is_literal(c->args))
		return STAGE_GO;
	return command_refuse(c, "helo", "501 5.5.2 That is not a host name");
}

enum stage
ehlo_check(const struct session *s, struct command *c)
{
	return helo_check(s, c);
}

/* Also RSET, in effect (RFC 5321 4.1.4). */
static void
introduce(struct session *s, const struct command *c, bool esmtp)
{
	session_end_tx(s);
	free(s->helo);
	s->helo = xstrndup(c->args.p, c->args.len);
	s->esmtp = esmtp;
}

enum stage
helo_apply(struct session *s, struct command *c)
{
	introduce(s, c, false);
	return command_answerf(c, "250 %s", session_hostname(s));
}

/* --- the words of EHLO --- */

static void
write_size(const struct session *s, struct buf *out)
{
	buf_addf(out, " %" PRIu64, limits_message_size(s));
}

/* RFC 9422. */
static void
write_limits(const struct session *s, struct buf *out)
{
	buf_addf(out, " MAILMAX=%" PRIu64 " RCPTMAX=%" PRIu64,
	    limits_messages(s), s->config->limits.recipients);
}

static void
write_auth(const struct session *s, struct buf *out)
{
	buf_add_char(out, ' ');
	auth_mechanisms(s, out);
}

static void
write_xclient(const struct session *s, struct buf *out)
{
	(void)s;
	buf_add_str(out, STR(" " XCLIENT_WORDS));
}

static bool
is_submit(const struct session *s)
{
	return s->client.family == ADDR_LOCAL;
}

/* For who makes a header of its own: what completes addresses here. */
static void
write_domain(const struct session *s, struct buf *out)
{
	buf_addf(out, " %s", s->config->domain);
}

static const struct {
	const char *word;
	bool (*is_offered)(const struct session *s); /* NULL: always */
	void (*write)(const struct session *s, struct buf *out); /* or NULL */
} words[] = {
	{ "PIPELINING", NULL, NULL },
	{ "SIZE", NULL, write_size },
	{ "8BITMIME", NULL, NULL },
	{ "ENHANCEDSTATUSCODES", NULL, NULL },
	{ "SMTPUTF8", NULL, NULL },
	{ "CHUNKING", NULL, NULL },
	{ "DSN", NULL, NULL },
	{ "LIMITS", NULL, write_limits },
	{ "STARTTLS", secure_is_offered, NULL },
	{ "AUTH", auth_is_offered, write_auth },
	{ "REQUIRETLS", secure_is_on, NULL },
	{ "XCLIENT", xclient_is_allowed, write_xclient },
	{ "XDOMAIN", is_submit, write_domain },
};

enum stage
ehlo_apply(struct session *s, struct command *c)
{
	struct buf b;
	size_t last = 0;

	introduce(s, c, true);
	buf_init(&b, EHLO_MAX);
	buf_addf(&b, "250-%s", session_hostname(s));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].is_offered != NULL && !words[i].is_offered(s))
			continue;
		last = b.len + 2;
		buf_addf(&b, "\r\n250-%s", words[i].word);
		if (words[i].write != NULL)
			words[i].write(s, &b);
	}
	b.p[last + 3] = ' ';
	command_answerf(c, "%.*s", (int)b.len, b.p);
	buf_clear(&b);
	return STAGE_ANSWERED;
}
