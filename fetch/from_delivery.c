#include "fetch/from_delivery.h"

#include <bsd/sys/queue.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "edges/delivery_fetch.h"
#include "edges/edges.h"
#include "fetch/policies.h"
#include "lib/base/alloc.h"

struct agent {
	LIST_ENTRY(agent) next;
	uint16_t instance;
	struct channel *channel;
	LIST_HEAD(, sts_question) questions;
	size_t nquestions;
};

struct sts_question {
	LIST_ENTRY(sts_question) next;
	struct agent *agent;
	uint64_t id;
	struct policy_wait wait;
};

static struct loop *loop;
static LIST_HEAD(, agent) agents = LIST_HEAD_INITIALIZER(agents);

void
from_delivery_init(struct loop *l)
{
	loop = l;
}

static void
end_question(struct sts_question *q)
{
	LIST_REMOVE(q, next);
	q->agent->nquestions--;
	free(q);
}

static void
drop(struct agent *a)
{
	struct sts_question *q, *next;

	LIST_FOREACH_SAFE(q, &a->questions, next, next) {
		policies_cancel(&q->wait);
		end_question(q);
	}
	channel_free(&a->channel);
	LIST_REMOVE(a, next);
	free(a);
}

static void
on_policy(struct policy_wait *w, const struct answer_sts *m)
{
	struct sts_question *q =
	    (struct sts_question *)((char *)w -
				    offsetof(struct sts_question, wait));

	channel_tell(q->agent->channel, TYPE_answer_sts, m, q->id);
	end_question(q);
}

static void
on_ask_sts(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	static const struct answer_sts too_many = { .mode = STS_NONE,
		.fault = STS_UNANSWERED };
	const struct ask_sts *ask = msg;
	struct answer_sts m;
	struct agent *a = ctx;

	if (a->nquestions == AGENT_QUESTIONS_MAX) {
		channel_tell(ch, TYPE_answer_sts, &too_many, id);
		return;
	}
	struct sts_question *q = xcalloc(1, sizeof(*q));
	q->agent = a;
	q->id = id;
	q->wait.fn = on_policy;
	LIST_INSERT_HEAD(&a->questions, q, next);
	a->nquestions++;
	if (policies_get(ask->domain, &q->wait, &m)) {
		channel_tell(ch, TYPE_answer_sts, &m, id);
		end_question(q);
	}
	/* Who does not read the answers gets no more of them. */
	if (channel_is_full(ch))
		channel_pause(ch);
}

static const struct handler handlers[] = {
	{ TYPE_ask_sts, on_ask_sts },
	{ 0, NULL },
};

static void
on_drained(void *ctx)
{
	struct agent *a = ctx;

	channel_resume(a->channel);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ch;
	drop(ctx);
}

struct channel *
from_delivery_add(uint16_t instance, int socket)
{
	struct agent *a, *next;
	char name[32];

	LIST_FOREACH_SAFE(a, &agents, next, next)
		if (a->instance == instance)
			drop(a);
	a = xcalloc(1, sizeof(*a));
	a->instance = instance;
	LIST_INIT(&a->questions);
	a->channel = channel_new(
	    loop, socket, &delivery_fetch_edge, EDGE_B, handlers, on_closed, a);
	snprintf(
	    name, sizeof(name), "%s[%u]", role_name(ROLE_DELIVERY), instance);
	channel_set_peer(a->channel, name);
	channel_on_drained(a->channel, on_drained, a);
	LIST_INSERT_HEAD(&agents, a, next);
	return a->channel;
}
