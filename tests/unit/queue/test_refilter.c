/* Mail shown to filters after it was accepted, and what becomes of it. */
#include "tests/unit/queue/house.h"

static void
send_unfiltered(const char *from, const char *const *to)
{
	how.start = START_UNFILTERED;
	how.context = "ctx";
	send_mail(from, to);
	memset(&how, 0, sizeof(how));
}

static void
send_quarantined(const char *from, const char *const *to)
{
	how.start = START_QUARANTINED;
	how.filter = "old";
	how.reason = "it smells";
	how.context = "ctx";
	send_mail(from, to);
	wait_for(&t.naccepted, t.naccepted + 1);
	memset(&how, 0, sizeof(how));
}

/* The changed mail, under the id that was asked about. */
static void
send_changed(const char *const *to, enum rcpt_start start)
{
	how.start = start;
	how.replaces = true;
	how.content = "Received: x\r\n\r\nchanged\r\n";
	send_as(t.asked_msgid, "a@x", to);
	memset(&how, 0, sizeof(how));
}

/* A worker that dies and comes back. */
static void
new_smtpd(void)
{
	channel_free(&t.smtpd);
	t.smtpd =
	    connect_to(ROLE_SMTPD, &smtpd_queue_edge, EDGE_A, smtpd_handlers);
}

START_TEST(seen_first_then_delivered)
{
	new_agent(4);
	send_unfiltered("a@x", MAIL("b@y", "inside", "c@y", "other"));
	wait_for(&t.nasked, 1);
	ck_assert_str_eq(t.asked_msgid, last_id);
	ck_assert_uint_eq(t.asked_why, FILTER_AFTER_QUEUE);
	ck_assert_str_eq(t.asked_rcpts, "(b@y inside 2)(c@y other 2)");
	ck_assert_str_eq(t.asked_context, "ctx");
	ck_assert_str_eq(t.asked_content, "Received: x\r\n\r\nbody\r\n");
	ck_assert_int_eq(t.ngot, 0);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(c@y 0 0 )");
	tell_filtered(FILTERED_PASS, "", false);
	wait_for(&nwhole, 2);
	stop_queue(true);
	start_queue();
	new_agent(4);
	wait_for(&nwhole, 2);
	ck_assert_int_eq(t.nasked, 1);
}

END_TEST

/* Whatever a crash leaves, it is not delivered unseen. */
START_TEST(a_restart_asks_again)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	for (int i = 2; i < 4; i++) {
		fate_restate(t.q, index_from_seq(&t.q->index, 0));
		stop_queue(true);
		start_queue();
		new_agent(4);
		wait_for(&t.nasked, i);
		ck_assert_str_eq(t.asked_context, "ctx");
		ck_assert_int_eq(t.ngot, 0);
	}
	change(CHANGE_HOLD);
	ck_assert_uint_eq(t.done.changed, 1);
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
	change(CHANGE_RELEASE);
	wait_for(&t.nasked, 4);
	ck_assert_int_eq(t.ngot, 0);
}

END_TEST

START_TEST(set_aside)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	tell_filtered(FILTERED_QUARANTINE, "smells", false);
	wait_shown("[a@x 3](b@y 6 0 smells)");
	ck_assert_str_eq(quarantine(), "[a@x scan: smells](b@y 6 0 smells)");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(quarantine(), "[a@x scan: smells](b@y 6 0 smells)");
	new_agent(4);
	change(CHANGE_UNQUARANTINE);
	wait_for(&nwhole, 1);
	ck_assert_int_eq(t.nasked, 1);
}

END_TEST

START_TEST(discarded)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	tell_filtered(FILTERED_DISCARD, "", false);
	wait_shown("");
	ck_assert_ptr_nonnull(
	    strstr(trace(last_id), "discarded to=b@y filter=scan\n"));
}

END_TEST

START_TEST(refused_and_reported)
{
	new_agent(4);
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	tell_filtered(FILTERED_REJECT, "550 5.7.1 not this", false);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "a@x");
	ck_assert_ptr_nonnull(strstr(t.got[0].content, "550 5.7.1 not this"));
}

