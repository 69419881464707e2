#include "delivery/from_fetch.h"

#include <stddef.h>

#include "lib/ipc/channel.h"

static uint64_t say(struct patient_question *asking, struct channel *ch);
static void end_unanswered(struct patient_question *asking);

static const struct patient_ops patient_ops = { .peer = "fetch",
	.tries_max = STS_TRIES_MAX,
	.ask = say,
	.on_unanswered = end_unanswered };
static struct patient fetcher = PATIENT_INIT(fetcher, &patient_ops);

static struct sts_question *
question_of(struct patient_question *asking)
{
	return (struct sts_question *)(void *)((char *)asking -
					       offsetof(struct sts_question,
						   asking));
}

static void
end_unanswered(struct patient_question *asking)
{
	struct sts_question *q = question_of(asking);

	q->on_answer(q, NULL);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct sts_question *q = ctx;

	(void)type;
	if (fault != NULL) {
		patient_lost(&fetcher, &q->asking);
		return;
	}
	patient_answered(&fetcher, &q->asking);
	q->on_answer(q, msg);
}

/* --- what we ask --- */

static uint64_t
say(struct patient_question *asking, struct channel *ch)
{
	struct sts_question *q = question_of(asking);

	return channel_ask(ch, TYPE_ask_sts, &q->ask, on_answer, q);
}

void
from_fetch_ask(struct sts_question *q)
{
	patient_ask(&fetcher, &q->asking);
}

void
from_fetch_cancel(struct sts_question *q)
{
	patient_cancel(&fetcher, &q->asking);
}

/* --- the channel --- */

static const struct handler handlers[] = {
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == fetcher.ch)
		from_fetch_close();
}

void
from_fetch_init(struct loop *l, uint64_t ms)
{
	patient_init(&fetcher, l, ms);
}

struct channel *
from_fetch_open(struct loop *l, int socket)
{
	patient_open(&fetcher, channel_new(l, socket, &delivery_fetch_edge,
				   EDGE_A, handlers, on_closed, NULL));
	return fetcher.ch;
}

void
from_fetch_close(void)
{
	patient_close(&fetcher);
}
