/* XCLIENT: attributes, each a row of a table; and what becomes of them. */
#include <string.h>

#include "lib/base/log.h"
#include "lib/mail/path.h"
#include "lib/mail/xtext.h"
#include "smtpd/auth.h"
#include "smtpd/client_name.h"
#include "smtpd/command.h"
#include "smtpd/filtering.h"
#include "smtpd/opening.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"
#include "smtpd/xclient.h"

enum { VALUE_MAX = 255 };

enum attribute { NAME, ADDR, PORT, PROTO, HELO, LOGIN, DESTADDR, DESTPORT };

enum { NATTRIBUTES = DESTPORT + 1 };

enum given {
	NOT_GIVEN,
	GIVEN,
	UNAVAILABLE, /* there is none */
	TEMPUNAVAIL  /* it could not be found out */
};

struct values {
	struct {
		enum given given;
		struct str text; /* with GIVEN */
		char room[VALUE_MAX + 1];
	} v[NATTRIBUTES];
	struct addr client, local;
	uint16_t port, local_port;
};

/* --- what is legal --- */

static bool
take_name(struct values *v, struct str s)
{
	(void)v;
	return path_is_domain(s, false);
}

static bool
take_helo(struct values *v, struct str s)
{
	(void)v;
	return path_is_domain(s, false) || path_is_literal(s);
}

static bool
take_address(struct str s, struct addr *out)
{
	static const struct str v6 = { "IPV6:", 5 };

	if (str_starts_nocase(s, v6))
		s = str_skip(s, v6.len);
	return addr_parse(s, out) == 0;
}

static bool
take_addr(struct values *v, struct str s)
{
	return take_address(s, &v->client);
}

static bool
take_destaddr(struct values *v, struct str s)
{
	return take_address(s, &v->local);
}

static bool
take_number(struct str s, uint16_t *out)
{
	uint64_t n;

	if (s.len == 0 || str_to_u64(s, UINT16_MAX, &n) < 0)
		return false;
	*out = (uint16_t)n;
	return true;
}

static bool
take_port(struct values *v, struct str s)
{
	return take_number(s, &v->port);
}

static bool
take_destport(struct values *v, struct str s)
{
	return take_number(s, &v->local_port);
}

static bool
take_proto(struct values *v, struct str s)
{
	(void)v;
	return str_eq_nocase(s, STR("SMTP")) || str_eq_nocase(s, STR("ESMTP"));
}

static bool
take_login(struct values *v, struct str s)
{
	(void)v;
	return s.len > 0;
}

static const struct {
	const char *name;
	bool (*take)(struct values *v, struct str s);
} attributes[NATTRIBUTES] = {
	[NAME] = { "NAME", take_name },
	[ADDR] = { "ADDR", take_addr },
	[PORT] = { "PORT", take_port },
	[PROTO] = { "PROTO", take_proto },
	[HELO] = { "HELO", take_helo },
	[LOGIN] = { "LOGIN", take_login },
	[DESTADDR] = { "DESTADDR", take_destaddr },
	[DESTPORT] = { "DESTPORT", take_destport },
};

/* --- the line --- */

static bool
decode(struct str s, char room[static VALUE_MAX + 1], struct str *out)
{
	struct buf b;
	bool ok;

	buf_init(&b, VALUE_MAX);
	ok = xtext_decode(s, &b) == 0 && b.len > 0;
	if (ok) {
		memcpy(room, b.p, b.len);
		*out = (struct str){ room, b.len };
	}
	buf_clear(&b);
	return ok;
}

static bool
take_value(struct values *v, size_t i, struct str s)
{
	if (v->v[i].given != NOT_GIVEN)
		return false;
	if (str_eq_nocase(s, STR("[UNAVAILABLE]")))
		v->v[i].given = UNAVAILABLE;
	else if (str_eq_nocase(s, STR("[TEMPUNAVAIL]")))
		v->v[i].given = TEMPUNAVAIL;
	else if (decode(s, v->v[i].room, &v->v[i].text) &&
		 attributes[i].take(v, v->v[i].text))
		v->v[i].given = GIVEN;
	return v->v[i].given != NOT_GIVEN;
}

