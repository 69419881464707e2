/* Questions to the dialer, each called back once whatever becomes of it. */
#include "milters/client/dial.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "milters/client/from_dialer.h"

struct dial {
	struct loop *loop;
	struct channel *channel; /* not owned; NULL: nobody could be asked.
				  * Until its pending were told it is there,
				  * also when it was freed */
	uint64_t id;
	dialed_fn *fn;
	void *ctx;
	struct deferred nobody;
};

static void
done(struct dial *d, const struct dialed *is)
{
	dialed_fn *fn = d->fn;
	void *ctx = d->ctx;

	free(d);
	fn(ctx, is);
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
		on_nobody(ctx);
	} else if (type == TYPE_answer_dialed) {
		done(ctx, &(struct dialed){ is->socket, NULL, false });
	} else if (type == TYPE_answer_not_dialed) {
		why = str_dup(not ->why);
		done(ctx, &(struct dialed){ -1, why, false });
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
	struct dial *d = xcalloc(1, sizeof(*d));

	d->loop = l;
	d->channel = from_dialer_channel();
	d->fn = fn;
	d->ctx = ctx;
	deferred_init(&d->nobody, on_nobody, d);
	if (d->channel != NULL)
		d->id =
		    channel_ask(d->channel, TYPE_ask_dial, &ask, on_answer, d);
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
	if (d->channel != NULL)
		channel_cancel(d->channel, d->id);
	loop_after_cancel(d->loop, &d->nobody);
	free(d);
}
