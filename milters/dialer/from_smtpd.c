/* What a session wants: a connection to a filter. */
#include "milters/dialer/from_smtpd.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "edges/smtpd_dialer.h"
#include "lib/base/alloc.h"
#include "lib/ipc/channel.h"
#include "milters/dialer/addresses.h"
#include "milters/dialer/crowd.h"
#include "milters/dialer/reach.h"

enum dialer_counter { DIALED, REFUSED, WAITING, COUNTERS };

static struct counter counters[] = {
	[DIALED] = { "dialer.dialed", 0 },
	[REFUSED] = { "dialer.refused", 0 },
	[WAITING] = { "dialer.waiting", 0 },
	[COUNTERS] = { NULL, 0 },
};

struct peer {
	LIST_ENTRY(peer) next;
	uint16_t instance;
	struct channel *channel;
	LIST_HEAD(, dial) dials;
	size_t ndials;
};

/* A question that waits: for addresses, or at a socket that is full. */
struct dial {
	LIST_ENTRY(dial) next;
	struct peer *peer;
	uint64_t id;
	uint16_t port;
	struct addresses_wait *addresses;
	struct crowd_wait *crowd;
};

static struct loop *loop;
static struct config *config;
static LIST_HEAD(, peer) peers = LIST_HEAD_INITIALIZER(peers);

void
from_smtpd_init(struct loop *l)
{
	loop = l;
}

void
from_smtpd_set_config(struct config *c)
{
	struct config *old = config;

	config = config_ref(c);
	config_unref(&old);
}

/* --- answers --- */

/* Who does not read the answers asks no more. Returns -1 when the descriptor
 * in it could not be taken. */
static int
tell(struct peer *p, uint16_t type, const void *msg, uint64_t id)
{
	int r = channel_tell(p->channel, type, msg, id);

	if (channel_is_full(p->channel))
		channel_pause(p->channel);
	return r;
}

static void
refuse(struct peer *p, uint64_t id, const struct fault *why)
{
	struct answer_not_dialed m = { .ours = why->class == FAULT_OURS,
		.why = str_head(str_of(why->text), 200) };

	counters[REFUSED].value++;
	tell(p, TYPE_answer_not_dialed, &m, id);
}

/* The connection goes on at once: fd, or why there is none. */
static void
answer(struct peer *p, uint64_t id, int fd, const struct fault *why)
{
	struct answer_dialed m = { .socket = fd };
	struct fault none = { 0 };

	if (fd == -1) {
		refuse(p, id, why);
		return;
	}
	if (tell(p, TYPE_answer_dialed, &m, id) == 0) {
		counters[DIALED].value++;
	} else {
		fault_errno(&none, FAULT_OURS, "descriptor");
		refuse(p, id, &none);
	}
	close(fd);
}

/* --- who waits --- */

/* NULL, and it is answered: too many wait. */
static struct dial *
dial_new(struct peer *p, uint64_t id)
{
	struct fault why = { 0 };

	if (p->ndials == DIALS_MAX) {
		fault_set(&why, FAULT_OURS, "too many connections at once");
		refuse(p, id, &why);
		return NULL;
	}
	struct dial *d = xcalloc(1, sizeof(*d));
	d->peer = p;
	d->id = id;
	LIST_INSERT_HEAD(&p->dials, d, next);
	p->ndials++;
	counters[WAITING].value++;
	return d;
}

static void
dial_free(struct dial *d)
{
	LIST_REMOVE(d, next);
	d->peer->ndials--;
	counters[WAITING].value--;
	free(d);
}

/* --- by path --- */

static void
on_connected(void *ctx, int fd, const struct fault *why)
{
	struct dial *d = ctx;

	answer(d->peer, d->id, fd, why);
	dial_free(d);
}

/* No longer than the session that asks has patience. */
static void
dial_path(struct peer *p, uint64_t id, const char *path, uint64_t ms)
{
	struct dial *d = dial_new(p, id);

	if (d == NULL)
		return;
	struct crowd_wait *w = crowd_connect(path, ms, on_connected, d);
	if (w != NULL)
		d->crowd = w;
}

/* --- by name --- */

/* The first of them that does not fail at once. */
static void
on_addresses(void *ctx, const struct addr *list, size_t n, const char *none)
{
	struct dial *d = ctx;
	struct fault why = { 0 };
	int fd = -1;

	if (n == 0)
		fault_set(&why, FAULT_TEMP, "no address: %s", none);
	for (size_t i = 0; i < n && fd == -1; i++)
		fd = reach_addr(&list[i], d->port, &why);
	answer(d->peer, d->id, fd, &why);
	dial_free(d);
}

static void
dial_host(struct peer *p, uint64_t id, const struct milter_socket *s)
{
	struct dial *d = dial_new(p, id);

	if (d == NULL)
		return;
	d->port = s->port;
	struct addresses_wait *w =
	    addresses_get(str_of(s->host), s->ipv6, on_addresses, d);
	if (w != NULL)
		d->addresses = w;
}

/* --- the question --- */

/* NULL: our configuration has no such socket. */
static const struct milter *
find_milter(const struct ask_dial *m)
{
	const struct milter *f =
	    config == NULL ? NULL : config_find_milter(config, m->milter);

	if (f == NULL || m->socket >= f->nsockets ||
	    !str_eq(str_of(f->sockets[m->socket].text), m->address))
		return NULL;
	return f;
}

static void
on_ask_dial(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_dial *m = msg;
	const struct milter *f = find_milter(m);
	const struct milter_socket *s;
	struct peer *p = ctx;
	struct fault why = { 0 };

	(void)ch;
	if (f == NULL) {
		fault_set(&why, FAULT_PERM,
		    "the configuration has no such socket any more");
		refuse(p, id, &why);
		return;
	}
	s = &f->sockets[m->socket];
	if (s->host != NULL)
		dial_host(p, id, s);
	else if (s->path != NULL)
		dial_path(p, id, s->path, f->connect_timeout);
	else
		answer(p, id, reach_addr(&s->addr, s->port, &why), &why);
}

/* --- channels --- */

static void
peer_free(struct peer *p)
{
	struct dial *d, *next;

	LIST_FOREACH_SAFE(d, &p->dials, next, next) {
		addresses_cancel(&d->addresses);
		crowd_cancel(&d->crowd);
		dial_free(d);
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

static void
on_drained(void *ctx)
{
	struct peer *p = ctx;

	channel_resume(p->channel);
}

struct channel *
from_smtpd_add(uint16_t instance, int socket)
{
	static const struct handler handlers[] = {
		{ TYPE_ask_dial, on_ask_dial },
		{ 0, NULL },
	};
	struct peer *p, *next;
	char name[32];

	LIST_FOREACH_SAFE(p, &peers, next, next)
		if (p->instance == instance)
			peer_free(p);
	p = xcalloc(1, sizeof(*p));
	p->instance = instance;
	LIST_INIT(&p->dials);
	p->channel = channel_new(
	    loop, socket, &smtpd_dialer_edge, EDGE_B, handlers, on_closed, p);
	snprintf(name, sizeof(name), "smtpd/%u", (unsigned int)instance);
	channel_set_peer(p->channel, name);
	channel_on_drained(p->channel, on_drained, p);
	LIST_INSERT_HEAD(&peers, p, next);
	return p->channel;
}

const struct counter *
from_smtpd_counters(void)
{
	return counters;
}
