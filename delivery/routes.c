#include "delivery/routes.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/path.h"

static int
route_cmp(const struct route *a, const struct route *b)
{
	const struct ask_way *x = &a->question.ask, *y = &b->question.ask;

	if (x->kind != y->kind)
		return x->kind - y->kind;
	if (x->port != y->port)
		return x->port - y->port;
	if (x->dane != y->dane)
		return x->dane - y->dane;
	return str_cmp(x->name, y->name);
}

RB_HEAD(route_tree, route);

/* Those asked for and those kept. */
static struct route_tree routes = RB_INITIALIZER(&routes);
static TAILQ_HEAD(route_list, route) kept = TAILQ_HEAD_INITIALIZER(kept);
static size_t nkept, kept_bytes;
static struct loop *loop;

TREE_DEFINE(route_tree, route, entry, route_cmp)

/* --- one route --- */

static void
forget_addrs(struct route *r)
{
	for (size_t i = 0; i < r->nhosts; i++) {
		host_dane_clear(&r->hosts[i].dane);
		policy_slot_clear(&r->hosts[i].policy);
		free(r->hosts[i].name);
	}
	free(r->hosts);
	free(r->addrs);
	r->hosts = r->told = NULL;
	r->addrs = NULL;
	r->nhosts = r->naddrs = 0;
}

void
route_unref(struct route **rp)
{
	struct route *r = *rp;

	*rp = NULL;
	if (r == NULL || --r->refs > 0)
		return;
	forget_addrs(r);
	free(r->text);
	free(r->name);
	free(r);
}

/* Nobody finds it any more; who holds it keeps it. */
static void
let_go(struct route *r)
{
	r->place = ROUTE_LOOSE;
	RB_REMOVE(route_tree, &routes, r);
	route_unref(&r);
}

static void
forget(struct route *r)
{
	TAILQ_REMOVE(&kept, r, used);
	nkept--;
	kept_bytes -= r->bytes;
	let_go(r);
}

/* With the policy that will be made of it. */
static size_t
host_bytes(const struct route_host *h)
{
	size_t n = sizeof(*h) + strlen(h->name) + 1 + sizeof(struct policy);

	for (size_t i = 0; i < h->dane.ntlsas; i++)
		n += 4 * h->dane.tlsas[i].len + 2 * sizeof(struct tls_tlsa);
	return n;
}

static void
keep(struct route *r, uint64_t ms)
{
	r->expires_ms = loop_now_ms(loop) + ms;
	r->bytes = sizeof(*r) + 2 * r->question.ask.name.len +
		   r->naddrs * sizeof(*r->addrs);
	for (size_t i = 0; i < r->nhosts; i++)
		r->bytes += host_bytes(&r->hosts[i]);
	r->place = ROUTE_KEPT;
	TAILQ_INSERT_HEAD(&kept, r, used);
	nkept++;
	kept_bytes += r->bytes;
	while (nkept > ROUTES_MAX || kept_bytes > ROUTES_BYTES_MAX)
		forget(TAILQ_LAST(&kept, route_list));
}

/* --- what the resolver says --- */

static struct route *
route_of(struct question *q)
{
	return (struct route *)((char *)q - offsetof(struct route, question));
}

static void
add_host(struct route *r, const struct tell_way_addr *m)
{
	struct route_host *last;

	if (r->nhosts > 0 &&
	    str_eq(str_of(r->hosts[r->nhosts - 1].name), m->host))
		return;
	r->hosts = xreallocarray(r->hosts, r->nhosts + 1, sizeof(*r->hosts));
	last = &r->hosts[r->nhosts++];
	*last = (struct route_host){ .name = str_dup(m->host),
		.preference = m->preference,
		.first = (uint8_t)r->naddrs };
}

static void
on_addr(struct question *q, const struct tell_way_addr *m, const struct addr *a)
{
	struct route *r = route_of(q);

	if (r->naddrs == WAY_ALL_MAX)
		return;
	add_host(r, m);
	r->addrs = xreallocarray(r->addrs, r->naddrs + 1, sizeof(*r->addrs));
	r->addrs[r->naddrs++] = *a;
	r->hosts[r->nhosts - 1].count++;
}

