/* Whose domains are ours, and who takes their postmaster's mail. */
#include "lib/rules/postmaster.h"

/* Does a line take mail for this domain whoever sends it? */
static bool
rule_owns(const struct rule *r, struct str domain)
{
	bool owns = false;

	if (!rules_takes(r))
		return false;
	for (size_t i = 0; i < r->nconds; i++) {
		const struct cond *c = &r->conds[i];

		if (c->kind == COND_FOR_DOMAIN && !c->negate &&
		    table_find_domain(c->table, domain, NULL))
			owns = true;
		else if (c->kind != COND_FROM_ANY && c->kind != COND_FOR_ANY)
			return false;
	}
	return owns;
}

static bool
is_ours(const struct config *c, struct str domain)
{
	if (str_eq_nocase(domain, str_of(c->domain)) ||
	    str_eq_nocase(domain, str_of(c->hostname)))
		return true;
	for (size_t i = 0; i < c->nrules; i++)
		if (rule_owns(&c->rules[i], domain))
			return true;
	return false;
}

const struct rule *
postmaster_rule(const struct config *c, struct str helo, struct path *to)
{
	struct rules_query q = {
		.client = { .family = ADDR_LOCAL },
		.name_state = CLIENT_NAME_NONE,
		.helo = helo,
		.tag = STR(""),
		.from_local = STR(""),
		.from_domain = STR(""),
	};
	struct path admin;

	if (c->postmaster == NULL ||
	    !str_eq_nocase(to->local, STR("postmaster")) ||
	    !is_ours(c, to->domain) ||
	    path_split(str_of(c->postmaster), &admin) < 0)
		return NULL;
	q.rcpt_local = admin.local;
	q.rcpt_domain = admin.domain;
	const struct rule *r = rules_decide(c, &q).rule;
	if (r == NULL || !rules_takes(r))
		return NULL;
	path_split(str_of(c->postmaster), to);
	return r;
}
