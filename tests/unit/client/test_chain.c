/* Many filters as one, all of them well: order, groups, strictness, edits,
 * aborts, who is told what and when, shadows. */
#include "tests/unit/client/chain_world.h"

#define IS(who, want) ck_assert_str_eq(filter(who)->log, (want))

static bool
a_ended(void)
{
	return strchr(filter('a')->log, 'Q') != NULL;
}

static bool
b_aborted(void)
{
	return strchr(filter('b')->log, 'A') != NULL;
}

START_TEST(nobody_to_ask)
{
	session_start(NULL);
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	const struct milter_result *r = milters_result(w.m);
	ck_assert(str_eq(r->header, STR(HEADER)));
	ck_assert(!r->header_changed);
	ck_assert_int_eq(w.nevents, 0);
}

END_TEST

START_TEST(in_a_row)
{
	filter('a')->reply['E'] = "h X-A=1|m 1 Subject=two|b new\r\n|c";
	session_start(set_of("ab"));
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	IS('a', "C");
	IS('b', "C");
	ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	IS('a', "CHMRTLLNBE");
	IS('b', "CHMRTLLLNBE");
	ck_assert_str_eq(filter('a')->fields, "Subject:one;To:x;");
	ck_assert_str_eq(filter('b')->fields, "Subject:two;To:x;X-A:1;");
	ck_assert_str_eq(filter('a')->body, "body\r\n");
	ck_assert_str_eq(filter('b')->body, "new\r\n");

	const struct milter_result *r = milters_result(w.m);
	ck_assert(r->header_changed);
	ck_assert(
	    str_eq(r->header, STR("Subject: two\r\nTo: x\r\nX-A: 1\r\n\r\n")));
	struct stub_body *body = r->body;
	ck_assert(str_eq(buf_str(&body->bytes), STR("new\r\n")));
	stub_free(body);
	ck_assert_ptr_null(milters_result(w.m)->body);
	ck_assert_int_eq(w.nevents, 2);
	ck_assert(
	    has_event("a content continue addheader=1 chgheader=1 replbody=1"));
	milters_end_message(w.m);

	filter('a')->reply['E'] = NULL;
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert(!milters_result(w.m)->header_changed);
	IS('a', "CHMRTLLNBEMRTLLNBE");
	ck_assert_uint_eq(report_of('a').connections, 1);
	ck_assert_uint_eq(report_of('a').verdicts[MILTER_CONTINUE], 2);
	ck_assert_uint_eq(report_of('a').edits, 3);
	ck_assert_uint_eq(report_of('a').version, 6);
}

END_TEST

START_TEST(the_first_refusal_ends_the_row)
{
	filter('b')->reply['M'] = "y 550 5.1.0 not you";
	session_start(set_of("abc"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_REJECT);
	ck_assert_str_eq(w.reply, "550 5.1.0 not you");
	ck_assert_str_eq(w.answer.filter, "b");
	ck_assert(!w.answer.failed);
	ck_assert_int_eq(w.nevents, 1);
	ck_assert_int_eq(filter('c')->connections, 0);

	/* The next is not refused, and a forgot the one before. */
	filter('b')->reply['M'] = NULL;
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	IS('a', "CHMAMRTLLNBE");
	IS('c', "CHMRTLLNBE");
}

END_TEST

START_TEST(a_refused_recipient)
{
	filter('b')->reply['R'] = "t";
	session_start(set_of("{ab}c"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_TEMPFAIL);
	ck_assert_str_eq(
	    w.reply, "451 4.7.1 Service unavailable - try again later");
	filter('b')->reply['R'] = NULL;
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_DATA), MILTER_CONTINUE);
	IS('a', "CHMRRT");
	IS('b', "CHMRRT");
	IS('c', "CHMRT"); /* did not see the one that b refused */
}

END_TEST

/* Both hang: that both were asked shows that nobody was waited for. */
static bool
both_at_content(void)
{
	return strchr(filter('a')->log, 'L') != NULL &&
	       strchr(filter('b')->log, 'L') != NULL;
}

