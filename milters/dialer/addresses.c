/* One question at a time for each host; its timer is set while there is
 * none. */
#include "milters/dialer/addresses.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edges/dialer_resolver.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/ipc/channel.h"

enum { AGAIN_MS = 5000, TTL_MIN_S = 1 };

struct addresses_wait {
	LIST_ENTRY(addresses_wait) next;
	addresses_fn *fn;
	void *ctx;
};

struct host {
	LIST_ENTRY(host) next;
	char *name;
	bool ipv6;
	bool wanted;  /* by the configuration that is being looked at */
	uint64_t ask; /* the question under way; 0: none */
	struct addr list[HOST_ADDRS_MAX];
	size_t n, turn;
	struct addr coming[HOST_ADDRS_MAX]; /* parts of the answer */
	size_t ncoming;
	char *why;    /* there is none; NULL: never answered */
	bool failing; /* so it was said */
	struct timer *timer;
	LIST_HEAD(, addresses_wait) waits;
};

static struct loop *loop;
static struct channel *resolver; /* NULL: not there */
static LIST_HEAD(, host) hosts = LIST_HEAD_INITIALIZER(hosts);

void
addresses_init(struct loop *l)
{
	loop = l;
}

/* --- who waits --- */

/* The list, from the next one on. */
static void
give(struct host *h, addresses_fn *fn, void *ctx)
{
	struct addr list[HOST_ADDRS_MAX];

	for (size_t i = 0; i < h->n; i++)
		list[i] = h->list[(h->turn + i) % h->n];
	if (h->n > 0)
		h->turn = (h->turn + 1) % h->n;
	fn(ctx, list, h->n, h->n > 0 ? NULL : h->why);
}

static void
give_all(struct host *h)
{
	struct addresses_wait *w;

	while ((w = LIST_FIRST(&h->waits)) != NULL) {
		LIST_REMOVE(w, next);
		give(h, w->fn, w->ctx);
		free(w);
	}
}

static void
set_why(struct host *h, const char *why)
{
	free(h->why);
	h->why = xstrdup(why);
}

/* --- the answer --- */

/* What was good stays, until something else is known. */
static void
fail(struct host *h, const char *why)
{
	if (!h->failing)
		log_warn(NULL, "filter-host", "host=%s addresses=%zu why=%s",
		    log_cstr(h->name), h->n, log_cstr(why));
	h->failing = true;
	set_why(h, why);
	timer_set(h->timer, AGAIN_MS);
}

static void
take(struct host *h, const struct answer_host *m)
{
	uint32_t ttl = m->ttl_s > TTL_MIN_S ? m->ttl_s : TTL_MIN_S;
	char *why = str_dup(m->text);

	if (m->found && h->ncoming > 0) {
		memcpy(h->list, h->coming, sizeof(h->list));
		h->n = h->ncoming;
		h->turn = 0;
		if (h->failing)
			log_info(NULL, "filter-host",
			    "host=%s addresses=%zu why=\"found again\"",
			    log_cstr(h->name), h->n);
		h->failing = false;
		timer_set(h->timer, UINT64_C(1000) * ttl);
	} else {
		/* There is no such host (any more): that is known. */
		if (!m->found && m->ttl_s > 0)
			h->n = 0;
		fail(h, why[0] != '\0' ? why : "no address");
	}
	free(why);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct host *h = ctx;

	(void)type;
	h->ask = 0;
	if (fault != NULL)
		fail(h, "the resolver is not there");
	else
		take(h, msg);
	give_all(h);
}

static void
on_host_addr(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_host_addr *m = msg;
	struct host *h;
	struct addr a;

	(void)ctx;
	(void)ch;
	LIST_FOREACH(h, &hosts, next)
		if (h->ask == id && h->ncoming < HOST_ADDRS_MAX &&
		    addr_parse(m->address, &a) == 0)
			h->coming[h->ncoming++] = a;
}

/* --- the question --- */

static void
ask(struct host *h)
{
	struct ask_host m = { .name = str_of(h->name), .ipv6 = h->ipv6 };

	if (h->ask != 0)
		return;
	timer_stop(h->timer);
	if (resolver == NULL) {
		/* Asked when it is back. */
		if (h->why == NULL)
			set_why(h, "the resolver is not there");
		return;
	}
	h->ncoming = 0;
	h->ask = channel_ask(resolver, TYPE_ask_host, &m, on_answer, h);
}

static void
on_timer(void *ctx)
{
	ask(ctx);
}

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == resolver)
		channel_free(&resolver);
}

struct channel *
addresses_open(int socket)
{
	static const struct handler handlers[] = {
		{ TYPE_tell_host_addr, on_host_addr },
		{ 0, NULL },
	};
	struct host *h;

	/* What the former one was asked is asked again. */
	LIST_FOREACH(h, &hosts, next) {
		if (h->ask != 0)
			channel_cancel(resolver, h->ask);
		h->ask = 0;
	}
	channel_free(&resolver);
	resolver = channel_new(loop, socket, &dialer_resolver_edge, EDGE_A,
	    handlers, on_closed, NULL);
	channel_set_peer(resolver, "resolver");
	LIST_FOREACH(h, &hosts, next)
		ask(h);
	return resolver;
}

/* --- the hosts --- */

static struct host *
find(struct str name, bool ipv6)
{
	struct host *h;

	LIST_FOREACH(h, &hosts, next)
		if (h->ipv6 == ipv6 && str_eq_nocase(str_of(h->name), name))
			return h;
	return NULL;
}

static void
want(const struct milter_socket *s)
{
	struct host *h = find(str_of(s->host), s->ipv6);

	if (h == NULL) {
		h = xcalloc(1, sizeof(*h));
		h->name = xstrdup(s->host);
		h->ipv6 = s->ipv6;
		h->timer = timer_new(loop, on_timer, h);
		LIST_INIT(&h->waits);
		LIST_INSERT_HEAD(&hosts, h, next);
	}
	h->wanted = true;
}

static void
drop(struct host *h)
{
	LIST_REMOVE(h, next);
	if (h->ask != 0)
		channel_cancel(resolver, h->ask);
	h->n = 0;
	set_why(h, "it is not in the configuration any more");
	give_all(h);
	timer_free(&h->timer);
	free(h->why);
	free(h->name);
	free(h);
}

void
addresses_set_config(const struct config *c)
{
	struct host *h, *next;

	LIST_FOREACH(h, &hosts, next)
		h->wanted = false;
	for (size_t i = 0; i < c->nmilters; i++)
		for (size_t j = 0; j < c->milters[i].nsockets; j++)
			if (c->milters[i].sockets[j].host != NULL)
				want(&c->milters[i].sockets[j]);
	LIST_FOREACH_SAFE(h, &hosts, next, next)
		if (h->wanted)
			ask(h);
		else
			drop(h);
}

struct addresses_wait *
addresses_get(struct str host, bool ipv6, addresses_fn *fn, void *ctx)
{
	struct host *h = find(host, ipv6);

	if (h == NULL) {
		fn(ctx, NULL, 0, "it is not in the configuration");
		return NULL;
	}
	if (h->n > 0 || h->ask == 0) {
		give(h, fn, ctx);
		return NULL;
	}
	struct addresses_wait *w = xcalloc(1, sizeof(*w));
	w->fn = fn;
	w->ctx = ctx;
	LIST_INSERT_HEAD(&h->waits, w, next);
	return w;
}

void
addresses_cancel(struct addresses_wait **wp)
{
	struct addresses_wait *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	LIST_REMOVE(w, next);
	free(w);
}
