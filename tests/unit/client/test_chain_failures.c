/* Filters that fail, in each way and at each moment. */
#include "tests/unit/client/chain_world.h"

static const struct {
	enum milter_failure on_failure;
	enum milter_verdict verdict; /* of a message */
	const char *reply;
} policies[] = {
	{ MILTER_FAIL_TEMPFAIL, MILTER_TEMPFAIL,
	    "451 4.7.1 Service unavailable - try again later" },
	{ MILTER_FAIL_ACCEPT, MILTER_CONTINUE, "" },
	{ MILTER_FAIL_REJECT, MILTER_REJECT, "550 5.7.1 Service unavailable" },
	{ MILTER_FAIL_QUARANTINE, MILTER_CONTINUE, "" },
	{ MILTER_FAIL_DISCONNECT, MILTER_SHUTDOWN,
	    "421 4.7.1 Service unavailable - closing connection" },
};

enum { POLICIES = sizeof(policies) / sizeof(policies[0]) };

/* All questions of a message up to this one; the verdict on it. Those before
 * go on. */
static enum milter_verdict
ask_up_to(enum milter_stage last)
{
	for (enum milter_stage s = MILTER_CONNECT; s < last; s++)
		if (s != MILTER_UNKNOWN)
			ck_assert_int_eq(ask(s), MILTER_CONTINUE);
	return last == MILTER_CONTENT ? filter_mail(HEADER, "b\r\n") :
					ask(last);
}

START_TEST(every_policy_everywhere)
{
	size_t p = (size_t)_i / PLACES, n = (size_t)_i % PLACES;
	enum milter_verdict want = policies[p].verdict;
	enum milter_stage stage = places[n].stage;
	struct filter *a = filter('a');

	a->reply[(unsigned char)places[n].command] = _i % 2 ? "end" : "z";
	milter('a')->on_failure = policies[p].on_failure;
	milter('a')->failures = 1000;
	session_start(set_of("a"));
	if (stage <= MILTER_HELO && want != MILTER_SHUTDOWN)
		want = MILTER_CONTINUE;
	if (stage == MILTER_CONTENT && want == MILTER_CONTINUE &&
	    policies[p].on_failure == MILTER_FAIL_QUARANTINE)
		want = MILTER_QUARANTINE;
	ck_assert_int_eq(ask_up_to(stage), want);
	ck_assert_int_eq(w.nevents, 1);
	ck_assert_ptr_nonnull(strstr(w.events[0], "fault"));
	if (want > MILTER_DISCARD) {
		ck_assert_str_eq(w.reply, policies[p].reply);
		ck_assert(w.answer.failed);
	}
	ck_assert_uint_ge(report_of('a').failures, 1);
	if (want == MILTER_SHUTDOWN)
		return;

	/* The same at MAIL, when it does not get there either. */
	milters_abort(w.m);
	if (stage <= MILTER_HELO) {
		ck_assert_int_eq(ask(MILTER_MAIL), policies[p].verdict);
		milters_abort(w.m);
	}
	/* It is well again: the session goes on with it. */
	a->reply[(unsigned char)places[n].command] = NULL;
	a->log[0] = '\0';
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert_str_eq(a->log, "CHMRTLLNBE");
}

END_TEST

START_TEST(a_failure_lasts_for_the_message)
{
	filter('a')->reply['R'] = "end";
	session_start(set_of("ab"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_TEMPFAIL);
	filter('a')->reply['R'] = NULL;
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_TEMPFAIL);
	ck_assert_int_eq(w.nevents, 1); /* told once */
	ck_assert_str_eq(filter('b')->log, "CHM");
	ck_assert_int_eq(filter('a')->connections, 1);
}

END_TEST

START_TEST(set_aside_for_a_failure)
{
	milter('a')->on_failure = MILTER_FAIL_QUARANTINE;
	filter('a')->refuse[0] = "no such file";
	session_start(set_of("ab"));
	begin_message();
	ck_assert_int_eq(filter_mail(HEADER, "b\r\n"), MILTER_QUARANTINE);
	ck_assert_str_eq(w.reply, "filter a failed: no such file");
	ck_assert(w.answer.failed);
	ck_assert_str_eq(filter('b')->log, "CHMRTLLNBE");
	ck_assert(has_event("a content quarantine fault"));
}

END_TEST

static bool
both_are_lost(void)
{
	return report_of('a').sessions + report_of('b').sessions == 0;
}

