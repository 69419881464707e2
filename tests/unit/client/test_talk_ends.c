/* How a conversation with a filter ends: in order, cut anywhere, late, with too
 * much. */
#include "tests/unit/client/talk_owner.h"

/* --- ends --- */

START_TEST(test_abort)
{
	peer.brief = true;
	upto(MILTER_DATA);
	talk_abort(talk);
	talk_abort(talk);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	/* HELO, again, in the middle: it hears ABORT first. */
	ck_assert_int_eq(ask(MILTER_HELO), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), "A M A H M A M");
}

END_TEST

START_TEST(test_abort_while_asked)
{
	struct talk_answer a;

	says_nothing('R');
	upto(MILTER_MAIL);
	ck_assert(!talk_ask(talk, MILTER_RCPT, &a));
	talk_abort(talk);
	ck_assert(talk_is_dead(talk));
	settle();
	ck_assert(peer.ended);
	ck_assert_uint_eq(nanswers, 3);
	ck_assert_uint_eq(nlost, 0);
}

END_TEST

START_TEST(test_lost_while_idle)
{
	upto(MILTER_HELO);
	peer_close();
	while (nlost == 0)
		loop_run(loop);
	expect_fault("connection lost");
	ck_assert(ask_at_once(MILTER_MAIL));
	ck_assert(got.lost);
}

END_TEST

START_TEST(test_lost_and_asked_at_once)
{
	upto(MILTER_HELO);
	peer_close();
	loop_settle(loop);
	ck_assert(ask_at_once(MILTER_MAIL));
	ck_assert(got.lost);
	expect_fault("it closed the connection");
	settle();
	ck_assert_uint_eq(nlost, 0);
}

END_TEST

START_TEST(test_freed_in_its_answer)
{
	upto(MILTER_DATA);
	free_in_answer = true;
	ask(MILTER_CONTENT);
	ck_assert_ptr_null(talk);
	settle();
	ck_assert(peer.ended);
	/* By a fault. */
	end();
	begin();
	says('C', BYTES("\0\0\0\1f"));
	ask(MILTER_CONNECT);
	ck_assert_ptr_null(talk);
}

END_TEST

START_TEST(test_cannot_connect)
{
	struct sockaddr_storage ss;
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(ss);

	/* A port where nobody listens. */
	addr_parse(STR("127.0.0.1"), &a);
	len = addr_to_sockaddr(&a, 0, &ss);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&ss, len), 0);
	len = sizeof(ss);
	getsockname(listener, (struct sockaddr *)&ss, &len);
	end();
	begin();
	talk_free(&talk);
	if (connect(fd, (struct sockaddr *)&ss, len) != 0 &&
	    errno != EINPROGRESS)
		ck_assert_int_eq(errno, ECONNREFUSED);
	talk = talk_new(loop, fd, &milter, &facts, &ops, NULL);
	ask(MILTER_CONNECT);
	expect_fault("cannot connect");
	ck_assert(got.lost);
	close(listener);
}

END_TEST

START_TEST(test_cut_at_every_byte)
{
	size_t all = 0;

	for (size_t cut = 0; cut == 0 || cut <= all; cut++) {
		end();
		begin();
		edits_free(&edits);
		edits = edits_new(&headers, &mail, 1, &body_ops, new_body);
		with_edits();
		peer.cut = cut;
		peer.slowly = cut % 3 == 0;
		bool whole = converse();
		if (cut == 0)
			all = peer.sent;
		ck_assert_msg(
		    whole == (cut == 0 || cut == all), "cut at %zu", cut);
		if (!whole) {
			ck_assert(got.lost);
			ck_assert(talk_is_dead(talk));
		}
	}
	ck_assert_uint_gt(all, 80);
}

END_TEST

START_TEST(test_byte_by_byte)
{
	with_edits();
	peer.slowly = true;
	ck_assert(converse());
	ck_assert_uint_eq(new_len, 10);
}

END_TEST

/* --- time --- */

START_TEST(test_late_at_each_event)
{
	static const char events[] = "OCHMRTLNBE";

	says_nothing(events[_i]);
	if (events[_i] == 'O')
		milter.connect_timeout = 20;
	else if (strchr("CHMRT", events[_i]) != NULL)
		milter.command_timeout = 20;
	else
		milter.content_timeout = 20;
	end();
	begin();
	says_nothing(events[_i]);
	ck_assert(!converse());
	expect_fault("in time");
	ck_assert(!got.lost);
}

END_TEST

/* A byte now and then does not move the deadline. */
START_TEST(test_trickling)
{
	milter.command_timeout = 100;
	says('M', BYTES("\0\1\0\0y"));
	peer.endless = 'M';
	peer.again = STR("x");
	upto(MILTER_HELO);
	ask(MILTER_MAIL);
	expect_fault("no reply to mail in time");
	ck_assert_uint_gt(peer.sent, 20);
}

END_TEST

START_TEST(test_endless_progress)
{
	static const char events[] = "HMRTLNBE";

	milter.command_timeout = milter.content_timeout = 60;
	milter.total_timeout = 150;
	says_nothing(events[_i]);
	peer.endless = events[_i];
	peer.again = (struct str){ BYTES("\0\0\0\1p") };
	ck_assert(!converse());
	expect_fault("in time");
}

END_TEST

/* Each of its replies is in time, all of them are not. */
START_TEST(test_one_limit_for_a_content)
{
	static char many[20000 * 5 + 1];

	for (size_t i = 0; i + 1 < sizeof(many); i += 5)
		memcpy(many + i, "A:b\r\n", 6);
	headers_clear(&headers);
	headers_init(&headers, str_of(many), 0);
	milter.total_timeout = 1;
	milter.lock_step = true;
	ck_assert(!converse());
	expect_fault("no reply to header in time");
}

