#include "fetch/from_resolver.h"

#include <stdlib.h>

#include "edges/edges.h"
#include "lib/ipc/channel.h"
#include "lib/net/addr.h"

TAILQ_HEAD(name_questions, name_question);

static struct loop *loop;
static struct channel *resolver;
/* Without an answer, the oldest first. */
static struct name_questions all = TAILQ_HEAD_INITIALIZER(all);
static struct timer *patience;
static uint64_t patience_ms;

static void
forget_found(struct name_question *q)
{
	for (size_t i = 0; i < q->nfound; i++)
		free(q->found[i]);
	q->nfound = 0;
}

/* --- the end of a question --- */

static void
take_off(struct name_question *q)
{
	TAILQ_REMOVE(&all, q, entry);
	q->id = 0;
	q->late_ms = 0;
	if (TAILQ_EMPTY(&all))
		timer_free(&patience);
}

/* q may be gone behind on_found, what was found with it. */
static void
end(struct name_question *q, bool fault, uint32_t ttl_s)
{
	char *found[FOUND_MAX];
	size_t n = q->nfound;

	take_off(q);
	for (size_t i = 0; i < n; i++)
		found[i] = q->found[i];
	q->fault = fault;
	q->ttl_s = ttl_s;
	q->on_found(q);
	for (size_t i = 0; i < n; i++)
		free(found[i]);
}

static void
end_unanswered(struct name_question *q)
{
	forget_found(q);
	end(q, true, 0);
}

static void
on_patience(void *ctx)
{
	uint64_t now = loop_now_ms(loop);
	struct name_question *q;

	(void)ctx;
	while ((q = TAILQ_FIRST(&all)) != NULL && q->late_ms <= now) {
		if (q->id != 0)
			channel_cancel(resolver, q->id);
		end_unanswered(q);
	}
	if (q != NULL)
		timer_set(patience, q->late_ms - now);
}

/* --- what it says --- */

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_sts_texts *texts = msg;
	const struct answer_sts_addrs *addrs = msg;
	struct name_question *q = ctx;

	if (fault != NULL) {
		q->id = 0; /* the next channel's turn */
		if (q->ntries >= RESOLVER_TRIES_MAX)
			end_unanswered(q);
	} else if (type == TYPE_answer_sts_texts && q->kind == NAME_TEXTS) {
		end(q, texts->fault, texts->ttl_s);
	} else if (type == TYPE_answer_sts_addrs && q->kind == NAME_ADDRS) {
		end(q, addrs->fault, 0);
	} else {
		end_unanswered(q);
	}
}

static struct name_question *
find(uint64_t id, enum name_kind kind)
{
	struct name_question *q;

	TAILQ_FOREACH(q, &all, entry)
		if (q->id == id && q->kind == kind)
			return q;
	return NULL;
}

static void
add(struct name_question *q, struct str found)
{
	if (q->nfound < FOUND_MAX)
		q->found[q->nfound++] = str_dup(found);
}

static void
on_text(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_sts_text *m = msg;
	struct name_question *q;

	(void)ctx;
	if (ch == resolver && (q = find(id, NAME_TEXTS)) != NULL)
		add(q, m->text);
}

/* Behind its host stands the network: nothing but addresses comes through. */
static void
on_addr(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_sts_addr *m = msg;
	char text[ADDR_TEXT_MAX];
	struct name_question *q;
	struct addr a;

	(void)ctx;
	if (ch == resolver && (q = find(id, NAME_ADDRS)) != NULL &&
	    addr_parse(m->address, &a) == 0)
		add(q, str_of(addr_format(&a, text)));
}

static const struct handler handlers[] = {
	{ TYPE_tell_sts_text, on_text },
	{ TYPE_tell_sts_addr, on_addr },
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
ask(struct name_question *q)
{
	struct ask_sts_texts texts = { .name = q->name };
	struct ask_sts_addrs addrs = { .name = q->name };

	if (resolver == NULL || !channel_is_open(resolver))
		return;
	forget_found(q);
	q->ntries++;
	if (q->kind == NAME_TEXTS)
		q->id = channel_ask(
		    resolver, TYPE_ask_sts_texts, &texts, on_answer, q);
	else
		q->id = channel_ask(
		    resolver, TYPE_ask_sts_addrs, &addrs, on_answer, q);
}

void
from_resolver_ask(struct name_question *q)
{
	q->id = 0;
	q->ntries = 0;
	q->nfound = 0;
	q->late_ms = loop_now_ms(loop) + patience_ms;
	if (TAILQ_EMPTY(&all)) {
		patience = timer_new(loop, on_patience, NULL);
		timer_set(patience, patience_ms);
	}
	TAILQ_INSERT_TAIL(&all, q, entry);
	ask(q);
}

void
from_resolver_cancel(struct name_question *q)
{
	if (q->late_ms == 0)
		return;
	if (q->id != 0)
		channel_cancel(resolver, q->id);
	forget_found(q);
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
	struct name_question *q;

	from_resolver_close();
	resolver = channel_new(loop, socket, &fetch_resolver_edge, EDGE_A,
	    handlers, on_closed, NULL);
	channel_set_peer(resolver, role_name(ROLE_RESOLVER));
	TAILQ_FOREACH(q, &all, entry)
		ask(q);
	return resolver;
}

/* One that may be asked no more, NULL: none. */
static struct name_question *
first_given_up(void)
{
	struct name_question *q;

	TAILQ_FOREACH(q, &all, entry)
		if (q->id == 0 && q->ntries >= RESOLVER_TRIES_MAX)
			return q;
	return NULL;
}

void
from_resolver_close(void)
{
	struct name_question *q;

	if (resolver == NULL)
		return;
	TAILQ_FOREACH(q, &all, entry) {
		if (q->id != 0)
			channel_cancel(resolver, q->id);
		q->id = 0;
	}
	channel_free(&resolver);
	while ((q = first_given_up()) != NULL)
		end_unanswered(q);
}
