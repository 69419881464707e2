/* The queue as its peers see it. */
#include "tests/unit/queue/house.h"

/* --- the tests --- */

START_TEST(delivers_and_forgets)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].msgid, last_id);
	ck_assert_str_eq(t.got[0].action, "inside");
	ck_assert_str_eq(t.got[0].hops, "smtp://127.0.0.1:2");
	ck_assert_str_eq(t.got[0].rcpts[0].to, "b@y");
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\nbody\r\n");
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )");
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "2.0.0 ok");
	tell_done(&t.got[0], false);
	wait_shown("");
	while (t.q->index.count > 0)
		show(); /* until the record of the end is made */
}

END_TEST

START_TEST(groups_by_destination)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside", "d@z", "other",
			     "e@y", "inside", "f@y", "drop"));
	wait_for(&nwhole, 2);
	ck_assert_uint_eq(t.got[0].nrcpts + t.got[1].nrcpts, 4);
	for (int i = 0; i < 2; i++)
		for (uint32_t n = 0; n < t.got[i].nrcpts; n++)
			tell_result(
			    &t.got[i], n, OUTCOME_DELIVERED, "2.0.0 ok");
	tell_done(&t.got[0], false);
	tell_done(&t.got[1], false);
	wait_shown("");
}

END_TEST

START_TEST(every_outcome_survives_a_restart)
{
	new_agent(10);
	send_mail(
	    "a@x", MAIL("b@y", "inside", "c@y", "inside", "d@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_result(&t.got[0], 1, OUTCOME_DEFERRED, "later");
	tell_result(&t.got[0], 2, OUTCOME_FAILED, "5.1.1 never");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 3 1 250 2.0.0 ok)(c@y 1 1 451 4.3.0 later)"
		   "(d@y 4 1 550 5.1.1 never)[ 0](a@x 0 0 )");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(),
	    "[a@x 1](b@y 3 1 250 2.0.0 ok)(c@y 1 1 451 4.3.0 later)"
	    "(d@y 4 1 550 5.1.1 never)[ 0](a@x 0 0 )");
	/* Released from its wait: once more, read back from the store. */
	term(TERM_DOMAIN, "y", 0);
	change(CHANGE_FLUSH);
	ck_assert_uint_eq(t.done.matched, 1);
	ck_assert_uint_eq(t.done.changed, 1);
	new_agent(10);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[1].content, "Received: x\r\n\r\nbody\r\n");
	ck_assert_uint_eq(t.got[1].rcpts[0].index, 1);
	ck_assert_uint_eq(t.got[1].rcpts[0].attempts, 1);
	for (int i = 0; i < 2; i++) {
		tell_result(&t.got[i], 0, OUTCOME_DELIVERED, "ok");
		tell_done(&t.got[i], false);
	}
	wait_shown("[a@x 2](b@y 3 1 250 2.0.0 ok)(c@y 3 2 250 2.0.0 ok)"
		   "(d@y 4 1 550 5.1.1 never)");
}

END_TEST

START_TEST(a_crash_keeps_what_was_answered)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	stop_queue(false);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )");
	new_agent(1);
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "");
}

END_TEST

/* Nobody tried the first one; that time passed is seen by the second. */
START_TEST(mail_that_only_waits_grows_old_over_a_restart)
{
	const uint64_t day = 86400000;
	struct entry *e;

	t.received_ms = clock_wall_ms() - 2 * day;
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	t.received_ms += day;
	send_mail("a@x", MAIL("c@y", "inside"));
	wait_for(&t.naccepted, 2);
	stop_queue(false);
	start_queue();
	e = index_from_seq(&t.q->index, 0);
	ck_assert_uint_ge(entry_age(e, queue_now_ms(t.q)), day);
	ck_assert_uint_lt(entry_age(e, queue_now_ms(t.q)), 2 * day);
	e = index_from_seq(&t.q->index, e->seq + 1);
	ck_assert_uint_lt(entry_age(e, queue_now_ms(t.q)), day);
}

END_TEST

START_TEST(refuses_what_it_must)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	send_as(last_id, "a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	wait_for(&t.nrefused, 1);
	ck_assert_int_eq(t.why, REFUSED_MALFORMED);
	send_as("not an id", "a@x", MAIL("b@y", "inside"));
	wait_for(&t.nrefused, 2);
	ck_assert_int_eq(t.why, REFUSED_MALFORMED);
	t.config->queue.messages = 1;
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.nrefused, 3);
	ck_assert_int_eq(t.why, REFUSED_SPACE);
}

