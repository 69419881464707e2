/* The rules, then each next hop in turn. */
#include "resolver/explain.h"

#include <stdio.h>
#include <stdlib.h>

#include "edges/control_all.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/mail/path.h"
#include "lib/rules/hop.h"
#include "lib/rules/postmaster.h"
#include "resolver/from_control.h"
#include "resolver/way.h"

enum {
	HOPS_BYTES_MAX = 8192,
	LISTS_SHOWN = 100,
	/* Of the rows' fields. */
	WHY_MAX = 320,
	HOST_MAX = 1024,
	TEXT_MAX = 4096,
	MILTERS_BYTES_MAX = 2048
};

struct explanation {
	struct question q;
	struct config *config;       /* a reference: hops may point into it */
	struct buf mx;               /* what config_hops made */
	struct str hops;             /* those still to tell */
	struct hop_url hop;          /* the present one */
	const struct action *action; /* config's */
	struct way *way;             /* its, while it is being found */
};

static void
explanation_free(struct explanation *x)
{
	way_cancel(&x->way);
	buf_clear(&x->mx);
	config_unref(&x->config);
	free(x);
}

static void
cancel(struct question *q)
{
	explanation_free((struct explanation *)q);
}

static void
finish(struct explanation *x)
{
	from_control_answer(x->q.peer->channel, x->q.id, ANSWER_OK, "", 0);
	question_end(&x->q);
	explanation_free(x);
}

/* --- rules --- */

/* A condition as it may be written. Returns out. */
static const char *
cond_format(const struct cond *c, char out[static WHY_MAX])
{
	static const char *const words[] = {
		[COND_FROM_ANY] = "from any",
		[COND_FROM_LOCAL] = "from local",
		[COND_FROM_SOURCE] = "from source",
		[COND_FOR_ANY] = "for any",
		[COND_FOR_DOMAIN] = "for domain",
		[COND_FOR_RCPT] = "for rcpt",
		[COND_MAIL_FROM] = "mail-from",
		[COND_HELO] = "helo",
		[COND_RDNS] = "rdns",
		[COND_FCRDNS] = "fcrdns",
		[COND_HELO_PTR] = "helo-ptr",
		[COND_TAG] = "tag",
		[COND_FROM_AUTH] = "from auth",
		[COND_AUTH] = "auth",
		[COND_TLS] = "tls",
		[COND_DNSBL] = "dnsbl",
		[COND_EARLY_TALKER] = "early-talker",
	};
	const char *value = c->table != NULL ? table_name(c->table) : c->text;
	const char *word = words[c->kind];
	char score[24] = "";

	/* A list that stands in the rule has no name of its own. */
	if (c->table != NULL && table_is_anonymous(c->table))
		value = "{ ... }";
	if (c->kind == COND_AUTH && c->table != NULL)
		word = "auth user";
	if (c->kind == COND_DNSBL)
		(void)snprintf(score, sizeof(score), " score %d", c->score);
	(void)snprintf(out, WHY_MAX, "%s%s%s%.200s%s", c->negate ? "!" : "",
	    word, value == NULL || value[0] == '\0' ? "" : " ",
	    value == NULL ? "" : value, score);
	return out;
}

static bool
asks_name(const struct cond *c)
{
	return c->kind == COND_RDNS || c->kind == COND_FCRDNS ||
	       c->kind == COND_HELO_PTR;
}

static void
add_name_found(struct buf *why, const struct rules_query *q,
    const struct explain_facts *facts)
{
	static const char *const words[] = {
		[CLIENT_NAME_NONE] = "the client has no name",
		[CLIENT_NAME_PENDING] = "its name is not known",
		[CLIENT_NAME_UNCONFIRMED] = "unconfirmed",
		[CLIENT_NAME_CONFIRMED] = "confirmed",
		[CLIENT_NAME_FAULT] = "its name cannot be learned",
	};

	buf_add_str(why, STR(" ("));
	if (facts->ptr.len > 0) {
		buf_add_str(why, facts->ptr);
		buf_add_str(why, STR(", "));
	}
	buf_addf(why, "%s)", words[q->name_state]);
}

