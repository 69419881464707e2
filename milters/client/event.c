#include "milters/client/event.h"

#include <stddef.h>

#include "milters/client/negotiate.h"
#include "milters/client/packet.h"

/* 4.1 of Sendmail's protocol: name, family, port, address. */
static void
add_connect(struct buf *out, const struct milter_facts *facts)
{
	struct addr a = facts->client;
	struct str name = facts->client_name;
	uint16_t port = facts->port;
	char text[ADDR_TEXT_MAX];

	if (a.family == ADDR_LOCAL) {
		/* Filters know their inner hosts by address. */
		addr_parse(STR("127.0.0.1"), &a);
		name = STR("localhost");
		port = 0;
	}
	packet_add_string(out, name);
	if (a.family == ADDR_NONE) {
		buf_add_char(out, 'U');
		return;
	}
	a.scope = 0; /* inet_pton does not take it */
	buf_add_char(out, a.family == ADDR_V4 ? '4' : '6');
	packet_add_u16(out, port);
	packet_add_string(out, str_of(addr_format(&a, text)));
}

static void
add_helo(struct buf *out, const struct milter_facts *facts)
{
	packet_add_string(out, facts->helo);
}

/* Each ESMTP parameter is a string of its own. */
static void
add_path(struct buf *out, struct str path, struct str args)
{
	packet_add_string(out, path);
	while (args.len > 0) {
		size_t n = str_find(args, ' ');
		if (n > 0)
			packet_add_string(out, str_head(args, n));
		args = str_skip(args, n + 1);
	}
}

static void
add_mail(struct buf *out, const struct milter_facts *facts)
{
	add_path(out, facts->mail, facts->mail_args);
}

static void
add_rcpt(struct buf *out, const struct milter_facts *facts)
{
	add_path(out, facts->rcpt, facts->rcpt_args);
}

static void
add_unknown(struct buf *out, const struct milter_facts *facts)
{
	packet_add_string(out, facts->line);
}

/* clang-format off */
static const struct event_row events[EVENTS] = {
	[EVENT_OFFER]   = { "offer", 'O', SCOPE_SESSION, MACROS_NONE, "O", 0, 0, NULL },
	[EVENT_CONNECT] = { "connect", 'C', SCOPE_SESSION, MACROS_CONNECT, "carty4", STEP_NO_CONNECT, STEP_QUIET_CONNECT, add_connect },
	[EVENT_HELO]    = { "helo", 'H', SCOPE_SESSION, MACROS_HELO, "carty4", STEP_NO_HELO, STEP_QUIET_HELO, add_helo },
	[EVENT_MAIL]    = { "mail", 'M', SCOPE_MESSAGE, MACROS_MAIL, "cartdy4", STEP_NO_MAIL, STEP_QUIET_MAIL, add_mail },
	[EVENT_RCPT]    = { "rcpt", 'R', SCOPE_RCPT, MACROS_RCPT, "cartdy4", STEP_NO_RCPT, STEP_QUIET_RCPT, add_rcpt },
	[EVENT_DATA]    = { "data", 'T', SCOPE_MESSAGE, MACROS_DATA, "cartdy4", STEP_NO_DATA, STEP_QUIET_DATA, NULL },
	[EVENT_UNKNOWN] = { "unknown", 'U', SCOPE_COMMAND, MACROS_NONE, "cartdy4", STEP_NO_UNKNOWN, STEP_QUIET_UNKNOWN, add_unknown },
	[EVENT_HEADER]  = { "header", 'L', SCOPE_MESSAGE, MACROS_NONE, "cartdy4", STEP_NO_HEADER, STEP_QUIET_HEADER, NULL },
	[EVENT_EOH]     = { "eoh", 'N', SCOPE_MESSAGE, MACROS_EOH, "cartdy4", STEP_NO_EOH, STEP_QUIET_EOH, NULL },
	[EVENT_BODY]    = { "body", 'B', SCOPE_MESSAGE, MACROS_NONE, "cartdy4s", STEP_NO_BODY, STEP_QUIET_BODY, NULL },
	[EVENT_END]     = { "end", 'E', SCOPE_MESSAGE, MACROS_END, "cartdy4", 0, 0, NULL },
};

static const struct reply_row replies[] = {
	{ 'c', REPLY_GO_ON,    MILTER_CONTINUE },
	{ 's', REPLY_GO_ON,    MILTER_CONTINUE },
	{ 'a', REPLY_ACCEPT,   MILTER_ACCEPT },
	{ 'r', REPLY_REFUSE,   MILTER_REJECT },
	{ 't', REPLY_REFUSE,   MILTER_TEMPFAIL },
	{ 'y', REPLY_REFUSE,   MILTER_REJECT },
	{ 'd', REPLY_DISCARD,  MILTER_DISCARD },
	{ '4', REPLY_SHUTDOWN, MILTER_SHUTDOWN },
};

/* clang-format on */

const struct event_row *
event_row(enum event e)
{
	return &events[e];
}

const struct reply_row *
reply_row(char code)
{
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (replies[i].code == code)
			return &replies[i];
	return NULL;
}
