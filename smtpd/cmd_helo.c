/* HELO and EHLO (RFC 5321 4.1.1.1). */
#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "smtpd/command.h"
#include "smtpd/session.h"

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

enum stage
ehlo_apply(struct session *s, struct command *c)
{
	uint64_t size = s->listener->max_size != 0 ?
			    s->listener->max_size :
			    s->config->limits.message_size;

	introduce(s, c, true);
	return command_answerf(c,
	    "250-%s\r\n"
	    "250-PIPELINING\r\n"
	    "250-SIZE %" PRIu64 "\r\n"
	    "250-8BITMIME\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n"
	    "250 SMTPUTF8",
	    session_hostname(s), size);
}
