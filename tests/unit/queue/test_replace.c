/* A mail that filters changed, and the one whose place it takes. */
#include "tests/unit/queue/refiltering.h"

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

/* The queue knows who sent it: smtpd does not say it again. */
START_TEST(changed_mail_is_of_the_same_user)
{
	struct entry *e;

	how.user = "jane";
	how.flags = ENVELOPE_TLS;
	send_unfiltered("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nasked, 1);
	send_changed(MAIL("d@y", "inside"), START_UNFILTERED);
	wait_for(&t.naccepted, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(show(), "[a@x 0](d@y 0 0 )");
		e = index_find_id(&t.q->index, str_of(t.asked_msgid));
		ck_assert(str_eq(entry_origin(e).user, STR("jane")));
		ck_assert_uint_eq(e->flags, ENVELOPE_TLS);
		stop_queue(true);
		start_queue();
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

int
main(void)
{
	const TTest *const tests[] = { changed, changed_and_killed_between,
		changed_mail_is_of_the_same_user, nobody_asked_for_it,
		a_second_one_is_refused, what_was_done_meanwhile_holds,
		removed_meanwhile, looked_at_meanwhile, added_and_set_aside,
		an_answer_of_the_dead, a_large_body_stays };

	return HOUSE_RUN("replace", tests);
}
