#include "delivery/from_fetch.h"

#include "edges/edges.h"
#include "lib/ipc/channel.h"

TAILQ_HEAD(sts_questions, sts_question);

static struct loop *loop;
static struct channel *fetcher;
/* Without an answer, the oldest first. */
static struct sts_questions all = TAILQ_HEAD_INITIALIZER(all);
static struct timer *patience;
static uint64_t patience_ms;

/* --- the end of a question --- */

static void
take_off(struct sts_question *q)
{
	TAILQ_REMOVE(&all, q, entry);
	if (TAILQ_EMPTY(&all))
		timer_free(&patience);
}

static void
end(struct sts_question *q, const struct answer_sts *m)
{
	q->id = 0;
	take_off(q);
	q->on_answer(q, m);
}

static void
on_patience(void *ctx)
{
	uint64_t now = loop_now_ms(loop);
	struct sts_question *q;

	(void)ctx;
	while ((q = TAILQ_FIRST(&all)) != NULL && q->late_ms <= now) {
		if (q->id != 0)
			channel_cancel(fetcher, q->id);
		end(q, NULL);
	}
	if (q != NULL)
		timer_set(patience, q->late_ms - now);
}

/* The channel died; the next one's turn. */
static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct sts_question *q = ctx;

	(void)type;
	if (fault == NULL)
		end(q, msg);
	else if (q->ntries < STS_TRIES_MAX)
		q->id = 0;
	else
		end(q, NULL);
}

/* --- what we ask --- */

static void
ask(struct sts_question *q)
{
	if (fetcher == NULL || !channel_is_open(fetcher))
		return;
	q->ntries++;
	q->id = channel_ask(fetcher, TYPE_ask_sts, &q->ask, on_answer, q);
}

void
from_fetch_ask(struct sts_question *q)
{
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
from_fetch_cancel(struct sts_question *q)
{
	if (q->id != 0)
		channel_cancel(fetcher, q->id);
	q->id = 0;
	take_off(q);
}

/* --- the channel --- */

static const struct handler handlers[] = {
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == fetcher)
		from_fetch_close();
}

void
from_fetch_init(struct loop *l, uint64_t ms)
{
	loop = l;
	patience_ms = ms;
}

struct channel *
from_fetch_open(struct loop *l, int socket)
{
	struct sts_question *q;

	loop = l;
	from_fetch_close();
	fetcher = channel_new(loop, socket, &delivery_fetch_edge, EDGE_A,
	    handlers, on_closed, NULL);
	channel_set_peer(fetcher, role_name(ROLE_FETCH));
	TAILQ_FOREACH(q, &all, entry)
		ask(q);
	return fetcher;
}

/* One that may be asked no more, NULL: none. */
static struct sts_question *
first_given_up(void)
{
	struct sts_question *q;

	TAILQ_FOREACH(q, &all, entry)
		if (q->id == 0 && q->ntries >= STS_TRIES_MAX)
			return q;
	return NULL;
}

void
from_fetch_close(void)
{
	struct sts_question *q;

	if (fetcher == NULL)
		return;
	TAILQ_FOREACH(q, &all, entry) {
		if (q->id != 0)
			channel_cancel(fetcher, q->id);
		q->id = 0;
	}
	channel_free(&fetcher);
	while ((q = first_given_up()) != NULL)
		end(q, NULL);
}
