/* What an agent wants to know: the way to a next hop. */
#include "resolver/from_delivery.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"
#include "resolver/peer.h"
#include "resolver/way.h"

struct way_question {
	struct question q;
	struct way *way;
};

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
	w->way = way_ask(m->name, (enum way_kind)m->kind, m->port, on_found, w);
}

static const struct handler handlers[] = {
	{ TYPE_ask_way, on_ask_way },
	{ 0, NULL },
};

struct channel *
from_delivery_add(uint16_t instance, int socket)
{
	return peer_add(ROLE_DELIVERY, instance, socket, handlers);
}
