#include "lib/proc/tell_stats.h"

#include <stdio.h>

#include "lib/base/log.h"

/* A process has one channel to control. */
static struct {
	struct channel *channel;
	const char *role;
	const struct counter *(*counters)(void);
} served;

void
tell_stat(struct channel *ch, uint64_t id, const char *name, uint64_t value)
{
	struct row_stat m = { .name = str_of(name), .value = value };

	channel_tell(ch, TYPE_row_stat, &m, id);
}

void
tell_latency(
    struct channel *ch, uint64_t id, const char *name, const struct latency *l)
{
	char text[128];

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t bound = latency_bound_us(i);

		if (bound == UINT64_MAX)
			snprintf(text, sizeof(text), "%s.le_inf", name);
		else
			snprintf(text, sizeof(text), "%s.le_%llu", name,
			    (unsigned long long)bound);
		tell_stat(ch, id, text, l->counts[i]);
	}
	snprintf(text, sizeof(text), "%s.count", name);
	tell_stat(ch, id, text, l->count);
	snprintf(text, sizeof(text), "%s.sum_us", name);
	tell_stat(ch, id, text, l->sum_us);
}

void
tell_stats_common(struct channel *ch, uint64_t id, const char *role)
{
	const struct channel_totals *t = channel_totals();
	const struct counter rows[] = {
		{ "ipc_sent", t->sent },
		{ "ipc_received", t->received },
		{ "ipc_sends", t->send_calls },
		{ "ipc_receives", t->receive_calls },
	};
	char name[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(name, sizeof(name), "%s.%s", role, rows[i].name);
		tell_stat(ch, id, name, rows[i].value);
	}
	tell_stat(ch, id, "log.lost", log_lost());
}

static void
answer(struct channel *ch, uint64_t id, enum answer_code code, const char *text)
{
	struct answer_done m = { .code = (uint8_t)code, .text = str_of(text) };

	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
on_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	for (const struct counter *c = served.counters(); c->name != NULL; c++)
		tell_stat(ch, id, c->name, c->value);
	tell_stats_common(ch, id, served.role);
	answer(ch, id, ANSWER_OK, "");
}

void
control_skip_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	(void)id;
}

void
control_refuse(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	answer(ch, id, ANSWER_REFUSED_IT, "this process does not know that");
}

static const struct handler handlers[] = {
	{ TYPE_tell_term, control_skip_term },
	CONTROL_QUESTIONS(CONTROL_REFUSAL){ TYPE_ask_stats, on_stats },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == served.channel)
		channel_free(&served.channel);
}

struct channel *
tell_stats_serve(struct loop *l, int socket, const char *role,
    const struct counter *(*counters)(void))
{
	channel_free(&served.channel);
	served.role = role;
	served.counters = counters;
	served.channel = channel_new(
	    l, socket, &control_all_edge, EDGE_B, handlers, on_closed, NULL);
	return served.channel;
}