END_TEST

/* Put off by the retry list, and by a worker that dies of it. */
START_TEST(asked_again_later)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	tell_filtered(FILTERED_TEMPFAIL, "451 4.7.1 busy", false);
	wait_shown("[a@x 1](b@y 1 1 451 4.7.1 busy)");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 1](b@y 1 1 451 4.7.1 busy)");
	change(CHANGE_FLUSH);
	wait_for(&t.nasked, 2);
	new_smtpd();
	wait_shown("[a@x 1](b@y 1 2 4.3.0 the process that filters died)");
}

END_TEST

START_TEST(a_dead_worker_may_be_chance)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	new_smtpd();
	wait_for(&t.nasked, 2);
	new_agent(4);
	tell_filtered(FILTERED_PASS, "", false);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].rcpts[0].attempts, 0);
}

END_TEST

START_TEST(a_bounded_number_at_once)
{
	for (int i = 0; i < 20; i++)
		send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 20);
	wait_for(&t.nasked, 16);
	show();
	ck_assert_int_eq(t.nasked, 16);
	tell_filtered(FILTERED_PASS, "", false);
	wait_for(&t.nasked, 17);
	show();
	ck_assert_int_eq(t.nasked, 17);
}

END_TEST

/* --- a changed mail --- */

START_TEST(changed)
{
	new_agent(4);
	send_unfiltered("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&t.nasked, 1);
	send_changed(MAIL("b@y", "inside", "d@y", "inside"), START_UNFILTERED);
	wait_for(&t.naccepted, 2);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(d@y 0 0 )");
	ck_assert_int_eq(t.ngot, 0);
	tell_filtered(FILTERED_PASS, "", true);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].msgid, last_id);
	ck_assert_uint_eq(t.got[0].nrcpts, 2);
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\nchanged\r\n");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(d@y 0 0 )");
	ck_assert_int_eq(t.nasked, 1);
}

END_TEST

/* The new one was on disk, the end of the old one was not. */
START_TEST(changed_and_killed_between)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	send_changed(MAIL("d@y", "inside"), START_UNFILTERED);
	wait_for(&t.naccepted, 2);
	for (int i = 0; i < 2; i++) {
		stop_queue(i > 0);
		start_queue();
		wait_for(&t.nasked, 2 + i);
		ck_assert_str_eq(t.asked_rcpts, "(d@y inside 2)");
		ck_assert_str_eq(show(), "[a@x 0](d@y 0 0 )");
	}
}

END_TEST

START_TEST(nobody_asked_for_it)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	send_mail("c@x", MAIL("d@y", "inside"));
	wait_for(&t.naccepted, 2);
	snprintf(t.asked_msgid, sizeof(t.asked_msgid), "%s", last_id);
	send_changed(MAIL("e@y", "inside"), START_WAITING);
	wait_for(&t.nrefused, 1);
	ck_assert_int_eq(t.why, REFUSED_MALFORMED);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )[c@x 0](d@y 0 0 )");
}

END_TEST

/* Once only, and what was not taken leaves the old one as it was. */
START_TEST(a_second_one_is_refused)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	send_changed(MAIL("c@y", "inside"), START_UNFILTERED);
	send_changed(MAIL("d@y", "inside"), START_UNFILTERED);
	wait_for(&t.nrefused, 1);
	wait_for(&t.naccepted, 2);
	ck_assert_str_eq(show(), "[a@x 0](c@y 0 0 )");
}

END_TEST

START_TEST(what_was_done_meanwhile_holds)
{
	send_unfiltered(
	    "a@x", MAIL("b@y", "inside", "c@y", "inside", "d@y", "inside"));
	wait_for(&t.nasked, 1);
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REMOVE);
	term(TERM_TO, "c@y", 0);
	change(CHANGE_HOLD);
	send_changed(MAIL("b@y", "inside", "c@y", "inside", "d@y", "inside"),
	    START_UNFILTERED);
	wait_for(&t.naccepted, 2);
	tell_filtered(FILTERED_PASS, "", true);
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].nrcpts, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "d@y");
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(
		    show(), "[a@x 0](b@y 5 0 )(c@y 2 0 )(d@y 0 0 )");
		stop_queue(true);
		start_queue();
	}
}

