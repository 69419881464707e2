/* Mail shown to filters after it was accepted, and what becomes of it. */
#include "tests/unit/queue/refiltering.h"

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
		a_dead_worker_may_be_chance, a_bounded_number_at_once,
		a_worker_that_goes, rescanned_and_released, rescanned_and_kept,
		rescanned_and_changed, released_during_a_rescan,
		a_part_goes_its_own_way, our_reports_are_filtered };

	return HOUSE_RUN("refilter", tests);
}
