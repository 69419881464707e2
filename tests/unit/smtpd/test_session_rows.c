/* Sessions as they are told to control, who reads slowly, while they come and
 * go. */
#include "edges/control_all.h"
#include "lib/base/clock.h"
#include "smtpd/from_control.h"
#include "smtpd/sessions.h"
#include "tests/unit/smtpd/talk.h"

enum { MANY = 10000 };

static struct session *all[2 * MANY];
static size_t nall;

/* Control's end. */
static struct channel *control;
static char client[] = "192.0.2.1", listener[] = "192.0.2.9:25";
static uint64_t nrows, matched, nanswers;
static bool told[2 * MANY];

static void
add(size_t n)
{
	for (; n > 0; n--) {
		struct session *s = xcalloc(1, sizeof(*s));

		snprintf(s->id, sizeof(s->id), "%016zu", nall);
		s->client_text = client;
		s->listener_name = listener;
		s->begin_ms = clock_mono_ms();
		s->state = SESSION_COMMAND;
		sessions_add(s);
		all[nall++] = s;
	}
}

static void
del(size_t i)
{
	if (all[i] == NULL)
		return;
	sessions_del(all[i]);
	free(all[i]);
	all[i] = NULL;
}

/* As many go and come with each row, so that there is always another. */
static void
on_row(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct row_session *m = msg;
	uint64_t i;

	(void)ctx, (void)ch, (void)id;
	ck_assert_int_eq(str_to_u64(m->session, nall - 1, &i), 0);
	ck_assert(!told[i]);
	told[i] = true;
	nrows++;
	if (nall < sizeof(all) / sizeof(all[0])) {
		add(1);
		del(i);
	}
}

static const struct handler handlers[] = { { TYPE_row_session, on_row },
	{ 0, NULL } };

static void
on_closed(void *ctx, struct channel *ch)
{
	(void)ctx, (void)ch;
	channel_free(&control);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	const struct answer_done *m = msg;

	(void)ctx;
	if (fault != NULL)
		return;
	ck_assert_uint_eq(type, TYPE_answer_done);
	ck_assert_uint_eq(m->code, ANSWER_OK);
	matched = m->matched;
	nanswers++;
}

static void
ask(void)
{
	struct ask_sessions m = { 0 };

	nrows = nanswers = 0;
	memset(told, 0, sizeof(told));
	channel_ask(control, TYPE_ask_sessions, &m, on_answer, NULL);
}

static bool
is_answered(struct harness *u)
{
	(void)u;
	return nanswers > 0;
}

static void
rows_setup(void)
{
	int sv[2];

	setup();
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	control = channel_new(h.loop, sv[1], &control_all_edge, EDGE_A,
	    handlers, on_closed, NULL);
	from_control_start(h.loop, sv[0]);
	nall = 0;
}

static void
rows_teardown(void)
{
	for (size_t i = 0; i < nall; i++)
		del(i);
	from_control_stop();
	channel_free(&control);
	harness_settle(&h);
	teardown();
}

/* Each that was there is told once, and none that came later: else who comes
 * quickly enough would keep it going for ever. */
START_TEST(come_and_go)
{
	add(MANY);
	ask();
	channel_pause(control);
	harness_settle(&h);
	/* From the middle of what is told already, and of what is not. */
	for (size_t i = 0; i < MANY; i += 1000)
		del(i);
	add(1);
	channel_resume(control);
	harness_until(&h, is_answered);
	ck_assert_uint_eq(matched, nrows);
	ck_assert_uint_ge(nrows, MANY - 10);
	ck_assert_uint_le(nrows, MANY);
	for (size_t i = 0; i < MANY; i++)
		ck_assert(told[i] || i % 1000 == 0);
	ck_assert(!told[MANY]);
}

END_TEST

/* Control dies in the middle; its successor asks anew. */
START_TEST(control_is_replaced)
{
	int sv[2];

	add(MANY);
	ask();
	channel_pause(control);
	harness_settle(&h);
	channel_free(&control);
	harness_settle(&h);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	control = channel_new(h.loop, sv[1], &control_all_edge, EDGE_A,
	    handlers, on_closed, NULL);
	from_control_start(h.loop, sv[0]);
	nall = MANY;
	ask();
	harness_until(&h, is_answered);
	ck_assert_uint_eq(matched, MANY);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { come_and_go, control_is_replaced };

	return run_tests_in("session_rows", tests,
	    sizeof(tests) / sizeof(tests[0]), rows_setup, rows_teardown);
}
