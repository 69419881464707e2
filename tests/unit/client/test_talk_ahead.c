/* Header fields go out before the replies to those in front of them. */
#include "tests/unit/client/talk_owner.h"

static bool
show(void)
{
	struct talk_answer a;

	peer.brief = true;
	upto(MILTER_DATA);
	return talk_content(talk, &headers, &mail, edits, &a);
}

START_TEST(test_all_at_once)
{
	says_nothing('L');
	says_nothing('N');
	ck_assert(!show());
	settle();
	ck_assert_str_eq(heard(), "L L L N");
	/* All but one of its replies, and then that. */
	peer_put(BYTES("\0\0\0\1c\0\0\0\1c\0\0\0\1c"));
	settle();
	ck_assert_str_eq(heard(), "");
	peer_put(BYTES("\0\0\0\1c"));
	ck_assert_int_eq(wait_answer(false, NULL), MILTER_CONTINUE);
	ck_assert_str_eq(fault, "");
	ck_assert_str_eq(heard(), "B E");
	ck_assert_str_eq(second_message(), "M R T L L L N B E");
}

END_TEST

START_TEST(test_in_lock_step)
{
	milter.lock_step = true;
	says_nothing('L');
	ck_assert(!show());
	settle();
	ck_assert_str_eq(heard(), "L");
	peer_put(BYTES("\0\0\0\1c"));
	settle();
	ck_assert_str_eq(heard(), "L");
}

END_TEST

/* Its state would be ahead of what it has replied to. */
START_TEST(test_silent_end_of_header)
{
	end();
	begin();
	offers(6, 0x1ff, _i == 0 ? 0x40 : 0x40000);
	says_nothing('L');
	if (_i == 1)
		says_nothing('N');
	ck_assert(!show());
	settle();
	ck_assert_str_eq(heard(), "L L L");
	peer_put(BYTES("\0\0\0\1c\0\0\0\1c\0\0\0\1c"));
	ck_assert_int_eq(wait_answer(false, NULL), MILTER_CONTINUE);
	ck_assert_str_eq(heard(), _i == 0 ? "B E" : "N B E");
}

END_TEST

/* Its word counts; what it may say besides is not listened to, and the next
 * message gets another connection. */
START_TEST(test_refused_at_a_field)
{
	says_nothing('L');
	says_nothing('N');
	ck_assert(!show());
	settle();
	if (_i == 0)
		peer_put(BYTES("\0\0\0\1c\0\0\0\x13y550 5.7.1 text No\0"));
	else
		peer_put(BYTES("\0\0\0\1c\0\0\0\x13y550 5.7.1 text No\0"
			       "\0\0\0\1c\0\0\0\1c"));
	ck_assert_int_eq(wait_answer(false, NULL), MILTER_REJECT);
	ck_assert_str_eq(reply, "550 5.7.1 text No");
	ck_assert_str_eq(fault, "");
	heard();
	ask(MILTER_MAIL);
	expect_fault("refused a field");
	ck_assert(got.lost);
	settle();
	ck_assert_str_eq(heard(), "");
}

END_TEST

START_TEST(test_one_reply_too_many)
{
	says_nothing('L');
	says_nothing('N');
	ck_assert(!show());
	settle();
	peer_put(BYTES("\0\0\0\1c\0\0\0\1c\0\0\0\1c\0\0\0\1c\0\0\0\1c"));
	wait_answer(false, NULL);
	expect_fault("more behind its last word");
}

END_TEST

START_TEST(test_late_in_the_middle)
{
	milter.content_timeout = 50;
	says_nothing('L');
	says_nothing('N');
	ck_assert(!show());
	settle();
	peer_put(BYTES("\0\0\0\1c"));
	wait_answer(false, NULL);
	expect_fault("in time");
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("talk_ahead");
	TCase *c = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_all_at_once);
	tcase_add_test(c, test_in_lock_step);
	tcase_add_loop_test(c, test_silent_end_of_header, 0, 2);
	tcase_add_loop_test(c, test_refused_at_a_field, 0, 2);
	tcase_add_test(c, test_one_reply_too_many);
	tcase_add_test(c, test_late_in_the_middle);
	suite_add_tcase(s, c);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