END_TEST

START_TEST(a_dead_agent_gives_all_back)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	channel_drain(t.agent, 1000);
	channel_free(&t.agent);
	t.ngot = 0;
	new_agent(10);
	wait_for(&nwhole, 2);
	ck_assert_uint_eq(t.got[0].nrcpts, 1);
	ck_assert_uint_eq(t.got[0].rcpts[0].index, 1);
	ck_assert_uint_eq(t.got[0].rcpts[0].attempts, 0);
	ck_assert_uint_eq(t.q->index.count, 1);
	/* Perhaps it is what they die of: not again at once. */
	channel_free(&t.agent);
	wait_shown("[a@x 1](b@y 3 1 250 2.0.0 ok)"
		   "(c@y 1 1 4.3.0 the delivery agent died)");
}

END_TEST

/* What it has not read is no attempt, and no try of anything: however often
 * that happens, its next one has it at once. */
START_TEST(who_leaves_gives_back_what_was_not_begun)
{
	struct tell_leaving leaving = { 0 };
	struct tell_capacity more = { .mails = 10 };

	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	for (int i = 2; i <= 4; i++) {
		channel_tell(t.agent, TYPE_tell_leaving, &leaving, 0);
		/* Whatever it says behind its last word. */
		channel_tell(t.agent, TYPE_tell_capacity, &more, 0);
		channel_drain(t.agent, 1000);
		channel_free(&t.agent);
		t.ngot = 0;
		new_agent(10);
		wait_for(&nwhole, i);
		ck_assert_uint_eq(t.got[0].nrcpts, 1);
		ck_assert_uint_eq(t.got[0].rcpts[0].index, 1);
	}
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 3 1 250 2.0.0 ok)(c@y 1 1 451 4.3.0 later)");
}

END_TEST

START_TEST(holds_releases_removes)
{
	send_mail("a@x", MAIL("b@y", "inside", "c@z", "inside"));
	wait_for(&t.naccepted, 1);
	term(TERM_DOMAIN, "z", 0);
	change(CHANGE_HOLD);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_uint_ne(t.done.operation, 0);
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(c@z 2 0 )");
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 0](b@y 0 0 )(c@z 2 0 )");
	new_agent(5);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].nrcpts, 1);
	/* In the agent's hands: removed once it comes back undelivered. */
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REMOVE);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 2](b@y 5 1 451 4.3.0 later)(c@z 2 0 )");
	term(TERM_ID, last_id, 0);
	change(CHANGE_RELEASE);
	ck_assert_uint_eq(t.done.changed, 1);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "c@z");
	tell_result(&t.got[1], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[1], false);
	wait_shown("[a@x 1](b@y 5 1 451 4.3.0 later)"
		   "(c@z 1 1 451 4.3.0 later)");
	change(CHANGE_REMOVE);
	ck_assert_str_eq(show(), "");
	ck_assert_uint_eq(t.q->index.count, 1);
	term(TERM_ID, last_id, 0);
	change(CHANGE_REMOVE);
	ck_assert_int_eq(t.done.code, ANSWER_NOT_FOUND);
}

END_TEST

START_TEST(a_wish_outlives_its_attempt)
{
	new_agent(10);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	/* Both are with the agent, which dies. */
	term(TERM_TO, "b@y", 0);
	change(CHANGE_REMOVE);
	term(TERM_TO, "c@y", 0);
	change(CHANGE_HOLD);
	channel_free(&t.agent);
	wait_shown("[a@x 2](b@y 5 0 )(c@y 2 0 )");
	term(TERM_ID, last_id, 0);
	change(CHANGE_RELEASE);
	t.ngot = 0;
	new_agent(10);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "c@y");
	/* With the agent again, and now the queue dies. */
	term(TERM_ID, last_id, 0);
	change(CHANGE_HOLD);
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 2](b@y 5 0 )(c@y 2 0 )");
}

END_TEST

/* The spool is full beyond its reserve: an operation is done, but not said to
 * be kept; later it is. */
