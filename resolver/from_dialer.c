/* What the dialer wants to know: the addresses of a filter's host. */
#include "resolver/from_dialer.h"

#include <stdlib.h>

#include "edges/dialer_resolver.h"
#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "resolver/peer.h"
#include "resolver/query.h"

struct host_question {
	struct question q;
	struct query_wait *wait;
};

/* ttl_s 0: nothing is known, and may be at once. */
static void
answer(struct channel *ch, uint64_t id, const struct dns_answer *a)
{
	char address[ADDR_TEXT_MAX];
	bool found = a->status == DNS_OK && a->nrecords > 0;
	uint32_t ttl_s = a->ttl_s > 0 ? a->ttl_s : 1;
	struct answer_host m = { .found = found,
		.ttl_s = a->status == DNS_FAULT ? 0 : ttl_s,
		.text = found ? str_of("") : str_of(dns_status_text(a)) };

	if (m.ttl_s > DNS_TTL_MAX)
		m.ttl_s = DNS_TTL_MAX;
	for (size_t i = 0; found && i < a->nrecords && i < HOST_ADDRS_MAX;
	     i++) {
		struct tell_host_addr part = {
			.address =
			    str_of(addr_format(&a->records[i].addr, address))
		};

		channel_tell(ch, TYPE_tell_host_addr, &part, id);
	}
	channel_tell(ch, TYPE_answer_host, &m, id);
}

static void
on_found(void *ctx, struct dns_answer *a)
{
	struct host_question *h = ctx;

	answer(h->q.peer->channel, h->q.id, a);
	question_end(&h->q);
	free(h);
}

static void
cancel(struct question *q)
{
	struct host_question *h = (struct host_question *)q;

	query_cancel(&h->wait);
	free(h);
}

static void
answer_now(struct channel *ch, uint64_t id, uint32_t ttl_s, const char *text)
{
	struct answer_host m = { .ttl_s = ttl_s, .text = str_of(text) };

	channel_tell(ch, TYPE_answer_host, &m, id);
}

static void
on_ask_host(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_host *m = msg;

	if (!path_is_domain(m->name, false)) {
		answer_now(ch, id, DNS_TTL_MAX, "no valid host name");
		return;
	}
	if (peer_has_too_many(ctx)) {
		answer_now(ch, id, 0, "too many lookups at once");
		return;
	}
	struct host_question *h = xcalloc(1, sizeof(*h));
	h->q.cancel = cancel;
	question_start(&h->q, ctx, id);
	h->wait = query_ask(m->name, m->ipv6 ? DNS_AAAA : DNS_A, on_found, h);
}

static const struct handler handlers[] = {
	{ TYPE_ask_host, on_ask_host },
	{ 0, NULL },
};

struct channel *
from_dialer_add(uint16_t instance, int socket)
{
	return peer_add(ROLE_DIALER, instance, socket, handlers);
}