START_TEST(side_by_side)
{
	struct milter_answer a;

	filter('a')->reply['L'] = filter('b')->reply['L'] = "hang";
	session_start(set_of("{ab}c"));
	begin_message();
	w.mail = (struct milter_mail){ .header = STR(HEADER), .fd = -1 };
	w.answers = 0;
	ck_assert(!milters_filter(w.m, &w.mail, &a));
	run_until(both_at_content);
	ck_assert_ptr_null(strchr(filter('c')->log, 'L'));
	filter('a')->reply['L'] = filter('b')->reply['L'] = NULL;
	peer_reply(TAILQ_FIRST(&filter('b')->peers), "r");
	peer_reply(TAILQ_FIRST(&filter('a')->peers), "t");
	run_until(is_answered);
	ck_assert_int_eq(w.answer.verdict, MILTER_REJECT);
	ck_assert_str_eq(w.answer.filter, "b");
	ck_assert(has_event("a content tempfail"));
	ck_assert(has_event("b content reject"));
	ck_assert_ptr_null(strchr(filter('c')->log, 'L'));
}

END_TEST

START_TEST(the_strictest_counts)
{
	static const struct {
		const char *a, *b;
		enum milter_verdict want;
		const char *by;
	} cases[] = {
		{ "r", "t", MILTER_REJECT, "a" },
		{ "t", "d", MILTER_TEMPFAIL, "a" },
		{ "q odd|c", "d", MILTER_DISCARD, "b" },
		{ "q odd|a", "c", MILTER_QUARANTINE, "a" },
		{ "q odd|a", "q even|c", MILTER_QUARANTINE, "a" },
		{ "a", "c", MILTER_CONTINUE, NULL },
		{ "r", "y 550 5.7.2 b", MILTER_REJECT, "a" },
		/* which holds for the session */
		{ "r", "y 421 4.3.0 go", MILTER_SHUTDOWN, "b" },
	};

	session_start(set_of("{ab}"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		filter('a')->log[0] = filter('b')->log[0] = '\0';
		filter('a')->reply['E'] = cases[i].a;
		filter('b')->reply['E'] = cases[i].b;
		w.nevents = 0;
		enum milter_verdict v = message();
		ck_assert_msg(v == cases[i].want, "case %zu: %s by %s", i,
		    milter_verdict_name(v), w.answer.filter);
		if (cases[i].by != NULL)
			ck_assert_str_eq(w.answer.filter, cases[i].by);
		else
			ck_assert_ptr_null(w.answer.filter);
		ck_assert_int_eq(w.nevents, 2);
		if (cases[i].want == MILTER_QUARANTINE)
			ck_assert_str_eq(w.reply, "odd");
		milters_end_message(w.m);
	}
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_SHUTDOWN);
	ck_assert_str_eq(w.reply, "421 4.3.0 go");
}

END_TEST

START_TEST(quarantine_goes_on)
{
	filter('a')->reply['E'] = "q odd|h X-A=1|c";
	session_start(set_of("ab"));
	ck_assert_int_eq(message(), MILTER_QUARANTINE);
	ck_assert_str_eq(filter('b')->fields, "Subject:one;To:x;X-A:1;");
	ck_assert(milters_result(w.m)->header_changed);
	milters_end_message(w.m);
	filter('b')->reply['E'] = "r";
	ck_assert_int_eq(message(), MILTER_REJECT);
}

END_TEST

START_TEST(edits_of_a_group)
{
	filter('a')->reply['E'] = "m 1 Subject=by a|h X-A=1|c";
	filter('b')->reply['E'] = "m 1 Subject=by b|h X-B=1|c";
	session_start(set_of("{ab}"));
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert_str_eq(filter('b')->fields, "Subject:one;To:x;");
	ck_assert(str_eq(milters_result(w.m)->header,
	    STR("Subject: by b\r\nTo: x\r\nX-A: 1\r\nX-B: 1\r\n\r\n")));
	milters_end_message(w.m);

	/* One body in a group; the second is a failure of its filter. */
	filter('a')->reply['E'] = "b from a\r\n|c";
	filter('b')->reply['E'] = "b from b\r\n|h X-B=1|c";
	ck_assert_int_eq(message(), MILTER_TEMPFAIL);
	ck_assert_str_eq(w.answer.filter, "b");
	ck_assert(w.answer.failed);
	ck_assert(has_event("b content tempfail fault"));
	milters_end_message(w.m);
	milter('b')->on_failure = MILTER_FAIL_ACCEPT;
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	const struct milter_result *r = milters_result(w.m);
	ck_assert(!r->header_changed);
	struct stub_body *body = r->body;
	ck_assert(str_eq(buf_str(&body->bytes), STR("from a\r\n")));
	stub_free(body);
}

