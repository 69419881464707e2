/*
 * What all processes of a role are asked: whose answer counts; questions that
 * last until they are cancelled; and the process that may ask, web.
 */
#include "tests/unit/control/processes.h"

/* Of two smtpd processes that say this; the second dies when it is to. */
static void
ask_two(uint8_t first, uint8_t second)
{
	struct ask_session m = { .session = STR("0000000000000000") };

	smtpd.code = first;
	smtpd2.code = second;
	ask(TYPE_ask_session, &m);
}

/* clang-format off */
static const struct {
	uint8_t first, second, both;
	uint64_t matched;
} answers[] = {
	{ ANSWER_NOT_FOUND,   ANSWER_NOT_FOUND,   ANSWER_NOT_FOUND,   1 },
	{ ANSWER_NOT_FOUND,   ANSWER_OK,          ANSWER_OK,          1 },
	{ ANSWER_OK,          ANSWER_NOT_FOUND,   ANSWER_OK,          1 },
	{ ANSWER_OK,          ANSWER_OK,          ANSWER_OK,          2 },
	{ ANSWER_UNAVAILABLE, ANSWER_NOT_FOUND,   ANSWER_UNAVAILABLE, 1 },
	{ ANSWER_NOT_FOUND,   ANSWER_UNAVAILABLE, ANSWER_UNAVAILABLE, 1 },
	{ ANSWER_OK,          ANSWER_UNAVAILABLE, ANSWER_OK,          1 },
	{ ANSWER_REFUSED_IT,  ANSWER_NOT_FOUND,   ANSWER_REFUSED_IT,  1 },
};

/* clang-format on */

START_TEST(the_best_answer_counts)
{
	start_fake(&smtpd2, ROLE_SMTPD, 2);
	connect_as(0, PERMIT_ALL);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		ask_two(answers[i].first, answers[i].second);
		ck_assert_uint_eq(answer.code, answers[i].both);
		ck_assert_uint_eq(answer.matched, answers[i].matched);
		ck_assert_str_eq(answer_text,
		    answers[i].both == ANSWER_OK ? "" : "not here");
	}
}

END_TEST

/* What one does not have another may have who died. */
START_TEST(one_dies)
{
	struct ask_milters m = { 0 };

	start_fake(&smtpd2, ROLE_SMTPD, 2);
	smtpd2.is_mortal = true;
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_milters, &m);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(nrows, 1);
}

END_TEST

static uint64_t
follow(void)
{
	struct ask_follow m = { .network = STR("192.0.2.0/24") };
	uint64_t id = channel_ask(client, TYPE_ask_follow, &m, on_answer, NULL);

	loop_run(loop);
	ck_assert_uint_eq(nrows, 1);
	ck_assert_uint_eq(route_count(), 1);
	return id;
}

static void
stop_loop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
run_a_round(void)
{
	struct timer *t = timer_new(loop, stop_loop, NULL);

	timer_set(t, 0);
	loop_run(loop);
	timer_free(&t);
}

START_TEST(cancelled)
{
	struct tell_cancel cancel = { 0 };
	struct ask_stats stats = { 0 };

	connect_as(0, PERMIT_ALL);
	uint64_t id = follow();

	ck_assert(!timer_is_set(TAILQ_FIRST(&asker->requests)->silence));
	ck_assert(!timer_is_set(asker->deadline));
	channel_cancel(client, id);
	channel_tell(client, TYPE_tell_cancel, &cancel, id);
	loop_run(loop);
	ck_assert_uint_eq(smtpd.ncancels, 1);
	ck_assert_uint_eq(route_count(), 0);
	ck_assert(timer_is_set(asker->deadline));
	/* Once more, and of what there never was: nothing happens. */
	channel_tell(client, TYPE_tell_cancel, &cancel, id);
	channel_tell(client, TYPE_tell_cancel, &cancel, 4711);
	ask(TYPE_ask_stats, &stats);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(smtpd.ncancels, 1);
}