static void
add_lists_found(struct buf *why, const struct cond *c,
    const struct rules_query *q, const struct explain_facts *facts)
{
	if (facts->lists == NULL || q->dnsbl == NULL) {
		buf_add_str(why, STR(" (lists are not asked about it)"));
		return;
	}
	const struct explain_list *l = &facts->lists[c->dnsbl];
	buf_addf(why, " (score %d", q->dnsbl[c->dnsbl]);
	if (l->lists.len > 0) {
		buf_add_str(why, STR(": "));
		buf_add_str(why, str_head(l->lists, LISTS_SHOWN));
	}
	if (l->silent > 0)
		buf_addf(why, ", %u silent", l->silent);
	buf_add_char(why, ')');
}

/* The first rule that no condition keeps from deciding, be it that the
 * client's name cannot be learned; NULL: there is none. */
static const struct rule *
decider(const struct config *config, const struct rules_query *q, bool *is_open)
{
	*is_open = false;
	for (size_t i = 0; i < config->nrules; i++) {
		const struct rule *r = &config->rules[i];
		const struct cond *miss = rules_first_miss(r, q);

		/* Undecided ones are missed last of all. */
		*is_open = miss != NULL && asks_name(miss) &&
			   q->name_state == CLIENT_NAME_FAULT;
		if (miss == NULL || *is_open)
			return r;
	}
	return NULL;
}

static void
tell_passed(struct explanation *x, const struct rules_query *q,
    const struct explain_facts *facts, const struct rule *until)
{
	char what[WHY_MAX];
	struct buf why;

	buf_init(&why, 4096);
	for (size_t i = 0; i < x->config->nrules; i++) {
		const struct rule *r = &x->config->rules[i];
		const struct cond *miss;

		if (r == until || (miss = rules_first_miss(r, q)) == NULL)
			break;
		buf_reset(&why);
		buf_addf(
		    &why, "does not hold: %.240s", cond_format(miss, what));
		if (asks_name(miss))
			add_name_found(&why, q, facts);
		else if (miss->kind == COND_DNSBL)
			add_lists_found(&why, miss, q, facts);
		struct row_passed row = { .line = r->line,
			.why = str_head(buf_str(&why), WHY_MAX) };
		channel_tell(
		    x->q.peer->channel, TYPE_row_passed, &row, x->q.id);
	}
	buf_clear(&why);
}

static void
add_filters(struct buf *out, const struct milter_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		buf_addf(out, "%s%s", i > 0 ? " " : "",
		    set->members[i].milter->name);
}

static void
tell_rule(struct explanation *x, const struct rule *r, struct str reply,
    struct str recipient)
{
	struct row_rule row = { .reply = reply,
		.recipient = recipient,
		.verdict = VERDICT_REJECT };
	struct buf milters;

	buf_init(&milters, MILTERS_BYTES_MAX);
	if (r != NULL) {
		row.line = r->line;
		row.text = str_head(str_of(r->text), TEXT_MAX);
		row.verdict = (uint8_t)r->verdict;
	}
	if (r != NULL && r->milters != NULL) {
		row.own_filters = 1;
		add_filters(&milters, r->milters);
	}
	row.milters = buf_str(&milters);
	if (r != NULL && rules_takes(r) && reply.len == 0)
		row.action = str_of(r->action->name);
	channel_tell(x->q.peer->channel, TYPE_row_rule, &row, x->q.id);
	buf_clear(&milters);
}

/* --- next hops --- */

static void
tell_hop(struct explanation *x, const struct way_addr *a, uint16_t port,
    const char *tls)
{
	char address[ADDR_TEXT_MAX];
	struct row_hop row = { .host = a->host,
		.address = str_of(addr_format(&a->addr, address)),
		.port = port,
		.preference = a->preference,
		.tls = str_of(tls) };

	channel_tell(x->q.peer->channel, TYPE_row_hop, &row, x->q.id);
}