static struct route_host *
find_host(const struct route *r, struct str name)
{
	for (size_t i = 0; i < r->nhosts; i++)
		if (str_eq_nocase(str_of(r->hosts[i].name), name))
			return &r->hosts[i];
	return NULL;
}

/* All addresses of a host come before, those of one host together. */
static void
on_dane(struct question *q, const struct tell_way_dane *m)
{
	struct route *r = route_of(q);

	r->told = find_host(r, m->host);
	if (r->told == NULL)
		return;
	host_dane_clear(&r->told->dane);
	r->told->dane.is = (enum way_dane)m->dane;
	r->told->dane.base = str_dup(m->base.len > 0 ? m->base : m->host);
}

static void
on_tlsa(struct question *q, const struct tell_way_tlsa *m)
{
	struct route *r = route_of(q);
	struct host_dane *d;
	struct tls_tlsa *t;

	if (r->told == NULL || r->told->dane.ntlsas == WAY_TLSAS_MAX)
		return;
	d = &r->told->dane;
	d->tlsas = xreallocarray(d->tlsas, d->ntlsas + 1, sizeof(*d->tlsas));
	t = &d->tlsas[d->ntlsas++];
	*t = (struct tls_tlsa){ .usage = m->usage,
		.selector = m->selector,
		.matching = m->matching,
		.data = xmalloc(m->data.len + 1),
		.len = m->data.len };
	if (m->data.len > 0)
		memcpy(t->data, m->data.p, m->data.len);
}

/* A host that is said to have records, and none came: nobody knows what it
 * has. */
static void
check_dane(struct route *r)
{
	for (size_t i = 0; i < r->nhosts; i++)
		if (r->hosts[i].dane.is == DANE_RECORDS &&
		    r->hosts[i].dane.ntlsas == 0)
			r->hosts[i].dane.is = DANE_FAULT;
	r->told = NULL;
}

static void
on_again(struct question *q)
{
	forget_addrs(route_of(q));
}

static uint64_t
kept_for(const struct answer_way *m)
{
	uint64_t ms = (uint64_t)m->ttl_s * 1000;

	return m->result == WAY_FAULT && ms > ROUTE_FAULT_MS ? ROUTE_FAULT_MS :
							       ms;
}

static void
on_answer(struct question *q, const struct answer_way *m)
{
	struct route *r = route_of(q), *given;
	struct route_wait *w;
	uint64_t ms = kept_for(m);

	r->result = (enum way_result)m->result;
	if (r->result == WAY_FOUND && r->naddrs == 0)
		r->result = WAY_NO_ADDRESS;
	r->partial = m->partial;
	r->mx_is_secure = m->ad;
	check_dane(r);
	r->text = str_dup(m->text);
	r->refs++; /* until all have it */
	if (ms > 0)
		keep(r, ms);
	else
		let_go(r);
	while ((w = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, w, entry);
		w->route = NULL;
		given = r;
		given->refs++;
		w->fn(w->ctx, given);
	}
	route_unref(&r);
}

static const struct question_ops question_ops = {
	.on_addr = on_addr,
	.on_dane = on_dane,
	.on_tlsa = on_tlsa,
	.on_again = on_again,
	.on_answer = on_answer,
};

/* --- what is asked of us --- */

static struct route *
ask(const struct route *key)
{
	const struct ask_way *m = &key->question.ask;
	struct route *r = xcalloc(1, sizeof(*r));

	r->name = str_dup(m->name);
	r->refs = 1;
	r->place = ROUTE_ASKED;
	TAILQ_INIT(&r->waiting);
	r->question.ops = &question_ops;
	r->question.ask = *m;
	r->question.ask.name = str_of(r->name);
	RB_INSERT(route_tree, &routes, r);
	from_resolver_ask(&r->question);
	return r;
}