END_TEST

START_TEST(siblings_hear_of_a_refusal)
{
	filter('a')->reply['M'] = "r";
	session_start(set_of("{ab}"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_REJECT);
	run_until(b_aborted);
	IS('b', "CHMA");
	IS('a', "CHM");

	/* Content: those behind hear of it, those that answered need not. */
	filter('a')->reply['M'] = NULL;
	filter('b')->log[0] = filter('a')->log[0] = '\0';
	milters_choose(w.m, set_of("{ac}b"), false);
	filter('a')->reply['E'] = "r";
	ck_assert_int_eq(message(), MILTER_REJECT);
	run_until(b_aborted);
	IS('b', "MRTA");
	IS('a', "MRTLLNBE");
	IS('c', "CHMRTLLNBE");
	milters_free(&w.m);
	run_until(a_ended);
	IS('a', "MRTLLNBEQ");
	IS('b', "MRTAQ");
	IS('c', "CHMRTLLNBEQ");
}

END_TEST

START_TEST(discard)
{
	filter('a')->reply['R'] = "d";
	session_start(set_of("ab"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_DISCARD);
	run_until(b_aborted);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_DATA), MILTER_CONTINUE);
	ck_assert_int_eq(filter_mail(HEADER, "b\r\n"), MILTER_DISCARD);
	ck_assert_str_eq(w.answer.filter, "a");
	IS('a', "CHMRA");
	IS('b', "CHMA");
	milters_end_message(w.m);
	filter('a')->reply['R'] = NULL;
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	IS('a', "CHMRAMRTLLNBE");
}

END_TEST

START_TEST(who_joins_late)
{
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	milters_choose(w.m, set_of("bc"), false);
	filter('c')->reply['M'] = "y 550 5.7.1 late";
	/* What was refused late stays so for this message. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(ask(MILTER_RCPT), MILTER_REJECT);
		ck_assert_str_eq(w.reply, "550 5.7.1 late");
		ck_assert_str_eq(w.answer.filter, "c");
	}
	IS('a', "CHMA");
	IS('b', "CHMRR");
	IS('c', "CHM");
	milters_abort(w.m);
	run_until(b_aborted);

	filter('c')->reply['M'] = NULL;
	milters_choose(w.m, w.config->milter_sets, false);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	milters_choose(w.m, &w.config->milter_sets[1], false);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_DATA), MILTER_CONTINUE);
	ck_assert_int_eq(filter_mail(HEADER, "b\r\n"), MILTER_CONTINUE);
	IS('a', "CHMAMA"); /* one connection for the session */
	IS('b', "CHMRRAMRTLLNBE");
	ck_assert_int_eq(filter('a')->connections, 1);
}

END_TEST

START_TEST(the_session_is_refused)
{
	filter('a')->reply['H'] = "r";
	session_start(NULL);
	ck_assert_int_eq(ask(MILTER_CONNECT), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	milters_choose(w.m, set_of("a"), false);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(ask(MILTER_RCPT), MILTER_REJECT);
		ck_assert_str_eq(w.reply, "550 5.7.1 Command rejected");
	}
	milters_abort(w.m);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_REJECT);
	IS('a', "CHQ");
	ck_assert(has_event("a rcpt reject"));
}

END_TEST

START_TEST(before_a_helo)
{
	w.facts.helo = STR("");
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_UNKNOWN), MILTER_CONTINUE);
	IS('a', "CU");
	w.facts.helo = STR("now");
	ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	IS('a', "CUHM");
}

END_TEST

START_TEST(accept_is_one_filters)
{
	filter('a')->reply['M'] = "a";
	filter('c')->reply['C'] = "a";
	session_start(set_of("abc"));
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	milters_end_message(w.m);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	IS('a', "CHMM");
	IS('b', "CHMRTLLNBEMRTLLNBE");
	/* For the session: it is not needed any more. */
	IS('c', "CQ");
	ck_assert_uint_eq(report_of('c').sessions, 0);
	ck_assert_int_eq(filter('c')->connections, 1);
}

END_TEST

