/*
 * The way of a question through control: who may ask what, whose uid goes on,
 * filters, sums, processes that are down or die, callers that are rude.
 */
#include "tests/unit/control/processes.h"

START_TEST(change_goes_to_the_queue)
{
	struct tell_term term = { .kind = TERM_DOMAIN,
		.text = STR("example.com") };
	struct ask_change m = {
		.change = CHANGE_HOLD, .uid = 4711, .reason = STR("a test")
	};

	connect_as(1000, PERMIT_ALL);
	channel_tell(client, TYPE_tell_term, &term, 0);
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(answer.matched, 1);
	ck_assert_uint_eq(answer.changed, 1);
	ck_assert_str_eq(term_text, "example.com");
	ck_assert_str_eq(reason, "a test");
	ck_assert_uint_eq(change.change, CHANGE_HOLD);
	/* Not who the caller says he is. */
	ck_assert_uint_eq(change.uid, 1000);
	/* The filter was of that question only. */
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(nterms, 1);
}

END_TEST

/* Who blocks somebody is known, whoever he says he is. */
START_TEST(who_blocks)
{
	struct ask_block block = { .network = STR("192.0.2.1"), .uid = 4711 };
	struct ask_unblock unblock = { .network = STR("192.0.2.1"),
		.uid = 4711 };

	connect_as(1000, PERMIT_ALL);
	ask(TYPE_ask_block, &block);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(change.uid, 1000);
	change.uid = 0;
	ask(TYPE_ask_unblock, &unblock);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(change.uid, 1000);
}

END_TEST

/* Bit n: the n-th of these questions was answered. */
static unsigned int
answered_to(unsigned int permits)
{
	struct ask_stats stats = { 0 };
	struct ask_content content = { .msgid = STR("0000000000000000") };
	struct ask_change remove_all = { .change = CHANGE_REMOVE };
	struct ask_submit_path path = { 0 };
	struct ask_resolve resolve = { .name = STR("a"), .type = STR("MX") };
	struct ask_routes routes = { .address = STR("a@x") };
	struct ask_milters milters = { 0 };
	struct ask_quarantine quarantine = { 0 };
	struct ask_trace trace = { .msgid = STR("0000000000000000") };
	struct ask_test_milter test = { .milter = STR("a") };
	struct ask_block block = { .network = STR("::1") };
	struct ask_unblock unblock = { .network = STR("::1") };
	struct ask_blocks blocks = { 0 };
	struct ask_sessions sessions = { 0 };

	const struct {
		uint16_t type;
		const void *msg;
	} questions[] = {
		{ TYPE_ask_stats, &stats },
		{ TYPE_ask_content, &content },
		{ TYPE_ask_change, &remove_all },
		{ TYPE_ask_submit_path, &path },
		{ TYPE_ask_resolve, &resolve },
		{ TYPE_ask_routes, &routes },
		{ TYPE_ask_milters, &milters },
		{ TYPE_ask_quarantine, &quarantine },
		{ TYPE_ask_trace, &trace },
		{ TYPE_ask_test_milter, &test },
		{ TYPE_ask_block, &block },
		{ TYPE_ask_unblock, &unblock },
		{ TYPE_ask_blocks, &blocks },
		{ TYPE_ask_sessions, &sessions },
	};

	unsigned int bits = 0;

	connect_as(1000, permits);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		ask(questions[i].type, questions[i].msg);
		if (answer.code == ANSWER_OK)
			bits |= 1U << i;
		else
			ck_assert_str_eq(answer_text, "permission denied");
	}
	channel_free(&client);
	return bits;
}

START_TEST(permissions)
{
	route_set_submit_path("/x/submit.sock");
	ck_assert_uint_eq(answered_to(PERMIT_ALL), 16383);
	ck_assert_uint_eq(answered_to(PERMIT_VIEW), 505 + 12288);
	ck_assert_uint_eq(answered_to(0), 8);
	ck_assert_str_eq(term_text, "/x/submit.sock");
}

END_TEST

START_TEST(rows_of_the_resolver)
{
	struct ask_resolve resolve = { .name = STR("a"), .type = STR("MX") };
	struct ask_routes routes = { .address = STR("a@x") };

	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_resolve, &resolve);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(row_types, BIT(row_resolved) | BIT(row_record));
	row_types = 0;
	ask(TYPE_ask_routes, &routes);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(
	    row_types, BIT(row_rule) | BIT(row_passed) | BIT(row_hop));
	/* The gateway may do without one. */
	channel_free(&resolver.ch);
	ask(TYPE_ask_resolve, &resolve);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
}