END_TEST

/* All is gone: the change is not wanted any more. */
START_TEST(removed_meanwhile)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	change(CHANGE_REMOVE);
	send_changed(MAIL("b@y", "inside"), START_UNFILTERED);
	wait_for(&t.nrefused, 1);
	tell_filtered(FILTERED_TEMPFAIL, "", false);
	ck_assert_str_eq(show(), "");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "");
}

END_TEST

/* Somebody reads the old one for as long as the new one is under way. */
START_TEST(looked_at_meanwhile)
{
	new_agent(4);
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	fate_keep(index_from_seq(&t.q->index, 0));
	send_changed(MAIL("b@y", "inside"), START_UNFILTERED);
	wait_for(&t.naccepted, 2);
	tell_filtered(FILTERED_PASS, "", true);
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "");
	ck_assert_int_eq(t.nasked, 1);
}

END_TEST

/* The filters may not let go whom they added when a rule sets it aside. */
START_TEST(added_and_set_aside)
{
	uint64_t now = clock_wall_ms();

	t.config->rules = xcalloc(1, sizeof(struct rule));
	t.config->nrules = 1;
	t.config->rules[0] = (struct rule){ .line = 7,
		.verdict = VERDICT_QUARANTINE,
		.action = &t.config->actions[2] };
	new_agent(4);
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	send_changed(MAIL("c@y", "other"), START_QUARANTINED);
	wait_for(&t.naccepted, 2);
	tell_filtered(FILTERED_PASS, "", true);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(quarantine(),
		    "[a@x rules: set aside by the rule in line 7](c@y 6 0 set "
		    "aside by the rule in line 7)");
		ck_assert_uint_ge(t.quarantined_since, now);
		ck_assert_uint_ge(t.quarantined_expires,
		    now + t.config->queue.quarantine_ttl);
		ck_assert_int_eq(t.nasked, 1);
		ck_assert_int_eq(t.ngot, 0);
		stop_queue(true);
		start_queue();
	}
}

END_TEST

/* It died, another one is asked: what the first one handed in is nobody's. */
START_TEST(an_answer_of_the_dead)
{
	struct replacement rep;

	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	rep = refilter_expect(
	    t.q, LIST_FIRST(&t.q->smtpds), str_of(t.asked_msgid));
	ck_assert_uint_ne(rep.seq, 0);
	new_smtpd();
	wait_for(&t.nasked, 2);
	ck_assert(
	    !refilter_replace(t.q, NULL, index_from_seq(&t.q->index, 0), &rep));
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 1 )");
	tell_filtered(FILTERED_PASS, "", false);
	new_agent(4);
	wait_for(&nwhole, 1);
}

END_TEST

/* Nothing is put off because a worker goes. */
START_TEST(a_worker_that_goes)
{
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	tell_filtered(FILTERED_STOPPING, "", false);
	send_unfiltered("c@x", MAIL("d@y", "inside"));
	wait_for(&t.naccepted, 2);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )[c@x 0](d@y 0 0 )");
	ck_assert_int_eq(t.nasked, 1);
	new_smtpd();
	wait_for(&t.nasked, 3);
}

END_TEST

static int nfiles;

static void
on_bodyfile(
    void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	(void)ctx;
	ck_assert_ptr_null(fault);
	ck_assert_uint_eq(type, TYPE_answer_bodyfile);
	t.bodyfile = *(const struct answer_bodyfile *)msg;
	nfiles++;
	seen();
}

