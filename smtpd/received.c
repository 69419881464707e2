/* Received: from, by, with, id, for; date. */
#include "smtpd/received.h"

#include "lib/base/clock.h"
#include "smtpd/client_name.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/tx.h"

/* Names of the protocol (RFC 3848, RFC 6531 4.3): with SMTPUTF8, TLS, AUTH. */
static const char *const protocols[2][2][2] = {
	{ { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
	{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
};

/* Who it was that has authenticated is for nobody else to read. */
static const char *
protocol(const struct session *s)
{
	if (!s->esmtp)
		return "SMTP";
	return protocols[s->tx->params.smtputf8][secure_is_on(s)]
			[s->user != NULL];
}

void
received_format(const struct session *s, struct buf *out)
{
	const struct tx *tx = s->tx;
	char text[ADDR_TEXT_MAX], date[32];

	/* HELO and the name were checked: a domain (or a literal), nothing
	 * that could end the line or a comment. */
	if (s->client.family == ADDR_LOCAL)
		buf_addf(
		    out, "Received: from %s (uid %u)\r\n", s->helo, s->uid);
	else
		buf_addf(out, "Received: from %s (%s %s)\r\n", s->helo,
		    caller_text(s->caller),
		    addr_format_literal(&s->client, text));
	buf_addf(out, "\tby %s with %s", session_hostname(s), protocol(s));
	if (secure_is_on(s)) {
		buf_add_str(out, STR("\r\n\t"));
		secure_format(s, out);
	}
	buf_addf(out, " id %s", tx->msgid);
	if (tx->nrcpt == 1)
		buf_addf(out, "\r\n\tfor <%s>", TAILQ_FIRST(&tx->rcpts)->to);
	clock_format_rfc5322(clock_wall_ms(), date);
	buf_addf(out, ";\r\n\t%s\r\n", date);
}