END_TEST

START_TEST(gone_while_it_lasts)
{
	struct ask_stats stats = { 0 };

	connect_as(0, PERMIT_ALL);
	(void)follow();
	channel_free(&client);
	loop_run(loop);
	ck_assert_uint_eq(smtpd.ncancels, 1);
	ck_assert_uint_eq(route_count(), 0);
	ck_assert_uint_eq(asker_count(), 0);
	/* What still came for it went nowhere. */
	connect_as(0, PERMIT_ALL);
	ask(TYPE_ask_stats, &stats);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
}

END_TEST

/* Nobody waits for him, and he hears how much he missed. */
START_TEST(does_not_read)
{
	enum { LINES = 20000 };
	struct row_line row = { .session = STR("0000000000000000"),
		.text = STR("NOOP and many words to fill what there is of "
			    "sockets and of memory soon enough") };

	connect_as(0, PERMIT_ALL);
	(void)follow();
	channel_pause(client);
	for (size_t i = 0; i < LINES; i++) {
		channel_tell(smtpd.ch, TYPE_row_line, &row, smtpd.id);
		if (i % 100 == 0)
			loop_settle(loop);
	}
	while (TAILQ_FIRST(&asker->requests)->nlost == 0)
		run_a_round();
	ck_assert(!asker->is_stalled);
	channel_resume(client);
	while (nlost == 0 || nrows - 2 + nlost < LINES)
		loop_run(loop);
	ck_assert_uint_gt(nrows, 1000);
	ck_assert_uint_gt(nlost, 1000);
}

END_TEST

/* Those that follow end when who was asked is no more. */
START_TEST(followed_dies)
{
	connect_as(0, PERMIT_ALL);
	(void)follow();
	channel_free(&smtpd.ch);
	while (nanswers == 0)
		loop_run(loop);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
	ck_assert_uint_eq(route_count(), 0);
}

END_TEST

/* Of two the one: what its sessions say would be missing without a word. */
START_TEST(one_of_those_followed_dies)
{
	struct ask_follow m = { .network = STR("192.0.2.0/24") };

	start_fake(&smtpd2, ROLE_SMTPD, 2);
	connect_as(0, PERMIT_ALL);
	channel_ask(client, TYPE_ask_follow, &m, on_answer, NULL);
	while (nrows < 2)
		loop_run(loop);
	channel_free(&smtpd2.ch);
	while (nanswers == 0 || smtpd.ncancels == 0)
		loop_run(loop);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE);
	ck_assert_uint_eq(smtpd.ncancels, 1);
	ck_assert_uint_eq(route_count(), 0);
}

END_TEST

/* One that was retired ends as it should: the others are heard on. */
START_TEST(a_retired_one_ends)
{
	struct ask_follow m = { .network = STR("192.0.2.0/24") };
	struct ask_stats stats = { 0 };

	channel_free(&smtpd.ch);
	loop_settle(loop);
	start_fake(&smtpd2, ROLE_SMTPD, INSTANCE_RETIRED);
	start_fake(&smtpd, ROLE_SMTPD, 1);
	ck_assert_uint_eq(answerer_find(ROLE_SMTPD)->instance, 1);
	connect_as(0, PERMIT_ALL);
	uint64_t id = channel_ask(client, TYPE_ask_follow, &m, on_answer, NULL);
	while (nrows < 2)
		loop_run(loop);
	channel_free(&smtpd2.ch);
	ask(TYPE_ask_stats, &stats);
	ck_assert_uint_eq(nanswers, 1);
	ck_assert_uint_eq(route_count(), 1);
	ck_assert_uint_eq(smtpd.ncancels, 0);
	channel_cancel(client, id);
	channel_tell(client, TYPE_tell_cancel, &(struct tell_cancel){ 0 }, id);
	while (smtpd.ncancels == 0)
		loop_run(loop);
	ck_assert_uint_eq(route_count(), 0);
}

END_TEST