START_TEST(an_operation_that_cannot_be_kept)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	t.q->store->no_room = true;
	term(TERM_ID, last_id, 0);
	change(CHANGE_HOLD);
	ck_assert_int_eq(t.done.code, ANSWER_UNAVAILABLE);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
	space_has_spare(t.q->store);
	stop_queue(true);
	start_queue();
	ck_assert_str_eq(show(), "[a@x 2](b@y 2 0 )");
}

END_TEST

START_TEST(shows_content_and_numbers)
{
	struct ask_content m = { .headers_only = 1 };
	struct ask_stats s = { 0 };

	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	m.msgid = str_of(last_id);
	ck_assert_str_eq(ask(TYPE_ask_content, &m), "Received: x\r\n\r\n");
	m.headers_only = 0;
	ck_assert_str_eq(
	    ask(TYPE_ask_content, &m), "Received: x\r\n\r\nbody\r\n");
	cache_clear(&t.q->cache);
	ck_assert_str_eq(
	    ask(TYPE_ask_content, &m), "Received: x\r\n\r\nbody\r\n");
	ck_assert_ptr_nonnull(strstr(ask(TYPE_ask_stats, &s),
	    "queue.messages=1 queue.active=1 queue.deferred=0 "));
	m.msgid = STR("0000000000000000");
	ask(TYPE_ask_content, &m);
	ck_assert_int_eq(t.done.code, ANSWER_NOT_FOUND);
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

START_TEST(large_bodies_go_by_file)
{
	struct ask_bodyfile ask_file = { 0 };
	struct ask_content m = { 0 };
	char body[6] = "";

	nfiles = 0;
	channel_ask(t.smtpd, TYPE_ask_bodyfile, &ask_file, on_bodyfile, NULL);
	wait_for(&nfiles, 1);
	ck_assert_int_eq(write(t.bodyfile.file, "large", 5), 5);
	close(t.bodyfile.file);
	bodyfile_number = t.bodyfile.bodyfile;
	bodyfile_size = 5;
	send_mail("a@x", MAIL("b@y", "inside"));
	/* It is ours now: a second mail cannot have it. */
	send_mail("a@x", MAIL("b@y", "inside"));
	bodyfile_number = bodyfile_size = 0;
	wait_for(&t.nrefused, 1);
	wait_for(&t.naccepted, 1);
	new_agent(3);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].content, "Received: x\r\n\r\n");
	ck_assert_int_eq(pread(t.got[0].file, body, 5, 0), 5);
	ck_assert_str_eq(body, "large");
	close(t.got[0].file);
	m.msgid = (struct str){ t.got[0].msgid, ID_LEN };
	ck_assert_str_eq(ask(TYPE_ask_content, &m), "Received: x\r\n\r\nlarge");
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[0], false);
	wait_shown("");
}

END_TEST

START_TEST(old_mail_expires)
{
	t.config->queue.ttl = 1;
	new_agent(1);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], true);
	wait_shown("[a@x 2](b@y 4 1 451 4.3.0 later)[ 0](a@x 0 0 )");
}

END_TEST

START_TEST(actions_that_are_gone_hold_the_mail)
{
	send_mail("a@x", MAIL("b@y", "vanished"));
	wait_for(&t.naccepted, 1);
	ck_assert_str_eq(show(),
	    "[a@x 2](b@y 2 0 4.3.5 its action is not configured any more)");
}

END_TEST

START_TEST(a_reload_routes_what_waits_again)
{
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 1);
	free(t.config->actions[0].hops);
	t.config->actions[0].hops = xstrdup("smtp://127.0.0.1:9");
	queue_set_config(t.q, t.config);
	new_agent(1);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].hops, "smtp://127.0.0.1:9");
}

END_TEST

START_TEST(what_comes_back_stays_in_order)
{
	char first[ID_LEN + 1];

	new_agent(2);
	for (int i = 0; i < 3; i++) {
		send_mail("a@x", MAIL("b@y", "inside"));
		if (i == 0)
			memcpy(first, last_id, sizeof(first));
	}
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[0].msgid, first);
	channel_free(&t.agent);
	t.ngot = 0;
	new_agent(1);
	wait_for(&nwhole, 3);
	ck_assert_str_eq(t.got[0].msgid, first);
}

END_TEST

/* With an agent that dies after a reload: it does not go back to where it
 * was to go before. */
