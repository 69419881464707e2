/* A cursor over the scheduler's destinations by their key. */
#include "queue/destinations.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "queue/queue.h"

enum { DESTINATIONS_SLICE = 500 }; /* looked at in one go */

struct looking {
	struct asking asking; /* the first member */
	struct queue *q;
	struct route at; /* the last one seen; its action is counted */
	char *hops;      /* owned: at's */
};

static void
cursor_clear(struct looking *l)
{
	word_drop(&l->q->index.words, &l->at.action);
	free(l->hops);
}

static void
cursor_set(struct looking *l, const struct destination *d)
{
	struct word *action = word_ref(d->action);

	cursor_clear(l);
	l->hops = str_dup(d->hops);
	l->at = (struct route){
		.pool = d->pool,
		.action = action,
		.hops = { l->hops, d->hops.len },
		.numbers_hash = d->numbers_hash,
		.held = d->held,
	};
}

/* Of the others only the good name is left. */
static bool
is_shown(const struct destination *d)
{
	return d->nwaiting > 0 || d->nflight > 0 || d->failures > 0;
}

static void
tell(struct looking *l, const struct destination *d)
{
	uint64_t now = queue_now_ms(l->q);
	struct row_destination m = {
		.destination = d->hops,
		.action = word_str(d->action),
		.queued = d->nwaiting,
		.active = d->nflight,
		.window = d->window,
		.reply = word_str(d->reply),
		.paused = schedule_is_held(&l->q->schedule, d),
	};

	if (d->not_before_ms > now)
		m.backoff_ms = d->not_before_ms - now;
	channel_tell(
	    l->asking.peer->channel, TYPE_row_destination, &m, l->asking.id);
}

static bool
step(struct asking *a)
{
	struct looking *l = (struct looking *)a;
	const struct destination *d;

	for (int i = 0; i < DESTINATIONS_SLICE; i++) {
		d = schedule_after(&l->q->schedule, &l->at);
		if (d == NULL) {
			answer(a->peer, a->id, ANSWER_OK, "");
			return true;
		}
		cursor_set(l, d);
		if (is_shown(d))
			tell(l, d);
		if (channel_is_full(a->peer->channel))
			break;
	}
	return false;
}

static void
looking_free(struct asking *a)
{
	struct looking *l = (struct looking *)a;

	cursor_clear(l);
	free(l);
}

void
destinations_start(struct control_peer *p, uint64_t id)
{
	struct looking *l = xcalloc(1, sizeof(*l));

	l->q = p->q;
	l->asking.step = step;
	l->asking.free = looking_free;
	asking_start(&l->asking, p, id);
}
