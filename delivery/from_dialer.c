#include "delivery/from_dialer.h"

#include <stdio.h>

#include "edges/delivery_dialer.h"
#include "edges/edges.h"

static struct loop *loop;
static struct channel *dialer;
TAILQ_HEAD(dial_waits, dial_wait);

/* Asked of it; and those that nobody is there to answer. */
static struct dial_waits asked = TAILQ_HEAD_INITIALIZER(asked);
static struct dial_waits orphans = TAILQ_HEAD_INITIALIZER(orphans);
static struct deferred refusal;

static const char gone[] = "the dialer is not there";

static void
take_off(struct dial_wait *w)
{
	TAILQ_REMOVE(w->id == UINT64_MAX ? &orphans : &asked, w, entry);
	w->id = 0;
}

static void
end(struct dial_wait *w, int fd, const char *why)
{
	take_off(w);
	w->fn(w->ctx, fd, why);
}

static void
orphan(struct dial_wait *w)
{
	w->id = UINT64_MAX;
	TAILQ_INSERT_TAIL(&orphans, w, entry);
	loop_after(loop, &refusal);
}

static void
on_refusal(void *ctx)
{
	struct dial_wait *w;

	(void)ctx;
	while ((w = TAILQ_FIRST(&orphans)) != NULL)
		end(w, -1, gone);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_path_not_dialed *no = msg;
	const struct answer_path_dialed *yes = msg;
	char why[256];

	if (fault != NULL) {
		end(ctx, -1, gone);
	} else if (type == TYPE_answer_path_dialed) {
		end(ctx, yes->socket, NULL);
	} else {
		snprintf(why, sizeof(why), "%.*s", (int)no->why.len, no->why.p);
		end(ctx, -1, why);
	}
}

void
from_dialer_ask(const char *action, const char *path, struct dial_wait *w)
{
	struct ask_dial_path m = { .action = str_of(action),
		.path = str_of(path) };

	if (dialer == NULL || !channel_is_open(dialer)) {
		orphan(w);
		return;
	}
	w->id = channel_ask(dialer, TYPE_ask_dial_path, &m, on_answer, w);
	TAILQ_INSERT_TAIL(&asked, w, entry);
}

void
from_dialer_cancel(struct dial_wait *w)
{
	if (w->id == 0)
		return;
	if (w->id != UINT64_MAX)
		channel_cancel(dialer, w->id);
	take_off(w);
}

/* --- the channel --- */

static const struct handler handlers[] = {
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == dialer)
		from_dialer_close();
}

void
from_dialer_init(struct loop *l)
{
	loop = l;
	deferred_init(&refusal, on_refusal, NULL);
}

struct channel *
from_dialer_open(int socket)
{
	from_dialer_close();
	dialer = channel_new(loop, socket, &delivery_dialer_edge, EDGE_A,
	    handlers, on_closed, NULL);
	channel_set_peer(dialer, role_name(ROLE_DIALER));
	return dialer;
}

/* Who waits may go before he has heard of it: from now on he waits here. */
void
from_dialer_close(void)
{
	struct dial_wait *w;

	if (dialer == NULL)
		return;
	while ((w = TAILQ_FIRST(&asked)) != NULL) {
		channel_cancel(dialer, w->id);
		take_off(w);
		orphan(w);
	}
	channel_free(&dialer);
}
