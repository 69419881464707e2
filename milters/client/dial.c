/* Questions to the dialer, each called back once whatever becomes of it. */
#include "milters/client/dial.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "milters/client/from_dialer.h"

struct dial {
	TAILQ_ENTRY(dial) entry; /* of those that wait for a dialer */
	struct loop *loop;
	const struct milter *milter;
	uint32_t socket;
	bool waits; /* there is no dialer yet, or it is being started anew */
	bool asked; /* the channel answers, also when nobody waits any more */
	bool again; /* the dialer before died over it, or with it */
	uint64_t heard; /* answers there were before it */
	dialed_fn *fn;  /* NULL: given up */
	void *ctx;
	struct deferred nobody;
};

static TAILQ_HEAD(dials, dial) waiting = TAILQ_HEAD_INITIALIZER(waiting);

static void put(struct dial *d);

static void
done(struct dial *d, const struct dialed *is)
{
	dialed_fn *fn = d->fn;
	void *ctx = d->ctx;

	free(d);
	if (fn != NULL)
		fn(ctx, is);
	else if (is->fd >= 0)
		close(is->fd);
}

static void
on_nobody(void *ctx)
{
	done(ctx, &(struct dialed){ -1, "the dialer is not there", true });
}

/* The next dialer is asked, once: what kills them goes no further. */
static void
lose(struct dial *d, const struct fault *fault)
{
	if (d->fn == NULL || d->again) {
		done(d, &(struct dialed){ -1, fault->text, true });
		return;
	}
	d->again = true;
	put(d);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_dialed *is = msg;
	const struct answer_not_dialed *not = msg;
	char *why;

	if (fault != NULL) {
		lose(ctx, fault);
		return;
	}
	from_dialer_answered();
	if (type == TYPE_answer_dialed) {
		done(ctx, &(struct dialed){ is->socket, NULL, false });
	} else if (type == TYPE_answer_not_dialed) {
		why = str_dup(not ->why);
		done(ctx, &(struct dialed){ -1, why, not ->ours != 0 });
		free(why);
	}
}

static void
put(struct dial *d)
{
	struct ask_dial ask = { .milter = str_of(d->milter->name),
		.socket = (uint8_t)d->socket,
		.address = str_of(d->milter->sockets[d->socket].text) };
	struct channel *channel = from_dialer_channel();

	d->asked = channel != NULL;
	d->waits = !from_dialer_is_there();
	d->heard = from_dialer_heard();
	if (d->asked)
		channel_ask(channel, TYPE_ask_dial, &ask, on_answer, d);
	else if (d->waits)
		TAILQ_INSERT_TAIL(&waiting, d, entry);
	else
		loop_after(d->loop, &d->nobody);
}

struct dial *
dial_begin(struct loop *l, const struct milter *m, uint32_t socket,
    dialed_fn *fn, void *ctx)
{
	struct dial *d = xcalloc(1, sizeof(*d));

	d->loop = l;
	d->milter = m;
	d->socket = socket;
	d->fn = fn;
	d->ctx = ctx;
	deferred_init(&d->nobody, on_nobody, d);
	put(d);
	return d;
}

void
dial_resume(void)
{
	struct dials all = TAILQ_HEAD_INITIALIZER(all);
	struct dial *d;

	/* Some may have to wait again. */
	TAILQ_CONCAT(&all, &waiting, entry);
	while ((d = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, d, entry);
		put(d);
	}
}

void
dial_cancel(struct dial **p)
{
	struct dial *d = *p;

	if (d == NULL)
		return;
	*p = NULL;
	d->fn = NULL;
	if (d->asked)
		return;
	if (d->waits)
		TAILQ_REMOVE(&waiting, d, entry);
	loop_after_cancel(d->loop, &d->nobody);
	free(d);
}

bool
dial_give_up(struct dial **p)
{
	bool silent = (*p)->asked && (*p)->heard == from_dialer_heard();
	bool waits = (*p)->waits;

	if (silent)
		from_dialer_is_silent();
	dial_cancel(p);
	return silent || waits;
}
