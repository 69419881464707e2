/* The fully expanded name first, then the name itself. */
#include "resolver/dane.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/rules/hop.h"
#include "resolver/query.h"

enum {
	TLSA_FIXED = 3, /* usage, selector, matching type */
	QUESTION_MAX = 280,
	BASE_MAX = 255
};

struct dane {
	dane_fn *fn;
	void *ctx;
	char *name;
	char *canonical; /* NULL: the name itself is the only base */
	uint16_t port;
	const char *base; /* asked now: one of the two */
	uint32_t ttl_s;
	struct query_wait *wait;
};

bool
dane_is_usable(const struct dns_record *r)
{
	/* By matching type; 0: any (the data itself). */
	static const size_t lengths[] = { 0, 32, 64 };
	const uint8_t *p = (const uint8_t *)r->text.p;

	if (r->text.len <= TLSA_FIXED || (p[0] != 2 && p[0] != 3) || p[1] > 1 ||
	    p[2] >= sizeof(lengths) / sizeof(lengths[0]))
		return false;
	return p[2] == 0 || r->text.len - TLSA_FIXED == lengths[p[2]];
}

static void
dane_free(struct dane *d)
{
	free(d->name);
	free(d->canonical);
	free(d);
}

static void
finish(struct dane *d, enum way_dane dane, struct dns_answer *records)
{
	struct dane_found f = { .dane = dane,
		.base = str_of(d->base),
		.records = records,
		.ttl_s = d->ttl_s };

	d->fn(d->ctx, &f);
	dane_free(d);
}

static bool
has_usable(const struct dns_answer *a)
{
	for (size_t i = 0; i < a->nrecords; i++)
		if (dane_is_usable(&a->records[i]))
			return true;
	return false;
}

static void
note(struct dane *d, const struct dns_answer *a)
{
	if (a->ttl_s < d->ttl_s)
		d->ttl_s = a->ttl_s;
}

static void on_tlsa(void *ctx, struct dns_answer *a);

static void
ask_tlsa(struct dane *d, const char *base)
{
	char text[QUESTION_MAX];

	d->base = base;
	(void)snprintf(
	    text, sizeof(text), "_%u._tcp.%s", (unsigned int)d->port, base);
	d->wait = query_ask_trusted(str_of(text), DNS_TLSA, on_tlsa, d);
}

/* Insecure ones are as good as none. */
static void
on_tlsa(void *ctx, struct dns_answer *a)
{
	struct dane *d = ctx;

	d->wait = NULL;
	note(d, a);
	if (a->status == DNS_FAULT)
		finish(d, DANE_FAULT, NULL);
	else if (a->status == DNS_OK && a->ad && has_usable(a))
		finish(d, DANE_RECORDS, a);
	else if (a->status == DNS_OK && a->ad)
		finish(d, DANE_UNUSABLE, NULL);
	else if (d->base == d->canonical)
		ask_tlsa(d, d->name);
	else
		finish(d, DANE_NONE, NULL);
}

/* Its addresses are insecure: is it because a secure alias leads to where
 * nothing is signed? */
static void
on_alias(void *ctx, struct dns_answer *a)
{
	struct dane *d = ctx;

	d->wait = NULL;
	note(d, a);
	if (a->status == DNS_FAULT)
		finish(d, DANE_FAULT, NULL);
	else if (a->status == DNS_OK && a->ad)
		ask_tlsa(d, d->name);
	else
		finish(d, DANE_NONE, NULL);
}

struct dane *
dane_ask(const struct dane_host *h, dane_fn *fn, void *ctx)
{
	struct dane *d = xcalloc(1, sizeof(*d));

	d->fn = fn;
	d->ctx = ctx;
	d->port = h->port;
	d->ttl_s = DNS_TTL_MAX;
	d->name = str_dup(h->name);
	d->base = d->name;
	if (!h->secure) {
		d->wait = query_ask_trusted(h->name, DNS_CNAME, on_alias, d);
		return d;
	}
	if (h->canonical.len > 0 && h->canonical.len <= BASE_MAX &&
	    hop_is_host_name(h->canonical))
		d->canonical = str_dup(h->canonical);
	ask_tlsa(d, d->canonical != NULL ? d->canonical : d->name);
	return d;
}

void
dane_cancel(struct dane **d)
{
	if (*d == NULL)
		return;
	query_cancel(&(*d)->wait);
	dane_free(*d);
	*d = NULL;
}