START_TEST(started_anew_between_messages)
{
	session_start(set_of("a"));
	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(message(), MILTER_CONTINUE);
		milters_end_message(w.m);
		/* Not even seen when the next MAIL is asked. */
		filter_restart(filter('a'));
		ck_assert_int_eq(filter('a')->connections, i);
	}
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	/* Or long before it. */
	milters_end_message(w.m);
	filter_restart(filter('a'));
	run_until(both_are_lost);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert_int_eq(filter('a')->connections, 5);
	ck_assert_uint_eq(report_of('a').failures, 0);
}

END_TEST

START_TEST(it_ends_at_each_mail)
{
	session_start(set_of("a"));
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	filter('a')->reply['M'] = "end";
	/* Once over the old connection, once over a new one. */
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	ck_assert_int_eq(filter('a')->connections, 2);
	ck_assert_uint_eq(report_of('a').failures, 1);
}

END_TEST

START_TEST(lost_in_the_message)
{
	session_start(set_of("ab"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	filter_restart(filter('a'));
	filter_restart(filter('b'));
	ck_assert_int_eq(ask(MILTER_DATA), MILTER_TEMPFAIL);
	ck_assert_int_eq(filter('a')->connections, 1);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
}

END_TEST

static bool
it_is_lost(void)
{
	return report_of('a').sessions == 0;
}

/* It has said all that it had to say of the message. */
START_TEST(lost_when_it_was_done)
{
	static const char stages[] = "MRT";

	filter('a')->reply[(unsigned char)stages[_i]] = "a";
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	for (enum milter_stage s = MILTER_RCPT; s <= MILTER_DATA; s++) {
		if ((int)s - MILTER_MAIL > _i && !it_is_lost()) {
			filter_restart(filter('a'));
			run_until(it_is_lost);
		}
		ck_assert_int_eq(ask(s), MILTER_CONTINUE);
	}
	if (!it_is_lost()) {
		filter_restart(filter('a'));
		run_until(it_is_lost);
	}
	ck_assert_int_eq(filter_mail(HEADER, "b\r\n"), MILTER_CONTINUE);
	ck_assert_uint_eq(report_of('a').failures, 0);
	milters_end_message(w.m);
	filter('a')->log[0] = '\0';
	filter('a')->reply[(unsigned char)stages[_i]] = NULL;
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert_str_eq(filter('a')->log, "CHMRTLLNBE");
}

END_TEST

/* A second reply, when nobody waits for one. */
START_TEST(it_speaks_unasked)
{
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
	peer_send(TAILQ_FIRST(&filter('a')->peers), 'c', STR(""));
	run_until(it_is_lost);
	ck_assert_uint_eq(report_of('a').failures, 1);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
}

END_TEST

START_TEST(two_at_once)
{
	struct milter_answer a;

	filter('a')->reply['R'] = filter('b')->reply['R'] = "hang";
	session_start(set_of("{abc}"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	w.answers = 0;
	ck_assert(!milters_ask(w.m, MILTER_RCPT, &a));
	filter_restart(filter('a'));
	filter_restart(filter('b'));
	run_until(both_are_lost);
	run_until(is_answered);
	ck_assert_int_eq(w.answer.verdict, MILTER_TEMPFAIL);
	ck_assert_str_eq(w.answer.filter, "a");
	ck_assert_int_eq(w.nevents, 2);
}

END_TEST

START_TEST(another_socket)
{
	second_socket('a');
	if (_i == 0)
		filter('a')->refuse[0] = "refused";
	else
		filter('a')->deaf[0] = true;
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_uint_eq(report_of('a').sockets[0].failures, 1);
	ck_assert_ptr_nonnull(report_of('a').sockets[0].fault);
	ck_assert_uint_eq(report_of('a').sockets[1].sessions, 1);
	ck_assert_int_eq(w.nevents, 0);
	milters_free(&w.m);

	filter('a')->connections = 0;
	filter('a')->refuse[1] = "refused too";
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	ck_assert_int_eq(filter('a')->connections, _i);
}

END_TEST

START_TEST(breaker)
{
	milter('a')->failures = 2;
	filter('a')->refuse[0] = "refused";
	session_start(set_of("a"));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	ck_assert_uint_eq(report_of('a').connections, 2);
	ck_assert_uint_eq(report_of('a').failures, 2);
	ck_assert_uint_eq(report_of('a').skipped, 2);
	ck_assert_int_eq(report_of('a').state, MILTER_RESTING);
}

END_TEST

START_TEST(well_between_failures)
{
	const struct milter_set *set = set_of("a");

	for (int i = 0; i < 6; i++) {
		bool well = i % 3 == 2;
		filter('a')->reply['E'] = well ? NULL : "end";
		/* It need not see a message to be well. */
		filter('a')->reply['C'] = well && _i == 1 ? "a" : NULL;
		session_start(set);
		ck_assert_int_eq(
		    message(), well ? MILTER_CONTINUE : MILTER_TEMPFAIL);
		milters_free(&w.m);
	}
	ck_assert_uint_eq(report_of('a').failures, 4);
	ck_assert_int_eq(report_of('a').state, MILTER_UP);
}

END_TEST

START_TEST(half_open)
{
	milter('a')->failures = 1;
	milter('a')->rest = 0;
	filter('a')->refuse[0] = "refused";
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	ck_assert_int_eq(report_of('a').state, MILTER_PROBING);
	filter('a')->refuse[0] = NULL;
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert_int_eq(report_of('a').state, MILTER_UP);
}

END_TEST

START_TEST(a_body_broken_off)
{
	static const struct {
		enum milter_failure on_failure;
		enum milter_verdict want;
	} cases[] = {
		{ MILTER_FAIL_ACCEPT, MILTER_TEMPFAIL },
		{ MILTER_FAIL_QUARANTINE, MILTER_TEMPFAIL },
		{ MILTER_FAIL_REJECT, MILTER_REJECT },
	};

	filter('a')->reply['E'] = "h X-A=1|b half|end";
	session_start(set_of("a"));
	for (int i = 0; i < 3; i++) {
		milter('a')->on_failure = cases[i].on_failure;
		ck_assert_int_eq(message(), cases[i].want);
		milters_end_message(w.m);
	}
	/* Without a body the header goes with the filter. */
	milter('a')->failures = 1000;
	milter('a')->on_failure = MILTER_FAIL_ACCEPT;
	filter('a')->reply['E'] = "h X-A=1|end";
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert(!milters_result(w.m)->header_changed);
}

END_TEST

START_TEST(no_room_for_a_body)
{
	filter('a')->reply['E'] = "b new\r\n|c";
	milter('a')->on_failure = MILTER_FAIL_ACCEPT;
	session_start(set_of("a"));
	stub_room = MILTER_NO_ROOM;
	ck_assert_int_eq(message(), MILTER_TEMPFAIL);
	ck_assert_str_eq(w.reply, "452 4.3.1 No room for the changed message");
	ck_assert(!w.answer.failed);
	ck_assert_uint_eq(report_of('a').failures, 0);
}

END_TEST

/* It wants none of the mail: where the new body was to go is no matter. */
START_TEST(no_room_and_refused)
{
	filter('a')->reply['E'] = "b new\r\n|y 550 5.7.1 no";
	session_start(set_of("a"));
	stub_room = MILTER_NO_ROOM;
	ck_assert_int_eq(message(), MILTER_REJECT);
	ck_assert_str_eq(w.reply, "550 5.7.1 no");
}

END_TEST

static void *waiting_body;

static enum milter_room
add_and_wait(void *body, struct str bytes)
{
	waiting_body = body;
	stub_add(body, bytes);
	return MILTER_WAIT;
}

static bool
body_waits(void)
{
	return waiting_body != NULL;
}

START_TEST(a_body_has_to_wait)
{
	struct milter_ops ops = world_ops;
	struct milter_answer a;
	bool ok = _i == 0;

	waiting_body = NULL;
	ops.body_add = add_and_wait;
	filter('a')->reply['E'] = "b new\r\n|c";
	w.m = milters_new(w.loop, w.config, &w.facts, &ops, &w);
	milters_choose(w.m, set_of("a"), false);
	begin_message();
	w.mail = (struct milter_mail){
		.header = STR(HEADER), .fd = -1, .max_size = 4096
	};
	w.answers = 0;
	ck_assert(!milters_filter(w.m, &w.mail, &a));
	run_until(body_waits);
	milters_body_ready(w.m, waiting_body, ok);
	run_until(is_answered);
	ck_assert_int_eq(
	    w.answer.verdict, ok ? MILTER_CONTINUE : MILTER_TEMPFAIL);
	if (!ok)
		ck_assert_str_eq(
		    w.reply, "451 4.3.0 The changed message cannot be kept");
	ck_assert_uint_eq(report_of('a').failures, 0);
	milters_free(&w.m);
}

END_TEST

/* --- the dialer --- */

/* It is waited for as long as for a connection. */
START_TEST(no_dialer)
{
	struct milter_answer a;

	milters_clear();
	milters_set_config(w.loop, w.config, 1);
	milter('a')->connect_timeout = 1;
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	/* The filter is not to blame. */
	ck_assert_uint_eq(report_of('a').failures, 0);
	milter('a')->connect_timeout = 60000;
	w.answers = 0;
	ck_assert(!milters_ask(w.m, MILTER_MAIL, &a));
	dialer_start();
	ck_assert_int_eq(asked(false, &a), MILTER_CONTINUE);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
}

END_TEST

static bool
was_dialed(void)
{
	return filter('a')->dials > 0;
}

/* Its successor is asked. */
START_TEST(the_dialer_dies)
{
	struct milter_answer a;

	filter('a')->silent_dial = true;
	session_start(set_of("a"));
	w.answers = 0;
	ck_assert(!milters_ask(w.m, MILTER_MAIL, &a));
	run_until(was_dialed);
	filter('a')->silent_dial = false;
	dialer_start();
	ck_assert_int_eq(asked(false, &a), MILTER_CONTINUE);
	ck_assert_uint_eq(report_of('a').failures, 0);
}

END_TEST

START_TEST(the_dialer_does_not_answer)
{
	second_socket('a');
	filter('a')->silent_dial = true;
	milter('a')->connect_timeout = 1;
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	/* The filter is not to blame, and nobody waits as long again. */
	ck_assert_uint_eq(report_of('a').failures, 0);
	milter('a')->connect_timeout = milter('b')->connect_timeout = 3600000;
	milters_free(&w.m);
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	milters_free(&w.m);
	session_start(set_of("b"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	/* Another one. */
	filter('a')->silent_dial = false;
	dialer_start();
	milters_free(&w.m);
	session_start(set_of("ab"));
	ck_assert_int_eq(message(), MILTER_CONTINUE);
}

END_TEST

static bool
a_is_late(void)
{
	return report_of('a').sockets[0].fault != NULL;
}

/* Others get theirs: it is this filter's host that takes so long. */
START_TEST(the_dialer_answers_others)
{
	struct milters *first;
	struct milter_answer a;

	second_socket('a');
	filter('a')->silent_dial = true;
	milter('a')->connect_timeout = 200;
	session_start(set_of("a"));
	ck_assert(!milters_ask(w.m, MILTER_MAIL, &a));
	first = w.m;
	w.m = NULL;
	session_start(set_of("b"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	filter('a')->silent_dial = false;
	run_until(a_is_late);
	ck_assert_str_eq(
	    report_of('a').sockets[0].fault, "no connection in time");
	milters_free(&first);
}

END_TEST

/* --- limits --- */

START_TEST(connections_have_an_end)
{
	const struct milter_set *set = set_of("a");
	struct milters *first;

	milter('a')->connections = 2;
	ck_assert(milters_have_room(w.config, NULL, false));
	ck_assert(milters_have_room(w.config, set, false));
	session_start(set);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert(!milters_have_room(w.config, set, false));
	ck_assert(milters_have_room(w.config, set, true));
	/* Only of those that mail waits for. */
	milter('a')->shadow = true;
	ck_assert(milters_have_room(w.config, set, false));
	milter('a')->shadow = false;
	milter('a')->after_queue = true;
	ck_assert(milters_have_room(w.config, set, false));
	milter('a')->after_queue = false;
	milter('a')->connections = 1;
	first = w.m;
	session_start(set);
	/* Not past it either, whatever its failures mean. */
	milter('a')->on_failure = MILTER_FAIL_ACCEPT;
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_TEMPFAIL);
	ck_assert_uint_eq(report_of('a').failures, 0);
	ck_assert_int_eq(filter('a')->connections, 1);
	milters_free(&first);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("chain_failures");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, every_policy_everywhere, 0, POLICIES * PLACES);
	tcase_add_test(c, a_failure_lasts_for_the_message);
	tcase_add_test(c, set_aside_for_a_failure);
	tcase_add_test(c, started_anew_between_messages);
	tcase_add_test(c, it_ends_at_each_mail);
	tcase_add_test(c, lost_in_the_message);
	tcase_add_loop_test(c, lost_when_it_was_done, 0, 3);
	tcase_add_test(c, it_speaks_unasked);
	tcase_add_test(c, two_at_once);
	tcase_add_loop_test(c, another_socket, 0, 2);
	tcase_add_test(c, breaker);
	tcase_add_loop_test(c, well_between_failures, 0, 2);
	tcase_add_test(c, half_open);
	tcase_add_test(c, a_body_broken_off);
	tcase_add_test(c, no_room_for_a_body);
	tcase_add_test(c, no_room_and_refused);
	tcase_add_loop_test(c, a_body_has_to_wait, 0, 2);
	tcase_add_test(c, no_dialer);
	tcase_add_test(c, the_dialer_dies);
	tcase_add_test(c, the_dialer_does_not_answer);
	tcase_add_test(c, the_dialer_answers_others);
	tcase_add_test(c, connections_have_an_end);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
