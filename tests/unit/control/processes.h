/*
 * Around the real router: a posternctl and the processes that answer it, all
 * made of channels in one loop, and what they saw.
 */
#ifndef POSTERN_TESTS_UNIT_CONTROL_PROCESSES_H
#define POSTERN_TESTS_UNIT_CONTROL_PROCESSES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/answerer.h"
#include "control/asker.h"
#include "control/router.h"
#include "edges/control_all.h"
#include "lib/base/log.h"

enum { CONTENT_ROWS = 200, CONTENT_SIZE = 60000 };

/* One of the processes that answer. */
struct fake {
	struct channel *ch;
	uint64_t stat;           /* what it says to ask_stats */
	bool is_mute, is_mortal; /* does not answer; dies when asked */
	size_t rows_left;        /* of content */
	uint64_t id;             /* of the question */
	uint8_t code;            /* what it says to ask_session */
	size_t ncancels;         /* of ask_follow */
};

static struct loop *loop;
static struct fake queue, smtpd, smtpd2, resolver;
static struct asker *asker;
static struct channel *client;

/* What the fakes and the client saw. */
static struct ask_change change;
static char reason[64], term_text[64];
static size_t nterms, nrows, nanswers, nlost;
static uint64_t bytes, stats_sum, stats_own;
static char stats_of[64]; /* whose the numbers were */
static struct answer_done answer;
static char answer_text[512];
static bool is_closed;

/* --- the processes --- */

static void
done(struct fake *f, uint64_t id)
{
	struct answer_done m = { .matched = nterms, .changed = 1 };

	channel_tell(f->ch, TYPE_answer_done, &m, id);
}

static void
on_term(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_term *m = msg;

	(void)ctx;
	(void)ch;
	ck_assert_uint_eq(id, 0);
	nterms++;
	memcpy(term_text, m->text.p, m->text.len);
	term_text[m->text.len] = '\0';
}

static void
on_change(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct fake *f = ctx;

	(void)ch;
	change = *(const struct ask_change *)msg;
	memcpy(reason, change.reason.p, change.reason.len);
	reason[change.reason.len] = '\0';
	if (f->is_mute) {
		loop_stop(loop);
		return;
	}
	if (f->is_mortal)
		channel_free(&f->ch);
	else
		done(f, id);
}

static void
on_stats(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct fake *f = ctx;
	struct row_stat row = { STR("test.shared"), f->stat, STR(""), 0 };

	(void)msg;
	if (f->is_mortal) {
		channel_free(&f->ch);
		return;
	}
	channel_tell(ch, TYPE_row_stat, &row, id);
	done(f, id);
}

static void
on_routes(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_routes *m = msg;
	struct row_rule rule = { .line = 1 };
	struct row_passed passed = { .line = 2 };
	struct row_hop hop = { .host = m->address };

	channel_tell(ch, TYPE_row_rule, &rule, id);
	channel_tell(ch, TYPE_row_passed, &passed, id);
	channel_tell(ch, TYPE_row_hop, &hop, id);
	done(ctx, id);
}

static void
on_resolve(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_resolve *m = msg;
	struct row_resolved head = { .name = m->name, .type = m->type };
	struct row_record record = { .ttl_s = 1 };

	channel_tell(ch, TYPE_row_resolved, &head, id);
	channel_tell(ch, TYPE_row_record, &record, id);
	done(ctx, id);
}

static size_t mail_bytes, mails_asked;

static void
on_mail(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct tell_mail *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	mail_bytes += m->bytes.len;
}

static void
on_test_milter(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_event row = { .when_ms = 1 };

	(void)msg;
	mails_asked++;
	channel_tell(ch, TYPE_row_event, &row, id);
	done(ctx, id);
}

static void
on_milters(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct fake *f = ctx;
	struct row_milter row = { .name = STR("a"), .sessions = 1 };

	(void)msg;
	if (f->is_mortal) {
		channel_free(&f->ch);
		return;
	}
	channel_tell(ch, TYPE_row_milter, &row, id);
	done(f, id);
}

