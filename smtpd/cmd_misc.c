/* RSET NOOP HELP QUIT, and what we do not do. */
#include "smtpd/command.h"
#include "smtpd/session.h"

enum stage
rset_apply(struct session *s, struct command *c)
{
	session_end_tx(s);
	return command_answer(c, "250 2.0.0 Ok");
}

enum stage
noop_apply(struct session *s, struct command *c)
{
	(void)s;
	return command_answer(c, "250 2.0.0 Ok");
}

enum stage
help_apply(struct session *s, struct command *c)
{
	(void)s;
	return command_answer(c,
	    "214-2.0.0 HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET "
	    "NOOP VRFY HELP QUIT\r\n"
	    "214 2.0.0 See RFC 5321");
}

enum stage
quit_apply(struct session *s, struct command *c)
{
	(void)s;
	c->close = true;
	c->why = "quit";
	return command_answer(c, "221 2.0.0 Bye");
}

enum stage
unavailable_apply(struct session *s, struct command *c)
{
	(void)s;
	return command_unavailable(c);
}

enum stage
unknown_apply(struct session *s, struct command *c)
{
	(void)s;
	return command_refuse(c, "unknown", "500 5.5.2 Command not recognized");
}

enum stage
too_long_apply(struct session *s, struct command *c)
{
	(void)s;
	return command_refuse(c, "line-too-long", "500 5.5.6 Line is too long");
}
