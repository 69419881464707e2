/* The `match` lines: a pure function over configuration and tables. */
#include "lib/rules/rules.h"

#include <stddef.h>

typedef bool cond_fn(const struct cond *c, const struct rules_query *q);

static bool
cond_any(const struct cond *c, const struct rules_query *q)
{
	(void)c;
	(void)q;
	return true;
}

static bool
cond_from_local(const struct cond *c, const struct rules_query *q)
{
	(void)c;
	return q->client.family == ADDR_LOCAL || addr_is_loopback(&q->client);
}

static bool
cond_from_source(const struct cond *c, const struct rules_query *q)
{
	return table_find_source(c->table, &q->client, NULL);
}

static bool
cond_for_domain(const struct cond *c, const struct rules_query *q)
{
	return table_find_domain(c->table, q->rcpt_domain, NULL);
}

static bool
cond_for_rcpt(const struct cond *c, const struct rules_query *q)
{
	return table_find_address(
	    c->table, q->rcpt_local, q->rcpt_domain, NULL);
}

static bool
cond_mail_from(const struct cond *c, const struct rules_query *q)
{
	return table_find_address(
	    c->table, q->from_local, q->from_domain, NULL);
}

static bool
cond_helo(const struct cond *c, const struct rules_query *q)
{
	return table_find_domain(c->table, q->helo, NULL);
}

static bool
cond_tag(const struct cond *c, const struct rules_query *q)
{
	return str_eq(str_of(c->text), q->tag);
}

static bool
cond_rdns(const struct cond *c, const struct rules_query *q)
{
	(void)c;
	return q->name_state == CLIENT_NAME_CONFIRMED ||
	       q->name_state == CLIENT_NAME_UNCONFIRMED;
}

static bool
cond_fcrdns(const struct cond *c, const struct rules_query *q)
{
	(void)c;
	return q->name_state == CLIENT_NAME_CONFIRMED;
}

static bool
cond_helo_ptr(const struct cond *c, const struct rules_query *q)
{
	return cond_fcrdns(c, q) && str_eq_nocase(q->helo, q->name);
}

static bool
cond_auth(const struct cond *c, const struct rules_query *q)
{
	return q->user.len > 0 &&
	       (c->table == NULL || table_find(c->table, q->user, NULL));
}

static bool
cond_tls(const struct cond *c, const struct rules_query *q)
{
	(void)c;
	return q->tls;
}

static bool
cond_dnsbl(const struct cond *c, const struct rules_query *q)
{
	return q->dnsbl != NULL && q->dnsbl[c->dnsbl] >= c->score;
}

static bool
cond_early_talker(const struct cond *c, const struct rules_query *q)
{
	(void)c;
	return q->early_talker;
}

static cond_fn *const cond_fns[] = {
	[COND_FROM_ANY] = cond_any,
	[COND_FROM_LOCAL] = cond_from_local,
	[COND_FROM_SOURCE] = cond_from_source,
	[COND_FOR_ANY] = cond_any,
	[COND_FOR_DOMAIN] = cond_for_domain,
	[COND_FOR_RCPT] = cond_for_rcpt,
	[COND_MAIL_FROM] = cond_mail_from,
	[COND_HELO] = cond_helo,
	[COND_RDNS] = cond_rdns,
	[COND_FCRDNS] = cond_fcrdns,
	[COND_HELO_PTR] = cond_helo_ptr,
	[COND_TAG] = cond_tag,
	[COND_FROM_AUTH] = cond_auth,
	[COND_AUTH] = cond_auth,
	[COND_TLS] = cond_tls,
	[COND_DNSBL] = cond_dnsbl,
	[COND_EARLY_TALKER] = cond_early_talker,
};

static bool
asks_name(const struct cond *c)
{
	return c->kind == COND_RDNS || c->kind == COND_FCRDNS ||
	       c->kind == COND_HELO_PTR;
}