END_TEST

/* Each smtpd has rows of its own; one that dies is left out. */
START_TEST(filters_of_all_workers)
{
	struct ask_milters m = { 0 };

	start_fake(&smtpd2, ROLE_SMTPD, 2);
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_milters, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(nrows, 2);
	smtpd.is_mortal = true;
	ask(TYPE_ask_milters, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(nrows, 3);
	smtpd2.is_mortal = true;
	ask(TYPE_ask_milters, &m);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
	ask(TYPE_ask_milters, &m);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
}

END_TEST

static void
tell_mail(size_t size)
{
	static char zeros[CHANNEL_CONTENT_MAX];

	for (; size > 0; size -= size < sizeof(zeros) ? size : sizeof(zeros)) {
		struct tell_mail m = { .bytes = { zeros, size < sizeof(zeros) ?
							     size :
							     sizeof(zeros) } };
		channel_tell(client, TYPE_tell_mail, &m, 0);
	}
}

START_TEST(a_mail_for_a_filter)
{
	struct ask_test_milter m = { .milter = STR("a") };

	connect_as(0, PERMIT_ALL);
	tell_mail(ASKER_MAIL_MAX);
	ask(TYPE_ask_test_milter, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(row_types, BIT(row_event));
	ck_assert_uint_eq(mail_bytes, ASKER_MAIL_MAX);
	/* It was of that question only. */
	ask(TYPE_ask_test_milter, &m);
	ck_assert_uint_eq(mail_bytes, ASKER_MAIL_MAX);
	ck_assert_uint_eq(mails_asked, 2);
	tell_mail((size_t)ASKER_MAIL_MAX + 1);
	loop_run(loop);
	ck_assert(is_closed);
	ck_assert_uint_eq(asker_count(), 0);
}

END_TEST

/* Who may not ask that does not fill our memory either. */
START_TEST(a_mail_from_one_who_may_not)
{
	struct ask_test_milter m = { .milter = STR("a") };

	connect_as(1000, PERMIT_VIEW);
	tell_mail((size_t)ASKER_MAIL_MAX + 1);
	ask(TYPE_ask_test_milter, &m);
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ck_assert_uint_eq(asker->mail.len, 0);
	ck_assert_uint_eq(mails_asked, 0);
}

END_TEST

START_TEST(equal_names_are_one_number)
{
	struct ask_stats m = { 0 };

	queue.stat = 30;
	smtpd.stat = 12;
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_stats, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(stats_sum, 42);
	ck_assert_uint_ge(stats_own, 1);
}

END_TEST

/* Who wants to know whose they are is told. */
START_TEST(numbers_of_each_process)
{
	struct ask_stats m = { .apart = 1 };

	queue.stat = 30;
	smtpd.stat = 12;
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_stats, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(stats_sum, 42);
	ck_assert_str_eq(stats_of, "(queue/0)(resolver/0)(smtpd/1)");
	m.apart = 0;
	ask(TYPE_ask_stats, &m);
	ck_assert_str_eq(stats_of, "(queue/0)(resolver/0)(smtpd/1)()");
}

END_TEST

START_TEST(numbers_of_those_that_are_there)
{
	struct ask_stats m = { 0 };

	queue.is_mortal = true;
	smtpd.stat = 12;
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_stats, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(stats_sum, 12);
}

END_TEST

START_TEST(a_process_that_dies)
{
	struct ask_change m = { .change = CHANGE_FLUSH };

	queue.is_mortal = true;
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
	ck_assert_str_eq(answer_text, "temporarily unavailable");
	/* Nor is it there for the next one, until it is started again. */
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
	start_fake(&queue, ROLE_QUEUE, 0);
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(nanswers, 3);
}

END_TEST

START_TEST(a_process_is_replaced)
{
	struct ask_change m = { .change = CHANGE_FLUSH };
	struct channel *old = queue.ch;

	queue.is_mute = true;
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(nanswers, 0);
	start_fake(&queue, ROLE_QUEUE, 0);
	loop_run(loop);
	ck_assert_uint_eq(nanswers, 1);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
	ask(TYPE_ask_change, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	channel_free(&old);
}

END_TEST

static void
when_stalled(void *ctx)
{
	struct timer **t = ctx;

	if (!asker->is_stalled)
		timer_set(*t, 1);
	else
		channel_resume(client);
}

START_TEST(a_caller_that_reads_late)
{
	struct ask_content m = { .msgid = STR("0000000000000000") };
	struct timer *t;

	connect_as(0, PERMIT_ALL);
	t = timer_new(loop, when_stalled, &t);
	timer_set(t, 1);
	channel_pause(client);
	ask(TYPE_ask_content, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(bytes, (uint64_t)CONTENT_ROWS * CONTENT_SIZE);
	ck_assert(!asker->is_stalled);
	timer_free(&t);
}

END_TEST

static void
when_stalled_leave(void *ctx)
{
	struct timer **t = ctx;

	if (!asker->is_stalled) {
		timer_set(*t, 1);
		return;
	}
	channel_free(&client);
	loop_stop(loop);
}

START_TEST(a_caller_that_leaves_in_the_middle)
{
	struct ask_content m = { .msgid = STR("0000000000000000") };
	struct ask_change flush = { .change = CHANGE_FLUSH };
	struct timer *t;

	connect_as(0, PERMIT_ALL);
	t = timer_new(loop, when_stalled_leave, &t);
	timer_set(t, 1);
	channel_pause(client);
	ask(TYPE_ask_content, &m);
	timer_free(&t);
	/* The queue is read again, and answers others. */
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_change, &flush);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(asker_count(), 1);
	ck_assert_uint_eq(route_count(), 0);
}

END_TEST

START_TEST(garbage_costs_one_connection)
{
	static const struct {
		const char *p;
		size_t len;
	} garbage[] = {
		{ "GET / HTTP/1.0\r\n\r\n", 18 },
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 },
		{ "\xff\xff\xff\x7f\0\0\0\0\0\0\0\0\0\0\0\0", 16 },
		{ "\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0abcdefgh", 24 },
	};
	struct ask_change m = { .change = CHANGE_FLUSH };

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = connect_raw(1000, PERMIT_ALL);
		ck_assert_int_eq(write(fd, garbage[i].p, garbage[i].len),
		    (int)garbage[i].len);
		connect_as(0, PERMIT_ALL);
		ask(TYPE_ask_change, &m);
		ck_assert_uint_eq(answer.code, ANSWER_OK);
		ck_assert_uint_eq(asker_count_uid(1000), 0);
		close(fd);
		channel_free(&client);
	}
}

END_TEST

START_TEST(too_many_filters)
{
	struct tell_term term = { .kind = TERM_ID };

	connect_as(0, PERMIT_ALL);
	for (int i = 0; i < ASKER_TERMS_MAX + 1; i++)
		channel_tell(client, TYPE_tell_term, &term, 0);
	loop_run(loop);
	ck_assert(is_closed);
	ck_assert_uint_eq(asker_count(), 0);
}

END_TEST

START_TEST(filters_where_there_are_none)
{
	struct tell_term term = { .kind = TERM_ID };
	struct ask_stats m = { 0 };

	connect_as(0, PERMIT_ALL);
	channel_tell(client, TYPE_tell_term, &term, 0);
	ask(TYPE_ask_stats, &m);
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ask(TYPE_ask_stats, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(nterms, 0);
}

END_TEST

START_TEST(too_many_questions)
{
	struct ask_change m = { .change = CHANGE_FLUSH };

	queue.is_mute = true;
	connect_as(0, PERMIT_ALL);
	for (int i = 0; i < ASKER_QUESTIONS_MAX; i++)
		channel_ask(client, TYPE_ask_change, &m, on_answer, NULL);
	channel_ask(client, TYPE_ask_change, &m, on_answer, NULL);
	while (nanswers == 0)
		loop_run(loop);
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ck_assert_uint_eq(nanswers, 1);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("router");
	TCase *c = tcase_create("all");

	log_set_level(LOG_LEVEL_WARN);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, change_goes_to_the_queue);
	tcase_add_test(c, permissions);
	tcase_add_test(c, who_blocks);
	tcase_add_test(c, rows_of_the_resolver);
	tcase_add_test(c, filters_of_all_workers);
	tcase_add_test(c, a_mail_for_a_filter);
	tcase_add_test(c, a_mail_from_one_who_may_not);
	tcase_add_test(c, equal_names_are_one_number);
	tcase_add_test(c, numbers_of_each_process);
	tcase_add_test(c, numbers_of_those_that_are_there);
	tcase_add_test(c, a_process_that_dies);
	tcase_add_test(c, a_process_is_replaced);
	tcase_add_test(c, a_caller_that_reads_late);
	tcase_add_test(c, a_caller_that_leaves_in_the_middle);
	tcase_add_test(c, garbage_costs_one_connection);
	tcase_add_test(c, too_many_filters);
	tcase_add_test(c, filters_where_there_are_none);
	tcase_add_test(c, too_many_questions);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
