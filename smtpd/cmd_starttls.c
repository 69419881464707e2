/* STARTTLS (RFC 3207). */
#include "smtpd/command.h"
#include "smtpd/secure.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

enum stage
starttls_check(const struct session *s, struct command *c)
{
	if (secure_is_on(s))
		return command_refuse(
		    c, "sequence", "503 5.5.1 TLS is in use already");
	if (!secure_is_offered(s))
		return command_refuse(
		    c, "not-offered", "502 5.5.1 TLS is not offered here");
	return STAGE_GO;
}

/* The reply stands in the output, in the clear; all behind it does not. */
static void
begin(struct session *s)
{
	const char *why = secure_start(s);

	if (why != NULL)
		session_end(s, NULL, why);
}

enum stage
starttls_apply(struct session *s, struct command *c)
{
	const char *why = secure_obstacle(s);

	/* Whoever sent it did not wait for TLS, and may not be who comes
	 * then (CVE-2011-0411). */
	if (c->followed || session_has_input(s)) {
		stats_add(STAT_STARTTLS_INJECTION, 1);
		c->close = true;
		return command_refuse(c, "starttls-injection",
		    "554 5.5.1 Nothing may follow STARTTLS before TLS");
	}
	if (why != NULL) {
		stats_add(STAT_TLS_REFUSED, 1);
		return command_refuse(c, why,
		    "454 4.7.0 TLS is not available now, try again later");
	}
	c->then = begin;
	return command_answer(c, "220 2.0.0 Ready to start TLS");
}
