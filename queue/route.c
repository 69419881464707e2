/* From a recipient to its pool, next hops and delivery numbers. */
#include "queue/route.h"

#include "lib/base/log.h"
#include "lib/mail/path.h"
#include "lib/rules/instance.h"
#include "lib/rules/rules.h"

void
router_set_config(struct router *t, const struct config *c)
{
	*t = (struct router){ .config = c };
	for (size_t i = 0; i < c->ndelivers; i++)
		if (c->delivers[i].domains != NULL)
			t->by_domain = true;
	config_deliver_numbers(c, str_of(""), &t->numbers);
	t->numbers_hash = schedule_hash(&t->numbers);
}

/* Rules for one of our own stored mails: as from a local client. */
static const struct action *
decide(const struct router *t, const struct rcpt *r, const struct entry *e)
{
	struct rules_query q = { .client = { .family = ADDR_LOCAL } };
	struct rules_verdict v;
	struct path from, to;

	if (path_split(rcpt_to(r), &to) != 0)
		return NULL;
	q.rcpt_local = to.local;
	q.rcpt_domain = to.domain;
	if (e->from_len > 0 && path_split(entry_from(e), &from) == 0) {
		q.from_local = from.local;
		q.from_domain = from.domain;
	}
	v = rules_decide(t->config, &q);
	if (v.rule == NULL || v.rule->verdict != VERDICT_ACTION)
		return NULL;
	return v.rule->action;
}

static const struct action *
route_again(struct router *t, struct index *ix, struct rcpt *r)
{
	struct entry *e = rcpt_entry(r);
	const struct action *a = decide(t, r, e);
	struct log_ctx ctx = { NULL, "msg", e->msgid };

	log_warn(&ctx, "rerouted", "to=%s was=%s action=%s",
	    log_str(rcpt_to(r)), log_str(word_str(r->action)),
	    log_cstr(a != NULL ? a->name : "none, held"));
	if (a != NULL)
		rcpt_set_word(ix, &r->action, str_of(a->name));
	return a;
}

enum route_fate
route_rcpt(
    struct router *t, struct index *ix, struct rcpt *r, struct route *out)
{
	const struct action *a;
	struct str domain = { "", 0 };

	a = config_find_action(t->config, word_str(r->action));
	if (a == NULL && (a = route_again(t, ix, r)) == NULL)
		return ROUTE_HOLD;
	if (a->kind == ACTION_DISCARD)
		return ROUTE_DISCARD;
	if (t->by_domain || a->routes != NULL)
		domain = rcpt_domain(r);
	if (t->by_domain) {
		config_deliver_numbers(t->config, domain, &t->numbers);
		t->numbers_hash = schedule_hash(&t->numbers);
	}
	*out = (struct route){
		.pool = POOL_DELIVERY,
		.action = r->action,
		.hops = { "", 0 },
		.numbers = &t->numbers,
		.numbers_hash = t->numbers_hash,
	};
	if (a->kind == ACTION_MAILDIR) {
		out->pool = POOL_MAILDIR +
			    (uint32_t)config_maildir_instance(t->config, a);
		return ROUTE_TO;
	}
	out->hops = config_hops(a, domain);
	return out->hops.len > 0 ? ROUTE_TO : ROUTE_NOWHERE;
}

uint64_t
route_ttl_ms(const struct router *t, const struct rcpt *r)
{
	const struct action *a;

	a = config_find_action(t->config, word_str(r->action));
	return a != NULL && a->ttl_ms > 0 ? a->ttl_ms : t->config->queue.ttl;
}