/* A body in a file stays there when only the header changes. */
START_TEST(a_large_body_stays)
{
	struct ask_bodyfile m = { 0 };
	char text[6] = "";

	nfiles = 0;
	channel_ask(t.smtpd, TYPE_ask_bodyfile, &m, on_bodyfile, NULL);
	wait_for(&nfiles, 1);
	ck_assert_int_eq(write(t.bodyfile.file, "large", 5), 5);
	/* Filters are shown it before it is committed. */
	ck_assert_int_eq(pread(t.bodyfile.file, text, 5, 0), 5);
	ck_assert_str_eq(text, "large");
	close(t.bodyfile.file);
	bodyfile_number = t.bodyfile.bodyfile;
	bodyfile_size = 5;
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	bodyfile_number = 0;
	wait_for(&t.nasked, 1);
	ck_assert_uint_eq(t.asked_has_file, 1);
	ck_assert_uint_eq(t.asked_body_size, 5);
	ck_assert_int_eq(pread(t.body, text, 5, 0), 5);
	ck_assert_str_eq(text, "large");
	ck_assert_int_eq(write(t.body, "x", 1), -1);
	close(t.body);
	how.body_size = 5;
	how.start = START_UNFILTERED;
	how.replaces = true;
	send_as(t.asked_msgid, "a@x", MAIL("c@y", "inside"));
	memset(&how, 0, sizeof(how));
	wait_for(&t.naccepted, 2);
	tell_filtered(FILTERED_PASS, "", true);
	wait_shown("[a@x 0](c@y 0 0 )");
	/* The end of the old one is durable, and what it takes with it. */
	stop_queue(true);
	start_queue();
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].head.body_size, 5);
	ck_assert_int_eq(pread(t.got[0].file, text, 5, 0), 5);
	ck_assert_str_eq(text, "large");
	close(t.got[0].file);
}

END_TEST

/* --- out of quarantine --- */

START_TEST(rescanned_and_released)
{
	send_quarantined("a@x", MAIL("b@y", "inside"));
	change(CHANGE_RESCAN);
	ck_assert_uint_eq(t.done.changed, 1);
	wait_for(&t.nasked, 1);
	ck_assert_uint_eq(t.asked_why, FILTER_RESCAN);
	ck_assert_str_eq(t.asked_rcpts, "(b@y inside 1)");
	ck_assert_str_eq(t.asked_context, "ctx");
	change(CHANGE_RESCAN);
	ck_assert_uint_eq(t.done.changed, 0);
	new_agent(4);
	tell_filtered(FILTERED_PASS, "", false);
	wait_for(&nwhole, 1);
	ck_assert_ptr_nonnull(strstr(trace(last_id), "released to=b@y\n"));
}

END_TEST

START_TEST(rescanned_and_kept)
{
	uint64_t since;

	send_quarantined("a@x", MAIL("b@y", "inside"));
	quarantine();
	since = t.quarantined_since;
	change(CHANGE_RESCAN);
	wait_for(&t.nasked, 1);
	tell_filtered(FILTERED_QUARANTINE, "worse", false);
	wait_shown("[a@x 3](b@y 6 0 worse)");
	quarantine();
	ck_assert_uint_le(t.quarantined_since, since + 10);
	/* No word about it leaves it as it was. */
	change(CHANGE_RESCAN);
	wait_for(&t.nasked, 2);
	tell_filtered(FILTERED_TEMPFAIL, "451 4.7.1 busy", false);
	while (refilter_has(&index_from_seq(&t.q->index, 0)->rcpts[0]))
		show();
	ck_assert_str_eq(show(), "[a@x 3](b@y 6 0 worse)");
	/* Nor does one of nobody's. */
	change(CHANGE_RESCAN);
	wait_for(&t.nasked, 3);
	how.filter = "";
	tell_filtered(FILTERED_QUARANTINE, "nobody to ask", false);
	how.filter = NULL;
	while (refilter_has(&index_from_seq(&t.q->index, 0)->rcpts[0]))
		show();
	ck_assert_str_eq(quarantine(), "[a@x scan: worse](b@y 6 0 worse)");
	change(CHANGE_RESCAN);
	wait_for(&t.nasked, 4);
	new_smtpd();
	while (refilter_has(&index_from_seq(&t.q->index, 0)->rcpts[0]))
		show();
	ck_assert_str_eq(show(), "[a@x 3](b@y 6 0 worse)");
}

