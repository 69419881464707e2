#include "delivery/maildir/from_control.h"

#include <stddef.h>

#include "delivery/maildir/deliver.h"
#include "edges/control_all.h"
#include "lib/base/log.h"
#include "lib/ipc/channel.h"

static struct channel *control;

static void
row(struct channel *ch, uint64_t id, const char *name, uint64_t value)
{
	struct row_stat m = { .name = str_of(name), .value = value };

	(void)channel_tell(ch, TYPE_row_stat, &m, id);
}

static void
done(struct channel *ch, uint64_t id, enum answer_code code, const char *text)
{
	struct answer_done m = { .code = (uint8_t)code, .text = str_of(text) };

	(void)channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
on_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct channel_totals *t = channel_totals();

	(void)ctx;
	(void)msg;
	for (const struct counter *c = deliver_counters(); c->name != NULL; c++)
		row(ch, id, c->name, c->value);
	row(ch, id, "delivery.ipc_sent", t->sent);
	row(ch, id, "delivery.ipc_received", t->received);
	row(ch, id, "delivery.ipc_sends", t->send_calls);
	row(ch, id, "delivery.ipc_receives", t->receive_calls);
	row(ch, id, "log.lost", log_lost());
	done(ch, id, ANSWER_OK, "");
}

/* A filter of a question that is not for us. */
static void
on_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

static void
on_other(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	done(ch, id, ANSWER_REFUSED_IT, "this process does not know that");
}

static const struct handler handlers[] = {
	{ TYPE_tell_term, on_term },
	{ TYPE_ask_stats, on_stats },
	{ TYPE_ask_status, on_other },
	{ TYPE_ask_queue, on_other },
	{ TYPE_ask_content, on_other },
	{ TYPE_ask_change, on_other },
	{ TYPE_ask_stop, on_other },
	{ TYPE_ask_submit_path, on_other },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == control)
		channel_free(&control);
}

void
from_control_open(struct loop *l, int socket)
{
	if (control != NULL)
		channel_free(&control);
	control = channel_new(
	    l, socket, &control_all_edge, EDGE_B, handlers, on_closed, NULL);
}
