/*
 * A version; the address of the client; a count of texts and the texts, each a
 * length of 16 bits and its bytes, in the order of the table below; a count of
 * filters, each a step and a name. There may be more texts later, or fewer:
 * what is missing is empty.
 */
#include "smtpd/context.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/bytes.h"

enum {
	VERSION = 1,
	TEXT_MAX = 1024, /* of one text */
	HEAD_SIZE = 25   /* version, flags, family, address, scope, port */
};

enum { FLAG_UTF8 = 1 };

#define FIELD(name) offsetof(struct milter_facts, name)

/* New ones at the end. */
static const size_t texts[] = {
	FIELD(client_addr),
	FIELD(client_port),
	FIELD(client_name),
	FIELD(client_ptr),
	FIELD(client_resolve),
	FIELD(trace),
	FIELD(helo),
	FIELD(hostname),
	FIELD(version),
	FIELD(daemon_name),
	FIELD(daemon_addr),
	FIELD(daemon_port),
	FIELD(if_name),
	FIELD(if_addr),
	FIELD(mail_args),
	FIELD(auth_type),
	FIELD(auth_authen),
	FIELD(auth_author),
	FIELD(auth_ssf),
	FIELD(tls_version),
	FIELD(cipher),
	FIELD(cipher_bits),
	FIELD(cert_subject),
	FIELD(cert_issuer),
	FIELD(verify),
};

enum { NTEXTS = sizeof(texts) / sizeof(texts[0]) };

/* --- writing --- */

static void
put_text(struct buf *out, struct str s)
{
	uint8_t len[2];

	put_le16(len, (uint16_t)s.len);
	buf_add(out, len, sizeof(len));
	buf_add_str(out, s);
}

static struct str
fact(const struct milter_facts *facts, size_t offset)
{
	struct str s;

	memcpy(&s, (const char *)facts + offset, sizeof(s));
	/* Cut it would be something else. */
	return s.len <= TEXT_MAX ? s : STR("");
}

static void
put_head(struct buf *out, const struct milter_facts *facts)
{
	uint8_t head[HEAD_SIZE];

	head[0] = VERSION;
	head[1] = facts->smtputf8 ? FLAG_UTF8 : 0;
	head[2] = facts->client.family;
	memcpy(head + 3, facts->client.bytes, 16);
	put_le32(head + 19, facts->client.scope);
	put_le16(head + 23, facts->port);
	buf_add(out, head, sizeof(head));
}

/* The room that must be left for what stands behind the texts. */
static size_t
members_size(const struct milter_set *set)
{
	size_t n = 1;

	for (size_t i = 0; set != NULL && i < set->n; i++)
		n += 3 + strlen(set->members[i].milter->name);
	return n;
}

void
context_make(const struct milter_facts *facts, const struct milter_set *set,
    struct buf *out)
{
	size_t left = NTEXTS, behind = members_size(set);

	put_head(out, facts);
	buf_add_char(out, (char)NTEXTS);
	for (size_t i = 0; i < NTEXTS; i++) {
		struct str s = fact(facts, texts[i]);
		size_t rest = --left * 2 + behind;

		put_text(
		    out, out->len + 2 + s.len + rest <= out->max ? s : STR(""));
	}
	buf_add_char(out, set == NULL ? 0 : (char)set->n);
	for (size_t i = 0; set != NULL && i < set->n; i++) {
		buf_add_char(out, (char)set->members[i].step);
		put_text(out, str_of(set->members[i].milter->name));
	}
}

/* --- reading --- */

struct reader {
	struct str in;
	bool bad;
};

static const uint8_t *
take(struct reader *r, size_t n)
{
	const char *p = r->in.p;

	if (r->bad || r->in.len < n) {
		r->bad = true;
		return NULL;
	}
	r->in = str_skip(r->in, n);
	return (const uint8_t *)p;
}

static uint8_t
take_u8(struct reader *r)
{
	const uint8_t *p = take(r, 1);

	return p == NULL ? 0 : *p;
}

/* No NUL: filters are told it in terminated strings. */
static struct str
take_text(struct reader *r)
{
	const uint8_t *len = take(r, 2);

	if (len == NULL)
		return STR("");
	size_t n = get_le16(len);
	const uint8_t *p = take(r, n);

	if (p == NULL || n > TEXT_MAX || memchr(p, '\0', n) != NULL) {
		r->bad = true;
		return STR("");
	}
	return (struct str){ (const char *)p, n };
}

static void
read_head(struct reader *r, struct milter_facts *facts)
{
	const uint8_t *p = take(r, HEAD_SIZE);

	if (p == NULL || p[0] != VERSION || p[1] > FLAG_UTF8 ||
	    p[2] > ADDR_LOCAL) {
		r->bad = true;
		return;
	}
	facts->smtputf8 = p[1] == FLAG_UTF8;
	facts->client.family = p[2];
	memcpy(facts->client.bytes, p + 3, 16);
	facts->client.scope = get_le32(p + 19);
	facts->port = get_le16(p + 23);
}

static void
read_texts(struct reader *r, struct milter_facts *facts)
{
	uint8_t n = take_u8(r);

	for (size_t i = 0; i < n && !r->bad; i++) {
		struct str s = take_text(r);

		if (i < NTEXTS)
			memcpy((char *)facts + texts[i], &s, sizeof(s));
	}
}

static void
read_members(struct reader *r, struct context *c)
{
	uint8_t n = take_u8(r), step = 0;

	if (n > MILTER_SET_MAX) {
		r->bad = true;
		return;
	}
	for (size_t i = 0; i < n && !r->bad; i++) {
		struct context_member *m = &c->members[i];

		m->step = take_u8(r);
		m->name = take_text(r);
		if (m->step < step || m->name.len == 0)
			r->bad = true;
		step = (uint8_t)m->step;
	}
	c->nmembers = n;
}

struct context *
context_parse(struct str bytes)
{
	struct context *c = xcalloc(1, sizeof(*c));
	struct reader r;

	c->bytes = str_dup(bytes);
	r = (struct reader){ .in = { c->bytes, bytes.len } };
	read_head(&r, &c->facts);
	read_texts(&r, &c->facts);
	read_members(&r, c);
	if (r.bad || r.in.len > 0)
		context_free(&c);
	return c;
}

void
context_free(struct context **c)
{
	if (*c == NULL)
		return;
	free((*c)->bytes);
	free(*c);
	*c = NULL;
}
