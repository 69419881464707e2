/* The administrator's questions, each a row of the table below. */
#include "smtpd/from_control.h"

#include <assert.h>
#include <stdio.h>

#include "lib/base/bytes.h"
#include "lib/base/latency.h"
#include "lib/proc/tell_stats.h"
#include "milters/client/milter_report.h"
#include "smtpd/follow.h"
#include "smtpd/recorder_rows.h"
#include "smtpd/scan_try.h"
#include "smtpd/session_rows.h"
#include "smtpd/stats.h"

static_assert((int)MILTER_STAGES == (int)ROW_MILTER_STAGES &&
		  MILTER_SHUTDOWN + 1 == (int)ROW_MILTER_VERDICTS &&
		  (int)MILTER_LATENCY_BUCKETS == (int)LATENCY_BUCKETS,
    "posternctl knows them by their places");

static struct {
	struct loop *loop;
	struct channel *channel;
	struct buf mail; /* of the next `test milter' */
} peer;

/* Whose rows are told, and to which question. */
struct question {
	struct channel *ch;
	uint64_t id;
};

static void
answer_ok(const struct question *q)
{
	struct answer_done m = { .code = ANSWER_OK };

	channel_tell(q->ch, TYPE_answer_done, &m, q->id);
}

/* --- numbers --- */

static void
tell_number(const struct question *q, const struct milter *m, const char *name,
    uint64_t value)
{
	char full[128];

	snprintf(full, sizeof(full), "milter.%s.%s", m->name, name);
	tell_stat(q->ch, q->id, full, value);
}

static void
tell_numbers(void *ctx, const struct milter_report *r)
{
	const struct question *q = ctx;
	const uint64_t *v = r->verdicts;
	const struct counter rows[] = {
		{ "sessions", r->sessions },
		{ "connections", r->connections },
		{ "passed", v[MILTER_ACCEPT] + v[MILTER_CONTINUE] },
		{ "quarantined", v[MILTER_QUARANTINE] },
		{ "discarded", v[MILTER_DISCARD] },
		{ "tempfailed", v[MILTER_TEMPFAIL] + v[MILTER_SHUTDOWN] },
		{ "rejected", v[MILTER_REJECT] },
		{ "edits", r->edits },
		{ "failures", r->failures },
		{ "skipped", r->skipped },
		{ "differed", r->differed },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		tell_number(q, r->milter, rows[i].name, rows[i].value);
}

static void
on_ask_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct question q = { ch, id };

	(void)ctx;
	(void)msg;
	for (const struct counter *c = stats_all(); c->name != NULL; c++)
		tell_stat(ch, id, c->name, c->value);
	milters_report(tell_numbers, &q);
	tell_latency(ch, id, "smtpd.accept", stats_accept_times());
	tell_stats_common(ch, id, "smtpd");
	answer_ok(&q);
}

/* --- filters --- */

static const char *const failure_words[] = {
	[MILTER_FAIL_TEMPFAIL] = "tempfail",
	[MILTER_FAIL_ACCEPT] = "accept",
	[MILTER_FAIL_REJECT] = "reject",
	[MILTER_FAIL_QUARANTINE] = "quarantine",
	[MILTER_FAIL_DISCONNECT] = "disconnect",
};

static struct str
put_verdicts(
    const struct milter_report *r, uint8_t out[static ROW_MILTER_VERDICTS * 8])
{
	for (size_t i = 0; i < ROW_MILTER_VERDICTS; i++)
		put_le64(out + 8 * i, r->verdicts[i]);
	return (struct str){ (const char *)out, ROW_MILTER_VERDICTS * 8UL };
}

enum { LATENCY_SIZE = ROW_MILTER_STAGES * LATENCY_BUCKETS * 4 };

static struct str
put_latency(const struct milter_report *r, uint8_t out[static LATENCY_SIZE])
{
	uint8_t *p = out;

	for (size_t stage = 0; stage < ROW_MILTER_STAGES; stage++)
		for (size_t i = 0; i < LATENCY_BUCKETS; i++, p += 4)
			put_le32(p, r->latency[stage].n[i]);
	return (struct str){ (const char *)out, LATENCY_SIZE };
}

