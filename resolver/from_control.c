/* The administrator's questions, each a row of the table below. */
#include "resolver/from_control.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/proc/tell_stats.h"
#include "resolver/explain.h"
#include "resolver/matching.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "resolver/validation.h"

enum { DATA_MAX = 4096 }; /* of row_record */

void
from_control_answer(struct channel *ch, uint64_t id, enum answer_code code,
    const char *text, uint64_t matched)
{
	struct answer_done m = {
		.code = (uint8_t)code, .text = str_of(text), .matched = matched
	};

	channel_tell(ch, TYPE_answer_done, &m, id);
}

/* --- numbers --- */

static void
on_ask_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct counter *arrays[] = { query_counters(), peer_counters(),
		validation_counters() };

	(void)ctx;
	(void)msg;
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		for (const struct counter *c = arrays[i]; c->name != NULL; c++)
			tell_stat(ch, id, c->name, c->value);
	tell_stats_common(ch, id, "resolver");
	from_control_answer(ch, id, ANSWER_OK, "", 0);
}

static void
on_ask_dnssec(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_dnssec row = { .on = validation_get() == VALIDATION_ON,
		.why = str_of(validation_why()) };

	(void)ctx;
	(void)msg;
	channel_tell(ch, TYPE_row_dnssec, &row, id);
	from_control_answer(ch, id, ANSWER_OK, "", 0);
}

/* --- one question to the DNS --- */

struct resolve_question {
	struct question q;
	struct query_wait *wait;
	char *name;
	enum dns_type type;
};

static void
resolve_free(struct resolve_question *r)
{
	free(r->name);
	free(r);
}

static void
resolve_cancel(struct question *q)
{
	struct resolve_question *r = (struct resolve_question *)q;

	query_cancel(&r->wait);
	resolve_free(r);
}

/* A string as in a zone file (RFC 1035 5.1), cut where it gets too long. */
static void
add_quoted(struct buf *out, struct str s)
{
	buf_add_char(out, '"');
	/* Room for the longest escape and the closing quote. */
	for (size_t i = 0; i < s.len && out->len + 5 <= DATA_MAX; i++) {
		unsigned int c = (unsigned char)s.p[i];

		if (c < 0x20 || c >= 0x7f)
			buf_addf(out, "\\%03u", c);
		else if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", (char)c);
		else
			buf_add_char(out, (char)c);
	}
	buf_add_char(out, '"');
}

static void
add_name(struct buf *out, struct str name)
{
	if (name.len == 0)
		buf_add_char(out, '.');
	else
		buf_add_str(out, str_head(name, DATA_MAX / 2));
}

/* RFC 6698 2.2: three numbers and hexadecimal, cut likewise. */
static void
add_tlsa(struct buf *out, struct str data)
{
	const uint8_t *p = (const uint8_t *)data.p;

	buf_addf(out, "%u %u %u ", p[0], p[1], p[2]);
	for (size_t i = 3; i < data.len && out->len + 2 <= DATA_MAX; i++)
		buf_addf(out, "%02x", p[i]);
}

static void
add_data(struct buf *out, enum dns_type type, const struct dns_record *r)
{
	char address[ADDR_TEXT_MAX];

	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		buf_addf(out, "%s", addr_format(&r->addr, address));
		break;
	case DNS_MX:
		buf_addf(out, "%u ", r->preference);
		add_name(out, r->text);
		break;
	case DNS_CNAME:
	case DNS_NS:
	case DNS_PTR:
		add_name(out, r->text);
		break;
	case DNS_TXT:
		add_quoted(out, r->text);
		break;
	case DNS_TLSA:
		add_tlsa(out, r->text);
		break;
	}
}

static void
on_resolved(void *ctx, struct dns_answer *a)
{
	struct resolve_question *r = ctx;
	struct channel *ch = r->q.peer->channel;
	struct row_resolved head = {
		.name = r->name[0] == '\0' ? STR(".") : str_of(r->name),
		.type = str_of(dns_type_name(r->type)),
		.status = str_of(dns_status_text(a)),
		.ad = a->ad
	};
	struct buf data;

	channel_tell(ch, TYPE_row_resolved, &head, r->q.id);
	buf_init(&data, DATA_MAX);
	for (size_t i = 0; i < a->nrecords; i++) {
		buf_reset(&data);
		add_data(&data, r->type, &a->records[i]);
		struct row_record row = { .ttl_s = a->records[i].ttl_s,
			.data = buf_str(&data) };
		channel_tell(ch, TYPE_row_record, &row, r->q.id);
	}
	buf_clear(&data);
	from_control_answer(ch, r->q.id, ANSWER_OK, "", a->nrecords);
	question_end(&r->q);
	resolve_free(r);
}

/* The name to ask about: without the last dot, and for the PTR of an address
 * its reverse name. The caller frees it. */
static char *
name_to_ask(struct str name, enum dns_type type)
{
	char reverse[DNS_REVERSE_MAX];
	struct addr a;

	if (type == DNS_PTR && addr_parse(name, &a) == 0 &&
	    (a.family == ADDR_V4 || a.family == ADDR_V6))
		return xstrdup(dns_reverse(&a, reverse));
	if (name.len > 0 && name.p[name.len - 1] == '.')
		name.len--;
	return str_dup(name);
}

static void
on_ask_resolve(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_resolve *m = msg;
	enum dns_type type;

	if (dns_type_find(m->type, &type) == -1) {
		from_control_answer(ch, id, ANSWER_REFUSED_IT,
		    "unknown type; there are A AAAA CNAME MX NS PTR TLSA TXT",
		    0);
		return;
	}
	if (peer_has_too_many(ctx)) {
		from_control_answer(
		    ch, id, ANSWER_UNAVAILABLE, "too many questions", 0);
		return;
	}
	struct resolve_question *r = xcalloc(1, sizeof(*r));
	r->q.cancel = resolve_cancel;
	r->type = type;
	r->name = name_to_ask(m->name, type);
	question_start(&r->q, ctx, id);
	r->wait = query_ask(str_of(r->name), type, on_resolved, r);
}

static void
on_ask_routes(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_routes *m = msg;

	if (peer_has_too_many(ctx))
		from_control_answer(
		    ch, id, ANSWER_UNAVAILABLE, "too many questions", 0);
	else
		explain_routes(ctx, id, m->address);
}

static void
on_ask_match(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	if (peer_has_too_many(ctx))
		from_control_answer(
		    ch, id, ANSWER_UNAVAILABLE, "too many questions", 0);
	else
		matching_start(ctx, id, msg);
}

/* --- the table --- */

static const struct handler handlers[] = {
	{ TYPE_tell_term, control_skip_term },
	CONTROL_QUESTIONS(CONTROL_REFUSAL){ TYPE_ask_stats, on_ask_stats },
	{ TYPE_ask_resolve, on_ask_resolve },
	{ TYPE_ask_dnssec, on_ask_dnssec },
	{ TYPE_ask_routes, on_ask_routes },
	{ TYPE_ask_match, on_ask_match },
	{ 0, NULL },
};

struct channel *
from_control_add(uint16_t instance, int socket)
{
	return peer_add(ROLE_CONTROL, instance, socket, handlers);
}
