/* PTR, then the addresses of the names it has, all at once. */
#include "resolver/caller.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/rules/hop.h"
#include "resolver/query.h"

/* A name that may be the caller's. Answers are not kept: they are long, and
 * callers many. */
struct claim {
	struct caller *caller;
	char *name;              /* owned */
	struct query_wait *wait; /* NULL: answered */

	enum { CLAIM_OPEN, CLAIM_RIGHT, CLAIM_WRONG, CLAIM_FAULT } state;
};

struct caller {
	caller_fn *fn;
	void *ctx;
	struct addr addr;
	uint32_t ttl_s;
	struct query_wait *ptr_wait; /* NULL: answered */
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
		free(c->claims[i].name);
	}
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
		const struct claim *claim = &c->claims[i];

		switch (claim->state) {
		case CLAIM_OPEN:
			return;
		case CLAIM_RIGHT:
			finish(c, CLIENT_NAME_CONFIRMED, str_of(claim->name));
			return;
		case CLAIM_FAULT:
			is_faulty = true;
			break;
		case CLAIM_WRONG:
			break;
		}
	}
	finish(c, is_faulty ? CLIENT_NAME_FAULT : CLIENT_NAME_UNCONFIRMED,
	    str_of(c->claims[0].name));
}

static void
on_addresses(void *ctx, struct dns_answer *a)
{
	struct claim *claim = ctx;

	claim->wait = NULL;
	if (a->status == DNS_FAULT)
		claim->state = CLAIM_FAULT;
	else
		claim->state =
		    is_confirmed(claim->caller, a) ? CLAIM_RIGHT : CLAIM_WRONG;
	note(claim->caller, a);
	judge(claim->caller);
}

/* Nothing else than a valid name goes on from here: it will stand in the log
 * and in a Received line. */
static void
claim_all(struct caller *c, const struct dns_answer *ptr)
{
	size_t nbad = 0;

	c->claims = xcalloc(CALLER_NAMES_MAX, sizeof(*c->claims));
	for (size_t i = 0; i < ptr->nrecords; i++) {
		struct str name = ptr->records[i].text;

		if (!hop_is_host_name(name))
			nbad++;
		else if (c->nclaims < CALLER_NAMES_MAX)
			c->claims[c->nclaims++] = (struct claim){ .caller = c,
				.name = str_dup(name) };
	}
	if (nbad > 0)
		log_debug(NULL, "ptr-skipped",
		    "records=%zu why=\"no valid host name\"", nbad);
	for (size_t i = 0; i < c->nclaims; i++)
		c->claims[i].wait =
		    query_ask_for_client(str_of(c->claims[i].name),
			c->addr.family == ADDR_V4 ? DNS_A : DNS_AAAA,
			on_addresses, &c->claims[i]);
}

static void
on_ptr(void *ctx, struct dns_answer *a)
{
	struct caller *c = ctx;

	c->ptr_wait = NULL;
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
	claim_all(c, a);
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
	c->ptr_wait = query_ask_for_client(
	    str_of(dns_reverse(a, name)), DNS_PTR, on_ptr, c);
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