END_TEST

START_TEST(rescanned_and_changed)
{
	send_quarantined("a@x", MAIL("b@y", "inside"));
	change(CHANGE_RESCAN);
	wait_for(&t.nasked, 1);
	send_changed(MAIL("b@y", "inside"), START_QUARANTINED);
	wait_for(&t.naccepted, 2);
	ck_assert_str_eq(show(), "[a@x 3](b@y 6 0 it smells)");
	new_agent(4);
	tell_filtered(FILTERED_PASS, "", true);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\nchanged\r\n");
}

END_TEST

/* Somebody is faster than the filters. */
START_TEST(released_during_a_rescan)
{
	send_quarantined("a@x", MAIL("b@y", "inside"));
	change(CHANGE_RESCAN);
	wait_for(&t.nasked, 1);
	change(CHANGE_UNQUARANTINE);
	ck_assert_uint_eq(t.done.changed, 1);
	send_changed(MAIL("b@y", "inside"), START_QUARANTINED);
	wait_for(&t.nrefused, 1);
	tell_filtered(FILTERED_DISCARD, "", false);
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\nbody\r\n");
	ck_assert_int_eq(t.ngot, 1);
}

END_TEST

/* Others of the same mail were released before: they keep it as it was. */
START_TEST(a_part_goes_its_own_way)
{
	send_quarantined("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	term(TERM_TO, "b@y", 0);
	change(CHANGE_UNQUARANTINE);
	change(CHANGE_RESCAN);
	wait_for(&t.nasked, 1);
	ck_assert_str_eq(t.asked_rcpts, "(c@y inside 1)");
	send_changed(MAIL("c@y", "inside"), START_QUARANTINED);
	wait_for(&t.naccepted, 2);
	new_agent(4);
	tell_filtered(FILTERED_PASS, "", true);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[0].msgid, last_id);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "b@y");
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\nbody\r\n");
	ck_assert_str_ne(t.got[1].msgid, last_id);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "c@y");
	ck_assert_str_eq(t.got[1].content, "Received: x\r\n\r\nchanged\r\n");
}

END_TEST

/* --- reports --- */

START_TEST(our_reports_are_filtered)
{
	static const struct milter_set set = { .n = 0 };
	char report[ID_LEN + 1];

	t.config->report_milters = &set;
	t.config->postmaster = xstrdup("postmaster@z");
	new_agent(8);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_FAILED, "no");
	tell_done(&t.got[0], false);
	wait_for(&t.nasked, 1);
	ck_assert_uint_eq(t.asked_why, FILTER_REPORT);
	memcpy(report, t.asked_msgid, sizeof(report));
	ck_assert_str_ne(report, last_id);
	ck_assert_int_eq(t.ngot, 1);
	/* What is refused of ourselves is told nobody. */
	tell_filtered(FILTERED_REJECT, "550 5.7.1 not this", false);
	while (!strstr(trace(report), "bounced"))
		;
	while (t.q->reports.count > 0)
		show();
	send_mail("c@x", MAIL("d@y", "inside"));
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "d@y");
	ck_assert_int_eq(t.ngot, 2);
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { seen_first_then_delivered,
		a_restart_asks_again, set_aside, discarded,
		refused_and_reported, asked_again_later,
		a_dead_worker_may_be_chance, a_bounded_number_at_once, changed,
		changed_and_killed_between, nobody_asked_for_it,
		a_second_one_is_refused, what_was_done_meanwhile_holds,
		removed_meanwhile, looked_at_meanwhile, added_and_set_aside,
		an_answer_of_the_dead, a_worker_that_goes, a_large_body_stays,
		rescanned_and_released, rescanned_and_kept,
		rescanned_and_changed, released_during_a_rescan,
		a_part_goes_its_own_way, our_reports_are_filtered };
	Suite *s = suite_create("refilter");
	TCase *c = tcase_create("refilter");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(c, tests[i]);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
