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
	struct listing_to to;
	const struct listing_view *view;
	uint64_t seq; /* the next one to look at */
	uint64_t matched;
};

/* --- show queue --- */

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
tell_message(const struct listing_to *to, const struct entry *e)
{
	struct origin o = entry_origin(e);
	struct row_message m = {
		.msgid = { e->msgid, ID_LEN },
		.received_ms = e->received_ms,
		.size = entry_size(e),
		.from = entry_from(e),
		.state = (uint8_t)shown_state(e),
		.flags = e->flags,
		.client = o.client,
		.client_name = o.client_name,
		.listener = o.listener,
		.user = o.user,
	};

	channel_tell(to->peer->channel, TYPE_row_message, &m, to->id);
}

/* Monotonic time of the next try; 0: none is set. */
static uint64_t
next_try_ms(const struct rcpt *r)
{
	if (r->place == PLACE_RETRY && r->state == RCPT_DEFERRED)
		return r->due_ms;
	return schedule_is_put_off(r) ? r->in.destination->not_before_ms : 0;
}

void
listing_tell_rcpt(const struct listing_to *to, const struct rcpt *r)
{
	uint64_t now = queue_now_ms(to->peer->q), next = next_try_ms(r);
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
	channel_tell(to->peer->channel, TYPE_row_rcpt, &m, to->id);
}

static bool
is_seen(const struct entry *e)
{
	return !entry_is_hidden(e);
}

static bool
tell_queued(const struct listing_to *to, const struct entry *e)
{
	if (!filter_has(&to->filter, e, queue_now_ms(to->peer->q)))
		return false;
	tell_message(to, e);
	for (uint32_t i = 0; i < e->nrcpt; i++)
		listing_tell_rcpt(to, &e->rcpts[i]);
	return true;
}

static const struct listing_view queued = { is_seen, tell_queued };

void
listing_queue(struct control_peer *p, uint64_t id, struct filter *f)
{
	listing_start(p, id, f, &queued);
}

/* --- any of them --- */

static bool
has(const struct listing *l, const struct entry *e)
{
	return e->committed && l->view->has(e);
}

static bool
done(struct listing *l, enum answer_code code, const char *text)
{
	struct answer_done m = {
		.code = (uint8_t)code,
		.text = str_of(text),
		.matched = l->matched,
	};

	channel_tell(l->to.peer->channel, TYPE_answer_done, &m, l->to.id);
	return true;
}

static bool
step_one(struct listing *l, struct str msgid)
{
	struct entry *e = index_find_id(&l->to.peer->q->index, msgid);

	if (e == NULL || !has(l, e))
		return done(l, ANSWER_NOT_FOUND, "no such message");
	if (l->to.filter.limit > 0 && l->view->tell(&l->to, e))
		l->matched++;
	return done(l, ANSWER_OK, "");
}

static bool
step(struct asking *a)
{
	struct listing *l = (struct listing *)a;
	struct index *ix = &a->peer->q->index;
	struct str msgid = filter_id(&l->to.filter);
	struct entry *e;

	if (l->to.filter.bad)
		return done(l, ANSWER_REFUSED_IT, "a filter makes no sense");
	if (msgid.len > 0)
		return step_one(l, msgid);
	for (int i = 0; i < LISTING_SLICE; i++) {
		e = index_from_seq(ix, l->seq);
		if (e == NULL || l->matched >= l->to.filter.limit)
			return done(l, ANSWER_OK, "");
		l->seq = e->seq + 1;
		if (has(l, e) && l->view->tell(&l->to, e))
			l->matched++;
		if (channel_is_full(a->peer->channel))
			break;
	}
	return false;
}

static void
listing_free(struct asking *a)
{
	struct listing *l = (struct listing *)a;

	filter_clear(&l->to.filter);
	free(l);
}

void
listing_start(struct control_peer *p, uint64_t id, struct filter *f,
    const struct listing_view *view)
{
	struct listing *l = xcalloc(1, sizeof(*l));

	l->to = (struct listing_to){ p, id, *f };
	l->view = view;
	filter_init(f);
	l->asking.step = step;
	l->asking.free = listing_free;
	asking_start(&l->asking, p, id);
}
