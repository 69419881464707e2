/* What an agent wants to know: the way to a next hop, and who gets a domain's
 * reports about TLS. */
#include "resolver/from_delivery.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "resolver/dane.h"
#include "resolver/peer.h"
#include "resolver/query.h"
#include "resolver/way.h"

/* --- ways --- */

struct way_question {
	struct question q;
	struct way *way;
};

static void
tell_tlsa(struct channel *ch, uint64_t id, const struct dns_record *r)
{
	const uint8_t *p = (const uint8_t *)r->text.p;
	struct tell_way_tlsa m = { .usage = p[0],
		.selector = p[1],
		.matching = p[2],
		.data = str_skip(r->text, 3) };

	channel_tell(ch, TYPE_tell_way_tlsa, &m, id);
}

static void
tell_dane(struct channel *ch, uint64_t id, const struct way_host *h)
{
	struct tell_way_dane m = {
		.host = h->host, .dane = (uint8_t)h->dane, .base = h->base
	};
	size_t n = 0;

	if (h->dane == DANE_NONE)
		return;
	channel_tell(ch, TYPE_tell_way_dane, &m, id);
	if (h->records == NULL)
		return;
	for (size_t i = 0; i < h->records->nrecords && n < WAY_TLSAS_MAX; i++)
		if (dane_is_usable(&h->records->records[i])) {
			tell_tlsa(ch, id, &h->records->records[i]);
			n++;
		}
}

static void
answer(struct channel *ch, uint64_t id, const struct way_found *f)
{
	char address[ADDR_TEXT_MAX];
	struct answer_way m = { .result = (uint8_t)f->result,
		.ttl_s = f->ttl_s,
		.ad = f->ad,
		.partial = f->partial,
		.text = str_of(f->text) };

	for (size_t i = 0; i < f->naddrs; i++) {
		const struct way_addr *a = &f->addrs[i];
		struct tell_way_addr part = { .host = a->host,
			.preference = a->preference,
			.address = str_of(addr_format(&a->addr, address)) };

		channel_tell(ch, TYPE_tell_way_addr, &part, id);
	}
	for (size_t i = 0; i < f->nhosts; i++)
		tell_dane(ch, id, &f->hosts[i]);
	channel_tell(ch, TYPE_answer_way, &m, id);
}

static void
on_found(void *ctx, const struct way_found *f)
{
	struct way_question *w = ctx;

	answer(w->q.peer->channel, w->q.id, f);
	question_end(&w->q);
	free(w);
}

static void
cancel(struct question *q)
{
	struct way_question *w = (struct way_question *)q;

	way_cancel(&w->way);
	free(w);
}

/* Without a question to anybody. */
static void
answer_now(
    struct channel *ch, uint64_t id, enum way_result result, const char *text)
{
	struct answer_way m = { .result = (uint8_t)result,
		.ttl_s = HOSTS_FAULT_TTL_S,
		.text = str_of(text) };

	channel_tell(ch, TYPE_answer_way, &m, id);
}

static void
on_ask_way(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_way *m = msg;

	if (!path_is_domain(m->name, false)) {
		answer_now(ch, id, WAY_NO_DOMAIN, "no valid domain name");
		return;
	}
	if (peer_has_too_many(ctx)) {
		answer_now(ch, id, WAY_FAULT, "too many lookups at once");
		return;
	}
	struct way_question *w = xcalloc(1, sizeof(*w));
	w->q.cancel = cancel;
	question_start(&w->q, ctx, id);
	w->way = way_ask(m->name, (enum way_kind)m->kind, m->port, m->dane != 0,
	    on_found, w);
}

/* --- reports about TLS --- */

enum { RUA_MAX = 1024 };

struct rua_question {
	struct question q;
	struct query_wait *wait;
};

/* "v=TLSRPTv1" *WSP ";" (RFC 8460 3). */
static bool
is_tlsrpt(struct str text)
{
	struct str version = STR("v=TLSRPTv1");

	if (!str_eq(str_head(text, version.len), version))
		return false;
	text = str_trim(str_skip(text, version.len));
	return text.len > 0 && text.p[0] == ';';
}

/* Of several none counts. */
static struct str
find_rua(const struct dns_answer *a)
{
	struct str found = STR("");
	size_t n = 0;

	for (size_t i = 0; i < a->nrecords; i++)
		if (is_tlsrpt(a->records[i].text)) {
			found = a->records[i].text;
			n++;
		}
	return n == 1 && found.len <= RUA_MAX ? found : STR("");
}

static void
answer_rua(struct channel *ch, uint64_t id, struct str text, uint32_t ttl_s)
{
	struct answer_tls_rua m = { .text = text, .ttl_s = ttl_s };

	channel_tell(ch, TYPE_answer_tls_rua, &m, id);
}

static void
on_rua(void *ctx, struct dns_answer *a)
{
	struct rua_question *r = ctx;
	uint32_t ttl_s = a->ttl_s > 0 ? a->ttl_s : 1;

	answer_rua(r->q.peer->channel, r->q.id, find_rua(a),
	    a->status == DNS_FAULT ? 0 : ttl_s);
	question_end(&r->q);
	free(r);
}

static void
cancel_rua(struct question *q)
{
	struct rua_question *r = (struct rua_question *)q;

	query_cancel(&r->wait);
	free(r);
}

static void
on_ask_tls_rua(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_tls_rua *m = msg;
	char name[280];

	if (!path_is_domain(m->domain, false) || peer_has_too_many(ctx)) {
		answer_rua(ch, id, STR(""), 0);
		return;
	}
	struct rua_question *r = xcalloc(1, sizeof(*r));
	r->q.cancel = cancel_rua;
	question_start(&r->q, ctx, id);
	(void)snprintf(name, sizeof(name), "_smtp._tls.%.*s",
	    (int)m->domain.len, m->domain.p);
	r->wait = query_ask_for_policy(str_of(name), DNS_TXT, on_rua, r);
}

static const struct handler handlers[] = {
	{ TYPE_ask_way, on_ask_way },
	{ TYPE_ask_tls_rua, on_ask_tls_rua },
	{ 0, NULL },
};

struct channel *
from_delivery_add(uint16_t instance, int socket)
{
	return peer_add(ROLE_DELIVERY, instance, socket, handlers);
}