/* One to which nothing can go. */
static void
tell_no_hop(
    struct explanation *x, struct str host, uint16_t port, const char *why)
{
	struct row_hop row = { .host = str_head(host, HOST_MAX),
		.port = port,
		.tls = STR("none"),
		.why = str_head(str_of(why), WHY_MAX) };

	channel_tell(x->q.peer->channel, TYPE_row_hop, &row, x->q.id);
}

/* How a connection there is secured, as far as the configuration says. */
static const char *
tls_word(const struct explanation *x)
{
	unsigned int tls = x->action->tls;

	if (x->hop.tls == HOP_TLS_NEVER)
		return "none";
	if (x->hop.tls == HOP_TLS_BY_ACTION && (tls & ACTION_TLS_STS) != 0)
		return "mta-sts";
	if (x->hop.tls != HOP_TLS_BY_ACTION || (tls & ACTION_TLS_REQUIRE) != 0)
		return (tls & ACTION_TLS_UNVERIFIED) != 0 ? "encrypted" :
							    "require";
	return "opportunistic";
}

static void
tell_address(struct explanation *x)
{
	char text[ADDR_TEXT_MAX];
	struct hop_addr at = { .addr = x->hop.addr, .port = x->hop.port };
	struct way_addr a = { .addr = at.addr,
		.host = str_of(addr_format(&at.addr, text)) };

	if (hop_is_ours(&at, x->config))
		tell_no_hop(
		    x, a.host, at.port, "a listener of this very gateway");
	else if (hop_is_unusable(&at.addr))
		tell_no_hop(x, a.host, at.port, "nobody can be there");
	else
		tell_hop(x, &a, at.port, tls_word(x));
}

static bool
wants_dane(const struct explanation *x)
{
	unsigned int tls = x->action->tls;

	if (x->hop.tls == HOP_TLS_NEVER)
		return false;
	return tls == 0 ? x->hop.kind == HOP_MX : (tls & ACTION_TLS_DANE) != 0;
}

/* With its TLSA records, where there are any. */
static void
tell_addr(
    struct explanation *x, const struct way_found *f, const struct way_addr *a)
{
	static const char *const words[] = {
		[DANE_RECORDS] = "dane",
		[DANE_UNUSABLE] = "encrypted",
	};
	enum way_dane dane = DANE_NONE;

	for (size_t i = 0; i < f->nhosts; i++)
		if (f->hosts[i].host.p == a->host.p)
			dane = f->hosts[i].dane;
	if (dane == DANE_FAULT)
		tell_no_hop(x, a->host, x->hop.port,
		    "its TLSA records cannot be learned");
	else
		tell_hop(x, a, x->hop.port,
		    dane == DANE_NONE ? tls_word(x) : words[dane]);
}

static void next_hops(struct explanation *x);

static void
on_way(void *ctx, const struct way_found *f)
{
	struct explanation *x = ctx;

	x->way = NULL;
	for (size_t i = 0; i < f->naddrs; i++)
		tell_addr(x, f, &f->addrs[i]);
	if (f->result != WAY_FOUND)
		tell_no_hop(x, x->hop.name, x->hop.port, f->text);
	next_hops(x);
}

/* Up to one that has to be asked for. */
static void
next_hops(struct explanation *x)
{
	struct fault why;
	struct str url;

	while (hop_url_next(&x->hops, &url)) {
		if (hop_url_parse(url, &x->hop, &why) == -1) {
			tell_no_hop(x, url, 0, why.text);
			continue;
		}
		if (x->hop.kind == HOP_ADDRESS) {
			tell_address(x);
			continue;
		}
		x->way = way_ask(x->hop.name,
		    x->hop.kind == HOP_MX ? WAY_MX : WAY_HOST, x->hop.port,
		    wants_dane(x), on_way, x);
		return;
	}
	finish(x);
}

