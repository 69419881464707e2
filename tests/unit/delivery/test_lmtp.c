/* LMTP: a reply for each recipient, and an end between them. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/talk.c"

#define LHLO(lines)                                    \
	GREET,                                         \
	{                                              \
		"LHLO us.test\r\n", "250-mx\r\n" lines \
	}
#define HELLO   LHLO("250 PIPELINING\r\n")
#define CHUNKED LHLO("250-PIPELINING\r\n250 CHUNKING\r\n")

static const struct mail to_three = { .from = "a@b.test",
	.to = { "u@d.test", "v@d.test", "w@d.test" } };

static const char three[] = "250 2.0.0 u has it\r\n"
			    "552 5.2.2 v is full\r\n"
			    "451 4.2.0 w is locked\r\n";

static void
expect_three(void)
{
	ck_assert_uint_eq(ntold, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(told[i].index, 10 + i);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(told[0].handover, HANDOVER_FINAL);
	expect(1, OUTCOME_FAILED, 552, "5.2.2");
	expect(2, OUTCOME_DEFERRED, 451, "4.2.0");
}

START_TEST(test_each)
{
	static const struct step piped[] = { HELLO, MAIL, RCPT, RCPT, RCPT,
		DATA, { ".", three }, MAIL, RCPT, RCPT, RCPT, DATA,
		{ ".", three }, NOTHING };
	static const struct step stepwise[] = { LHLO("250 HELP\r\n"), MAIL,
		RCPT, RCPT, RCPT, DATA, { ".", three }, MAIL, RCPT, RCPT, RCPT,
		DATA, { ".", three }, NOTHING };
	static const struct step chunked[] = { CHUNKED, MAIL, RCPT, RCPT, RCPT,
		{ "BDAT", three }, { "RSET", "250 ok\r\n" }, MAIL, RCPT, RCPT,
		RCPT, { "BDAT", three }, { "RSET", "250 ok\r\n" }, NOTHING };
	static const struct step *const scripts[] = { piped, stepwise,
		chunked };

	policy.lmtp = true;
	talk(scripts[_i], &to_three);
	ck_assert(ready);
	expect_three();
	talk_on(&to_three);
	ck_assert(ready);
	expect_three();
}

END_TEST

START_TEST(test_some_refused)
{
	static const struct step data[] = { HELLO, MAIL, RCPT, NO_RCPT, RCPT,
		DATA, { ".", "250 u\r\n450 4.2.1 w\r\n" }, NOTHING };
	static const struct step bdat[] = { CHUNKED, MAIL, RCPT, NO_RCPT, RCPT,
		{ "BDAT", "450 4.2.1 u\r\n250 w\r\n" }, NOTHING };

	policy.lmtp = true;
	talk(_i == 0 ? data : bdat, &to_three);
	ck_assert(ready);
	ck_assert_uint_eq(ntold, 3);
	expect(0, OUTCOME_FAILED, 550, "5.1.1");
	ck_assert_uint_eq(told[0].index, 11);
	ck_assert_uint_eq(told[1].index, 10);
	ck_assert_uint_eq(told[2].index, 12);
	ck_assert_uint_eq(told[1 + _i].outcome, OUTCOME_DELIVERED);
	expect(2 - (size_t)_i, OUTCOME_DEFERRED, 450, "4.2.1");
}

END_TEST

START_TEST(test_all_refused)
{
	static const struct step data[] = { HELLO, MAIL, NO_RCPT, NO_RCPT,
		NO_RCPT, { "DATA", "503 5.5.1 nobody\r\n" },
		{ "RSET", "250 ok\r\n" }, NOTHING };
	static const struct step bdat[] = { CHUNKED, MAIL, NO_RCPT, NO_RCPT,
		NO_RCPT, { "BDAT", "503 5.5.1 nobody\r\n" },
		{ "RSET", "250 ok\r\n" }, NOTHING };

	policy.lmtp = true;
	talk(_i == 0 ? data : bdat, &to_three);
	ck_assert(ready);
	ck_assert_uint_eq(ntold, 3);
	for (size_t i = 0; i < 3; i++)
		expect(i, OUTCOME_FAILED, 550, "5.1.1");
}

END_TEST

/* Between the replies: nobody knows of the rest. */
START_TEST(test_lost_between)
{
	static const struct step closes[] = { HELLO, MAIL, RCPT, RCPT, RCPT,
		DATA, { ".", "250 2.0.0 u\r\n" }, { "", NULL }, NOTHING };
	static const struct step mute[] = { HELLO, MAIL, RCPT, RCPT, RCPT, DATA,
		{ ".", "250 2.0.0 u\r\n" }, NOTHING };
	static const struct step bye[] = { HELLO, MAIL, RCPT, RCPT, RCPT, DATA,
		{ ".", "250 2.0.0 u\r\n421 4.3.2 bye\r\n" }, NOTHING };
	static const struct step chunked[] = { CHUNKED, MAIL, RCPT, RCPT, RCPT,
		{ "BDAT", "250 2.0.0 u\r\n" }, { "", NULL }, NOTHING };
	static const struct step huh[] = { CHUNKED, MAIL, RCPT, RCPT, RCPT,
		{ "BDAT", "250 2.0.0 u\r\nhuh\r\n" }, NOTHING };
	static const struct step *const scripts[] = { closes, mute, bye,
		chunked, huh };

	policy.lmtp = true;
	numbers.data_end_timeout = 100;
	talk(scripts[_i], &to_three);
	ck_assert(lost);
	ck_assert_uint_eq(ntold, 3);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	for (size_t i = 1; i < 3; i++)
		ck_assert_uint_eq(told[i].outcome, OUTCOME_DEFERRED);
	ck_assert_uint_eq(told[2].duplicate, 1);
	/* 421 is an answer for one of them */
	ck_assert_uint_eq(told[1].duplicate, scripts[_i] == bye ? 0 : 1);
}