/* The key under which url is remembered; low has room for its name. */
static void
key_of(const struct hop_url *url, bool dane, char *low, struct route *key)
{
	for (size_t i = 0; i < url->name.len; i++)
		low[i] = chr_lower(url->name.p[i]);
	key->question.ask = (struct ask_way){
		.name = { low, url->name.len },
		.kind = url->kind == HOP_MX ? WAY_MX : WAY_HOST,
		.port = url->port,
		.dane = dane,
	};
}

struct route *
routes_get(const struct hop_url *url, bool dane, struct route_wait *w)
{
	char low[PATH_DOMAIN_MAX];
	struct route key, *r;

	key_of(url, dane, low, &key);
	r = RB_FIND(route_tree, &routes, &key);
	if (r != NULL && r->place == ROUTE_KEPT &&
	    r->expires_ms <= loop_now_ms(loop)) {
		forget(r);
		r = NULL;
	}
	if (r != NULL && r->place == ROUTE_KEPT) {
		TAILQ_REMOVE(&kept, r, used);
		TAILQ_INSERT_HEAD(&kept, r, used);
		r->refs++;
		return r;
	}
	if (r == NULL)
		r = ask(&key);
	TAILQ_INSERT_TAIL(&r->waiting, w, entry);
	w->route = r;
	return NULL;
}

/* A question that nobody waits for is not worth its place. */
void
routes_cancel(struct route_wait *w)
{
	struct route *r = w->route;

	if (r == NULL)
		return;
	w->route = NULL;
	TAILQ_REMOVE(&r->waiting, w, entry);
	if (!TAILQ_EMPTY(&r->waiting) || r->place != ROUTE_ASKED)
		return;
	from_resolver_cancel(&r->question);
	let_go(r);
}

void
routes_clear(void)
{
	struct route *r, *next;

	TAILQ_FOREACH_SAFE(r, &kept, used, next)
		forget(r);
}

void
routes_init(struct loop *l)
{
	loop = l;
}

size_t
routes_count(void)
{
	return nkept;
}

/* --- an order of its own for each work --- */

struct drawn {
	const struct route_host *host;
	uint32_t chance;
};

static bool
is_before(const struct drawn *a, const struct drawn *b)
{
	if (a->host->preference != b->host->preference)
		return a->host->preference < b->host->preference;
	return a->chance < b->chance;
}

/* The addresses of one host, which come with their families in turns: drawn
 * by lot within each family. */
static void
shuffle(const struct route *r, uint8_t *order, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++) {
		size_t pick = i;
		uint32_t alike = 1;

		for (size_t j = i + 1; j < n; j++)
			if (r->addrs[order[j]].family ==
				r->addrs[order[i]].family &&
			    arc4random_uniform(++alike) == 0)
				pick = j;
		uint8_t drawn = order[pick];
		order[pick] = order[i];
		order[i] = drawn;
	}
}

size_t
route_draw(const struct route *r, uint8_t order[static WAY_ALL_MAX])
{
	struct drawn drawn[WAY_ALL_MAX], one;
	size_t n = 0, j;

	for (size_t i = 0; i < r->nhosts; i++) {
		one.host = &r->hosts[i];
		one.chance = r->nhosts > 1 ? arc4random() : 0;
		for (j = i; j > 0 && is_before(&one, &drawn[j - 1]); j--)
			drawn[j] = drawn[j - 1];
		drawn[j] = one;
	}
	for (size_t i = 0; i < r->nhosts; i++) {
		const struct route_host *h = drawn[i].host;

		for (j = 0; j < h->count; j++)
			order[n + j] = (uint8_t)(h->first + j);
		shuffle(r, order + n, h->count);
		n += h->count;
	}
	return n;
}

struct route_host *
route_host_of(const struct route *r, size_t addr)
{
	size_t i = r->nhosts - 1;

	while (r->hosts[i].first > addr)
		i--;
	return &r->hosts[i];
}