static void
tell_socket(const struct question *q, const struct milter *m,
    const struct milter_socket_report *s)
{
	struct row_milter_socket row = { .milter = str_of(m->name),
		.socket = str_head(str_of(s->text), 255),
		.state = (uint8_t)s->state,
		.sessions = s->sessions,
		.failures = s->failures,
		.fault = str_head(str_of(s->fault), 200) };

	channel_tell(q->ch, TYPE_row_milter_socket, &row, q->id);
}

static void
tell_milter(void *ctx, const struct milter_report *r)
{
	const struct question *q = ctx;
	const struct milter *m = r->milter;
	uint8_t verdicts[ROW_MILTER_VERDICTS * 8], latency[LATENCY_SIZE];
	struct row_milter row = {
		.name = str_of(m->name),
		.on_failure = str_of(failure_words[m->on_failure]),
		.shadow = m->shadow,
		.after_queue = m->after_queue,
		.state = (uint8_t)r->state,
		.sessions = r->sessions,
		.connections = r->connections,
		.failures = r->failures,
		.skipped = r->skipped,
		.compared = r->compared,
		.differed = r->differed,
		.edits = r->edits,
		.version = r->version,
		.actions = r->actions,
		.steps = r->steps,
		.verdicts = put_verdicts(r, verdicts),
		.latency = put_latency(r, latency),
	};

	channel_tell(q->ch, TYPE_row_milter, &row, q->id);
	for (size_t i = 0; i < r->nsockets; i++)
		tell_socket(q, m, &r->sockets[i]);
}

static void
on_ask_milters(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct question q = { ch, id };

	(void)ctx;
	(void)msg;
	milters_report(tell_milter, &q);
	answer_ok(&q);
}

static void
on_tell_mail(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_mail *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	buf_add_str(&peer.mail, m->bytes);
}

static void
on_ask_test_milter(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	scan_try(peer.loop, ch, msg, id, &peer.mail);
}

static void
on_ask_sessions(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)msg;
	session_rows_start(ch, id);
}

static void
on_ask_session(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_session *m = msg;

	(void)ctx;
	recorder_rows_start(ch, id, m->session);
}

static void
on_ask_follow(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	follow_start(ch, id, msg);
}

static void
on_tell_cancel(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	(void)ctx;
	(void)ch;
	(void)msg;
	follow_stop(id);
}

/* --- the channel --- */

static const struct handler handlers[] = {
	{ TYPE_tell_term, control_skip_term },
	CONTROL_QUESTIONS(CONTROL_REFUSAL){ TYPE_ask_stats, on_ask_stats },
	{ TYPE_ask_milters, on_ask_milters },
	{ TYPE_tell_mail, on_tell_mail },
	{ TYPE_ask_test_milter, on_ask_test_milter },
	{ TYPE_ask_sessions, on_ask_sessions },
	{ TYPE_ask_session, on_ask_session },
	{ TYPE_ask_follow, on_ask_follow },
	{ TYPE_tell_cancel, on_tell_cancel },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	if (ch == peer.channel)
		from_control_stop();
}

static void
on_drained(void *ctx)
{
	(void)ctx;
	scan_try_go_on();
	session_rows_go_on();
	recorder_rows_go_on();
	follow_go_on();
}

struct channel *
from_control_start(struct loop *l, int fd)
{
	from_control_stop();
	peer.loop = l;
	buf_init(&peer.mail, TRY_MAIL_MAX);
	peer.channel = channel_new(
	    l, fd, &control_all_edge, EDGE_B, handlers, on_closed, NULL);
	channel_on_drained(peer.channel, on_drained, NULL);
	return peer.channel;
}

void
from_control_stop(void)
{
	scan_try_lost();
	session_rows_lost();
	recorder_rows_lost();
	follow_lost();
	buf_clear(&peer.mail);
	channel_free(&peer.channel);
}
