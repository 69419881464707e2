/* What a session wants to know: who calls, and what lists say of it. */
#include "resolver/from_smtpd.h"

#include <stdlib.h>

#include "edges/smtpd_resolver.h"
#include "lib/base/alloc.h"
#include "resolver/caller.h"
#include "resolver/dnsbl.h"
#include "resolver/peer.h"
#include "resolver/way.h"

static int
parse_ip(struct str text, struct addr *out)
{
	return addr_parse(text, out) == 0 &&
		       (out->family == ADDR_V4 || out->family == ADDR_V6) ?
		   0 :
		   -1;
}

/* --- who calls --- */

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

	if (parse_ip(m->address, &a) == -1) {
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

/* --- DNS lists --- */

struct list_question {
	struct question q;
	struct dnsbl *dnsbl;
};

static void
answer_lists(struct channel *ch, uint64_t id, const struct dnsbl_found *f)
{
	struct answer_dnsbl m = {
		.score = (uint32_t)(f->score + DNSBL_SCORE_MAX),
		.lists = f->lists,
		.silent = (uint8_t)f->silent,
		.ttl_s = f->ttl_s,
	};

	channel_tell(ch, TYPE_answer_dnsbl, &m, id);
}

static void
on_lists(void *ctx, const struct dnsbl_found *f)
{
	struct list_question *l = ctx;

	answer_lists(l->q.peer->channel, l->q.id, f);
	question_end(&l->q);
	free(l);
}

static void
cancel_lists(struct question *q)
{
	struct list_question *l = (struct list_question *)q;

	dnsbl_cancel(&l->dnsbl);
	free(l);
}

/* smtpd may have a configuration that we do not have yet, or no more. */
static const struct table *
find_lists(const struct config *c, struct str name)
{
	for (size_t i = 0; c != NULL && i < c->ndnsbls; i++)
		if (str_eq(str_of(table_name(c->dnsbls[i])), name))
			return c->dnsbls[i];
	return NULL;
}

static void
on_ask_dnsbl(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	static const struct dnsbl_found none;
	const struct ask_dnsbl *m = msg;
	const struct table *t = find_lists(way_config(), m->table);
	struct addr a;

	if (t == NULL || parse_ip(m->address, &a) == -1 ||
	    peer_has_too_many(ctx)) {
		answer_lists(ch, id, &none);
		return;
	}
	struct list_question *l = xcalloc(1, sizeof(*l));
	l->q.cancel = cancel_lists;
	question_start(&l->q, ctx, id);
	l->dnsbl = dnsbl_ask(&a, way_config(), t, on_lists, l);
}

static const struct handler handlers[] = {
	{ TYPE_ask_client, on_ask_client },
	{ TYPE_ask_dnsbl, on_ask_dnsbl },
	{ 0, NULL },
};

struct channel *
from_smtpd_add(uint16_t instance, int socket)
{
	return peer_add(ROLE_SMTPD, instance, socket, handlers);
}
