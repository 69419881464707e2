/* MX, then the addresses of all its hosts at once, then their TLSA records;
 * what the former come to is in hosts.c, the latter in dane.c. */
#include "resolver/way.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/dane.h"
#include "resolver/query.h"
#include "resolver/validation.h"

enum {
	/* All of a way. */
	TOTAL_MS = WAY_PATIENCE_MS - 500,
	/* DNSSEC is off, which may change: not remembered for longer. */
	UNCHECKED_TTL_S = 300
};

/* The one after the other; TLSA questions have what is left, and a host whose
 * were not answered then is one of DANE_FAULT. */
_Static_assert(2 * QUERY_TOTAL_MS + 1000 <= TOTAL_MS,
    "an agent waits for the MX, the addresses and the TLSA records");

/* A question about one host. */
struct lookup {
	struct way *way;
	size_t host, family;
	struct query_wait *wait; /* NULL: answered */
};

/* The TLSA records of one host. */
struct host_dane {
	struct way *way;
	struct way_host *host;
	struct dane *asking; /* NULL: answered */
};

struct way {
	way_fn *fn;
	void *ctx;
	char *name;
	struct config *config; /* a reference; NULL: none yet */
	struct hosts hosts;
	struct query_wait *mx; /* NULL: not asked, or answered */
	struct lookup *lookups;
	size_t nlookups, nopen;
	bool dane;      /* asked for, and DNSSEC is on */
	bool unchecked; /* asked for, and it is off */
	uint64_t deadline_ms;
	struct timer *timer; /* its; NULL: no TLSA records are asked for */
	struct way_found found;
	struct host_dane *danes;
};

static struct loop *loop;
static struct config *config;

void
way_init(struct loop *l)
{
	loop = l;
}

void
way_set_config(struct config *c)
{
	config_unref(&config);
	config = c == NULL ? NULL : config_ref(c);
}

struct config *
way_config(void)
{
	return config;
}

static void
way_free(struct way *w)
{
	for (size_t i = 0; i < w->found.nhosts; i++)
		dns_answer_unref(&w->found.hosts[i].records);
	timer_free(&w->timer);
	hosts_clear(&w->hosts);
	config_unref(&w->config);
	free(w->danes);
	free(w->lookups);
	free(w->name);
	free(w);
}

static void
tell(struct way *w)
{
	if (w->unchecked && w->found.ttl_s > UNCHECKED_TTL_S)
		w->found.ttl_s = UNCHECKED_TTL_S;
	w->fn(w->ctx, &w->found);
	way_free(w);
}

/* --- TLSA records --- */

/* Counts what was found for the time it holds. */
static void
note(struct way *w, enum way_dane dane, uint32_t ttl_s)
{
	if (dane == DANE_FAULT && ttl_s > HOSTS_FAULT_TTL_S)
		ttl_s = HOSTS_FAULT_TTL_S;
	if (ttl_s < w->found.ttl_s)
		w->found.ttl_s = ttl_s;
}

static void
on_dane(void *ctx, const struct dane_found *f)
{
	struct host_dane *d = ctx;
	struct way *w = d->way;

	d->asking = NULL;
	d->host->dane = f->dane;
	/* The base is one of two names that outlive the question. */
	if (!str_eq_nocase(f->base, d->host->host))
		d->host->base =
		    hosts_canonical(hosts_find(&w->hosts, d->host->host));
	if (f->records != NULL)
		d->host->records = dns_answer_ref(f->records);
	note(w, f->dane, f->ttl_s);
	if (--w->nopen == 0)
		tell(w);
}

static void
on_deadline(void *ctx)
{
	struct way *w = ctx;

	for (size_t i = 0; i < w->found.nhosts; i++)
		if (w->danes[i].asking != NULL) {
			dane_cancel(&w->danes[i].asking);
			w->danes[i].host->dane = DANE_FAULT;
			note(w, DANE_FAULT, HOSTS_FAULT_TTL_S);
		}
	tell(w);
}

/* Each host once; its addresses stand together. */
static void
list_hosts(struct way_found *f)
{
	for (size_t i = 0; i < f->naddrs; i++)
		if (i == 0 || f->addrs[i].host.p != f->addrs[i - 1].host.p)
			f->hosts[f->nhosts++] =
			    (struct way_host){ .host = f->addrs[i].host,
				    .base = f->addrs[i].host };
}

