/* BDAT: a mail in one go, and what becomes of it when not all of it is
 * welcome. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/talk.c"

#define HELLO GREET, EHLO_("250-PIPELINING\r\n250 CHUNKING\r\n")
#define BDAT                                  \
	{                                     \
		"BDAT", "250 2.0.0 taken\r\n" \
	}
#define NO_BDAT                                  \
	{                                        \
		"BDAT", "503 5.5.1 no rcpts\r\n" \
	}
#define RSET                         \
	{                            \
		"RSET", "250 ok\r\n" \
	}

static const struct mail to_two = { .from = "a@b.test",
	.to = { "u@d.test", "v@d.test" } };

START_TEST(test_one_go)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, RCPT, BDAT,
		MAIL, RCPT, RCPT, BDAT, NOTHING };
	struct mail m = to_two;

	/* a dot is a dot */
	m.content = "A: b\r\n\r\n.\r\n..x\r\n";
	talk(script, &m);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(server.nreads, 2);
	ck_assert_ptr_nonnull(
	    strstr(heard(), "RCPT TO:<v@d.test>\r\nBDAT 16 LAST\r\n"
			    "A: b\r\n\r\n.\r\n..x\r\n"));
	talk_on(&m);
	ck_assert(ready);
	ck_assert_uint_eq(ntold, 2);
	ck_assert_uint_eq(server.nreads, 3);
}

END_TEST

START_TEST(test_not_worth_it)
{
	static const struct step all[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };
	static const struct step no_pipe[] = { GREET, EHLO_("250 CHUNKING\r\n"),
		MAIL, RCPT, DATA, DOT, NOTHING };
	static const struct step no_chunks[] = { GREET,
		EHLO_("250 PIPELINING\r\n"), MAIL, RCPT, DATA, DOT, NOTHING };
	static const char *const contents[] = { NULL, NULL,
		"A: b\r\n\r\nx\ny\r\n", "A: b\r\n\r\nx\ry\r\n",
		"A: b\r\n\r\nno end", "A: b\r\n\r\n\r\r\n" };
	const struct step *script = _i == 0 ? no_pipe :
				    _i == 1 ? no_chunks :
					      all;
	struct mail m = to_one;

	m.content = contents[_i];
	talk(script, &m);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(!has_heard("BDAT"));
}

END_TEST

