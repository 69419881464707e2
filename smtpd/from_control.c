/* Answers control: numbers, and no to the rest. */
#include "smtpd/from_control.h"

#include "edges/control_all.h"
#include "lib/base/log.h"
#include "smtpd/stats.h"

static struct channel *channel;

static void
answer(struct channel *ch, uint64_t id, enum answer_code code, const char *text)
{
	struct answer_done m = { .code = (uint8_t)code, .text = str_of(text) };

	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
tell_stat(struct channel *ch, uint64_t id, const char *name, uint64_t value)
{
	struct row_stat m = { .name = str_of(name), .value = value };

	channel_tell(ch, TYPE_row_stat, &m, id);
}

static void
on_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct channel_totals *t = channel_totals();

	(void)ctx;
	(void)msg;
	for (const struct counter *c = stats_all(); c->name != NULL; c++)
		tell_stat(ch, id, c->name, c->value);
	tell_stat(ch, id, "log.lost", log_lost());
	tell_stat(ch, id, "smtpd.ipc_sent", t->sent);
	tell_stat(ch, id, "smtpd.ipc_received", t->received);
	tell_stat(ch, id, "smtpd.ipc_sends", t->send_calls);
	tell_stat(ch, id, "smtpd.ipc_receives", t->receive_calls);
	answer(ch, id, ANSWER_OK, "");
}

static void
on_other(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	answer(ch, id, ANSWER_REFUSED_IT, "not a question for smtpd");
}

/* Filters belong to questions that are refused here. */
static void
on_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

static const struct handler handlers[] = {
	{ TYPE_ask_stats, on_stats },
	{ TYPE_tell_term, on_term },
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
	if (ch == channel)
		channel_free(&channel);
}

void
from_control_start(struct loop *l, int fd)
{
	channel_free(&channel);
	channel = channel_new(
	    l, fd, &control_all_edge, EDGE_B, handlers, on_closed, NULL);
}