static void
tell_maildir(struct explanation *x, const struct action *a)
{
	struct str base = str_of(a->base), path = str_of(a->path);
	struct row_hop row = { .tls = STR("none") };
	struct buf text;

	while (base.len > 0 && base.p[base.len - 1] == '/')
		base.len--;
	buf_init(&text, SIZE_MAX / 2);
	buf_add_str(&text, base);
	if (path.len == 0 || path.p[0] != '/')
		buf_add_char(&text, '/');
	buf_add_str(&text, path);
	row.host = str_head(buf_str(&text), HOST_MAX);
	channel_tell(x->q.peer->channel, TYPE_row_hop, &row, x->q.id);
	buf_clear(&text);
}

static void
tell_action(struct explanation *x, const struct action *a, struct str domain)
{
	switch (a->kind) {
	case ACTION_RELAY:
		x->action = a;
		x->hops = config_hops(a, domain, &x->mx);
		if (str_trim(x->hops).len == 0)
			tell_no_hop(x, domain, 0,
			    "the table of next hops does not have it");
		next_hops(x);
		return;
	case ACTION_MAILDIR:
		tell_maildir(x, a);
		break;
	case ACTION_MDA:
	case ACTION_DISCARD:
		break;
	}
	finish(x);
}

/* --- the question --- */

int
explain_parse(struct str s, unsigned int flags, struct path *out)
{
	struct str rest;

	flags |= PATH_ALLOW_BARE | PATH_ALLOW_LOCAL | PATH_ALLOW_UTF8;
	if (path_parse(str_trim(s), flags, out, &rest) != PATH_OK ||
	    rest.len > 0)
		return -1;
	return 0;
}

static void
tell_verdict(struct explanation *x, const struct rules_query *q,
    const struct explain_facts *facts, const struct path *to)
{
	bool is_open;
	const struct rule *r = decider(x->config, q, &is_open);
	const char *reply = is_open ? RULES_NAME_FAULT_REPLY : rules_reply(r);

	tell_rule(x, r, str_of(reply), STR(""));
	tell_passed(x, q, facts, r);
	if (reply == NULL)
		tell_action(x, r->action, to->domain);
	else
		finish(x);
}

/* Nothing is passed over: no rule is asked about the client. */
static void
tell_postmaster(
    struct explanation *x, const struct rule *r, const struct path *to)
{
	tell_rule(x, r, STR(""), str_of(x->config->postmaster));
	tell_action(x, r->action, to->domain);
}

void
explain_start(struct peer *p, uint64_t id, struct config *config,
    const struct rules_query *q, const struct explain_facts *facts,
    struct path *to)
{
	struct explanation *x = xcalloc(1, sizeof(*x));

	x->q.cancel = cancel;
	x->config = config_ref(config);
	buf_init(&x->mx, HOPS_BYTES_MAX);
	question_start(&x->q, p, id);
	const struct rule *r = postmaster_rule(config, q->helo, to);
	if (r != NULL)
		tell_postmaster(x, r, to);
	else
		tell_verdict(x, q, facts, to);
}

void
explain_routes(struct peer *p, uint64_t id, struct str address)
{
	static const struct explain_facts nothing;
	struct config *config = way_config();
	struct path to;

	if (config == NULL || explain_parse(address, 0, &to) == -1) {
		from_control_answer(
		    p->channel, id, ANSWER_REFUSED_IT, "not an address", 0);
		return;
	}
	if (to.domain.len == 0)
		to.domain = str_of(config->domain);
	struct rules_query q = { .client = { .family = ADDR_LOCAL },
		.name_state = CLIENT_NAME_NONE,
		.helo = str_of(config->hostname),
		.rcpt_local = to.local,
		.rcpt_domain = to.domain };
	explain_start(p, id, config, &q, &nothing, &to);
}