START_TEST(test_size)
{
	static const struct step by_bdat[] = { HELLO, MAIL, RCPT, BDAT,
		NOTHING };
	static const struct step by_data[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	enum { SIZE = 65536 };

	static char content[SIZE + 3];
	struct mail m = to_one;

	memset(content, 'x', SIZE);
	put(content, "A: b\r\n\r\n");
	/* one byte too long */
	put(content + SIZE - 2 + _i, "\r\n");
	m.content = content;
	talk(_i == 0 ? by_bdat : by_data, &m);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(has_heard("BDAT 65536 LAST") == (_i == 0));
}

END_TEST

START_TEST(test_mixed)
{
	static const struct step script[] = { HELLO, MAIL, NO_RCPT, RCPT, BDAT,
		NOTHING };

	talk(script, &to_two);
	ck_assert(ready);
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

START_TEST(test_nobody_taken)
{
	static const struct step script[] = { HELLO, MAIL, NO_RCPT, NO_RCPT,
		NO_BDAT, RSET, NOTHING };

	talk(script, &to_two);
	ck_assert(ready);
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	expect(1, OUTCOME_FAILED, 550, "5.1.1");
}

END_TEST

START_TEST(test_nobody_but_250)
{
	static const struct step script[] = { HELLO, MAIL, NO_RCPT, NO_RCPT,
		BDAT, NOTHING };

	talk(script, &to_two);
	expect_lost(LOST_HOP, "4.5.0");
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	expect(1, OUTCOME_FAILED, 550, "5.1.1");
	ck_assert_uint_eq(ntold, 2);
}

END_TEST

START_TEST(test_sender_refused)
{
	static const struct step script[] = { HELLO,
		{ "MAIL", "451 4.7.1 later\r\n" }, { "RCPT", "503 no\r\n" },
		{ "RCPT", "503 no\r\n" }, NO_BDAT, RSET, MAIL, RCPT, BDAT,
		NOTHING };

	talk(script, &to_two);
	ck_assert(ready);
	expect(0, OUTCOME_DEFERRED, 451, "4.7.1");
	expect(1, OUTCOME_DEFERRED, 451, "4.7.1");
	talk_on(&to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

START_TEST(test_mail_refused)
{
	static const struct step script[] = { HELLO, MAIL, RCPT,
		{ "BDAT", "552 5.7.1 spam\r\n" }, RSET, NOTHING };
	static const struct step later[] = { HELLO, MAIL, RCPT,
		{ "BDAT", "452 4.3.1 full\r\n" }, RSET, NOTHING };
	static const struct step bye[] = { HELLO, MAIL, RCPT,
		{ "BDAT", "421 4.3.2 bye\r\n" }, NOTHING };

	talk(script, &to_one);
	ck_assert(ready);
	expect(0, OUTCOME_FAILED, 552, "5.7.1");
	talk(later, &to_one);
	ck_assert(ready);
	expect(0, OUTCOME_DEFERRED, 452, "4.3.1");
	talk(bye, &to_one);
	ck_assert(lost);
	expect(0, OUTCOME_DEFERRED, 421, "4.3.2");
	ck_assert_uint_eq(told[0].duplicate, 0);
}

END_TEST

START_TEST(test_too_many)
{
	static const struct step script[] = { HELLO, MAIL, RCPT,
		{ "RCPT", "452 4.5.3 too many\r\n" }, BDAT, MAIL, RCPT, BDAT,
		NOTHING };

	talk(script, &to_two);
	ck_assert(ready);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	expect(1, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

/* The whole mail is written: it may be there, whatever came back. */
START_TEST(test_lost_in_doubt)
{
	static const struct step closing[] = { HELLO, MAIL, RCPT,
		{ "BDAT", NULL }, NOTHING };
	static const struct step resetting[] = { HELLO, MAIL, RCPT,
		{ "BDAT", reset }, NOTHING };
	static const struct step mute[] = { HELLO, MAIL, RCPT,
		{ "BDAT", silent }, NOTHING };
	static const struct step buffered[] = { HELLO, { "MAIL", silent },
		{ "RCPT", silent }, { "BDAT", NULL }, NOTHING };
	static const struct step babbling[] = { HELLO, MAIL,
		{ "RCPT", "250 ok\r\nhuh\r\n" }, { "BDAT", silent }, NOTHING };
	static const struct step wrong[] = { HELLO, MAIL, RCPT,
		{ "BDAT", "354 go\r\n" }, NOTHING };
	static const struct step *const scripts[] = { closing, resetting, mute,
		buffered, babbling, wrong };

	numbers.data_end_timeout = 100;
	talk(scripts[_i], &to_one);
	ck_assert(lost);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(told[0].duplicate, 1);
}

END_TEST

/* It was said that nothing more is read: another next hop may try. */
START_TEST(test_bye_in_the_run)
{
	static const struct step mail[] = { HELLO,
		{ "MAIL", "421 4.3.2 bye\r\n" }, NOTHING };
	static const struct step rcpt[] = { HELLO, MAIL,
		{ "RCPT", "421 4.3.2 bye\r\n" }, NOTHING };

	talk(_i == 0 ? mail : rcpt, &to_one);
	expect_lost(LOST_LINE, "4.3.2");
	ck_assert_uint_eq(ntold, 0);
	ck_assert_uint_eq(work->nopen, 1);
}

END_TEST

/* One to whom it says 421 for something else has a recipient and the mail. */
START_TEST(test_bye_behind_a_recipient)
{
	static const struct step script[] = { HELLO, MAIL, RCPT,
		{ "RCPT", "421 4.3.2 bye\r\n" }, NOTHING };

	talk(script, &to_two);
	expect_lost(LOST_LINE, "4.3.2");
	ck_assert_uint_eq(ntold, 2);
	ck_assert_uint_eq(told[0].duplicate, 1);
	ck_assert_uint_eq(told[1].duplicate, 1);
}

END_TEST

/* Whether a kept connection was closed before or behind the mail, who
 * knows. */
START_TEST(test_stale)
{
	static const struct step closing[] = { HELLO, MAIL, RCPT, BDAT,
		{ "MAIL", NULL }, NOTHING };
	static const struct step answering[] = { HELLO, MAIL, RCPT, BDAT, MAIL,
		{ "RCPT", NULL }, NOTHING };

	talk(_i == 0 ? closing : answering, &to_one);
	ck_assert(ready);
	talk_on(&to_one);
	ck_assert(lost);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(told[0].duplicate, 1);
}

END_TEST

/* That it says nothing is another matter. */
START_TEST(test_mute)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, BDAT,
		NOTHING };

	talk(script, &to_one);
	ck_assert(ready && conn != NULL);
	conn->numbers.mail_timeout = 100;
	talk_on(&to_one);
	ck_assert(lost);
	ck_assert_int_eq(how, LOST_HOP);
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(told[0].duplicate, 1);
}

END_TEST

/* O-14: it is offered, and not there. What it took for commands is over with
 * the connection; the next mail goes by DATA. */
START_TEST(test_no_such_command)
{
	static const struct step script[] = { HELLO, MAIL, RCPT,
		{ "BDAT", "500 5.5.2 what?\r\n" }, NOTHING };
	static const struct step next[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	talk(script, &to_one);
	expect_lost(LOST_HOP, "4.5.0");
	ck_assert_uint_eq(ntold, 0);
	ck_assert_uint_eq(work->nopen, 1);
	talk(next, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(!has_heard("BDAT"));
}

END_TEST

/* Nobody would get it, and so its 503 says nothing; its 500 does. */
START_TEST(test_no_such_command_for_nobody)
{
	static const struct step script[] = { HELLO, MAIL, NO_RCPT,
		{ "BDAT", "500 5.5.2 what?\r\n" }, NOTHING };
	static const struct step next[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	talk(script, &to_one);
	expect_lost(LOST_HOP, "4.5.0");
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	talk(next, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(!has_heard("BDAT"));
}

END_TEST

/* Which of them was for the mail? The next time they come one by one. */
START_TEST(test_more_replies)
{
	static const struct step scripts[][8] = {
		{ HELLO, MAIL, RCPT, { "BDAT", "250 ok\r\n250 ok\r\n" },
		    NOTHING },
		{ HELLO, MAIL, RCPT, { "BDAT", "250 ok\r\n552 5.7.1 spam\r\n" },
		    NOTHING },
		{ HELLO, MAIL, { "RCPT", silent },
		    { "BDAT", "250 ok\r\n250 ok\r\n552 5.7.1 spam\r\n" },
		    NOTHING },
	};
	static const struct step next[] = { HELLO, MAIL, RCPT, DATA, DOT,
		NOTHING };

	talk(scripts[_i], &to_one);
	expect_lost(LOST_HOP, "4.5.0");
	ck_assert_uint_eq(ntold, 1);
	ck_assert_uint_eq(told[0].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(told[0].duplicate, 1);
	talk(next, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(!has_heard("BDAT"));
}

END_TEST

/* O-7: what was answered is answered. */
START_TEST(test_taken_and_bye)
{
	static const struct step script[] = { HELLO, MAIL, RCPT,
		{ "BDAT", "250 ok\r\n421 bye\r\n" }, NOTHING };
	static const struct step next[] = { HELLO, MAIL, RCPT, BDAT, NOTHING };

	talk(script, &to_one);
	expect_lost(LOST_LINE, "4.4.2");
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(ntold, 1);
	talk(next, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
}

END_TEST

static const char *
long_content(void)
{
	enum { SIZE = 65536 };

	static char content[SIZE + 1];

	memset(content, 'x', SIZE);
	put(content, "A: b\r\n\r\n");
	put(content + SIZE - 2, "\r\n");
	return content;
}

/* A yes before the whole mail has left is none, and what has left must not
 * become a whole: another next hop may have it at once. */
START_TEST(test_taken_too_early)
{
	static const struct step scripts[][8] = {
		{ HELLO, { "MAIL", "250 ok\r\n250 ok\r\n250 ok\r\n" },
		    { "", deaf }, NOTHING },
		{ GREET, EHLO_("250 X\r\n"), MAIL, RCPT,
		    { "DATA", "354 go\r\n" }, { "", deaf }, NOTHING },
		{ HELLO, { "MAIL", silent }, { "", deaf }, NOTHING },
	};
	struct mail m = to_one;

	narrow = true;
	numbers.mail_timeout = numbers.data_end_timeout =
	    numbers.data_block_timeout = 100;
	m.content = long_content();
	talk(scripts[_i], &m);
	ck_assert(lost);
	ck_assert_int_eq(how, LOST_HOP);
	ck_assert_uint_eq(ntold, 0);
	ck_assert_uint_eq(work->nopen, 1);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "one go", test_one_go, 1 },
		{ "not worth it", test_not_worth_it, 6 },
		{ "size", test_size, 2 },
		{ "mixed", test_mixed, 1 },
		{ "nobody", test_nobody_taken, 1 },
		{ "nobody but 250", test_nobody_but_250, 1 },
		{ "sender", test_sender_refused, 1 },
		{ "refused", test_mail_refused, 1 },
		{ "too many", test_too_many, 1 },
		{ "in doubt", test_lost_in_doubt, 6 },
		{ "bye", test_bye_in_the_run, 2 },
		{ "bye behind", test_bye_behind_a_recipient, 1 },
		{ "stale", test_stale, 2 },
		{ "mute", test_mute, 1 },
		{ "no command", test_no_such_command, 1 },
		{ "no command, nobody", test_no_such_command_for_nobody, 1 },
		{ "more replies", test_more_replies, 3 },
		{ "taken and bye", test_taken_and_bye, 1 },
		{ "too early", test_taken_too_early, 3 },
	};

	return run_tests(
	    "smtp_chunks", tests, sizeof(tests) / sizeof(tests[0]));
}