static void
on_quarantine(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_quarantined row = { .size = 1 };

	(void)msg;
	channel_tell(ch, TYPE_row_quarantined, &row, id);
	done(ctx, id);
}

static void
on_trace(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct row_event row = { .when_ms = 1 };

	(void)msg;
	channel_tell(ch, TYPE_row_event, &row, id);
	done(ctx, id);
}

static void
send_content(void *ctx)
{
	static char zeros[CONTENT_SIZE];
	struct fake *f = ctx;
	struct row_content row = { { zeros, sizeof(zeros) }, 0 };

	if (f->rows_left == 0)
		return;
	while (f->rows_left > 0 && !channel_is_full(f->ch)) {
		channel_tell(f->ch, TYPE_row_content, &row, f->id);
		f->rows_left--;
	}
	if (f->rows_left == 0)
		done(f, f->id);
}

static void
on_content(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct fake *f = ctx;

	(void)msg;
	f->id = id;
	f->rows_left = CONTENT_ROWS;
	channel_on_drained(ch, send_content, f);
	send_content(f);
}

static void
on_block(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_done m = { .code = ANSWER_OK };

	(void)ctx;
	change.uid = ((const struct ask_block *)msg)->uid;
	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
on_unblock(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_done m = { .code = ANSWER_OK };

	(void)ctx;
	change.uid = ((const struct ask_unblock *)msg)->uid;
	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
on_listing(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct answer_done m = { .code = ANSWER_OK };

	(void)ctx, (void)msg;
	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
on_session(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct fake *f = ctx;
	struct answer_done m = { .code = f->code,
		.matched = 1,
		.text = f->code == ANSWER_OK ? STR("") : STR("not here") };

	(void)msg;
	channel_tell(ch, TYPE_answer_done, &m, id);
}

static void
on_follow(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct fake *f = ctx;
	struct row_line row = { .session = STR("0000000000000000"),
		.text = STR("NOOP") };

	(void)msg;
	f->id = id;
	channel_tell(ch, TYPE_row_line, &row, id);
}

static void
on_cancel(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	struct fake *f = ctx;

	(void)ch;
	(void)msg;
	ck_assert_uint_eq(id, f->id);
	f->ncancels++;
	loop_stop(loop);
}

static const struct handler process_handlers[] = {
	{ TYPE_ask_session, on_session },
	{ TYPE_ask_follow, on_follow },
	{ TYPE_tell_cancel, on_cancel },
	{ TYPE_ask_block, on_block },
	{ TYPE_ask_unblock, on_unblock },
	{ TYPE_ask_blocks, on_listing },
	{ TYPE_ask_sessions, on_listing },
	{ TYPE_tell_term, on_term },
	{ TYPE_ask_change, on_change },
	{ TYPE_ask_stats, on_stats },
	{ TYPE_ask_content, on_content },
	{ TYPE_ask_routes, on_routes },
	{ TYPE_ask_resolve, on_resolve },
	{ TYPE_tell_mail, on_mail },
	{ TYPE_ask_test_milter, on_test_milter },
	{ TYPE_ask_milters, on_milters },
	{ TYPE_ask_quarantine, on_quarantine },
	{ TYPE_ask_trace, on_trace },
	{ 0, NULL },
};

static void
start_fake(struct fake *f, enum role role, uint16_t instance)
{
	int sv[2];

	memset(f, 0, sizeof(*f));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	answerer_add(loop, role, instance, sv[0]);
	f->ch = channel_new(
	    loop, sv[1], &control_all_edge, EDGE_B, process_handlers, NULL, f);
}

/* --- posternctl --- */

static void
on_stat(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_stat *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	nrows++;
	if (str_eq(m->name, STR("test.shared"))) {
		stats_sum += m->value;
		snprintf(stats_of + strlen(stats_of),
		    sizeof(stats_of) - strlen(stats_of), "(%.*s)",
		    (int)m->process.len, m->process.p);
	}
	if (str_eq(m->name, STR("control.questions")))
		stats_own = m->value;
}

static void
on_bytes(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_content *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	bytes += m->bytes.len;
}

static void
on_text(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_text *m = msg;

	(void)ctx;
	(void)ch;
	(void)id;
	memcpy(term_text, m->text.p, m->text.len);
	term_text[m->text.len] = '\0';
}

/* Of show routes and resolve: counted, the types as bits. */
static uint64_t row_types;

#define BIT(row) (UINT64_C(1) << TYPE_##row)
#define OTHER_ROWS(R)   \
	R(row_resolved) \
	R(row_record)   \
	R(row_rule)     \
	R(row_passed)   \
	R(row_hop)      \
	R(row_milter)   \
	R(row_event)    \
	R(row_quarantined)
#define OTHER_FUNCTION(row)                                              \
	static void on_##row(                                            \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		(void)ctx;                                               \
		(void)ch;                                                \
		(void)msg;                                               \
		(void)id;                                                \
		nrows++;                                                 \
		row_types |= BIT(row);                                   \
	}
OTHER_ROWS(OTHER_FUNCTION)
#define OTHER_HANDLER(row) { TYPE_##row, on_##row },

static void
on_line(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_line *m = msg;
	unsigned long long n;

	(void)ctx;
	(void)ch;
	(void)id;
	nrows++;
	if (m->way == LINE_NOTE &&
	    sscanf(m->text.p, "%llu lines were lost", &n) == 1)
		nlost += n;
	loop_stop(loop);
}

static const struct handler client_handlers[] = {
	{ TYPE_row_line, on_line },
	OTHER_ROWS(OTHER_HANDLER){ TYPE_row_stat, on_stat },
	{ TYPE_row_content, on_bytes },
	{ TYPE_row_text, on_text },
	{ 0, NULL },
};

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx;
	(void)ch;
	is_closed = true;
	loop_stop(loop);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	if (fault != NULL)
		return;
	ck_assert_uint_eq(type, TYPE_answer_done);
	answer = *(const struct answer_done *)msg;
	memcpy(answer_text, answer.text.p, answer.text.len);
	answer_text[answer.text.len] = '\0';
	nanswers++;
	loop_stop(loop);
}

/* Connects as somebody; returns the end that is posternctl's. */
static int
connect_raw(uid_t uid, unsigned int permits)
{
	struct caller who = { .uid = uid, .permits = permits };
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	asker = asker_new(loop, sv[0], &who);
	return sv[1];
}

static void
connect_as(uid_t uid, unsigned int permits)
{
	client = channel_new(loop, connect_raw(uid, permits), &control_all_edge,
	    EDGE_A, client_handlers, on_closed, NULL);
}

static void
ask(uint16_t type, const void *msg)
{
	channel_ask(client, type, msg, on_answer, NULL);
	loop_run(loop);
}

static void
setup(void)
{
	loop = loop_new();
	start_fake(&queue, ROLE_QUEUE, 0);
	start_fake(&smtpd, ROLE_SMTPD, 1);
	start_fake(&resolver, ROLE_RESOLVER, 0);
	mail_bytes = mails_asked = 0;
	nterms = nrows = nanswers = nlost = 0;
	row_types = 0;
	bytes = stats_sum = stats_own = 0;
	stats_of[0] = '\0';
	is_closed = false;
	term_text[0] = '\0';
}

static void
teardown(void)
{
	asker_drop_all();
	answerer_clear();
	channel_free(&client);
	channel_free(&queue.ch);
	channel_free(&smtpd.ch);
	channel_free(&smtpd2.ch);
	channel_free(&resolver.ch);
	loop_settle(loop);
	loop_free(&loop);
}

#endif