END_TEST

START_TEST(test_too_many_replies)
{
	static const struct step script[] = { HELLO, MAIL, RCPT, RCPT, RCPT,
		DATA, { ".", "250 u\r\n250 v\r\n250 w\r\n250 x\r\n" },
		NOTHING };

	policy.lmtp = true;
	talk(script, &to_three);
	expect_lost(LOST_HOP, "4.5.0");
	ck_assert_uint_eq(ntold, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(told[i].outcome, OUTCOME_DELIVERED);
}

END_TEST

/* No HELO here. */
START_TEST(test_no_lhlo)
{
	static const struct step script[] = { GREET,
		{ "LHLO", "500 5.5.1 this is SMTP\r\n" }, NOTHING };

	policy.lmtp = true;
	talk(script, &to_three);
	expect_lost(LOST_HOP, "4.5.1");
	ck_assert_str_eq(heard(), "LHLO us.test\r\n");
}

END_TEST

START_TEST(test_dsn)
{
	static const struct step script[] = {
		LHLO("250-PIPELINING\r\n250 DSN\r\n"), MAIL,
		{ "RCPT TO:<u@d.test> NOTIFY=SUCCESS\r\n", "250 ok\r\n" }, DATA,
		DOT, NOTHING
	};
	struct mail m = to_one;

	policy.lmtp = true;
	m.notify[0] = NOTIFY_SUCCESS;
	talk(script, &m);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(told[0].handover, HANDOVER_DSN);
}

END_TEST

START_TEST(test_by_tls)
{
	static const struct step script[] = { LHLO("250 STARTTLS\r\n"),
		{ "STARTTLS", starttls }, { "LHLO", "250 mx\r\n" }, MAIL, RCPT,
		DATA, DOT, NOTHING };

	policy.lmtp = true;
	policy.level = SECURE_MUST;
	talk(script, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(server.secured);
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "each", test_each, 3 },
		{ "some", test_some_refused, 2 },
		{ "none", test_all_refused, 2 },
		{ "between", test_lost_between, 5 },
		{ "too many", test_too_many_replies, 1 },
		{ "no LHLO", test_no_lhlo, 1 },
		{ "dsn", test_dsn, 1 },
		{ "tls", test_by_tls, 1 },
	};

	return run_tests("lmtp", tests, sizeof(tests) / sizeof(tests[0]));
}
