/* A cursor over the index by seq: it survives all changes, and waits when
 * the channel is full. */
#include "queue/listing.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "queue/queue.h"

enum { LISTING_SLICE = 500 }; /* messages looked at in one go */

struct listing {
	struct asking asking; /* the first member */
	struct filter filter;
	uint64_t seq; /* the next one to look at */
	uint64_t matched;
};

/* Mail that waits for a destination to come back counts as active, but who
 * looks at it wants to know that it is put off. */
static enum message_state
shown_state(const struct entry *e)
{
	enum message_state state = entry_state(e);

	for (uint32_t i = 0; state == STATE_ACTIVE && i < e->nrcpt; i++)
		if (e->rcpts[i].state == RCPT_ACTIVE &&
		    !schedule_is_put_off(&e->rcpts[i]))
			return STATE_ACTIVE;
	return state == STATE_ACTIVE ? STATE_DEFERRED : state;
}

static void
tell_message(struct listing *l, const struct entry *e)
{
	struct row_message m = {
		.msgid = { e->msgid, ID_LEN },
		.received_ms = e->received_ms,
		.size = entry_size(e),
		.from = entry_from(e),
		.state = (uint8_t)shown_state(e),
		.flags = e->flags,
		.client = word_str(e->client),
		.client_name = word_str(e->client_name),
		.listener = word_str(e->listener),
	};

	channel_tell(
	    l->asking.peer->channel, TYPE_row_message, &m, l->asking.id);
}

/* Monotonic time of the next try; 0: none is set. */
static uint64_t
next_try_ms(const struct rcpt *r)
{
	if (r->place == PLACE_RETRY && r->state == RCPT_DEFERRED)
		return r->due_ms;
	return schedule_is_put_off(r) ? r->in.destination->not_before_ms : 0;
}

static void
tell_rcpt(struct listing *l, const struct rcpt *r)
{
	uint64_t now = queue_now_ms(l->asking.peer->q), next = next_try_ms(r);
	struct row_rcpt m = {
		.to = rcpt_to(r),
		.state = r->state,
		.action = word_str(r->action),
		.attempts = r->attempts,
		.reply = word_str(r->reply),
		.relay = word_str(r->relay),
	};

	if (next != 0)
		m.next_ms = clock_wall_ms() + (next > now ? next - now : 0);
	if (schedule_is_put_off(r)) {
		m.state = RCPT_DEFERRED;
		if (m.reply.len == 0)
			m.reply = word_str(r->in.destination->reply);
		if (m.reply.len == 0)
			m.reply = STR("4.4.1 destination unreachable");
	}
	channel_tell(l->asking.peer->channel, TYPE_row_rcpt, &m, l->asking.id);
}

static void
tell(struct listing *l, const struct entry *e)
{
	l->matched++;
	tell_message(l, e);
	for (uint32_t i = 0; i < e->nrcpt; i++)
		tell_rcpt(l, &e->rcpts[i]);
}

static bool
is_shown(const struct listing *l, const struct entry *e)
{
	struct queue *q = l->asking.peer->q;

	return e->committed && !entry_is_hidden(e) &&
	       filter_has(&l->filter, e, queue_now_ms(q));
}

static bool
done(struct listing *l, enum answer_code code, const char *text)
{
	struct answer_done m = {
		.code = (uint8_t)code,
		.text = str_of(text),
		.matched = l->matched,
	};

	channel_tell(
	    l->asking.peer->channel, TYPE_answer_done, &m, l->asking.id);
	return true;
}

static bool
step_one(struct listing *l, struct str msgid)
{
	struct entry *e = index_find_id(&l->asking.peer->q->index, msgid);

	if (e == NULL || !e->committed || entry_is_hidden(e))
		return done(l, ANSWER_NOT_FOUND, "no such message");
	if (is_shown(l, e) && l->filter.limit > 0)
		tell(l, e);
	return done(l, ANSWER_OK, "");
}

static bool
step(struct asking *a)
{
	struct listing *l = (struct listing *)a;
	struct index *ix = &a->peer->q->index;
	struct str msgid = filter_id(&l->filter);
	struct entry *e;

	if (l->filter.bad)
		return done(l, ANSWER_REFUSED_IT, "a filter makes no sense");
	if (msgid.len > 0)
		return step_one(l, msgid);
	for (int i = 0; i < LISTING_SLICE; i++) {
		e = index_from_seq(ix, l->seq);
		if (e == NULL || l->matched >= l->filter.limit)
			return done(l, ANSWER_OK, "");
		l->seq = e->seq + 1;
		if (is_shown(l, e))
			tell(l, e);
		if (channel_is_full(a->peer->channel))
			break;
	}
	return false;
}

static void
listing_free(struct asking *a)
{
	struct listing *l = (struct listing *)a;

	filter_clear(&l->filter);
	free(l);
}

void
listing_start(struct control_peer *p, uint64_t id, struct filter *f)
{
	struct listing *l = xcalloc(1, sizeof(*l));

	l->filter = *f;
	filter_init(f);
	l->asking.step = step;
	l->asking.free = listing_free;
	asking_start(&l->asking, p, id);
}
