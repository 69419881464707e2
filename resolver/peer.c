/* Channels, and questions that end with them. */
#include "resolver/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum peer_counter { QUESTIONS, TURNED_AWAY, UNDER_WAY, COUNTERS };

static struct counter counters[] = {
	[QUESTIONS] = { "resolver.questions", 0 },
	[TURNED_AWAY] = { "resolver.turned_away", 0 },
	[UNDER_WAY] = { "resolver.under_way", 0 },
	[COUNTERS] = { NULL, 0 },
};

static struct loop *loop;
static LIST_HEAD(, peer) peers = LIST_HEAD_INITIALIZER(peers);

static void
peer_free(struct peer *p)
{
	struct question *q;

	while ((q = LIST_FIRST(&p->questions)) != NULL) {
		LIST_REMOVE(q, next);
		counters[UNDER_WAY].value--;
		q->cancel(q);
	}
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

/* It reads again what it is told. */
static void
on_drained(void *ctx)
{
	struct peer *p = ctx;

	channel_resume(p->channel);
}

void
peer_init(struct loop *l)
{
	loop = l;
}

struct channel *
peer_add(enum role role, uint16_t instance, int socket,
    const struct handler *handlers)
{
	struct peer *p, *next;
	enum edge_end end;
	const struct edge *edge = edges_between(ROLE_RESOLVER, role, &end);
	char name[32];

	if (edge == NULL) {
		log_warn(
		    NULL, "peer-unknown", "peer=%s", log_cstr(role_name(role)));
		close(socket);
		return NULL;
	}
	for (p = LIST_FIRST(&peers); p != NULL; p = next) {
		next = LIST_NEXT(p, next);
		if (p->role == role && p->instance == instance)
			peer_free(p);
	}
	p = xcalloc(1, sizeof(*p));
	p->role = role;
	p->instance = instance;
	LIST_INIT(&p->questions);
	p->channel =
	    channel_new(loop, socket, edge, end, handlers, on_closed, p);
	snprintf(name, sizeof(name), "%s/%u", role_name(role),
	    (unsigned int)instance);
	channel_set_peer(p->channel, name);
	channel_on_drained(p->channel, on_drained, p);
	LIST_INSERT_HEAD(&peers, p, next);
	return p->channel;
}

void
peer_clear(void)
{
	struct peer *p;

	while ((p = LIST_FIRST(&peers)) != NULL)
		peer_free(p);
}

bool
peer_has_too_many(const struct peer *p)
{
	if (p->nquestions < PEER_QUESTIONS_MAX)
		return false;
	counters[TURNED_AWAY].value++;
	return true;
}

void
question_start(struct question *q, struct peer *p, uint64_t id)
{
	q->peer = p;
	q->id = id;
	LIST_INSERT_HEAD(&p->questions, q, next);
	p->nquestions++;
	counters[QUESTIONS].value++;
	counters[UNDER_WAY].value++;
}

void
question_end(struct question *q)
{
	struct peer *p = q->peer;

	LIST_REMOVE(q, next);
	p->nquestions--;
	counters[UNDER_WAY].value--;
	/* Who does not read the answers gets no more of them. */
	if (channel_is_full(p->channel))
		channel_pause(p->channel);
}

const struct counter *
peer_counters(void)
{
	return counters;
}
