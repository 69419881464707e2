/* Questions to the dialer, each called back once whatever becomes of it. */
#include "milters/client/dial.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "milters/client/from_dialer.h"

struct dial {
	struct loop *loop;
	bool asked; /* the channel answers, also when nobody waits any more */
	uint64_t heard; /* answers there were before it */
	dialed_fn *fn;  /* NULL: given up */
	void *ctx;
	struct deferred nobody;
};

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

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_dialed *is = msg;
	const struct answer_not_dialed *not = msg;
	char *why;

	if (fault != NULL) {
		done(ctx, &(struct dialed){ -1, fault->text, true });
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

struct dial *
dial_begin(struct loop *l, const struct milter *m, uint32_t socket,
    dialed_fn *fn, void *ctx)
{
	struct ask_dial ask = { .milter = str_of(m->name),
		.socket = (uint8_t)socket,
		.address = str_of(m->sockets[socket].text) };
	struct channel *channel = from_dialer_channel();
	struct dial *d = xcalloc(1, sizeof(*d));

	d->loop = l;
	d->asked = channel != NULL;
	d->heard = from_dialer_heard();
	d->fn = fn;
	d->ctx = ctx;
	deferred_init(&d->nobody, on_nobody, d);
	if (channel != NULL)
		channel_ask(channel, TYPE_ask_dial, &ask, on_answer, d);
	else
		loop_after(l, &d->nobody);
	return d;
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
	loop_after_cancel(d->loop, &d->nobody);
	free(d);
}

bool
dial_give_up(struct dial **p)
{
	bool silent = (*p)->asked && (*p)->heard == from_dialer_heard();

	if (silent)
		from_dialer_is_silent();
	dial_cancel(p);
	return silent;
}
