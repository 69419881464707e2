#include "delivery/from_resolver.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/ipc/channel.h"
#include "lib/mail/path.h"

static uint64_t say(struct patient_question *asking, struct channel *ch);
static void void_it(struct patient_question *asking);
static void end_unanswered(struct patient_question *asking);

static const struct patient_ops patient_ops = { .peer = "resolver",
	.tries_max = QUESTION_TRIES_MAX,
	.ask = say,
	.on_again = void_it,
	.on_unanswered = end_unanswered };
static struct patient resolver = PATIENT_INIT(resolver, &patient_ops);
static uint64_t total;

static struct question *
question_of(struct patient_question *asking)
{
	return (struct question *)(void *)((char *)asking -
					   offsetof(struct question, asking));
}

static void
void_it(struct patient_question *asking)
{
	struct question *q = question_of(asking);

	q->ops->on_again(q);
}

static void
end_unanswered(struct patient_question *asking)
{
	static const struct answer_way nothing = {
		.result = WAY_FAULT,
		.text = { "the resolver does not answer", 28 },
	};
	struct question *q = question_of(asking);

	q->ops->on_answer(q, &nothing);
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
		patient_lost(&resolver, &q->asking);
		return;
	}
	clean = *m;
	clean.text = str_head(m->text, sizeof(text));
	for (size_t i = 0; i < clean.text.len; i++)
		text[i] = m->text.p[i] >= 0x20 && m->text.p[i] < 0x7f ?
			      m->text.p[i] :
			      '?';
	clean.text.p = text;
	patient_answered(&resolver, &q->asking);
	q->ops->on_answer(q, &clean);
}

static struct question *
asked_with(struct channel *ch, uint64_t id)
{
	struct patient_question *asking = patient_find(&resolver, ch, id);

	return asking == NULL ? NULL : question_of(asking);
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
	if (ch == resolver.ch)
		from_resolver_close();
}

/* --- what we ask --- */

static uint64_t
say(struct patient_question *asking, struct channel *ch)
{
	struct question *q = question_of(asking);

	return channel_ask(ch, TYPE_ask_way, &q->ask, on_answer, q);
}

void
from_resolver_ask(struct question *q)
{
	total++;
	patient_ask(&resolver, &q->asking);
}

void
from_resolver_cancel(struct question *q)
{
	patient_cancel(&resolver, &q->asking);
}

/* --- the channel --- */

void
from_resolver_init(struct loop *l, uint64_t ms)
{
	patient_init(&resolver, l, ms);
}

struct channel *
from_resolver_open(int socket)
{
	patient_open(&resolver,
	    channel_new(resolver.loop, socket, &delivery_resolver_edge, EDGE_A,
		handlers, on_closed, NULL));
	return resolver.ch;
}

void
from_resolver_close(void)
{
	patient_close(&resolver);
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

	if (resolver.ch == NULL || !channel_is_open(resolver.ch))
		return false;
	r = xmalloc(sizeof(*r));
	*r = (struct rua){ fn, ctx };
	(void)channel_ask(resolver.ch, TYPE_ask_tls_rua, &m, on_rua, r);
	return true;
}

uint64_t
from_resolver_total(void)
{
	return total;
}
