/* From a recipient to its pool, next hops and delivery numbers. */
#include "queue/route.h"

#include "lib/base/log.h"
#include "lib/mail/path.h"
#include "lib/rules/hop.h"
#include "lib/rules/instance.h"
#include "lib/rules/rules.h"

void
router_set_config(struct router *t, const struct config *c)
{
	buf_clear(&t->hops);
	*t = (struct router){ .config = c };
	buf_init(&t->hops, 512);
	for (size_t i = 0; i < c->ndelivers; i++)
		if (c->delivers[i].domains != NULL)
			t->by_domain = true;
	config_deliver_numbers(c, str_of(""), &t->numbers);
	t->numbers_hash = schedule_hash(&t->numbers);
}

/* --- the rules, for a mail that we have --- */

static struct addr
client_of(struct str client)
{
	struct addr a = { .family = ADDR_NONE };

	if (str_eq(client, STR("local")))
		a.family = ADDR_LOCAL;
	else if (addr_parse(client, &a) != 0)
		a.family = ADDR_NONE;
	return a;
}

/* Of the listener it came in by, if that is still there. */
static struct str
tag_of(const struct config *c, struct str listener)
{
	char name[HOP_TEXT_MAX];

	for (size_t i = 0; i < c->nlisteners; i++) {
		const struct listener *l = &c->listeners[i];
		struct hop_addr at = { .addr = l->addr, .port = l->port };
		const char *is = "submit";

		if (l->addr.family != ADDR_LOCAL)
			is = hop_format(&at, name);
		if (str_eq(listener, str_of(is)))
			return str_of(l->tag);
	}
	return STR("");
}

bool
route_is_report(const struct entry *e)
{
	return e->from_len == 0 &&
	       str_eq(entry_origin(e).listener, STR(ROUTE_REPORT_LISTENER));
}

/* What the rules say of q, with this recipient. */
static struct route_decision
ask_rules(const struct config *c, struct rules_query *q, struct str rcpt)
{
	struct route_decision d = { .matched = true };
	struct rules_verdict v;
	struct path to;

	if (path_split(rcpt, &to) != 0)
		return d;
	q->rcpt_local = to.local;
	q->rcpt_domain = to.domain;
	v = rules_decide(c, q);
	d.matched = v.rule != NULL;
	d.line = d.matched ? v.rule->line : 0;
	if (v.rule == NULL || (v.rule->verdict != VERDICT_ACTION &&
				  v.rule->verdict != VERDICT_QUARANTINE))
		return d;
	d.action = v.rule->action;
	d.quarantine = v.rule->verdict == VERDICT_QUARANTINE;
	return d;
}

struct route_decision
route_report(const struct router *t, struct str to)
{
	struct rules_query q = {
		.client = { .family = ADDR_LOCAL },
		.name_state = CLIENT_NAME_NONE,
		.helo = str_of(t->config->hostname),
	};
	struct route_decision d = ask_rules(t->config, &q, to);

	if (!d.matched)
		d.action = config_find_action(t->config, STR(CONFIG_MX_ACTION));
	return d;
}

struct str
route_reason(const struct route_decision *d, struct buf *out)
{
	buf_reset(out);
	buf_addf(out, "set aside by the rule in line %u", d->line);
	return buf_str(out);
}

struct route_decision
route_decide(const struct router *t, struct rcpt *r)
{
	const struct entry *e = rcpt_entry(r);
	struct origin o = entry_origin(e);
	struct rules_query q = {
		.client = client_of(o.client),
		.name_state = CLIENT_NAME_NONE,
		.helo = o.client_name,
		.tag = tag_of(t->config, o.listener),
		.user = o.user,
		.tls = (e->flags & ENVELOPE_TLS) != 0,
	};
	struct path from;

	if (route_is_report(e))
		return route_report(t, rcpt_to(r));
	if (e->from_len > 0 && path_split(entry_from(e), &from) == 0) {
		q.from_local = from.local;
		q.from_domain = from.domain;
	}
	return ask_rules(t->config, &q, rcpt_to(r));
}

void
route_set_action(struct index *ix, struct rcpt *r, const struct action *a)
{
	rcpt_set_word(ix, &r->action, str_of(a->name));
	rcpt_mark(r, MARK_REROUTED);
}

static struct route_decision
route_again(struct router *t, struct index *ix, struct rcpt *r)
{
	struct route_decision d = route_decide(t, r);
	const struct action *a = d.action;
	struct log_ctx ctx = { NULL, "msg", rcpt_entry(r)->msgid };

	log_warn(&ctx, "rerouted", "to=%s was=%s action=%s",
	    log_str(rcpt_to(r)), log_str(word_str(r->action)),
	    log_cstr(a != NULL ? a->name : "none, held"));
	if (a != NULL)
		route_set_action(ix, r, a);
	return d;
}

/* --- where to --- */

enum route_fate
route_rcpt(
    struct router *t, struct index *ix, struct rcpt *r, struct route *out)
{
	const struct action *a;
	struct str domain = { "", 0 };

	a = config_find_action(t->config, word_str(r->action));
	if (a == NULL) {
		struct route_decision d = route_again(t, ix, r);

		if (d.quarantine)
			return ROUTE_QUARANTINE;
		if (d.action == NULL)
			return ROUTE_HOLD;
		a = d.action;
	}
	if (a->kind == ACTION_DISCARD)
		return ROUTE_DISCARD;
	if (t->by_domain || a->hops == NULL)
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
	if (a->kind == ACTION_MAILDIR || a->kind == ACTION_MDA) {
		out->pool =
		    (a->kind == ACTION_MDA ? POOL_MDA : POOL_MAILDIR) +
		    (uint32_t)config_agent_instance(t->config, a) * POOL_STEP;
		return ROUTE_TO;
	}
	out->hops = config_hops(a, domain, &t->hops);
	return out->hops.len > 0 ? ROUTE_TO : ROUTE_NOWHERE;
}

uint64_t
route_ttl_ms(const struct router *t, struct rcpt *r)
{
	const struct queue_settings *q = &t->config->queue;
	const struct action *a =
	    config_find_action(t->config, word_str(r->action));
	uint64_t ttl = a != NULL && a->ttl_ms > 0 ? a->ttl_ms : q->ttl;

	/* Nobody waits long for a report. */
	if (rcpt_entry(r)->from_len == 0 && q->report_ttl < ttl)
		ttl = q->report_ttl;
	return ttl;
}