/* Neither true nor false, and neither is its opposite. */
static bool
is_open(const struct cond *c, const struct rules_query *q)
{
	if (c->kind == COND_DNSBL)
		return q->dnsbl != NULL && q->dnsbl[c->dnsbl] == DNSBL_PENDING;
	return asks_name(c) && (q->name_state == CLIENT_NAME_PENDING ||
				   q->name_state == CLIENT_NAME_FAULT);
}

/* What is known at once, what had to be asked for, what is not known yet: in
 * this order they are looked at, since one that does not hold decides. */
enum layer { LAYER_KNOWN, LAYER_ASKED, LAYER_OPEN, LAYERS };

static enum layer
layer_of(const struct cond *c, const struct rules_query *q)
{
	if (c->kind != COND_DNSBL && !asks_name(c))
		return LAYER_KNOWN;
	return is_open(c, q) ? LAYER_OPEN : LAYER_ASKED;
}

static const struct cond *
first_miss(const struct rule *r, const struct rules_query *q, enum layer layer)
{
	size_t i;

	for (i = 0; i < r->nconds; i++) {
		const struct cond *c = &r->conds[i];

		if (layer_of(c, q) == layer &&
		    (layer == LAYER_OPEN ||
			cond_fns[c->kind](c, q) == c->negate))
			return c;
	}
	return NULL;
}

const struct cond *
rules_first_miss(const struct rule *r, const struct rules_query *q)
{
	const struct cond *c = NULL;
	unsigned int layer;

	for (layer = 0; layer < LAYERS && c == NULL; layer++)
		c = first_miss(r, q, (enum layer)layer);
	return c;
}

bool
rules_match(const struct rule *r, const struct rules_query *q)
{
	return rules_first_miss(r, q) == NULL;
}

static bool
has_rcpt(const struct rule *r)
{
	size_t i;

	for (i = 0; i < r->nconds; i++)
		if (r->conds[i].kind == COND_FOR_RCPT)
			return true;
	return false;
}

bool
rules_takes(const struct rule *r)
{
	return r->verdict == VERDICT_ACTION || r->verdict == VERDICT_QUARANTINE;
}

const char *
rules_reply(const struct rule *r)
{
	static const char *const replies[] = {
		[VERDICT_ACTION] = NULL,
		[VERDICT_REJECT] = "550 5.7.1 Refused by policy",
		[VERDICT_TEMPFAIL] = "451 4.7.1 Try again later",
		[VERDICT_QUARANTINE] = NULL,
	};

	if (r == NULL)
		return "550 5.7.1 Relaying denied";
	return rules_takes(r) || r->reply == NULL ? replies[r->verdict] :
						    r->reply;
}

/* What VRFY may say: a refusal is an answer whichever rule gave it, an
 * acceptance only when a rule knows the recipient. */
static bool
is_by_rcpt(const struct rule *r)
{
	if (r == NULL || r->verdict == VERDICT_REJECT)
		return true;
	return has_rcpt(r);
}

/* All that this rule waits for. */
static struct rules_verdict
undecided(const struct rule *r, const struct rules_query *q)
{
	struct rules_verdict v = { .rule = NULL };
	size_t i;

	for (i = 0; i < r->nconds; i++) {
		if (!is_open(&r->conds[i], q))
			continue;
		if (r->conds[i].kind == COND_DNSBL)
			v.needs_dnsbl = true;
		else
			v.needs_name = true;
	}
	return v;
}

struct rules_verdict
rules_decide(const struct config *c, const struct rules_query *q)
{
	struct rules_verdict v = { .rule = NULL };
	size_t i;

	for (i = 0; i < c->nrules && v.rule == NULL; i++) {
		const struct cond *miss = rules_first_miss(&c->rules[i], q);

		if (miss == NULL)
			v.rule = &c->rules[i];
		else if (is_open(miss, q))
			return undecided(&c->rules[i], q);
	}
	v.by_rcpt = is_by_rcpt(v.rule);
	return v;
}