START_TEST(phases)
{
	milter('b')->after_queue = true;
	const struct milter_set *set = set_of("ab");
	session_start(set);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert_int_eq(filter('b')->connections, 0);
	milters_free(&w.m);
	w.m = milters_new(w.loop, w.config, &w.facts, &world_ops, &w);
	milters_choose(w.m, set, true);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	IS('b', "CHMRTLLNBE");
	ck_assert_int_eq(filter('a')->connections, 1);
}

END_TEST

START_TEST(shadows)
{
	milter('b')->shadow = true;
	filter('b')->reply['E'] = "h X-B=1|r";
	session_start(set_of("{ab}c"));
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert(!milters_result(w.m)->header_changed);
	ck_assert_str_eq(filter('c')->fields, "Subject:one;To:x;");
	ck_assert(has_event("b content reject shadow differs addheader=1"));
	ck_assert_uint_eq(report_of('b').compared, 1);
	ck_assert_uint_eq(report_of('b').differed, 1);
	milters_end_message(w.m);

	/* It agrees. */
	filter('c')->reply['E'] = "t";
	ck_assert_int_eq(message(), MILTER_TEMPFAIL);
	ck_assert(has_event("b content reject shadow addheader=1"));
	ck_assert_uint_eq(report_of('b').compared, 2);
	ck_assert_uint_eq(report_of('b').differed, 1);
	milters_end_message(w.m);

	/* It goes on where the live one does not. */
	filter('a')->reply['M'] = "r";
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_REJECT);
	ck_assert_uint_eq(report_of('b').compared, 3);
	ck_assert_uint_eq(report_of('b').differed, 2);

	/* Its own refusals and failures count for nothing. */
	filter('a')->reply['M'] = filter('c')->reply['E'] = NULL;
	filter('b')->reply['M'] = "d";
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert(has_event("b mail discard shadow differs"));
	milters_end_message(w.m);
	filter('b')->reply['M'] = "end";
	milter('b')->on_failure = MILTER_FAIL_REJECT;
	filter('b')->refuse[0] = "gone";
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	ck_assert(has_event("b mail reject fault shadow"));
}

END_TEST

START_TEST(a_long_field)
{
	char *header = xmalloc(70000);

	memset(header, 'x', 69999);
	header[69999] = '\0';
	memcpy(header, "X-Long: ", 8);
	memcpy(header + 69995, "\r\n\r\n", 4);
	session_start(set_of("ab"));
	begin_message();
	ck_assert_int_eq(filter_mail(header, "b\r\n"), MILTER_REJECT);
	ck_assert_str_eq(w.reply, "552 5.3.4 A header field is too long");
	run_until(b_aborted);
	IS('b', "CHMRTA");
	milters_end_message(w.m);
	ck_assert_int_eq(message(), MILTER_CONTINUE);
	milters_end_message(w.m);
	milter('a')->shadow = milter('b')->shadow = true;
	begin_message();
	ck_assert_int_eq(filter_mail(header, "b\r\n"), MILTER_CONTINUE);
	free(header);
}

END_TEST

START_TEST(refused_by_us)
{
	session_start(set_of("a"));
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	/* It did not negotiate that it wants to know. */
	milters_tell_refused(w.m);
	ck_assert_int_eq(ask(MILTER_RCPT), MILTER_CONTINUE);
	IS('a', "CHMR");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("chain");
	TCase *c = tcase_create("all");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, nobody_to_ask);
	tcase_add_test(c, in_a_row);
	tcase_add_test(c, the_first_refusal_ends_the_row);
	tcase_add_test(c, a_refused_recipient);
	tcase_add_test(c, side_by_side);
	tcase_add_test(c, the_strictest_counts);
	tcase_add_test(c, quarantine_goes_on);
	tcase_add_test(c, edits_of_a_group);
	tcase_add_test(c, siblings_hear_of_a_refusal);
	tcase_add_test(c, discard);
	tcase_add_test(c, who_joins_late);
	tcase_add_test(c, the_session_is_refused);
	tcase_add_test(c, before_a_helo);
	tcase_add_test(c, accept_is_one_filters);
	tcase_add_test(c, phases);
	tcase_add_test(c, shadows);
	tcase_add_test(c, a_long_field);
	tcase_add_test(c, refused_by_us);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
