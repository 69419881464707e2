/* What a session wants to know: who calls. */
#include "resolver/from_smtpd.h"

#include <stdlib.h>

#include "edges/smtpd_resolver.h"
#include "lib/base/alloc.h"
#include "resolver/caller.h"
#include "resolver/peer.h"

struct client_question {
	struct question q;
	struct caller *caller;
};

static void
answer(struct channel *ch, uint64_t id, const struct caller_found *f)
{
	struct answer_client m = {
		.state = (uint8_t)f->state, .name = f->name, .ttl_s = f->ttl_s
	};

	channel_tell(ch, TYPE_answer_client, &m, id);
}

static void
on_found(void *ctx, const struct caller_found *f)
{
	struct client_question *c = ctx;

	answer(c->q.peer->channel, c->q.id, f);
	question_end(&c->q);
	free(c);
}

static void
cancel(struct question *q)
{
	struct client_question *c = (struct client_question *)q;

	caller_cancel(&c->caller);
	free(c);
}

static void
on_ask_client(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_client *m = msg;
	struct caller_found none = { .state = CLIENT_NAME_NONE,
		.ttl_s = CALLER_TTL_MIN_S };
	struct addr a;

	if (addr_parse(m->address, &a) == -1 ||
	    (a.family != ADDR_V4 && a.family != ADDR_V6)) {
		answer(ch, id, &none);
		return;
	}
	if (peer_has_too_many(ctx)) {
		none.state = CLIENT_NAME_FAULT;
		answer(ch, id, &none);
		return;
	}
	struct client_question *c = xcalloc(1, sizeof(*c));
	c->q.cancel = cancel;
	question_start(&c->q, ctx, id);
	c->caller = caller_ask(&a, on_found, c);
}

static const struct handler handlers[] = {
	{ TYPE_ask_client, on_ask_client },
	{ 0, NULL },
};

void
from_smtpd_add(uint16_t instance, int socket)
{
	peer_add(ROLE_SMTPD, instance, socket, handlers);
}
