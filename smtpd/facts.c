/* The values behind the macros. */
#include "smtpd/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/header.h"
#include "lib/mail/reply.h"
#include "lib/net/addr.h"

enum { REFUSED_TEXT_MAX = 512 };

/* A text, and where it is to be seen. */
struct fact {
	struct str *field;
	struct str text;
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What ends a text or a line for somebody who reads it. */
static char
harmless(char c)
{
	return c == '\0' || c == '\r' || c == '\n' ? ' ' : c;
}

/* Copies the texts into one block of the group's, in the place of the one
 * before. */
static void
keep(
    struct facts *f, enum facts_group group, const struct fact *facts, size_t n)
{
	size_t len = 0;
	char *block, *p;

	for (size_t i = 0; i < n; i++)
		len += facts[i].text.len;
	block = p = xmalloc(len + 1);
	for (size_t i = 0; i < n; i++) {
		struct str text = facts[i].text;

		*facts[i].field = (struct str){ p, text.len };
		for (size_t j = 0; j < text.len; j++)
			*p++ = harmless(text.p[j]);
	}
	free(f->texts[group]);
	f->texts[group] = block;
}

void
facts_init(struct facts *f)
{
	memset(f, 0, sizeof(*f));
	f->m.version = STR("postern " POSTERN_VERSION);
}

void
facts_clear(struct facts *f)
{
	for (size_t i = 0; i < FACTS_GROUPS; i++)
		free(f->texts[i]);
	facts_init(f);
}

/* "192.0.2.1:25", "[2001:db8::1]:25"; else both are left empty. */
static void
split_name(struct str name, struct str *addr, struct str *port)
{
	size_t colon = name.len;

	while (colon > 0 && name.p[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return;
	*port = str_skip(name, colon);
	*addr = str_head(name, colon - 1);
	if (addr->len >= 2 && addr->p[0] == '[')
		*addr = str_head(str_skip(*addr, 1), addr->len - 2);
}

void
facts_set_gateway(struct facts *f, struct str hostname, struct str tag,
    struct str listener_name, const struct addr *if_addr)
{
	struct str addr = STR(""), port = STR(""), interface = STR("");
	char text[ADDR_TEXT_MAX];

	split_name(listener_name, &addr, &port);
	/* Loopback is no interface to speak of. */
	if (if_addr != NULL && !addr_is_loopback(if_addr))
		interface = str_of(addr_format(if_addr, text));
	const struct fact facts[] = {
		{ &f->m.hostname, hostname },
		{ &f->m.daemon_name, tag.len > 0 ? tag : listener_name },
		{ &f->m.daemon_addr, addr },
		{ &f->m.daemon_port, port },
		{ &f->m.if_name, interface.len > 0 ? hostname : STR("") },
		{ &f->m.if_addr, interface },
	};

	keep(f, FACTS_GATEWAY, facts, COUNT(facts));
}

static const struct str resolve_words[] = {
	[CLIENT_NAME_NONE] = { "FAIL", 4 },
	[CLIENT_NAME_PENDING] = { "TEMP", 4 },
	[CLIENT_NAME_UNCONFIRMED] = { "FORGED", 6 },
	[CLIENT_NAME_CONFIRMED] = { "OK", 2 },
	[CLIENT_NAME_FAULT] = { "TEMP", 4 },
};

void
facts_set_client(struct facts *f, const struct addr *client, uint16_t port,
    enum client_name state, struct str ptr)
{
	bool local = client->family == ADDR_LOCAL;
	bool known = local || state == CLIENT_NAME_CONFIRMED;
	char text[ADDR_TEXT_MAX], literal[ADDR_TEXT_MAX];
	char trace[PATH_DOMAIN_MAX + ADDR_TEXT_MAX + 24], number[8];
	struct str addr = STR("127.0.0.1"), tagged, bracketed;
	const char *forged = ptr.len > 0 && !known ? " (may be forged)" : "";

	if (local)
		ptr = STR("localhost");
	else if (ptr.len == 0)
		ptr = STR("unknown");
	if (!local)
		addr = str_of(addr_format(client, text));
	bracketed = str_of(addr_format_literal(client, literal));
	tagged = client->family == ADDR_V6 ?
		     str_head(str_skip(bracketed, 1), bracketed.len - 2) :
		     addr;
	ptr = str_head(ptr, PATH_DOMAIN_MAX);
	snprintf(trace, sizeof(trace), "%.*s [%.*s]%s", (int)ptr.len, ptr.p,
	    (int)addr.len, addr.p, forged);
	snprintf(number, sizeof(number), "%u", local ? 0U : (unsigned int)port);
	const struct fact facts[] = {
		{ &f->m.client_addr, tagged },
		{ &f->m.client_port, str_of(number) },
		{ &f->m.client_name, known ? ptr : bracketed },
		{ &f->m.client_ptr, ptr },
		{ &f->m.client_resolve,
		    local ? STR("OK") : resolve_words[state] },
		{ &f->m.trace, str_of(trace) },
	};

	f->m.client = *client;
	f->m.port = local ? 0 : port;
	keep(f, FACTS_CLIENT, facts, COUNT(facts));
}

void
facts_set_helo(struct facts *f, struct str helo)
{
	const struct fact facts[] = { { &f->m.helo, helo } };

	keep(f, FACTS_HELO, facts, COUNT(facts));
}

void
facts_set_tls(struct facts *f, const struct facts_tls *tls)
{
	const struct fact facts[] = {
		{ &f->m.tls_version, tls->version },
		{ &f->m.cipher, tls->cipher },
		{ &f->m.cipher_bits, tls->bits },
		{ &f->m.cert_subject, tls->subject },
		{ &f->m.cert_issuer, tls->issuer },
		{ &f->m.verify, tls->verify },
	};

	keep(f, FACTS_TLS, facts, COUNT(facts));
}

void
facts_set_auth(
    struct facts *f, struct str mech, struct str user, struct str ssf)
{
	const struct fact facts[] = {
		{ &f->m.auth_type, mech },
		{ &f->m.auth_authen, user },
		{ &f->m.auth_ssf, ssf },
	};

	keep(f, FACTS_AUTH, facts, COUNT(facts));
}

/* As it was written, in brackets: some clients leave them out. */
static void
add_brackets(struct buf *b, struct str written)
{
	bool has = written.len > 0 && written.p[0] == '<';

	if (!has)
		buf_add_char(b, '<');
	buf_add_str(b, written);
	if (!has)
		buf_add_char(b, '>');
}

static struct str
domain_of(struct str address)
{
	size_t at = address.len;

	while (at > 0 && address.p[at - 1] != '@')
		at--;
	return at > 0 ? str_skip(address, at) : STR("");
}

void
facts_set_mail(struct facts *f, struct str msgid, struct str written,
    struct str args, struct str from)
{
	struct buf b;

	buf_init(&b, written.len + 2);
	add_brackets(&b, written);
	const struct fact facts[] = {
		{ &f->m.msgid, msgid },
		{ &f->m.mail, buf_str(&b) },
		{ &f->m.mail_args, args },
		{ &f->m.mail_addr, from },
		{ &f->m.mail_host, domain_of(from) },
		{ &f->m.mail_mailer,
		    from.len > 0 ? STR("smtp") : STR("local") },
	};

	keep(f, FACTS_MAIL, facts, COUNT(facts));
	buf_clear(&b);
}

/* How mail goes on, in the words filters know from other gateways. */
static const struct str mailers[] = {
	[ACTION_RELAY] = { "smtp", 4 },
	[ACTION_MAILDIR] = { "local", 5 },
	[ACTION_DISCARD] = { "discard", 7 },
};

static void
set_rcpt(struct facts *f, struct str written, struct str addr, struct str host,
    struct str mailer)
{
	struct buf b;

	buf_init(&b, written.len + 2);
	add_brackets(&b, written);
	const struct fact facts[] = {
		{ &f->m.rcpt, buf_str(&b) },
		{ &f->m.rcpt_args, STR("") },
		{ &f->m.rcpt_addr, addr },
		{ &f->m.rcpt_host, host },
		{ &f->m.rcpt_mailer, mailer },
	};

	keep(f, FACTS_RCPT, facts, COUNT(facts));
	buf_clear(&b);
}

void
facts_set_rcpt(struct facts *f, struct str written, struct str to,
    const struct action *action)
{
	set_rcpt(f, written, to, domain_of(to), mailers[action->kind]);
}

void
facts_set_refused(struct facts *f, struct str written, struct str reply)
{
	struct str text = str_skip(reply, 4), code = STR("");
	struct status status;
	struct str rest;

	if (status_parse(text, &status, &rest) == 0) {
		code = str_trim(str_head(text, text.len - rest.len));
		text = str_trim(rest);
	}
	set_rcpt(
	    f, written, str_head(text, REFUSED_TEXT_MAX), code, STR("error"));
}

void
facts_set_content(struct facts *f, struct str header)
{
	struct str id = STR("");
	struct header_field field;
	size_t pos = 0;

	while (header_next(header, &pos, &field))
		if (str_eq_nocase(field.name, STR("Message-ID"))) {
			id = str_trim(field.value);
			break;
		}
	const struct fact facts[] = { { &f->m.msg_id, id } };

	keep(f, FACTS_CONTENT, facts, COUNT(facts));
}
