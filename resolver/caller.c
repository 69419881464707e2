/* PTR, then the addresses of the names it has, all at once. */
#include "resolver/caller.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/rules/hop.h"
#include "resolver/query.h"

/* A name that may be the caller's. */
struct claim {
	struct caller *caller;
	struct str name;           /* into the PTR's answer */
	struct query_wait *wait;   /* NULL: answered */
	struct dns_answer *answer; /* a reference; NULL: not yet */
};

struct caller {
	caller_fn *fn;
	void *ctx;
	struct addr addr;
	uint32_t ttl_s;
	struct query_wait *ptr_wait; /* NULL: answered */
	struct dns_answer *ptr;      /* a reference; NULL: not yet */
	struct claim *claims;        /* in the order of the records */
	size_t nclaims;
};

static void
caller_free(struct caller *c)
{
	if (c->ptr_wait != NULL)
		query_cancel(&c->ptr_wait);
	for (size_t i = 0; i < c->nclaims; i++) {
		if (c->claims[i].wait != NULL)
			query_cancel(&c->claims[i].wait);
		dns_answer_unref(&c->claims[i].answer);
	}
	dns_answer_unref(&c->ptr);
	free(c->claims);
	free(c);
}

static void
finish(struct caller *c, enum client_name state, struct str name)
{
	struct caller_found found = {
		.state = state, .name = name, .ttl_s = c->ttl_s
	};

	if (found.ttl_s < CALLER_TTL_MIN_S)
		found.ttl_s = CALLER_TTL_MIN_S;
	c->fn(c->ctx, &found);
	caller_free(c);
}

static void
note(struct caller *c, const struct dns_answer *a)
{
	if (a->ttl_s < c->ttl_s)
		c->ttl_s = a->ttl_s;
}

static bool
is_confirmed(const struct caller *c, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->nrecords; i++)
		if (addr_eq(&a->records[i].addr, &c->addr))
			return true;
	return false;
}

/* The first name that is right decides; until those before it are answered,
 * it is not the first. */
static void
judge(struct caller *c)
{
	bool is_faulty = false;

	for (size_t i = 0; i < c->nclaims; i++) {
		const struct dns_answer *a = c->claims[i].answer;

		if (a == NULL)
			return;
		if (a->status == DNS_FAULT)
			is_faulty = true;
		if (is_confirmed(c, a)) {
			finish(c, CLIENT_NAME_CONFIRMED, c->claims[i].name);
			return;
		}
	}
	finish(c, is_faulty ? CLIENT_NAME_FAULT : CLIENT_NAME_UNCONFIRMED,
	    STR(""));
}

static void
on_addresses(void *ctx, struct dns_answer *a)
{
	struct claim *claim = ctx;

	claim->wait = NULL;
	claim->answer = dns_answer_ref(a);
	note(claim->caller, a);
	judge(claim->caller);
}

/* Nothing else than a valid name goes on from here: it will stand in the log
 * and in a Received line. */
static void
claim_all(struct caller *c)
{
	size_t nbad = 0;

	c->claims = xcalloc(CALLER_NAMES_MAX, sizeof(*c->claims));
	for (size_t i = 0; i < c->ptr->nrecords; i++) {
		struct str name = c->ptr->records[i].text;

		if (!hop_is_host_name(name))
			nbad++;
		else if (c->nclaims < CALLER_NAMES_MAX)
			c->claims[c->nclaims++] =
			    (struct claim){ .caller = c, .name = name };
	}
	if (nbad > 0)
		log_debug(NULL, "ptr-skipped",
		    "records=%zu why=\"no valid host name\"", nbad);
	for (size_t i = 0; i < c->nclaims; i++)
		c->claims[i].wait = query_ask(c->claims[i].name,
		    c->addr.family == ADDR_V4 ? DNS_A : DNS_AAAA, on_addresses,
		    &c->claims[i]);
}

static void
on_ptr(void *ctx, struct dns_answer *a)
{
	struct caller *c = ctx;

	c->ptr_wait = NULL;
	c->ptr = dns_answer_ref(a);
	note(c, a);
	switch (a->status) {
	case DNS_FAULT:
		finish(c, CLIENT_NAME_FAULT, STR(""));
		return;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		finish(c, CLIENT_NAME_NONE, STR(""));
		return;
	case DNS_OK:
		break;
	}
	claim_all(c);
	if (c->nclaims == 0)
		finish(c, CLIENT_NAME_UNCONFIRMED, STR(""));
}

struct caller *
caller_ask(const struct addr *a, caller_fn *fn, void *ctx)
{
	struct caller *c = xcalloc(1, sizeof(*c));
	char name[DNS_REVERSE_MAX];

	c->fn = fn;
	c->ctx = ctx;
	c->addr = *a;
	c->addr.scope = 0; /* no record has one */
	c->ttl_s = CALLER_TTL_MAX_S;
	c->ptr_wait =
	    query_ask(str_of(dns_reverse(a, name)), DNS_PTR, on_ptr, c);
	return c;
}

void
caller_cancel(struct caller **cp)
{
	struct caller *c = *cp;

	*cp = NULL;
	if (c != NULL)
		caller_free(c);
}
