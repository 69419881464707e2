/* Capacity and results told by the agents. */
#include "queue/from_delivery.h"

#include <stdio.h>
#include <stdlib.h>

#include "edges/queue_delivery.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "queue/queue.h"
#include "queue/work.h"

/* The newest stand first in the list. */
static bool
is_latest(const struct agent_peer *p)
{
	const struct agent_peer *o;

	LIST_FOREACH(o, &p->q->agents, next)
		if (o->role == p->role && o->instance == p->instance)
			return o == p;
	return false;
}

static void
on_capacity(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_capacity *m = msg;
	struct agent_peer *p = ctx;

	(void)ch;
	(void)id;
	p->agent.capacity = is_latest(p) && !p->left ? m->mails : 0;
	queue_run_soon(p->q);
}

static void
on_result(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct work *w = work_find(ctx, id);

	(void)ch;
	if (w != NULL)
		work_result(w, msg);
}

static void
on_done(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct work *w = work_find(ctx, id);

	(void)ch;
	if (w != NULL)
		work_done(w, msg);
}

static void
on_leaving(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct agent_peer *p = ctx;

	(void)ch;
	(void)msg;
	(void)id;
	p->left = true;
	p->agent.capacity = 0;
}

static void
on_tls_tally(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct agent_peer *p = ctx;

	(void)ch;
	(void)id;
	tls_report_tally(p->q, msg);
}

static const struct handler handlers[] = {
	{ TYPE_tell_capacity, on_capacity },
	{ TYPE_tell_result, on_result },
	{ TYPE_tell_done, on_done },
	{ TYPE_tell_leaving, on_leaving },
	{ TYPE_tell_tls_tally, on_tls_tally },
	{ 0, NULL },
};

static void
peer_free(struct agent_peer *p)
{
	struct queue *q = p->q;

	if (p->agent.nflight > 0 && !p->left)
		log_warn(NULL, "agent-lost", "role=%s instance=%u works=%u",
		    role_name(p->role), (unsigned int)p->instance,
		    p->agent.nflight);
	p->agent.capacity = 0;
	work_lose_all(p);
	schedule_del_agent(&q->schedule, &p->agent);
	LIST_REMOVE(p, next);
	channel_free(&p->channel);
	free(p);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ch;
	peer_free(ctx);
}

static void
on_drained(void *ctx)
{
	struct agent_peer *p = ctx;

	p->agent.blocked = false;
	queue_run_soon(p->q);
}

static uint32_t
pool_of(enum role role, uint16_t instance)
{
	if (role == ROLE_DELIVERY)
		return POOL_DELIVERY;
	return (role == ROLE_MDA ? POOL_MDA : POOL_MAILDIR) +
	       (uint32_t)instance * POOL_STEP;
}

struct channel *
from_delivery_add(
    struct queue *q, enum role role, uint16_t instance, int socket)
{
	struct agent_peer *p;
	char name[32];

	/* What a former one said before it died is still to be read: it gets
	 * no more work, and goes when its channel ends. */
	LIST_FOREACH(p, &q->agents, next)
		if (p->role == role && p->instance == instance)
			p->agent.capacity = 0;
	p = xcalloc(1, sizeof(*p));
	p->q = q;
	p->role = role;
	p->instance = instance;
	p->agent.owner = p;
	RB_INIT(&p->works);
	p->channel = channel_new(q->loop, socket, &queue_delivery_edge, EDGE_A,
	    handlers, on_closed, p);
	snprintf(name, sizeof(name), "%s/%u", role_name(role),
	    (unsigned int)instance);
	channel_set_peer(p->channel, name);
	channel_on_drained(p->channel, on_drained, p);
	schedule_add_agent(&q->schedule, &p->agent, pool_of(role, instance));
	LIST_INSERT_HEAD(&q->agents, p, next);
	if (!q->started)
		channel_pause(p->channel);
	return p->channel;
}

void
from_delivery_resume(struct queue *q)
{
	struct agent_peer *p;

	LIST_FOREACH(p, &q->agents, next)
		channel_resume(p->channel);
}
