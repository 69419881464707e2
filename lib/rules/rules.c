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

static cond_fn *const cond_fns[] = {
	[COND_FROM_ANY] = cond_any,
	[COND_FROM_LOCAL] = cond_from_local,
	[COND_FROM_SOURCE] = cond_from_source,
	[COND_FOR_ANY] = cond_any,
	[COND_FOR_DOMAIN] = cond_for_domain,
	[COND_FOR_RCPT] = cond_for_rcpt,
	[COND_MAIL_FROM] = cond_mail_from,
	[COND_HELO] = cond_helo,
	[COND_TAG] = cond_tag,
};

bool
rules_match(const struct rule *r, const struct rules_query *q)
{
	size_t i;

	for (i = 0; i < r->nconds; i++) {
		const struct cond *c = &r->conds[i];

		if (cond_fns[c->kind](c, q) == c->negate)
			return false;
	}
	return true;
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

/* What VRFY may say: a refusal is an answer whichever rule gave it, an
 * acceptance only when a rule knows the recipient. */
static bool
is_by_rcpt(const struct rule *r)
{
	if (r == NULL || r->verdict == VERDICT_REJECT)
		return true;
	return has_rcpt(r);
}

struct rules_verdict
rules_decide(const struct config *c, const struct rules_query *q)
{
	struct rules_verdict v = { NULL, false };
	size_t i;

	for (i = 0; i < c->nrules && v.rule == NULL; i++)
		if (rules_match(&c->rules[i], q))
			v.rule = &c->rules[i];
	v.by_rcpt = is_by_rcpt(v.rule);
	return v;
}
