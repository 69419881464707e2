/* MX, then the addresses of all its hosts at once; what they come to is in
 * hosts.c. */
#include "resolver/way.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "resolver/query.h"

/* The one after the other. */
_Static_assert(2 * QUERY_TOTAL_MS < WAY_PATIENCE_MS,
    "an agent waits for the MX and the addresses");

/* A question about one host. */
struct lookup {
	struct way *way;
	size_t host, family;
	struct query_wait *wait; /* NULL: answered */
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
};

static struct config *config;

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
	hosts_clear(&w->hosts);
	config_unref(&w->config);
	free(w->lookups);
	free(w->name);
	free(w);
}

static void
finish(struct way *w, enum way_result result)
{
	struct way_found found;

	hosts_finish(&w->hosts, result, &found);
	w->fn(w->ctx, &found);
	way_free(w);
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
		l->wait = query_ask(w->hosts.list[l->host].name,
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
way_ask(
    struct str name, enum way_kind kind, uint16_t port, way_fn *fn, void *ctx)
{
	struct way *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->ctx = ctx;
	w->name = str_dup(name);
	if (config != NULL)
		w->config = config_ref(config);
	hosts_init(&w->hosts, str_of(w->name), kind, port, w->config);
	if (kind == WAY_MX) {
		w->mx = query_ask(name, DNS_MX, on_mx, w);
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
	way_free(w);
}