/* Who looks on hears of one that comes later, and of nobody else; and what he
 * is about to ask somebody else is none of its business. */
START_TEST(another_comes_while_it_lasts)
{
	struct tell_term term = { .kind = TERM_TO, .text = STR("a@x") };
	struct ask_change flush = { .change = CHANGE_FLUSH };

	connect_as(0, PERMIT_ALL);
	uint64_t id = follow();

	channel_tell(client, TYPE_tell_term, &term, 0);
	while (asker->nterms == 0)
		run_a_round();
	start_fake(&smtpd2, ROLE_SMTPD, 2);
	while (nrows < 2)
		loop_run(loop);
	ck_assert_uint_eq(nterms, 0);
	ask(TYPE_ask_change, &flush);
	ck_assert_uint_eq(nterms, 1);
	channel_cancel(client, id);
	channel_tell(client, TYPE_tell_cancel, &(struct tell_cancel){ 0 }, id);
	while (smtpd.ncancels == 0 || smtpd2.ncancels == 0)
		loop_run(loop);
	ck_assert_uint_eq(route_count(), 0);
	/* It is over: the next one is asked nothing. */
	channel_free(&smtpd2.ch);
	start_fake(&smtpd2, ROLE_SMTPD, 2);
	ask(TYPE_ask_stats, &(struct ask_stats){ 0 });
	ck_assert_uint_eq(smtpd2.id, 0);
}

END_TEST

static struct channel *
connect_web(void)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_assert_ptr_nonnull(asker_new_web(loop, sv[0]));
	return channel_new(loop, sv[1], &control_all_edge, EDGE_A,
	    client_handlers, on_closed, NULL);
}

START_TEST(web_may_look)
{
	struct ask_stats stats = { 0 };
	struct ask_status status = { 0 };
	struct ask_queue listing = { 0 };
	struct ask_sessions sessions = { 0 };
	struct ask_content content = { .msgid = STR("0000000000000000") };
	struct ask_change flush = { .change = CHANGE_FLUSH };

	client = connect_web();
	ask(TYPE_ask_stats, &stats);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ask(TYPE_ask_status, &status);
	ck_assert_uint_eq(answer.code, ANSWER_UNAVAILABLE); /* allowed */
	ask(TYPE_ask_queue, &listing);
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ask(TYPE_ask_sessions, &sessions);
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ask(TYPE_ask_content, &content);
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ck_assert_str_eq(answer_text, "permission denied");
	ask(TYPE_ask_change, &flush);
	ck_assert_uint_eq(answer.code, ANSWER_REFUSED_IT);
	ck_assert_uint_eq(bytes, 0);
	/* Between two scrapes it is silent. */
	ck_assert_uint_eq(asker_count(), 1);
}

END_TEST

/* The next one is there before we have heard that the former is dead. */
START_TEST(web_is_started_again)
{
	struct channel *old = connect_web();
	struct ask_stats stats = { 0 };

	client = connect_web();
	ck_assert_uint_eq(asker_count(), 1);
	/* The end of the former one comes in between. */
	channel_ask(client, TYPE_ask_stats, &stats, on_answer, NULL);
	while (nanswers == 0)
		loop_run(loop);
	ck_assert_uint_eq(answer.code, ANSWER_OK);
	ck_assert_uint_eq(asker_count(), 1);
	channel_free(&old);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("each");
	TCase *tc = tcase_create("each");

	log_init("control", 0, "test");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_best_answer_counts);
	tcase_add_test(tc, one_dies);
	tcase_add_test(tc, cancelled);
	tcase_add_test(tc, gone_while_it_lasts);
	tcase_add_test(tc, followed_dies);
	tcase_add_test(tc, one_of_those_followed_dies);
	tcase_add_test(tc, a_retired_one_ends);
	tcase_add_test(tc, another_comes_while_it_lasts);
	tcase_add_test(tc, does_not_read);
	tcase_add_test(tc, web_may_look);
	tcase_add_test(tc, web_is_started_again);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
