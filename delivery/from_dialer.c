#include "delivery/from_dialer.h"

#include <stdio.h>

#include "edges/delivery_dialer.h"
#include "edges/edges.h"

static struct loop *loop;
static struct channel *dialer;
/* Asked while there was no dialer. */
static TAILQ_HEAD(, dial_wait) orphans = TAILQ_HEAD_INITIALIZER(orphans);
static struct deferred refusal;

static const char gone[] = "the dialer is not there";

static void
end(struct dial_wait *w, int fd, const char *why)
{
	w->id = 0;
	w->fn(w->ctx, fd, why);
}

static void
on_refusal(void *ctx)
{
	struct dial_wait *w;

	(void)ctx;
	while ((w = TAILQ_FIRST(&orphans)) != NULL) {
		TAILQ_REMOVE(&orphans, w, entry);
		end(w, -1, gone);
	}
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

	if (dialer != NULL && channel_is_open(dialer)) {
		w->id =
		    channel_ask(dialer, TYPE_ask_dial_path, &m, on_answer, w);
		return;
	}
	w->id = UINT64_MAX;
	TAILQ_INSERT_TAIL(&orphans, w, entry);
	loop_after(loop, &refusal);
}

void
from_dialer_cancel(struct dial_wait *w)
{
	if (w->id == UINT64_MAX)
		TAILQ_REMOVE(&orphans, w, entry);
	else if (w->id != 0)
		channel_cancel(dialer, w->id);
	w->id = 0;
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

/* What is pending comes back through on_answer. */
void
from_dialer_close(void)
{
	channel_free(&dialer);
}