static bool
take_word(struct values *v, struct str word)
{
	size_t n = str_find(word, '='), i = 0;

	while (i < NATTRIBUTES &&
	       !str_eq_nocase(str_head(word, n), str_of(attributes[i].name)))
		i++;
	return n < word.len && i < NATTRIBUTES &&
	       take_value(v, i, str_skip(word, n + 1));
}

static bool
parse(struct str args, struct values *v)
{
	memset(v, 0, sizeof(*v));
	if (args.len == 0)
		return false;
	while (args.len > 0) {
		size_t n = str_find(args, ' ');

		if (!take_word(v, str_head(args, n)))
			return false;
		args = str_trim(str_skip(args, n));
	}
	return true;
}

/* --- the command --- */

/* The one at the other end itself: not those whom a balancer lets through. */
bool
xclient_is_allowed(const struct session *s)
{
	const struct table *t = s->listener->xclient_from;

	return t != NULL && !s->proxied && s->peer.family != ADDR_LOCAL &&
	       table_find_source(t, &s->peer, NULL);
}

enum stage
xclient_check(const struct session *s, struct command *c)
{
	struct values v;

	if (s->listener->xclient_from == NULL)
		return command_unavailable(c);
	if (!xclient_is_allowed(s))
		return command_refuse(
		    c, "xclient", "550 5.7.1 XCLIENT is not for you");
	if (!parse(c->args, &v))
		return command_refuse(
		    c, "syntax", "501 5.5.4 Bad attribute or value");
	return STAGE_GO;
}

static void
set_client(struct session *s, const struct values *v)
{
	if (v->v[ADDR].given == GIVEN)
		session_set_client(s, &v->client, v->port);
	else if (v->v[ADDR].given != NOT_GIVEN)
		session_set_client(s, &s->peer, v->port);
	else if (v->v[PORT].given == GIVEN)
		s->port = v->port;
	if (v->v[DESTADDR].given == GIVEN)
		s->local = v->local;
	if (v->v[DESTPORT].given == GIVEN)
		s->local_port = v->local_port;
}

static const enum client_name name_states[] = {
	[GIVEN] = CLIENT_NAME_CONFIRMED,
	[UNAVAILABLE] = CLIENT_NAME_NONE,
	[TEMPUNAVAIL] = CLIENT_NAME_FAULT,
};

/* Another address without a name is asked about, as any. */
static void
set_name(struct session *s, const struct values *v)
{
	enum given given = v->v[NAME].given;

	if (given != NOT_GIVEN) {
		caller_unref(&s->caller);
		s->caller = caller_given(name_states[given], v->v[NAME].text);
		s->name_late = false;
		s->named = true;
	} else if (v->v[ADDR].given != NOT_GIVEN)
		s->named = false;
}

/* What the client has said to whoever is in front of us. */
static void
set_dialogue(struct session *s, const struct values *v)
{
	if (v->v[HELO].given == GIVEN) {
		s->helo = str_dup(v->v[HELO].text);
		s->esmtp = v->v[PROTO].given != GIVEN ||
			   str_eq_nocase(v->v[PROTO].text, STR("ESMTP"));
	}
	if (v->v[LOGIN].given == GIVEN)
		auth_accept(s, v->v[LOGIN].room, "XCLIENT");
}

enum stage
xclient_apply(struct session *s, struct command *c)
{
	struct values v;
	char by[ADDR_TEXT_MAX];

	parse(c->args, &v);
	session_forget(s);
	filtering_free(&s->filtering);
	set_client(s, &v);
	set_name(s, &v);
	set_dialogue(s, &v);
	s->early = false;
	stats_add(STAT_XCLIENT, 1);
	log_info(&s->log, "xclient", "client=%s port=%u helo=%s user=%s by=%s",
	    log_cstr(s->client_text), s->port, log_cstr(s->helo),
	    log_cstr(s->user), log_cstr(addr_format(&s->peer, by)));
	c->then = opening_again;
	return command_answer(c, "");
}
