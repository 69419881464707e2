/* The client's name and what DNS lists say of it, both at once; then the
 * rules. */
#include "resolver/matching.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "resolver/caller.h"
#include "resolver/dnsbl.h"
#include "resolver/explain.h"
#include "resolver/from_control.h"
#include "resolver/way.h"

struct matching;

/* A list of the configuration, while it is asked. */
struct asked {
	struct matching *of;
	struct dnsbl *dnsbl; /* NULL: answered */
	char *lists;         /* owned */
};

struct matching {
	struct question q;
	struct config *config; /* a reference */
	/* The question: its views are into text. */
	struct ask_match m;
	struct buf text;
	struct addr client;
	struct caller *caller; /* NULL: answered */
	enum client_name state;
	char *ptr;    /* owned; NULL: no name */
	size_t nopen; /* questions under way, and one for the beginning */
	bool has_lists;
	int32_t scores[CONFIG_DNSBLS_MAX];
	struct explain_list said[CONFIG_DNSBLS_MAX];
	struct asked asked[CONFIG_DNSBLS_MAX];
};

static void
matching_free(struct matching *x)
{
	caller_cancel(&x->caller);
	for (size_t i = 0; i < CONFIG_DNSBLS_MAX; i++) {
		dnsbl_cancel(&x->asked[i].dnsbl);
		free(x->asked[i].lists);
	}
	free(x->ptr);
	buf_clear(&x->text);
	config_unref(&x->config);
	free(x);
}

static void
cancel(struct question *q)
{
	matching_free((struct matching *)q);
}

static struct str
name_of(const struct matching *x)
{
	return str_of(x->ptr);
}

/* Empty is <>, too. 0/-1 */
static int
parse_sender(struct str s, struct path *out)
{
	return explain_parse(s.len == 0 ? STR("<>") : s, PATH_ALLOW_NULL, out);
}

/* Everything that had to be asked for is there. */
static void
decide(struct matching *x)
{
	struct path from, to;
	struct explain_facts facts = { .ptr = name_of(x),
		.lists = x->has_lists ? x->said : NULL };
	struct rules_query q = {
		.client = x->client,
		.name_state = x->state,
		.name =
		    x->state == CLIENT_NAME_CONFIRMED ? name_of(x) : STR(""),
		.helo = x->m.helo,
		.tag = x->m.tag,
		.user = x->m.user,
		.tls = x->m.tls != 0,
		.early_talker = x->m.early_talker != 0,
		.dnsbl = x->has_lists ? x->scores : NULL,
	};

	/* They were addresses when the question came. */
	(void)parse_sender(x->m.from, &from);
	(void)explain_parse(x->m.to, 0, &to);
	if (to.domain.len == 0)
		to.domain = str_of(x->config->domain);
	q.from_local = from.local;
	q.from_domain = from.domain;
	q.rcpt_local = to.local;
	q.rcpt_domain = to.domain;
	question_end(&x->q);
	explain_start(x->q.peer, x->q.id, x->config, &q, &facts, &to);
	matching_free(x);
}

static void
one_less(struct matching *x)
{
	if (--x->nopen == 0)
		decide(x);
}

static void
on_caller(void *ctx, const struct caller_found *f)
{
	struct matching *x = ctx;

	x->caller = NULL;
	x->state = f->state;
	if (f->name.len > 0)
		x->ptr = str_dup(f->name);
	one_less(x);
}

static void
on_lists(void *ctx, const struct dnsbl_found *f)
{
	struct asked *a = ctx;
	struct matching *x = a->of;
	size_t i = (size_t)(a - x->asked);

	a->dnsbl = NULL;
	a->lists = str_dup(f->lists);
	x->scores[i] = f->score;
	x->said[i] = (struct explain_list){ str_of(a->lists), f->silent };
	one_less(x);
}

/* As a session would, with the same exceptions. */
static void
ask_names(struct matching *x)
{
	const struct config *c = x->config;
	bool is_ip = x->client.family == ADDR_V4 || x->client.family == ADDR_V6;

	if (x->m.client_name.len > 0) {
		x->state = CLIENT_NAME_CONFIRMED;
		x->ptr = str_dup(x->m.client_name);
	} else if (is_ip && c->nservers > 0) {
		x->nopen++;
		x->caller = caller_ask(&x->client, on_caller, x);
	}
	if (!is_ip || c->nservers == 0 ||
	    (c->allow_from != NULL &&
		table_find_source(c->allow_from, &x->client, NULL)))
		return;
	x->has_lists = true;
	for (size_t i = 0; i < c->ndnsbls; i++) {
		x->asked[i].of = x;
		x->nopen++;
		x->asked[i].dnsbl = dnsbl_ask(&x->client, x->config,
		    c->dnsbls[i], on_lists, &x->asked[i]);
	}
}

/* s within text, which does not move any more. */
static struct str
keep(struct buf *text, struct str s)
{
	size_t at = text->len;

	buf_add_str(text, s);
	return (struct str){ text->p + at, s.len };
}

static void
keep_question(struct matching *x, const struct ask_match *m)
{
	const struct str all[] = { m->client_name, m->helo, m->user, m->tag,
		m->from, m->to };
	struct str *const views[] = { &x->m.client_name, &x->m.helo, &x->m.user,
		&x->m.tag, &x->m.from, &x->m.to };
	size_t n = 1;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		n += all[i].len;
	x->m = *m;
	buf_init(&x->text, n);
	(void)buf_reserve(&x->text, n);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		*views[i] = keep(&x->text, all[i]);
}

/* What is wrong with the question; NULL: nothing. */
static const char *
complaint(const struct ask_match *m, struct addr *client)
{
	struct path p;

	*client = (struct addr){ .family = ADDR_LOCAL };
	if (way_config() == NULL)
		return "there is no configuration yet";
	if (!str_eq(m->client, STR("local")) &&
	    addr_parse(m->client, client) == -1)
		return "the client is not an address";
	if (parse_sender(m->from, &p) == -1)
		return "the sender is not an address";
	if (explain_parse(m->to, 0, &p) == -1)
		return "the recipient is not an address";
	return NULL;
}

void
matching_start(struct peer *p, uint64_t id, const struct ask_match *m)
{
	struct addr client;
	const char *why = complaint(m, &client);

	if (why != NULL) {
		from_control_answer(p->channel, id, ANSWER_REFUSED_IT, why, 0);
		return;
	}
	struct matching *x = xcalloc(1, sizeof(*x));
	x->q.cancel = cancel;
	x->config = config_ref(way_config());
	x->client = client;
	x->state = CLIENT_NAME_NONE;
	keep_question(x, m);
	question_start(&x->q, p, id);
	x->nopen = 1;
	ask_names(x);
	one_less(x);
}