END_TEST

START_TEST(test_progress_gives_time)
{
	struct buf *b = &peer.replies['M'];

	says_nothing('M');
	for (int i = 0; i < 1000; i++)
		says_also('M', 'p', "", 0);
	ck_assert_uint_eq(b->len, 5000);
	says_also('M', 'c', "", 0);
	upto(MILTER_HELO);
	ck_assert_int_eq(ask(MILTER_MAIL), MILTER_CONTINUE);
}

END_TEST

/* --- much --- */

START_TEST(test_big_body_from_a_file)
{
	enum { SIZE = 50 << 20 };

	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(ftruncate(fileno(f), SIZE), 0);
	mail.fd = fileno(f);
	mail.body_size = SIZE;
	/* With a reply to each chunk, or none at all. */
	for (int how = 0; how < 2; how++) {
		end();
		begin();
		if (how == 1)
			quiet();
		peer.brief = true;
		for (int s = MILTER_CONNECT; s <= MILTER_DATA; s++)
			ck_assert_int_eq(
			    ask((enum milter_stage)s), MILTER_CONTINUE);
		ck_assert_int_eq(ask(MILTER_CONTENT), MILTER_CONTINUE);
		ck_assert_str_eq(fault, "");
		ck_assert_uint_eq(peer.bytes, SIZE);
		ck_assert_uint_le(peer.unsent_max, 400000);
	}
	/* It is shorter than we thought. */
	end();
	begin();
	ck_assert_int_eq(ftruncate(fileno(f), 100000), 0);
	upto(MILTER_DATA);
	ask(MILTER_CONTENT);
	expect_fault("our copy of the body ends at 100000");
	fclose(f);
}

END_TEST

START_TEST(test_reads_nothing)
{
	static char big[4 << 20];

	mail.body = (struct str){ big, sizeof(big) };
	milter.content_timeout = 50;
	quiet();
	peer.deaf = true;
	upto(MILTER_DATA);
	ask(MILTER_CONTENT);
	expect_fault("it does not read");
	ck_assert(!got.lost);
}

END_TEST

START_TEST(test_speaks_while_content_flows)
{
	static char big[4 << 20];

	mail.body = (struct str){ big, sizeof(big) };
	quiet();
	peer.deaf = true;
	says('B', BYTES("\0\0\0\1r"));
	upto(MILTER_DATA);
	ask(MILTER_CONTENT);
	expect_fault("it spoke when nothing was asked");
}

END_TEST

START_TEST(test_two_replies_to_a_chunk)
{
	/* Out of step by one: seen before the end is asked for. */
	says('N', BYTES("\0\0\0\1c"));
	mail.body = STR("");
	upto(MILTER_DATA);
	says('N', BYTES("\0\0\0\1c\0\0\0\1c"));
	ask(MILTER_CONTENT);
	expect_fault("more behind its last word");
}

END_TEST

START_TEST(test_too_long_for_a_filter)
{
	static char big[70000];
	struct buf block;

	memset(big, 'x', sizeof(big));
	buf_init(&block, 200000);
	buf_add_str(&block, STR("Subject: "));
	buf_add(&block, big, sizeof(big));
	buf_add_str(&block, STR("\r\n\r\n"));
	headers_clear(&headers);
	headers_init(&headers, buf_str(&block), 0);
	upto(MILTER_DATA);
	ask(MILTER_CONTENT);
	expect_fault("too long");
	/* And a command line. */
	end();
	begin();
	facts.mail_args = (struct str){ big, sizeof(big) };
	upto(MILTER_HELO);
	ask(MILTER_MAIL);
	expect_fault("mail is too long for a filter");
	headers_clear(&headers);
	headers_init(&headers, STR("\r\n"), 0);
	buf_clear(&block);
}

END_TEST

START_TEST(test_content_without_recipient)
{
	upto(MILTER_MAIL);
	ask(MILTER_CONTENT);
	expect_fault("content without a recipient");
}

END_TEST

START_TEST(test_what_was_agreed)
{
	uint32_t version, actions, steps;

	offers(3, 0x11, 0x10);
	ck_assert(!talk_negotiated(talk, &version, &actions, &steps));
	upto(MILTER_CONNECT);
	ck_assert(talk_negotiated(talk, &version, &actions, &steps));
	ck_assert_uint_eq(version, 3);
	ck_assert_uint_eq(actions, 0x11);
	ck_assert_uint_eq(steps, 0x210);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("talk_ends");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_abort);
	tcase_add_test(c, test_abort_while_asked);
	tcase_add_test(c, test_lost_while_idle);
	tcase_add_test(c, test_lost_and_asked_at_once);
	tcase_add_test(c, test_freed_in_its_answer);
	tcase_add_test(c, test_cannot_connect);
	tcase_add_test(c, test_cut_at_every_byte);
	tcase_add_test(c, test_byte_by_byte);
	tcase_add_loop_test(c, test_late_at_each_event, 0, 10);
	tcase_add_test(c, test_trickling);
	tcase_add_loop_test(c, test_endless_progress, 0, 8);
	tcase_add_test(c, test_one_limit_for_a_content);
	tcase_add_test(c, test_progress_gives_time);
	tcase_add_test(c, test_big_body_from_a_file);
	tcase_add_test(c, test_reads_nothing);
	tcase_add_test(c, test_speaks_while_content_flows);
	tcase_add_test(c, test_two_replies_to_a_chunk);
	tcase_add_test(c, test_too_long_for_a_filter);
	tcase_add_test(c, test_content_without_recipient);
	tcase_add_test(c, test_what_was_agreed);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
