/* What a mail wants: a connection to a next hop that is a Unix socket. */
#include "milters/dialer/from_delivery.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edges/delivery_dialer.h"
#include "edges/edges.h"
#include "lib/base/alloc.h"
#include "lib/rules/hop.h"
#include "milters/dialer/crowd.h"

struct agent {
	LIST_ENTRY(agent) next;
	uint16_t instance;
	struct channel *channel;
	LIST_HEAD(, path_dial) dials;
	size_t ndials;
};

/* A question that waits at a socket which is full. */
struct path_dial {
	LIST_ENTRY(path_dial) next;
	struct agent *agent;
	uint64_t id;
	struct crowd_wait *crowd;
};

static struct loop *loop;
static struct config *config;
static LIST_HEAD(, agent) agents = LIST_HEAD_INITIALIZER(agents);
static uint64_t dialed, refused;

void
from_delivery_init(struct loop *l)
{
	loop = l;
}

void
from_delivery_set_config(struct config *c)
{
	struct config *old = config;

	config = config_ref(c);
	config_unref(&old);
}

uint64_t
from_delivery_dialed(void)
{
	return dialed;
}

uint64_t
from_delivery_refused(void)
{
	return refused;
}

/* --- answers --- */

/* Who does not read the answers asks no more. Returns -1 when the descriptor
 * in it could not be taken. */
static int
tell(struct agent *a, uint16_t type, const void *msg, uint64_t id)
{
	int r = channel_tell(a->channel, type, msg, id);

	if (channel_is_full(a->channel))
		channel_pause(a->channel);
	return r;
}

static void
refuse(struct agent *a, uint64_t id, const char *why)
{
	struct answer_path_not_dialed m = {
		.why = str_head(str_of(why), 200),
	};

	refused++;
	(void)tell(a, TYPE_answer_path_not_dialed, &m, id);
}

static void
answer(struct agent *a, uint64_t id, int fd, const struct fault *why)
{
	struct answer_path_dialed m = { .socket = fd };

	if (fd == -1) {
		refuse(a, id, why->text);
		return;
	}
	if (tell(a, TYPE_answer_path_dialed, &m, id) == 0)
		dialed++;
	else
		refuse(a, id, "no descriptor is left");
	(void)close(fd);
}

/* --- the question --- */

static bool
is_among(struct str urls, struct str path)
{
	struct hop_url hop;
	struct str url;

	while (hop_url_next(&urls, &url))
		if (hop_url_parse(url, &hop, NULL) == 0 &&
		    hop.kind == HOP_LOCAL && str_eq(hop.name, path))
			return true;
	return false;
}

static bool
is_route_to(void *ctx, struct str key, struct str value)
{
	(void)key;
	return is_among(value, *(struct str *)ctx);
}

/* An agent speaks with the world: the path that it names has to be a next hop
 * of that action in our own configuration. */
static bool
may_be_dialed(const struct ask_dial_path *m)
{
	const struct action *a =
	    config == NULL ? NULL : config_find_action(config, m->action);
	struct str path = m->path;

	if (a == NULL || a->kind != ACTION_RELAY)
		return false;
	if (a->hops != NULL)
		return is_among(str_of(a->hops), path);
	return a->routes != NULL && table_any(a->routes, is_route_to, &path);
}

static void
dial_free(struct path_dial *d)
{
	LIST_REMOVE(d, next);
	d->agent->ndials--;
	free(d);
}

static void
on_connected(void *ctx, int fd, const struct fault *why)
{
	struct path_dial *d = ctx;

	answer(d->agent, d->id, fd, why);
	dial_free(d);
}

/* No longer than the mail has patience. */
static void
dial(struct agent *a, uint64_t id, struct str path)
{
	char text[HOP_PATH_MAX + 1];
	struct deliver_numbers numbers;
	struct path_dial *d = xcalloc(1, sizeof(*d));
	struct crowd_wait *w;

	(void)snprintf(text, sizeof(text), "%.*s", (int)path.len, path.p);
	config_deliver_numbers(config, STR(""), &numbers);
	d->agent = a;
	d->id = id;
	LIST_INSERT_HEAD(&a->dials, d, next);
	a->ndials++;
	w = crowd_connect(text, numbers.connect_timeout, on_connected, d);
	if (w != NULL)
		d->crowd = w;
}

static void
on_ask_dial_path(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_dial_path *m = msg;
	struct agent *a = ctx;

	(void)ch;
	if (!may_be_dialed(m))
		refuse(a, id, "the configuration has no such next hop");
	else if (a->ndials >= DELIVERY_DIALS_MAX)
		refuse(a, id, "too many connections at once");
	else
		dial(a, id, m->path);
}

/* --- channels --- */

static void
agent_free(struct agent *a)
{
	struct path_dial *d, *next;

	LIST_FOREACH_SAFE(d, &a->dials, next, next) {
		crowd_cancel(&d->crowd);
		dial_free(d);
	}
	LIST_REMOVE(a, next);
	channel_free(&a->channel);
	free(a);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ch;
	agent_free(ctx);
}

static void
on_drained(void *ctx)
{
	struct agent *a = ctx;

	channel_resume(a->channel);
}

struct channel *
from_delivery_add(uint16_t instance, int socket)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_dial_path, on_ask_dial_path },
		{ 0, NULL },
	};
	struct agent *a, *next;
	char name[32];

	LIST_FOREACH_SAFE(a, &agents, next, next)
		if (a->instance == instance)
			agent_free(a);
	a = xcalloc(1, sizeof(*a));
	a->instance = instance;
	LIST_INIT(&a->dials);
	a->channel = channel_new(loop, socket, &delivery_dialer_edge, EDGE_B,
	    handlers, on_closed, a);
	(void)snprintf(
	    name, sizeof(name), "delivery/%u", (unsigned int)instance);
	channel_set_peer(a->channel, name);
	channel_on_drained(a->channel, on_drained, a);
	LIST_INSERT_HEAD(&agents, a, next);
	return a->channel;
}
