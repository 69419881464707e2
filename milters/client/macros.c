#include "milters/client/macros.h"

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"
#include "lib/base/utf8.h"
#include "milters/client/packet.h"

enum {
	/* Default lists a macro is in, by stage. */
	C = 1 << MACROS_CONNECT,
	H = 1 << MACROS_HELO,
	M = 1 << MACROS_MAIL,
	R = 1 << MACROS_RCPT,
	T = 1 << MACROS_DATA,
	E = 1 << MACROS_END,
	N = 1 << MACROS_EOH
};

struct macro {
	const char *name; /* without braces */
	size_t offset;    /* in struct milter_facts; NOW: the date */
	unsigned int stages;
	/* Sent at these also when it is empty, and when nothing else the filter
	 * wants there has a value: with an empty list libmilter would keep
	 * what the stage had before, another recipient's. */
	unsigned int always;
};

#define FACT(field) offsetof(struct milter_facts, field)
#define NOW         SIZE_MAX

/* clang-format off */
static const struct macro macros[] = {
	{ "j",              FACT(hostname),       C,             0 },
	{ "_",              FACT(trace),          C,             0 },
	{ "v",              FACT(version),        C,             0 },
	{ "daemon_name",    FACT(daemon_name),    C,             0 },
	{ "daemon_addr",    FACT(daemon_addr),    C,             0 },
	{ "daemon_port",    FACT(daemon_port),    C,             0 },
	{ "if_name",        FACT(if_name),        C,             0 },
	{ "if_addr",        FACT(if_addr),        C,             0 },
	{ "client_addr",    FACT(client_addr),    C | M,         0 },
	{ "client_name",    FACT(client_name),    C | M,         0 },
	{ "client_port",    FACT(client_port),    C,             0 },
	{ "client_ptr",     FACT(client_ptr),     C,             0 },
	{ "client_resolve", FACT(client_resolve), C,             0 },
	{ "tls_version",    FACT(tls_version),    H,             0 },
	{ "cipher",         FACT(cipher),         H,             0 },
	{ "cipher_bits",    FACT(cipher_bits),    H,             0 },
	{ "cert_subject",   FACT(cert_subject),   H,             0 },
	{ "cert_issuer",    FACT(cert_issuer),    H,             0 },
	{ "verify",         FACT(verify),         H,             0 },
	{ "i",              FACT(msgid),          M | R | T | N | E, 0 },
	{ "b",              NOW,                  M,             0 },
	{ "auth_type",      FACT(auth_type),      M,             0 },
	{ "auth_authen",    FACT(auth_authen),    M,             0 },
	{ "auth_author",    FACT(auth_author),    M,             0 },
	{ "auth_ssf",       FACT(auth_ssf),       M,             0 },
	{ "mail_addr",      FACT(mail_addr),      M,             M },
	{ "mail_host",      FACT(mail_host),      M,             0 },
	{ "mail_mailer",    FACT(mail_mailer),    M,             0 },
	{ "rcpt_addr",      FACT(rcpt_addr),      R,             R },
	{ "rcpt_host",      FACT(rcpt_host),      R,             0 },
	{ "rcpt_mailer",    FACT(rcpt_mailer),    R,             0 },
	{ "msg_id",         FACT(msg_id),         E,             0 },
	{ "s",              FACT(helo),           0,             0 },
	{ "f",              FACT(mail_addr),      0,             0 },
};

/* clang-format on */

enum { NMACROS = sizeof(macros) / sizeof(macros[0]) };

_Static_assert(NMACROS <= 64, "one bit each");

macro_set
macros_default(enum macro_stage stage)
{
	macro_set set = 0;

	for (unsigned int i = 0; i < NMACROS; i++)
		if ((macros[i].stages & 1U << stage) != 0)
			set |= (macro_set)1 << i;
	return set;
}

static macro_set
macro_find(struct str name)
{
	if (name.len >= 2 && name.p[0] == '{' && name.p[name.len - 1] == '}')
		name = (struct str){ name.p + 1, name.len - 2 };
	for (unsigned int i = 0; i < NMACROS; i++)
		if (str_eq(name, str_of(macros[i].name)))
			return (macro_set)1 << i;
	return 0;
}

static bool
is_between(char c)
{
	return c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n';
}

macro_set
macros_parse(struct str list)
{
	macro_set set = 0;

	while (list.len > 0) {
		size_t n = 0;
		while (n < list.len && !is_between(list.p[n]))
			n++;
		set |= macro_find(str_head(list, n));
		list = str_skip(list, n + 1);
	}
	return set;
}

static struct str
macro_value(const struct macro *m, const struct milter_facts *facts,
    char date[static 32])
{
	const struct str *fact;

	if (m->offset == NOW) {
		clock_format_rfc5322(clock_wall_ms(), date);
		return str_of(date);
	}
	fact = (const void *)((const char *)facts + m->offset);
	if (fact->len <= MACRO_VALUE_MAX)
		return *fact;
	/* Not in the middle of a character. */
	size_t n = MACRO_VALUE_MAX;
	while (n > MACRO_VALUE_MAX - 4 && ((uint8_t)fact->p[n] & 0xc0) == 0x80)
		n--;
	return str_head(*fact, n);
}

static void
add_name(struct buf *out, const char *name)
{
	if (name[1] == '\0')
		buf_add_char(out, name[0]);
	else
		buf_addf(out, "{%s}", name);
	buf_add_char(out, '\0');
}

/* Line ends and NULs would mean something to whoever writes it on. */
static void
add_value(struct buf *out, struct str value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];
		bool bad = c == '\r' || c == '\n' || c == '\0';
		buf_add_char(out, bad ? ' ' : c);
	}
	buf_add_char(out, '\0');
}

static void
add_macro(struct buf *out, const struct macro *m, struct str value)
{
	add_name(out, m->name);
	add_value(out, value);
}

void
macros_encode(struct buf *out, char event, enum macro_stage stage,
    macro_set wanted, const struct milter_facts *facts)
{
	char date[32];
	size_t start = packet_start(out, 'D');
	size_t first;

	buf_add_char(out, event);
	first = out->len;
	for (unsigned int i = 0; i < NMACROS; i++) {
		const struct macro *m = &macros[i];
		if ((wanted & (macro_set)1 << i) == 0)
			continue;
		struct str value = macro_value(m, facts, date);
		size_t room = MACRO_PACKET_MAX - (out->len - start);
		if ((value.len > 0 || (m->always & 1U << stage) != 0) &&
		    value.len + 32 < room)
			add_macro(out, m, value);
	}
	for (unsigned int i = 0; wanted != 0 && i < NMACROS; i++)
		if (out->len == first && (macros[i].always & 1U << stage) != 0)
			add_macro(out, &macros[i],
			    macro_value(&macros[i], facts, date));
	if (out->len == first)
		out->len = start;
	else
		packet_finish(out, start);
}