START_TEST(what_comes_back_is_routed_again)
{
	new_agent(1);
	send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&nwhole, 1);
	free(t.config->actions[0].hops);
	t.config->actions[0].hops = xstrdup("smtp://127.0.0.1:9");
	queue_set_config(t.q, t.config);
	channel_free(&t.agent);
	t.ngot = 0;
	new_agent(1);
	wait_for(&nwhole, 2);
	ck_assert_str_eq(t.got[0].hops, "smtp://127.0.0.1:9");
}

END_TEST

START_TEST(shows_destinations)
{
	struct ask_destinations m = { 0 };
	const char *rows;

	for (int i = 0; i < 4; i++)
		send_mail("a@x", MAIL("b@y", "inside", "c@y", "other"));
	wait_for(&t.naccepted, 4);
	rows = ask(TYPE_ask_destinations, &m);
	ck_assert_ptr_nonnull(
	    strstr(rows, "(smtp://127.0.0.1:2 inside 4 0 2 )"));
	ck_assert_ptr_nonnull(
	    strstr(rows, "(smtp://127.0.0.1:3 other 4 0 2 )"));
	term(TERM_TO, "c@y", 0);
	change(CHANGE_REMOVE);
	new_agent(1);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(ask(TYPE_ask_destinations, &m),
	    "(smtp://127.0.0.1:2 inside 3 1 2 )");
	tell_result(&t.got[0], 0, OUTCOME_DEFERRED, "refused");
	tell_done(&t.got[0], true);
	wait_shown("[a@x 1](b@y 1 1 451 4.3.0 refused)(c@y 5 0 )"
		   "[a@x 1](b@y 1 0 451 4.3.0 refused)(c@y 5 0 )"
		   "[a@x 1](b@y 1 0 451 4.3.0 refused)(c@y 5 0 )"
		   "[a@x 1](b@y 1 0 451 4.3.0 refused)(c@y 5 0 )");
	ck_assert_str_eq(ask(TYPE_ask_destinations, &m),
	    "(smtp://127.0.0.1:2 inside 3 0 1 rests 451 4.3.0 refused)");
}

END_TEST

/* Who waits behind others for a destination that cannot be reached is shown,
 * and at last reported, with what they heard. */
START_TEST(the_put_off_hear_why)
{
	struct rcpt *r;

	t.config->actions[0].ttl_ms = 3600000;
	for (int i = 0; i < 3; i++)
		send_mail("a@x", MAIL("b@y", "inside"));
	wait_for(&t.naccepted, 3);
	new_agent(2);
	wait_for(&nwhole, 2);
	for (int i = 0; i < 2; i++) {
		tell_result(&t.got[i], 0, OUTCOME_DEFERRED, "refused");
		tell_done(&t.got[i], true);
	}
	wait_shown("[a@x 1](b@y 1 1 451 4.3.0 refused)"
		   "[a@x 1](b@y 1 1 451 4.3.0 refused)"
		   "[a@x 1](b@y 1 0 451 4.3.0 refused)");
	for (uint64_t seq = 1; seq <= 3; seq++) {
		r = &index_from_seq(&t.q->index, seq)->rcpts[0];
		if (r->place == PLACE_WAITING)
			rcpt_entry(r)->born_ms -= 3600000;
	}
	timer_set(t.q->run_timer, 0);
	wait_shown("[a@x 1](b@y 1 1 451 4.3.0 refused)"
		   "[a@x 1](b@y 1 1 451 4.3.0 refused)"
		   "[a@x 2](b@y 4 0 451 4.3.0 refused)"
		   "[ 0](a@x 0 0 )");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { delivers_and_forgets,
		groups_by_destination, every_outcome_survives_a_restart,
		mail_that_only_waits_grows_old_over_a_restart,
		a_crash_keeps_what_was_answered, refuses_what_it_must,
		a_dead_agent_gives_all_back,
		who_leaves_gives_back_what_was_not_begun,
		holds_releases_removes, a_wish_outlives_its_attempt,
		an_operation_that_cannot_be_kept, shows_content_and_numbers,
		large_bodies_go_by_file, old_mail_expires,
		actions_that_are_gone_hold_the_mail,
		a_reload_routes_what_waits_again,
		what_comes_back_stays_in_order, what_comes_back_is_routed_again,
		the_put_off_hear_why, shows_destinations };

	return HOUSE_RUN("queue", tests);
}
