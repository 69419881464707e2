#include "delivery/from_resolver.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "edges/edges.h"
#include "lib/base/alloc.h"
#include "lib/ipc/channel.h"
#include "lib/mail/path.h"

static int
question_cmp(const struct question *a, const struct question *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

TAILQ_HEAD(question_list, question);
RB_HEAD(question_tree, question);

static struct loop *loop;
static struct channel *resolver;
/* Without an answer: all, the oldest first; those asked on this channel. */
static struct question_list all = TAILQ_HEAD_INITIALIZER(all);
static struct question_tree asked = RB_INITIALIZER(&asked);
static struct timer *patience;
static uint64_t patience_ms, total;

TREE_DEFINE(question_tree, question, by_id, question_cmp)

static void
unask(struct question *q)
{
	if (q->id != 0)
		RB_REMOVE(question_tree, &asked, q);
	q->id = 0;
}

static void
take_off(struct question *q)
{
	TAILQ_REMOVE(&all, q, entry);
	if (TAILQ_EMPTY(&all))
		timer_free(&patience);
}

/* --- the end of a question --- */

static void
end(struct question *q, const struct answer_way *m)
{
	unask(q);
	take_off(q);
	q->ops->on_answer(q, m);
}

static void
end_unanswered(struct question *q)
{
	static const struct answer_way nothing = {
		.result = WAY_FAULT,
		.text = { "the resolver does not answer", 28 },
	};

	end(q, &nothing);
}

static void
on_patience(void *ctx)
{
	uint64_t now = loop_now_ms(loop);
	struct question *q;

	(void)ctx;
	while ((q = TAILQ_FIRST(&all)) != NULL && q->late_ms <= now) {
		if (q->id != 0)
			channel_cancel(resolver, q->id);
		end_unanswered(q);
	}
	if (q != NULL)
		timer_set(patience, q->late_ms - now);
}

/* The channel died; the next one's turn. */
static void
lost(struct question *q)
{
	unask(q);
	if (q->ntries < QUESTION_TRIES_MAX)
		q->ops->on_again(q);
	else
		end_unanswered(q);
}

/* --- what it says --- */

/* Texts go into replies and reports. */
static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_way *m = msg;
	struct question *q = ctx;
	struct answer_way clean;
	char text[256];

	(void)type;
	if (fault != NULL) {
		lost(q);
		return;
	}
	clean = *m;
	clean.text = str_head(m->text, sizeof(text));
	for (size_t i = 0; i < clean.text.len; i++)
		text[i] = m->text.p[i] >= 0x20 && m->text.p[i] < 0x7f ?
			      m->text.p[i] :
			      '?';
	clean.text.p = text;
	end(q, &clean);
}

static struct question *
asked_with(struct channel *ch, uint64_t id)
{
	struct question key = { .id = id };

	return ch == resolver ? RB_FIND(question_tree, &asked, &key) : NULL;
}

/* Behind its host stands the network: nothing but names and addresses comes
 * through. */
static void
on_addr(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_way_addr *m = msg;
	struct question *q = asked_with(ch, id);
	struct addr a;

	(void)ctx;
	if (q != NULL && path_is_domain(m->host, false) &&
	    addr_parse(m->address, &a) == 0)
		q->ops->on_addr(q, m, &a);
}

static void
on_dane(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_way_dane *m = msg;
	struct question *q = asked_with(ch, id);

	(void)ctx;
	if (q != NULL && q->ops->on_dane != NULL &&
	    path_is_domain(m->host, false) &&
	    (m->base.len == 0 || path_is_domain(m->base, false)))
		q->ops->on_dane(q, m);
}

static void
on_tlsa(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct question *q = asked_with(ch, id);

	(void)ctx;
	if (q != NULL && q->ops->on_tlsa != NULL)
		q->ops->on_tlsa(q, msg);
}

static const struct handler handlers[] = {
	{ TYPE_tell_way_addr, on_addr },
	{ TYPE_tell_way_dane, on_dane },
	{ TYPE_tell_way_tlsa, on_tlsa },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == resolver)
		from_resolver_close();
}

/* --- what we ask --- */

static void
ask(struct question *q)
{
	if (resolver == NULL || !channel_is_open(resolver))
		return;
	q->ntries++;
	q->id = channel_ask(resolver, TYPE_ask_way, &q->ask, on_answer, q);
	RB_INSERT(question_tree, &asked, q);
}

void
from_resolver_ask(struct question *q)
{
	total++;
	q->id = 0;
	q->ntries = 0;
	q->late_ms = loop_now_ms(loop) + patience_ms;
	if (TAILQ_EMPTY(&all)) {
		patience = timer_new(loop, on_patience, NULL);
		timer_set(patience, patience_ms);
	}
	TAILQ_INSERT_TAIL(&all, q, entry);
	ask(q);
}

void
from_resolver_cancel(struct question *q)
{
	if (q->id != 0)
		channel_cancel(resolver, q->id);
	unask(q);
	take_off(q);
}

/* --- the channel --- */

void
from_resolver_init(struct loop *l, uint64_t ms)
{
	loop = l;
	patience_ms = ms;
}

struct channel *
from_resolver_open(int socket)
{
	struct question *q;

	from_resolver_close();
	resolver = channel_new(loop, socket, &delivery_resolver_edge, EDGE_A,
	    handlers, on_closed, NULL);
	channel_set_peer(resolver, role_name(ROLE_RESOLVER));
	TAILQ_FOREACH(q, &all, entry)
		ask(q);
	return resolver;
}

/* One that may be asked no more, NULL: none. */
static struct question *
first_given_up(void)
{
	struct question *q;

	TAILQ_FOREACH(q, &all, entry)
		if (q->id == 0 && q->ntries >= QUESTION_TRIES_MAX)
			return q;
	return NULL;
}

void
from_resolver_close(void)
{
	struct question *q;

	if (resolver == NULL)
		return;
	while ((q = RB_MIN(question_tree, &asked)) != NULL) {
		channel_cancel(resolver, q->id);
		unask(q);
		if (q->ntries < QUESTION_TRIES_MAX)
			q->ops->on_again(q);
	}
	channel_free(&resolver);
	while ((q = first_given_up()) != NULL)
		end_unanswered(q);
}

/* --- where reports go --- */

struct rua {
	void (*fn)(void *ctx, struct str text, uint32_t ttl_s);
	void *ctx;
};

static void
on_rua(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_tls_rua *m = msg;
	struct rua *r = ctx;

	(void)type;
	if (fault == NULL)
		r->fn(r->ctx, m->text, m->ttl_s);
	else
		r->fn(r->ctx, (struct str){ NULL, 0 }, 0);
	free(r);
}

bool
from_resolver_ask_rua(struct str domain,
    void (*fn)(void *ctx, struct str text, uint32_t ttl_s), void *ctx)
{
	struct ask_tls_rua m = { .domain = domain };
	struct rua *r;

	if (resolver == NULL || !channel_is_open(resolver))
		return false;
	r = xmalloc(sizeof(*r));
	*r = (struct rua){ fn, ctx };
	(void)channel_ask(resolver, TYPE_ask_tls_rua, &m, on_rua, r);
	return true;
}

uint64_t
from_resolver_total(void)
{
	return total;
}
