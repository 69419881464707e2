#include "fetch/from_resolver.h"

#include <stdlib.h>

#include "lib/ipc/channel.h"
#include "lib/net/addr.h"

static uint64_t say(struct patient_question *asking, struct channel *ch);
static void end_unanswered(struct patient_question *asking);

static const struct patient_ops patient_ops = { .peer = "resolver",
	.tries_max = RESOLVER_TRIES_MAX,
	.ask = say,
	.on_unanswered = end_unanswered };
static struct patient resolver = PATIENT_INIT(resolver, &patient_ops);

static struct name_question *
question_of(struct patient_question *asking)
{
	return (struct name_question *)(void *)((char *)asking -
						offsetof(struct name_question,
						    asking));
}

static void
forget_found(struct name_question *q)
{
	for (size_t i = 0; i < q->nfound; i++)
		free(q->found[i]);
	q->nfound = 0;
}

/* --- the end of a question --- */

/* q may be gone behind on_found, what was found with it. */
static void
end(struct name_question *q, bool fault, uint32_t ttl_s)
{
	char *found[FOUND_MAX];
	size_t n = q->nfound;

	for (size_t i = 0; i < n; i++)
		found[i] = q->found[i];
	q->fault = fault;
	q->ttl_s = ttl_s;
	q->on_found(q);
	for (size_t i = 0; i < n; i++)
		free(found[i]);
}

static void
end_unanswered(struct patient_question *asking)
{
	struct name_question *q = question_of(asking);

	forget_found(q);
	end(q, true, 0);
}

/* --- what it says --- */

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_sts_texts *texts = msg;
	const struct answer_sts_addrs *addrs = msg;
	struct name_question *q = ctx;

	if (fault != NULL) {
		patient_lost(&resolver, &q->asking);
		return;
	}
	patient_answered(&resolver, &q->asking);
	if (type == TYPE_answer_sts_texts && q->kind == NAME_TEXTS)
		end(q, texts->fault, texts->ttl_s);
	else if (type == TYPE_answer_sts_addrs && q->kind == NAME_ADDRS)
		end(q, addrs->fault, 0);
	else
		end_unanswered(&q->asking);
}

static struct name_question *
find(const struct channel *ch, uint64_t id, enum name_kind kind)
{
	struct patient_question *asking = patient_find(&resolver, ch, id);

	return asking != NULL && question_of(asking)->kind == kind ?
		   question_of(asking) :
		   NULL;
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
	struct name_question *q = find(ch, id, NAME_TEXTS);

	(void)ctx;
	if (q != NULL)
		add(q, m->text);
}

/* Behind its host stands the network: nothing but addresses comes through. */
static void
on_addr(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_sts_addr *m = msg;
	struct name_question *q = find(ch, id, NAME_ADDRS);
	char text[ADDR_TEXT_MAX];
	struct addr a;

	(void)ctx;
	if (q != NULL && addr_parse(m->address, &a) == 0)
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
	if (ch == resolver.ch)
		from_resolver_close();
}

/* --- what we ask --- */

static uint64_t
say(struct patient_question *asking, struct channel *ch)
{
	struct name_question *q = question_of(asking);
	struct ask_sts_texts texts = { .name = q->name };
	struct ask_sts_addrs addrs = { .name = q->name };

	forget_found(q);
	if (q->kind == NAME_TEXTS)
		return channel_ask(
		    ch, TYPE_ask_sts_texts, &texts, on_answer, q);
	return channel_ask(ch, TYPE_ask_sts_addrs, &addrs, on_answer, q);
}

void
from_resolver_ask(struct name_question *q)
{
	q->nfound = 0;
	patient_ask(&resolver, &q->asking);
}

void
from_resolver_cancel(struct name_question *q)
{
	if (q->asking.late_ms == 0)
		return;
	patient_cancel(&resolver, &q->asking);
	forget_found(q);
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
	patient_open(
	    &resolver, channel_new(resolver.loop, socket, &fetch_resolver_edge,
			   EDGE_A, handlers, on_closed, NULL));
	return resolver.ch;
}

void
from_resolver_close(void)
{
	patient_close(&resolver);
}
