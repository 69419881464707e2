/* Sessions and messages that end while filters are asked. */
#include "tests/unit/client/chain_world.h"

START_TEST(freed_by_an_event)
{
	filter('a')->reply['E'] = "q odd|c";
	filter('b')->reply['R'] = _i < 2 ? "r" : NULL;
	w.free_at = _i % 2 ? "b" : "a";
	session_start(set_of(_i % 4 < 2 ? "ab" : "{ab}c"));
	if (ask(MILTER_MAIL) == MILTER_CONTINUE && w.m != NULL)
		ask(MILTER_RCPT);
	if (w.m != NULL)
		filter_mail(HEADER, "b\r\n");
	ck_assert_ptr_null(w.m);
}

END_TEST

START_TEST(freed_by_an_answer)
{
	w.free_at_answer = true;
	session_start(set_of("ab"));
	ask(MILTER_MAIL);
	ck_assert_ptr_null(w.m);
}

END_TEST

static char awaited;

static bool
has_come(void)
{
	struct peer *p = TAILQ_FIRST(&filter('a')->peers);

	return awaited == 'O' ? p != NULL :
				strchr(filter('a')->log, awaited) != NULL;
}

/* The question to the place; it stays open. */
static void
leave_open(size_t place)
{
	struct milter_answer a;
	enum milter_stage stage = places[place].stage;

	awaited = places[place].command;
	filter('a')->reply[(unsigned char)awaited] = "hang";
	if (stage == MILTER_CONTENT)
		begin_message();
	else if (stage > MILTER_MAIL)
		ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	if (stage == MILTER_DATA)
		ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	w.answers = 0;
	w.mail = (struct milter_mail){ .header = STR(HEADER),
		.body = STR("b\r\n"),
		.fd = -1,
		.body_size = 3 };
	ck_assert(!(stage == MILTER_CONTENT ? milters_filter(w.m, &w.mail, &a) :
					      milters_ask(w.m, stage, &a)));
	run_until(has_come);
}

START_TEST(freed_while_asked)
{
	session_start(set_of("{ab}"));
	leave_open((size_t)_i);
	milters_free(&w.m);
	run_until(is_quiet);
	ck_assert_int_eq(w.answers, 0);
}

END_TEST

START_TEST(aborted_while_asked)
{
	session_start(set_of("{ab}"));
	leave_open((size_t)_i);
	milters_abort(w.m);
	filter('a')->reply[(unsigned char)awaited] = NULL;
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert_int_eq(filter('a')->connections, 2);
	ck_assert_uint_eq(report_of('a').failures, 0);
}

END_TEST

static struct deferred abort_it;

static void
on_abort(void *ctx)
{
	(void)ctx;
	milters_abort(w.m);
}

/* The last event comes before its answer, and so does this. */
static void
abort_soon(void *ctx, const struct milter_event *e)
{
	(void)ctx, (void)e;
	loop_after(w.loop, &abort_it);
}

static bool
is_refused(void)
{
	return report_of('a').verdicts[MILTER_REJECT] > 0;
}

START_TEST(aborted_before_its_answer)
{
	struct milter_ops ops = world_ops;
	struct milter_answer a;

	deferred_init(&abort_it, on_abort, NULL);
	ops.on_event = abort_soon;
	filter('a')->reply['M'] = "r";
	w.m = milters_new(w.loop, w.config, &w.facts, &ops, &w);
	milters_choose(w.m, set_of("a"), false);
	ck_assert(!milters_ask(w.m, MILTER_MAIL, &a));
	run_until(is_refused);
	filter('a')->reply['M'] = NULL;
	ck_assert_int_eq(w.answers, 0);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	milters_free(&w.m);
}

END_TEST

START_TEST(freed_while_dialled)
{
	struct milter_answer a;

	filter('a')->silent_dial = true;
	session_start(set_of("a"));
	ck_assert(!milters_ask(w.m, MILTER_MAIL, &a));
	if (_i == 0)
		dialer_start();
	if (_i == 1)
		milters_clear();
	milters_free(&w.m);
	milters_set_config(w.loop, w.config, 1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("chain_ends");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, freed_by_an_event, 0, 4);
	tcase_add_test(c, freed_by_an_answer);
	tcase_add_loop_test(c, freed_while_asked, 0, PLACES);
	tcase_add_loop_test(c, aborted_while_asked, 0, PLACES);
	tcase_add_test(c, aborted_before_its_answer);
	tcase_add_loop_test(c, freed_while_dialled, 0, 3);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