static void
ask_tlsa(struct way *w)
{
	uint64_t now_ms = loop_now_ms(loop);

	list_hosts(&w->found);
	w->danes = xcalloc(w->found.nhosts + 1, sizeof(*w->danes));
	w->nopen = 0;
	for (size_t i = 0; i < w->found.nhosts; i++) {
		struct host_dane *d = &w->danes[i];
		const struct host *host =
		    hosts_find(&w->hosts, w->found.hosts[i].host);
		struct dane_host h = { .name = host->name,
			.canonical = hosts_canonical(host),
			.secure = hosts_is_secure(&w->hosts, host),
			.port = w->hosts.port };

		d->way = w;
		d->host = &w->found.hosts[i];
		if (!h.secure &&
		    (!hosts_mx_is_secure(&w->hosts) || h.canonical.len == 0))
			continue;
		d->asking = dane_ask(&h, on_dane, d);
		w->nopen++;
	}
	if (w->nopen == 0) {
		tell(w);
		return;
	}
	w->timer = timer_new(loop, on_deadline, w);
	timer_set(
	    w->timer, w->deadline_ms > now_ms ? w->deadline_ms - now_ms : 0);
}

/* --- MX and addresses --- */

static void
finish(struct way *w, enum way_result result)
{
	hosts_finish(&w->hosts, result, &w->found);
	if (w->dane && w->found.result == WAY_FOUND)
		ask_tlsa(w);
	else
		tell(w);
}

static struct query_wait *
ask(const struct way *w, struct str name, enum dns_type type, query_fn *fn,
    void *ctx)
{
	return w->dane ? query_ask_trusted(name, type, fn, ctx) :
			 query_ask(name, type, fn, ctx);
}

static void
on_addresses(void *ctx, struct dns_answer *a)
{
	struct lookup *l = ctx;
	struct way *w = l->way;

	l->wait = NULL;
	hosts_set_answer(&w->hosts, l->host, l->family, a);
	if (--w->nopen == 0)
		finish(w, WAY_FOUND);
}

static void
ask_addresses(struct way *w)
{
	w->nlookups = w->nopen = w->hosts.n * HOST_FAMILIES;
	w->lookups = xcalloc(w->nlookups, sizeof(*w->lookups));
	for (size_t i = 0; i < w->nlookups; i++) {
		struct lookup *l = &w->lookups[i];

		l->way = w;
		l->host = i / HOST_FAMILIES;
		l->family = i % HOST_FAMILIES;
		l->wait = ask(w, w->hosts.list[l->host].name,
		    hosts_type(l->family), on_addresses, l);
	}
}

static void
on_mx(void *ctx, struct dns_answer *a)
{
	struct way *w = ctx;
	enum way_result result;

	w->mx = NULL;
	result = hosts_from_mx(&w->hosts, a);
	if (w->hosts.nskipped > 0)
		log_debug(NULL, "mx-skipped",
		    "domain=%s records=%zu why=\"no valid host name\"",
		    log_cstr(w->name), w->hosts.nskipped);
	if (w->hosts.nnull > 0 && result != WAY_NO_MAIL)
		log_info(NULL, "mx-null-ignored",
		    "domain=%s why=\"beside other records\"",
		    log_cstr(w->name));
	if (result == WAY_FOUND)
		ask_addresses(w);
	else
		finish(w, result);
}

struct way *
way_ask(struct str name, enum way_kind kind, uint16_t port, bool dane,
    way_fn *fn, void *ctx)
{
	struct way *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->ctx = ctx;
	w->name = str_dup(name);
	w->dane = dane && validation_allows_dane();
	w->unchecked = dane && !w->dane;
	w->deadline_ms = loop_now_ms(loop) + TOTAL_MS;
	if (config != NULL)
		w->config = config_ref(config);
	hosts_init(&w->hosts, str_of(w->name), kind, port, w->config);
	if (kind == WAY_MX) {
		w->mx = ask(w, name, DNS_MX, on_mx, w);
		return w;
	}
	hosts_from_name(&w->hosts);
	ask_addresses(w);
	return w;
}

void
way_cancel(struct way **wp)
{
	struct way *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	if (w->mx != NULL)
		query_cancel(&w->mx);
	for (size_t i = 0; i < w->nlookups; i++)
		if (w->lookups[i].wait != NULL)
			query_cancel(&w->lookups[i].wait);
	for (size_t i = 0; w->danes != NULL && i < w->found.nhosts; i++)
		dane_cancel(&w->danes[i].asking);
	way_free(w);
}
